package run

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
)

// instance is a live guest that belongs to a version, together with what the
// host knows of it.
type instance struct {
	guest
	pool     *pool
	loaded   bool          // the user's module is loaded
	restored bool          // it was loaded for a freeze: the first call tells the runtime
	printed  printed       // while it was loaded: the first call logs it
	loading  time.Duration // what the first call has waited for the module to be loaded
	calls    int
	lastUsed time.Time
}

// pool owns the instances of one version. Warm instances are used first, the
// most recently used of them before the others; when there is none a new one is
// made, up to the version's limit; then calls wait in order.
type pool struct {
	r     *Runner
	v     *live
	image imageCell
	// memory is what its instances have taken for themselves, in bytes.
	memory atomic.Int64

	mu      sync.Mutex     // guards all below; no guest runs and nothing blocks under it
	limits  catalog.Limits // of this node: asked, less what others have
	asked   catalog.Limits
	others  others
	idle    []*instance    // most recently used last
	live    int            // instances, those being made included
	making  int            // of these, those that wait for the image
	probe   chan *instance // of capacity 1: what one of them gets in place of another instance
	waiting line
	closed  bool
	drained chan struct{} // closed when closed and live is 0
}

func newPool(r *Runner, v *live) *pool {
	asked := catalog.Limits{Ready: v.MinInstances, Instances: v.MaxInstances}
	p := &pool{
		r: r, v: v, probe: make(chan *instance, 1), drained: make(chan struct{}),
		image: imageCell{path: r.maker.imagePath(v.ID), build: func(trying context.Context) (*versionImage, error) {
			return r.maker.buildImage(trying, v)
		}},
		asked: asked,
	}
	v.pool = p
	p.others.ready = v.readyElsewhere(asked)
	p.limits = p.others.leave(asked)
	return p
}

// limit changes what the pool's limits follow from, and reports whether instances have to be
// made ready. Calls that wait get a place if there is one now. It returns idle instances that
// the pool may no longer have because others do, for the caller to discard.
func (p *pool) limit(change func(*pool)) (fill bool, beyond []*instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.others
	change(p)
	l := p.others.leave(p.asked)
	p.limits = l
	for len(p.waiting) > 0 && p.live < l.Instances && !p.closed {
		p.grow()
		p.waiting.next().given <- nil
	}
	for p.others != before && len(p.idle) > 0 && p.live-len(beyond) > l.Instances {
		beyond = append(beyond, p.removeIdle(0))
	}
	return p.live < l.Ready, beyond
}

// acquire returns an instance for one call; give it back with release or
// discard. It blocks while the version has all the instances it may have.
//
// # Errors
//
// ErrBusy when too many wait or the deadline comes first, ErrCancelled when ctx
// ends, ErrClosed; or why an instance could not be made.
func (p *pool) acquire(ctx context.Context, deadline time.Time) (*instance, error) {
	p.mu.Lock()
	switch n := len(p.idle); {
	case p.closed:
		p.mu.Unlock()
		return nil, p.r.gone()
	case p.limits.Requests > 0 && p.live-n+len(p.waiting) >= p.limits.Requests:
		p.mu.Unlock()
		return nil, fault.ErrBusy
	case n > 0:
		// The last one used: the others then stay idle long enough to be evicted.
		in := p.removeIdle(n - 1)
		p.mu.Unlock()
		return in, nil
	case p.live < p.limits.Instances:
		p.grow()
		p.mu.Unlock()
		return p.make(ctx)
	case len(p.waiting) >= p.r.cfg.MaxQueue:
		p.mu.Unlock()
		return nil, fault.ErrBusy
	}
	w := &waiter{given: make(chan *instance, 1)}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	return p.wait(ctx, w, deadline)
}

// wait blocks until the waiter is given an instance or a place for one. Who gives up
// may be given something at that very moment: it must not be lost with the caller.
func (p *pool) wait(ctx context.Context, w *waiter, deadline time.Time) (*instance, error) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	err := fault.ErrCancelled
	select {
	case in := <-w.given:
		return p.accept(ctx, in)
	case <-timer.C:
		err = fault.ErrBusy
	case <-ctx.Done():
	}
	p.mu.Lock()
	left := p.waiting.leave(w)
	p.mu.Unlock()
	if left {
		return nil, err
	}
	// Too late to leave the queue: something was given. Hand it on.
	if in := <-w.given; in != nil {
		p.park(in)
	} else {
		p.vacate()
	}
	return nil, err
}

// accept takes what a waiter was given: an instance, or nil for the place to make one.
func (p *pool) accept(ctx context.Context, in *instance) (*instance, error) {
	if in != nil {
		return in, nil
	}
	// Between the grant and now the pool may have been closed: it waits for this place.
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		p.vacate()
		return nil, p.r.gone()
	}
	return p.make(ctx)
}

// make makes an instance; the place for it is already taken. A *loadError says
// that it would be of no use.
func (p *pool) make(ctx context.Context) (*instance, error) {
	in, err := p.clone(ctx)
	if err != nil {
		p.vacate()
		return nil, err
	}
	if ctx.Err() != nil { // it can serve somebody else
		p.park(in)
		return nil, fault.ErrCancelled
	}
	return in, nil
}

// clone makes an instance from the image, or returns the one that came of making
// the image.
func (p *pool) clone(ctx context.Context) (_ *instance, err error) {
	if loadErr := p.v.loading.known(); loadErr != nil {
		return nil, loadErr
	}
	start := time.Now()
	p.mu.Lock()
	p.making++
	p.mu.Unlock()
	image, probe, err := p.image.get(ctx, p.probe)
	waited := time.Since(start)
	p.mu.Lock()
	p.making--
	if probe == nil { // the last to go must not leave it behind
		select {
		case probe = <-p.probe:
		default:
		}
	}
	p.mu.Unlock()
	if probe != nil {
		if image != nil {
			p.image.put()
		}
		probe.loading = min(probe.loading, waited)
		return probe, nil
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, fault.ErrCancelled
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			p.image.put()
		}
	}()
	if err := p.r.room.reserveInstance(p.v.Tenant); err != nil {
		return nil, err
	}
	w, err := p.r.maker.clone(ctx, image.image, p.v)
	if err != nil {
		p.r.room.releaseInstance(p.v.Tenant)
		return nil, err
	}
	p.made()
	in := &instance{guest: w, pool: p, loaded: image.Loaded, restored: image.Loaded, lastUsed: time.Now()}
	if image.Loaded {
		in.printed = printed{image.Stdout, image.Stderr}
		in.loading = min(image.loading, waited)
	}
	return in, nil
}

// made counts an instance for which memory is reserved.
func (p *pool) made() {
	p.memory.Add(instanceMemory)
	p.r.metrics.coldStarts.Add(1)
}

// keep takes an instance that was made to try the module: for the first of those
// who wait for the image, or else for the next call. Where there is no room it is
// closed.
func (p *pool) keep(in *instance) {
	if p.r.room.reserveInstance(p.v.Tenant) != nil {
		in.Close()
		return
	}
	p.image.use() // or it would be made, and the module tried, again
	p.made()
	p.mu.Lock()
	switch {
	case p.making > 0 && len(p.probe) == 0:
		p.probe <- in
		p.mu.Unlock()
	case !p.closed && p.live < p.limits.Instances:
		p.grow()
		p.mu.Unlock()
		p.park(in)
	default:
		p.mu.Unlock()
		p.end(in)
	}
}

// release gives an instance back for further calls.
func (p *pool) release(in *instance) {
	in.calls++
	in.lastUsed = time.Now()
	if !in.Usable() || (p.r.cfg.MaxCalls > 0 && in.calls >= p.r.cfg.MaxCalls) {
		p.discardLater(in)
		return
	}
	p.park(in)
}

// park hands an instance to the next call, now or later.
func (p *pool) park(in *instance) {
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		p.discardLater(in)
	case len(p.waiting) > 0:
		p.waiting.next().given <- in
		p.mu.Unlock()
	default:
		p.idle = append(p.idle, in)
		p.r.room.idle.put(p.v.Tenant, in)
		p.mu.Unlock()
	}
}

// discard closes an instance and lets another take its place.
func (p *pool) discard(in *instance) {
	p.end(in)
	p.vacate()
}

// end closes an instance that has no place, or leaves it.
func (p *pool) end(in *instance) {
	in.Close() // first: until then its memory is taken
	p.r.room.releaseInstance(p.v.Tenant)
	p.memory.Add(-instanceMemory)
	p.image.put()
}

// discardLater is discard for a caller who has an answer to give first: it
// takes a while to give much memory back to the system.
func (p *pool) discardLater(in *instance) {
	select {
	case p.r.discards <- func() { p.discard(in) }:
	default: // the host has fallen behind
		p.discard(in)
	}
}

// vacate gives up the place of an instance that is no more.
func (p *pool) vacate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) > 0 {
		p.waiting.next().given <- nil // the right to make another in its place
		return
	}
	p.live--
	switch {
	case p.live > 0:
	case p.closed:
		close(p.drained)
	default:
		p.r.room.unused(p.v)
	}
}

// noteUnused notes that something was made of the version, whatever for: while there is no
// instance it may be let go of.
func (p *pool) noteUnused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live == 0 && !p.closed {
		p.r.room.unused(p.v)
	}
}

// grow takes a place for one more instance. The caller holds mu.
func (p *pool) grow() {
	if p.live++; p.live == 1 {
		p.r.room.used(p.v)
	}
}

// place takes a place for one more instance, unless there are as many as most says, and
// reports whether it has.
func (p *pool) place(most func(catalog.Limits) int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.live >= most(p.limits) {
		return false
	}
	p.grow()
	return true
}

// removeIdle takes an instance out of those that are idle. The caller holds mu.
func (p *pool) removeIdle(i int) *instance {
	in := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	p.r.room.idle.remove(in)
	return in
}

// remove takes an instance out of those that are idle, and reports whether it was
// one.
func (p *pool) remove(in *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.idle, in)
	if i < 0 {
		return false
	}
	p.removeIdle(i)
	return true
}

// evict closes idle instances that were last used before the given time, except
// the number that the version keeps, and returns how many.
func (p *pool) evict(before time.Time) int {
	var old []*instance
	p.mu.Lock()
	for len(p.idle) > 0 && p.live-len(old) > p.limits.Ready && p.idle[0].lastUsed.Before(before) {
		old = append(old, p.removeIdle(0))
	}
	p.mu.Unlock()
	for _, in := range old {
		in.end(p.r.janitor.Go) // one of those is who calls this
	}
	return len(old)
}

// stats returns how many instances are idle and how many there are, and how
// many calls wait.
func (p *pool) stats() (idle, live, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle), p.live, len(p.waiting)
}

// room returns how many more calls would find an instance at once.
func (p *pool) room() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) + p.limits.Instances - p.live - len(p.waiting)
}

// close refuses new calls, closes idle instances, and waits until the calls in
// progress are done.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.drained
		return
	}
	p.closed = true
	if p.live == 0 {
		close(p.drained)
	}
	var idle []*instance
	for len(p.idle) > 0 {
		idle = append(idle, p.removeIdle(len(p.idle)-1))
	}
	p.mu.Unlock()
	var ending sync.WaitGroup
	for _, in := range idle {
		in.end(ending.Go)
	}
	ending.Wait()
	<-p.drained
	p.r.room.used(p.v) // there is nothing to reclaim
	p.r.room.ledger.Give(p.v.Tenant, quota.ImageFile, p.image.close())
	p.v.code.drop()
}
