package run

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// Sessions are instances that stay: they run one snippet after the other, each of which
// finds what those before it have left. They are in this process alone, and end with
// it. Safe for concurrent use.
type Sessions struct {
	r      *Runner
	stocks sessionStocks

	mu     sync.Mutex // guards the members below; nothing blocks under it
	all    map[string]*session
	closed bool
	active sync.WaitGroup // sessions, and attempts to make one
}

// session is one session. What its place guards is used by whoever has taken that.
type session struct {
	id, tenant, parent string
	spec               SessionSpec
	v                  *live
	created            time.Time

	place chan struct{} // of capacity 1
	gone  chan struct{} // closed when it has ended; see hasEnded
	// Guarded by place:
	guest    guest
	tmp      *vfs.Mem
	from     *sharedImage // that it was made from
	frozen   *sharedImage // of its present state; nil unless it was forked since that changed
	begun    bool         // its process is set up
	restored bool         // the next snippet is the first since it was cloned

	mu        sync.Mutex // guards the members below; nothing blocks under it
	used      time.Time
	snippets  int
	memory    int64
	running   bool
	interrupt func() // interrupts the snippet that runs; nil when none does
}

func newSessions(r *Runner) *Sessions {
	s := &Sessions{r: r, all: map[string]*session{}, stocks: sessionStocks{r: r, all: map[stockKey]*sessionStock{}}}
	r.room.endSession = s.end
	return s
}

// Sessions returns the runner's sessions.
func (r *Runner) Sessions() *Sessions { return r.sessions }

// Create begins a session of a tenant. The first one of a tenant takes some hundred
// milliseconds, others a few.
//
// # Errors
//
// *fault.InvalidError, *quota.Error, fault.ErrExhausted, fault.ErrCancelled,
// fault.ErrClosed, fault.ErrPreparing; anything else is the platform's own fault.
func (s *Sessions) Create(ctx context.Context, tenant string, spec SessionSpec) (SessionInfo, error) {
	spec.Idle, spec.Lifetime = cmp.Or(spec.Idle, DefaultSessionIdle), cmp.Or(spec.Lifetime, DefaultSessionLifetime)
	version := spec.version()
	if err := cmp.Or(version.Validate(), spec.validate()); err != nil {
		return SessionInfo{}, err
	}
	spec.Runtime, spec.MemoryMB, spec.Timeout = version.Runtime, version.MemoryMB, version.Timeout
	if err := s.begin(); err != nil {
		return SessionInfo{}, err
	}
	image, err := s.stocks.base(ctx, tenant, version.Runtime)
	if err != nil {
		s.active.Done()
		if ctx.Err() != nil {
			err = fault.ErrCancelled
		}
		return SessionInfo{}, err
	}
	defer image.put()
	return s.add(ctx, &session{spec: spec}, tenant, image, nil)
}

// begin counts a session that is about to be made.
func (s *Sessions) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fault.ErrClosed
	}
	s.active.Add(1)
	return nil
}

// add makes a session's instance from an image, with a copy of these files, and puts the
// session, which begin has counted, into the table.
func (s *Sessions) add(
	ctx context.Context, n *session, tenant string, image *sharedImage, files *vfs.Mem,
) (_ SessionInfo, err error) {
	release := func() {}
	defer func() {
		if err != nil {
			release()
			s.active.Done()
		}
	}()
	n.id, n.tenant, n.created = catalog.NewID(SessionPrefix), tenant, time.Now()
	n.used, n.place, n.gone = n.created, make(chan struct{}, 1), make(chan struct{})
	n.v = newLive(s.r, &catalog.Version{
		ID: n.id, FunctionID: n.id, LogGroupID: n.id, FunctionName: "session", Tenant: tenant, CreatedAt: n.created.UTC(),
		VersionSpec: n.spec.version(),
	})
	if err = s.r.room.reserveSession(tenant); err != nil {
		return SessionInfo{}, err
	}
	release = func() { s.r.room.releaseSession(n.tenant) }
	if err = s.clone(ctx, n, image, files); err != nil {
		return SessionInfo{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		n.guest.Close()
		n.from.put()
		return SessionInfo{}, fault.ErrClosed
	}
	s.all[n.id] = n
	s.r.room.sessions.put(tenant, n)
	return n.info(), nil
}

// clone makes the instance of a session.
func (s *Sessions) clone(ctx context.Context, n *session, image *sharedImage, files *vfs.Mem) error {
	python, err := s.r.maker.interpreters.get(ctx, n.spec.Runtime)
	if err != nil {
		return err
	}
	var refused error
	reserve := func(delta int64) bool {
		err := s.r.room.ownMemory(n.tenant, delta)
		if err != nil {
			refused = err
		}
		return err == nil
	}
	config := vfs.MemConfig{MaxBytes: sessionTmpBytes, MaxEntries: tmpEntries, Reserve: reserve}
	if n.tmp = vfs.NewMem(config); files != nil {
		if n.tmp = files.Copy(config); n.tmp == nil {
			return refused
		}
	}
	n.guest, err = python.engine.Clone(ctx, image.image, wasm.InstanceConfig{
		MemoryLimit: int64(n.spec.MemoryMB) << 20, Reserve: reserve, Net: s.r.maker.network(n.v), Tmp: n.tmp,
	})
	switch {
	case err == nil:
		n.from, n.restored, n.memory = image.take(), true, n.guest.MemorySize()
		return nil
	case ctx.Err() != nil:
		err = fault.ErrCancelled
	case refused != nil:
		err = refused
	default:
		err = fmt.Errorf("session: instance: %w", err)
	}
	n.tmp.Close()
	return err
}

// find returns a session of a tenant.
//
// # Errors
//
// *fault.NotFoundError.
func (s *Sessions) find(tenant, id string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.all[id]
	if n == nil || tenant != "" && n.tenant != tenant {
		return nil, &fault.NotFoundError{Thing: "session", Name: fmt.Sprintf("%.40q", id)}
	}
	return n, nil
}

// TenantOf returns whose session that is.
//
// # Errors
//
// *fault.NotFoundError.
func (s *Sessions) TenantOf(id string) (string, error) {
	n, err := s.find("", id)
	if err != nil {
		return "", err
	}
	return n.tenant, nil
}

// Get tells of a session.
//
// # Errors
//
// *fault.NotFoundError.
func (s *Sessions) Get(tenant, id string) (SessionInfo, error) {
	n, err := s.find(tenant, id)
	if err != nil {
		return SessionInfo{}, err
	}
	return n.info(), nil
}

// List tells of a tenant's sessions, or those of all when none is named, oldest first.
func (s *Sessions) List(tenant string) []SessionInfo {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.all))
	s.mu.Unlock()
	infos := []SessionInfo{}
	for _, n := range all {
		if tenant == "" || n.tenant == tenant {
			infos = append(infos, n.info())
		}
	}
	slices.SortFunc(infos, func(a, b SessionInfo) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return infos
}

func (n *session) info() SessionInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	return SessionInfo{
		ID: n.id, Tenant: n.tenant, Parent: n.parent, Spec: n.spec, Created: n.created, Used: n.used,
		Running: n.running, Snippets: n.snippets, Memory: n.memory,
	}
}

// errEnded is why a session takes no more.
type errEnded struct{ id string }

func (e errEnded) Error() string { return "session " + e.id + " has ended" }

// Kind returns fault.NotFound.
func (errEnded) Kind() fault.Kind { return fault.NotFound }

// enter takes the session's place, which leave gives back. It waits for what takes only
// a moment, not for a snippet.
//
// # Errors
//
// *fault.ConflictError, fault.ErrCancelled; one of the kind NotFound when it has ended.
func (s *Sessions) enter(ctx context.Context, n *session) error {
	wait := time.NewTimer(sessionWait)
	defer wait.Stop()
	select {
	case n.place <- struct{}{}:
	default:
		if n.info().Running {
			return fault.Conflictf("session", n.id, "runs a snippet; wait for its end, or interrupt it")
		}
		select {
		case n.place <- struct{}{}:
		case <-n.gone:
			return errEnded{n.id}
		case <-wait.C:
			return fault.Conflictf("session", n.id, "is in use; try again")
		case <-ctx.Done():
			return fault.ErrCancelled
		}
	}
	s.r.room.sessions.remove(n)
	return nil
}

// leave gives the place back, and closes a session that has ended meanwhile.
func (s *Sessions) leave(n *session) {
	n.mu.Lock()
	n.used, n.memory = time.Now(), n.guest.MemorySize()
	ended := n.hasEnded()
	if !ended {
		s.r.room.sessions.put(n.tenant, n)
		<-n.place
	}
	n.mu.Unlock()
	if ended {
		s.close(n)
	}
}

// hasEnded reports whether it takes no more. The caller holds mu, under which that and
// whose the place is go together: whoever comes second of those who end a session and
// those who leave it closes it.
func (n *session) hasEnded() bool {
	select {
	case <-n.gone:
		return true
	default:
		return false
	}
}

// End ends a session, and interrupts what it does.
//
// # Errors
//
// *fault.NotFoundError.
func (s *Sessions) End(tenant, id string) error {
	n, err := s.find(tenant, id)
	if err != nil {
		return err
	}
	s.end(n)
	return nil
}

// end takes a session out of the table. Whoever has its place closes it; if nobody has,
// it is closed now.
func (s *Sessions) end(n *session) {
	s.mu.Lock()
	delete(s.all, n.id)
	s.mu.Unlock()
	n.mu.Lock()
	already, free := n.hasEnded(), false
	if !already {
		close(n.gone)
		s.r.room.sessions.remove(n)
		select {
		case n.place <- struct{}{}:
			free = true
		default: // leave sees to it
		}
	}
	n.mu.Unlock()
	switch {
	case free:
		s.close(n)
	case !already:
		n.interruptNow()
	}
}

// close lets go of all that a session has. The caller has its place, which is not given
// back.
func (s *Sessions) close(n *session) {
	n.guest.Close()
	n.thaw()
	n.from.put()
	s.r.room.releaseSession(n.tenant)
	s.active.Done()
}

// tidy ends the sessions whose time has come, hangs up for those that rest, and drops
// what only those had that are gone.
func (s *Sessions) tidy(now time.Time) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.all))
	s.mu.Unlock()
	for _, n := range all {
		info := n.info()
		switch {
		case !info.Running && !now.Before(info.Ends()):
			s.end(n)
		case !info.Running && info.Used.Before(now.Add(-keepAlive)):
			s.hangUp(n)
		}
	}
	s.stocks.drop(now.Add(-s.r.cfg.IdleTimeout))
}

// hangUp ends the connections of a session that nobody uses.
func (s *Sessions) hangUp(n *session) {
	select {
	case n.place <- struct{}{}:
	default:
		return // it is in use after all
	}
	n.guest.HangUp()
	n.mu.Lock()
	ended := n.hasEnded()
	if !ended {
		<-n.place
	}
	n.mu.Unlock()
	if ended {
		s.close(n)
	}
}

// count returns how many sessions there are.
func (s *Sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// closeAll ends all sessions, waits for what they do, and takes no more.
func (s *Sessions) closeAll() {
	s.mu.Lock()
	s.closed = true
	all := slices.Collect(maps.Values(s.all))
	s.mu.Unlock()
	for _, n := range all {
		s.end(n)
	}
	s.active.Wait()
	s.stocks.drop(time.Now().Add(time.Hour))
}
