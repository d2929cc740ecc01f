// Package run runs versions of functions.
//
// # Vocabulary
//
//   - Image: the frozen memory that a version's instances are made from.
//   - Instance: a live interpreter of one version. It processes one call at a time
//     and keeps its globals between calls.
//   - Pool: the instances of one version, and the calls that wait for one.
//   - Turn: a call's right to compute. There are as many as processors.
//   - Shelf: things that may be let go of to make room, longest unused first.
//   - Try: code that is run once and is in no table.
//   - Session: an instance that stays, and runs one snippet after the other.
//
// # The way of a call
//
//	Runner.Invoke  finds the live side of the version (runner.go)
//	pool.acquire   a warm instance, else a new one from the version's image, else
//	               waits in order, else fault.ErrBusy (pool.go, image.go)
//	call.serve     request document on stdin, result or error back (invocation.go,
//	               guest.go), in turns that are fair between tenants and functions
//	               (scheduler.go)
//	pool.release   a clean return or a Python exception: the instance is kept;
//	               anything else: it is thrown away
//
// Whatever it makes is taken from the ledger first. When that has no more, Reclaim lets
// go of what is idle (room.go).
package run

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/throttle"
	"vivarium/wasm/vfs"
)

// What functions can make the operator's log say: maxWarnings at once for each
// function, and then warningRate a second.
const (
	warningRate = 0.1
	maxWarnings = 10
)

// ErrRetired says that a version was removed before a call got an instance of it.
var ErrRetired = errors.New("the version is retired")

// Config tells New how to run versions.
type Config struct {
	Engines *Engines // the caller closes them, after the runner
	Ledger  *quota.Ledger
	Book    *logs.Book       // the caller closes it, after the runner
	History *history.History // likewise; nil keeps no calls
	Tokens  *access.Tokens   // for functions with a service account
	// Archive returns the zip file that a version was made from; nil when it was
	// made from none. It may block for as long as the store does.
	Archive func(ctx context.Context, v *catalog.Version) ([]byte, error)
	// Secrets returns the environment variables that a version gets of secrets; nil where
	// there are none. It does not block.
	Secrets func(v *catalog.Version) (map[string]string, error)
	Log     *slog.Logger // receives what only the operator can mend

	ImageDir    string        // keeps images between runs of the program; empty keeps none
	MaxQueue    int           // calls of one version that wait for an instance
	IdleTimeout time.Duration // how long an instance stays without calls
	MaxCalls    int           // that an instance serves; 0 means any number
	MaxMemory   int64         // of all instances, in bytes; 0 means no bound
	Processors  int           // how many guests compute at once
	Clustered   bool          // nothing is kept ready before Share says what is to be
	MaxTries    int           // at once

	// NetCeiling bounds what versions may reach of what they ask for; nil allows
	// nothing. Ceilings, which may be nil, bound those of some tenants further, and
	// TryCeiling what is tried. Dialer connects.
	NetCeiling *egress.Policy
	Ceilings   *egress.Ceilings
	TryCeiling *egress.Policy
	Dialer     egress.Dialer
	// Refused, if set, is told the rule that would allow what a function was refused of
	// the network. It must not block.
	Refused func(functionID, rule string)
	// Debugger, if set, is handed the connections of instances to their debugger, which
	// it closes. Such connections may last longer than others. The debugger is there until the
	// function returns, and while it holds a call, time stands still for that, and for those
	// that wait for its instance.
	Debugger func(net.Conn)
}

// Runner runs versions: it makes their images and instances, and lets instances
// process calls. Add and Remove tell it which versions there are. Safe for
// concurrent use.
type Runner struct {
	cfg       Config
	room      *room
	scheduler *scheduler
	maker     *maker
	reporter  *reporter
	tries     *tries
	sessions  *Sessions
	metrics   metrics
	home      atomic.Pointer[func(functionID string) bool] // see Share; nil where there are no other nodes

	running context.Context // ends when Close begins to tear down
	stop    context.CancelFunc
	end     sync.Once
	janitor sync.WaitGroup
	// fills are versions that are to keep instances ready.
	fills chan *live
	// discards are instances to close; the janitors take them.
	discards chan func()

	mu        sync.RWMutex // guards the members below; nothing blocks under it
	versions  map[string]*live
	functions map[string]*functionRuns
	closed    bool
}

// metrics counts what has happened since the start.
type metrics struct {
	calls, coldStarts, refusals atomic.Int64
}

// live is a version that can be called.
type live struct {
	*catalog.Version
	code    codeCell
	loading loading
	pool    *pool
	figures *figures       // its function's; nil when it has none
	asked   *egress.Policy // what it wants to reach; nil for nothing
}

// functionRuns are the live versions of one function, and its figures.
type functionRuns struct {
	versions map[string]*live
	figures  figures
}

// New returns a runner without versions. Close it before its engines.
func New(cfg Config) *Runner { return newRunner(cfg, cfg.Engines) }

func newRunner(cfg Config, e engines) *Runner {
	r := &Runner{
		cfg: cfg, room: &room{ledger: cfg.Ledger}, scheduler: newScheduler(cfg.Processors),
		reporter: &reporter{cfg.Log, throttle.New(warningRate, maxWarnings)},
		fills:    make(chan *live, 64), discards: make(chan func(), 64),
		versions: map[string]*live{}, functions: map[string]*functionRuns{},
	}
	r.cfg.Ceilings = cmp.Or(cfg.Ceilings, &egress.Ceilings{})
	r.cfg.Ceilings.Set(tryTenant, cfg.TryCeiling)
	r.room.ledger.SetOwn(tryTenant, quota.Amounts{quota.Memory: cfg.MaxMemory / tryMemoryShare})
	r.running, r.stop = context.WithCancel(context.Background())
	if r.cfg.Secrets == nil {
		r.cfg.Secrets = func(*catalog.Version) (map[string]string, error) { return nil, nil }
	}
	r.maker = &maker{
		interpreters: newInterpreters(r.running, e, r.scheduler), scheduler: r.scheduler, room: r.room, reporter: r.reporter,
		book: cfg.Book, tokens: cfg.Tokens, archive: cfg.Archive, secrets: r.cfg.Secrets, imageDir: cfg.ImageDir,
		netCeiling: cfg.NetCeiling, ceilings: r.cfg.Ceilings, dialer: cfg.Dialer, debugger: cfg.Debugger,
		refused: cfg.Refused, traffic: newTraffic(cfg.Ledger),
		unpacking: make(chan struct{}, maxUnpacking), running: r.running,
	}
	if cfg.Clustered {
		nowhere := func(string) bool { return false }
		r.home.Store(&nowhere)
	}
	r.tries = newTries(r)
	r.sessions = newSessions(r)
	r.janitor.Go(r.tidy)
	r.janitor.Go(func() { // closes instances that calls have left behind, until Close
		for f := range r.discards {
			f()
		}
	})
	r.janitor.Go(r.sample)
	return r
}

// newLive returns the live side of a version that nobody knows yet.
func newLive(r *Runner, v *catalog.Version) *live {
	l := &live{Version: v}
	newPool(r, l)
	if asked, err := egress.ParsePolicy(v.AllowNet); err == nil && !asked.Empty() { // it was checked when the version was made
		l.asked = asked
	}
	return l
}

// Add makes a version known, with code that its archive need not be unpacked for;
// give returns the memory that was reserved for the code. A version that is known
// already stays as it is, and the code is dropped.
func (r *Runner) Add(v *catalog.Version, code *vfs.Tree, give func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.versions[v.ID] != nil || r.closed {
		if give != nil {
			give()
		}
		return
	}
	l := newLive(r, v)
	l.code.tree, l.code.give = code, give
	f := r.functions[v.FunctionID]
	if f == nil {
		f = &functionRuns{versions: map[string]*live{}}
		r.functions[v.FunctionID] = f
	}
	l.figures = &f.figures
	f.versions[v.ID], r.versions[v.ID] = l, l
}

// version returns the live side of a version, nil when it is not known.
func (r *Runner) version(id string) *live {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.versions[id]
}

// SetLimits bounds the instances of a version, and has made those that are to be
// kept ready.
func (r *Runner) SetLimits(versionID string, limits catalog.Limits) {
	v := r.version(versionID)
	if v == nil {
		return
	}
	fill, _ := v.pool.limit(func(p *pool) { p.asked, p.others.ready = limits, v.readyElsewhere(limits) })
	if fill {
		v.fillSoon()
	}
}

// Remove refuses further calls of a version, waits for those in progress and lets go
// of all that it has, the image on disk included.
func (r *Runner) Remove(versionID string) {
	v := r.version(versionID)
	if v == nil {
		return
	}
	v.pool.close() // before the image goes: a call in progress may still need it
	v.pool.image.remove()
	r.maker.unstoreImage(v)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.versions, versionID)
	if f := r.functions[v.FunctionID]; f != nil {
		if delete(f.versions, versionID); len(f.versions) == 0 {
			delete(r.functions, v.FunctionID)
		}
	}
}

// Room returns how many more calls of a version would find an instance at once.
func (r *Runner) Room(versionID string) int {
	if v := r.version(versionID); v != nil {
		return v.pool.room()
	}
	return 0
}

// Close refuses new calls, waits for those in progress, and ends all instances.
// Nothing may be removed meanwhile. It is idempotent.
func (r *Runner) Close() {
	r.Drain()
	r.end.Do(func() {
		r.stop()
		close(r.discards) // nobody has an instance any more
		r.janitor.Wait()
		r.maker.interpreters.close()
	})
}

// Drain refuses new calls and waits for those in progress.
func (r *Runner) Drain() {
	r.mu.Lock()
	already := r.closed
	r.closed = true
	r.mu.Unlock()
	var closing sync.WaitGroup // at once: instances may have something to do before they end
	for _, v := range r.all() {
		closing.Go(v.pool.close)
	}
	closing.Go(r.sessions.closeAll)
	closing.Wait()
	if !already {
		r.tries.close()
	}
}

// gone says why a version that there was takes no more calls.
func (r *Runner) gone() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return fault.ErrClosed
	}
	return ErrRetired
}

// all returns the versions that there are.
func (r *Runner) all() []*live {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*live, 0, len(r.versions))
	for _, v := range r.versions {
		all = append(all, v)
	}
	return all
}

// tidy closes instances that nobody has called for a while, ends the connections
// of those that rest, and replaces those that versions keep ready, until Close.
func (r *Runner) tidy() {
	ticker := time.NewTicker(max(r.cfg.IdleTimeout/10, 10*time.Millisecond))
	defer ticker.Stop()
	connections := time.NewTicker(keepAlive / 10)
	defer connections.Stop()
	sessions := time.NewTicker(sessionTick)
	defer sessions.Stop()
	for {
		select {
		case now := <-sessions.C:
			r.sessions.tidy(now)
		case now := <-connections.C:
			if r.cfg.Debugger != nil {
				continue // an editor stays while its user thinks
			}
			for _, v := range r.all() {
				v.pool.hangUp(now.Add(-keepAlive))
			}
		case now := <-ticker.C:
			r.maker.traffic.endWindow(now)
			for _, v := range r.all() {
				v.pool.evict(now.Add(-r.cfg.IdleTimeout))
				v.fill(r.running)
				if _, live, _ := v.pool.stats(); live == 0 {
					v.code.drop()
				}
			}
		case v := <-r.fills:
			v.fill(r.running)
		case <-r.running.Done():
			return
		}
	}
}

// Stats is what a runner has at one moment.
type Stats struct {
	Versions   int
	Idle       int   // instances that wait for a call
	Busy       int   // instances that process one, or are being made
	Waiting    int   // calls that wait for an instance
	Memory     int64 // bytes that instances have taken for themselves
	Calls      int64 // since the start
	ColdStarts int64 // instances made since the start
	Refusals   int64 // targets that calls were refused, each once for a call, since the start
	Threads    int64 // of instances, besides the first of each
	Sessions   int
	Images     int64 // that were made since the start, and
	Copied     int64 // those that other nodes have made
}

// Stats returns what there is now. The parts are not of the very same moment.
func (r *Runner) Stats() Stats {
	var s Stats
	for _, v := range r.all() {
		one := v.stats()
		s.Versions++
		s.Idle += one.Idle
		s.Busy += one.Busy
		s.Waiting += one.Waiting
	}
	s.Memory, s.Calls, s.ColdStarts = r.room.ledger.Total(quota.Memory), r.metrics.calls.Load(), r.metrics.coldStarts.Load()
	s.Refusals, s.Threads = r.metrics.refusals.Load(), r.maker.interpreters.engines.threads()
	s.Sessions = r.sessions.count()
	s.Images, s.Copied = r.maker.images.made.Load(), r.maker.images.copied.Load()
	return s
}

// VersionStats returns what a version has now; nothing when it is not known.
func (r *Runner) VersionStats(versionID string) Stats {
	v := r.version(versionID)
	if v == nil {
		return Stats{}
	}
	return v.stats()
}

func (v *live) stats() Stats {
	idle, live, waiting := v.pool.stats()
	return Stats{Versions: 1, Idle: idle, Busy: live - idle, Waiting: waiting, Memory: v.pool.memory.Load()}
}
