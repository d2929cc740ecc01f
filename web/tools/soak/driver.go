package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// driver runs the program, loads it and injects faults.
type driver struct {
	options
	out    io.Writer
	dir    string // of everything that this soak stores
	cache  string // the program's, not on the disk that can be full
	ledger *ledger
	http   *http.Client
	peer   *peer
	disk   *disk // nil if none can be mounted
	target target

	keys       map[string]string // see client
	known      atomic.Value      // likewise
	secrets    map[string]string // of the neighbours' tenants
	neighbours []*neighbour
	attackers  []*attacker
	strikes    *striker
	queue      *queue

	// gate is read-locked during calls. Whoever locks it waits until all calls
	// have ended, and prevents others from starting.
	gate sync.RWMutex
}

// target is what is loaded, and what fails.
type target interface {
	// start starts all of it. What has been started by an error is there for stop.
	start(ctx context.Context) error
	// base returns a URL for the next request.
	base() string
	// deployed is called when all functions exist, rested when what was queued is done and
	// the load is about to begin.
	deployed(ctx context.Context)
	rested(ctx context.Context)
	// queues returns the function that the nth asynchronous call is for, and the time until
	// the next one.
	queues(n int) (*function, time.Duration)
	// beside does, until ctx ends, what goes on beside the load; hurt injects faults, and
	// ends the load when it returns.
	beside(ctx context.Context)
	hurt(ctx context.Context) error
	// finish judges what is left when all is over; report prints figures, with the ledger
	// locked.
	finish(ctx context.Context) error
	report(t io.Writer)
	// lastWords returns the end of what the program has complained of.
	lastWords() string
	// stop ends all of it.
	stop() error
}

// drive is the whole driver.
func drive(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	d := &driver{options: *o, out: out, secrets: map[string]string{}, keys: map[string]string{}}
	d.ledger = newLedger(func(example string) { d.say("BROKEN: %s", example) })
	d.target = newSingle(d)
	switch {
	case o.upgrade != "":
		d.target = &upgrade{clustered: &clustered{d: d}}
	case o.cluster:
		d.target = &clustered{d: d}
	}
	d.http = &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		// Functions' URLs don't redirect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, tenant := range []string{"anna", "boris", "clara", "dima"} {
		d.secrets[tenant] = secretPrefix + rand.Text()
	}
	strikes, err := readStrikes(o.attacks)
	if err != nil {
		return err
	}
	if d.peer, err = startPeer(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.peer.stop()) }()
	d.neighbours, d.attackers, d.queue = d.newNeighbours(), d.newAttackers(), d.newQueue()
	d.strikes = d.newStriker(strikes)

	d.ledger.begin("start")
	if err := d.start(ctx); err != nil {
		return errors.Join(err, d.stop())
	}
	err = d.soak(ctx)
	if err == nil {
		err = d.report()
	}
	if err != nil {
		fmt.Fprintf(out, "\nthe program's last words:\n%s\n", d.target.lastWords())
	}
	return errors.Join(err, d.stop())
}

// start creates the disk and starts the target.
func (d *driver) start(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "vivarium-soak-"); err != nil {
		return err
	}
	if err = d.makeCache(); err != nil {
		return err
	}
	if d.disk, err = mountDisk(d.dir); err != nil {
		d.say("no disk in memory, so none will be full: %v", err)
		d.disk = nil
	}
	return d.target.start(ctx)
}

// makeCache creates a cache that shares only the machine code with the user's,
// since that takes a while to compile: nothing else of a soak may stay.
func (d *driver) makeCache() (err error) {
	if d.cache, err = os.MkdirTemp("", "vivarium-soak-cache-"); err != nil {
		return err
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	machineCode := filepath.Join(user, "vivarium", "wasm")
	return errors.Join(os.MkdirAll(machineCode, 0o700), os.Symlink(machineCode, filepath.Join(d.cache, "wasm")))
}

// stop ends all processes and removes all files.
func (d *driver) stop() (err error) {
	err = d.target.stop()
	if d.disk != nil {
		err = errors.Join(err, d.disk.unmount())
	}
	return errors.Join(err, os.RemoveAll(d.dir), os.RemoveAll(d.cache))
}

// say prints a line.
func (d *driver) say(format string, args ...any) {
	fmt.Fprintf(d.out, "soak: "+format+"\n", args...)
}

// deployAll deploys all functions and calls each once.
func (d *driver) deployAll(ctx context.Context) error {
	functions := []*function{d.queue.prints, d.queue.fails, d.strikes.function}
	for _, n := range d.neighbours {
		functions = append(functions, n.function)
	}
	for _, a := range d.attackers {
		functions = append(functions, a.function)
	}
	tenants := map[string]bool{}
	for _, f := range functions {
		tenants[f.tenant] = true
	}
	if err := d.makeKeys(ctx, slices.Sorted(maps.Keys(tenants))); err != nil {
		return err
	}
	for _, f := range functions {
		if err := f.create(ctx); err != nil {
			return err
		}
	}
	d.target.deployed(ctx)
	for _, n := range d.neighbours {
		n.call(ctx, d.ledger)
	}
	for _, a := range d.attackers {
		a.attack(ctx, d.ledger)
	}
	d.queue.enqueue(ctx, d.queue.prints)
	d.queue.enqueue(ctx, d.queue.fails)
	return nil
}

// soak loads the program for the requested time, with faults.
func (d *driver) soak(ctx context.Context) error {
	if err := d.deployAll(ctx); err != nil {
		return err
	}
	d.queue.drain(ctx, time.Minute)
	d.target.rested(ctx)

	loading, stopLoad := context.WithCancel(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stopLoad()
	for range d.options.neighbours {
		loops.Go(func() { d.keepCalling(loading) })
	}
	for n := range d.options.attackers {
		loops.Go(func() { d.keepAttacking(loading, n%2 == 0) })
	}
	loops.Go(func() { d.keepQueuing(loading) })
	loops.Go(func() { d.keepChanging(loading) })
	loops.Go(func() { d.target.beside(loading) })
	if err := d.target.hurt(ctx); err != nil {
		return err
	}
	stopLoad()
	loops.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	d.ledger.begin("end")
	d.queue.drain(ctx, time.Minute)
	return d.target.finish(ctx)
}

// keepChanging replaces versions and moves tags during the calls, until ctx
// ends.
func (d *driver) keepChanging(ctx context.Context) {
	pace := min(d.duration/20, 2*time.Second) // each boots an interpreter
	for n := 0; ctx.Err() == nil; n++ {
		d.gate.RLock()
		started := time.Now()
		switch f := d.neighbours[mathrand.IntN(len(d.neighbours))].function; n % 4 {
		case 0:
			d.noteChange(ctx, "a new version, tagged", started, f.deploy(ctx, "stable"))
		case 1:
			d.noteChange(ctx, "a new attack", started, d.strikes.next(ctx))
		case 2:
			d.noteChange(ctx, "a tag moved", started, f.retag(ctx, "moved"))
		case 3:
			a := d.attackers[mathrand.IntN(len(d.attackers))]
			d.noteChange(ctx, "a new version of an attacker", started, a.deploy(ctx))
		}
		d.gate.RUnlock()
		pause(ctx, pace)
	}
}

// striker is a hostile function that makes one attack of the suites after the
// other.
type striker struct {
	*function
	strikes []strike

	mu      sync.Mutex // guards current
	current *strike
}

func (d *driver) newStriker(strikes []strike) *striker {
	mathrand.Shuffle(len(strikes), func(i, j int) { strikes[i], strikes[j] = strikes[j], strikes[i] })
	s := &striker{function: d.newFunction("wanda", "hostile", "spin"), strikes: strikes}
	s.name, s.broken = "wanda-strikes", true // some attack while they load
	s.set(&strikes[0])
	return s
}

func (s *striker) set(k *strike) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.code, s.entry = k, k.code, "main.handler"
	s.timeout, s.memoryMB = 700*time.Millisecond, 128
}

// next deploys the next attack. Attacks that ask for more memory than others
// don't get it.
func (s *striker) next(ctx context.Context) error {
	s.strikes = append(s.strikes[1:], s.strikes[0])
	s.set(&s.strikes[0])
	return s.deploy(ctx)
}

// call makes the current attack. Whatever fails must be the function's own
// fault.
func (s *striker) call(ctx context.Context, l *ledger) {
	s.mu.Lock()
	event := s.current.event
	s.mu.Unlock()
	judge(ctx, l, "attacks of the suites", nil, func() (*answer, error) {
		return s.client.call(ctx, http.MethodPost, "/"+s.id+"?integration=raw", asJSON, []byte(event))
	})
}
