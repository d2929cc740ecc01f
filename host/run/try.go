package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/profile"
	"vivarium/host/quota"
	pythonwasi "vivarium/python-wasi"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// Defaults of Config, and limits of tries that nobody needs to change.
const (
	DefaultMaxTries = 8

	maxTriesWaiting = 32
	maxTryWait      = 10 * time.Second // for a place
	// tryImageUses is how many tries have an image in common, and with it the
	// seed of Python's string hashes.
	tryImageUses = 500
	tryTmpBytes  = 64 << 20 // of /tmp
	// tryMemoryShare is the part of Config.MaxMemory that all tries together may
	// take: the rest is for functions.
	tryMemoryShare = 4
)

// tryTenant has the tries' share of the processors. No tenant can have the name.
const tryTenant = "$playground"

// Try runs code once, as a function that exists for this one call: it is in no
// table and no store, nobody else can call it, and nothing is left of it. The
// instance is a new one, made from an image that all tries have in common, in
// which none of their code has run.
//
// Function and Tag of the invocation mean nothing. The execution timeout counts
// from the moment when the code begins to be imported. Log entries go to emit as
// they are written, by the goroutine that runs the call, and nowhere else: emit
// must be quick. Try blocks until the code is done; tries over Config.MaxTries
// wait their turn before that.
//
// # Errors
//
// *InvalidError, ErrBusy when too many wait, ErrExhausted, ErrCancelled,
// ErrClosed, *FunctionError; anything else is the platform's own fault. Once the
// code ran, the Result is there in spite of an error and has the figures.
func (r *Runner) Try(
	ctx context.Context, spec catalog.VersionSpec, code *vfs.Tree, inv Invocation, emit func(logs.Entry),
) (*Result, error) {
	spec = spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	release, err := r.room.ledger.Reserve(tryTenant, quota.CodeTree, code.Size())
	if err != nil {
		return nil, fault.ErrExhausted
	}
	defer release()
	arrived := time.Now()
	if err := r.tries.enter(ctx); err != nil {
		return nil, err
	}
	defer r.tries.leave()
	if inv.Observer != nil {
		release, err := r.room.ledger.Reserve(tryTenant, quota.Profile, profile.MaxBytes)
		if err != nil {
			return nil, fault.ErrExhausted
		}
		defer release()
	}
	v := newLive(r, &catalog.Version{
		ID: catalog.NewID(catalog.VersionPrefix), FunctionID: catalog.NewID(catalog.FunctionPrefix),
		LogGroupID:   catalog.NewID(catalog.LogGroupPrefix),
		FunctionName: "try", Tenant: tryTenant, CreatedAt: arrived.UTC(), VersionSpec: spec,
	})
	v.code.tree = code
	c := &call{r: r, v: v, inv: inv, result: &Result{Version: v.Version}, log: logs.NewCall(v.LogSource(inv.RequestID), emit)}
	c.result.Figures.Queuing = time.Since(arrived)
	return c.result, c.try(ctx)
}

// PrepareTries begins to make what tries have in common, for which the first of
// them would else have to wait. It does not block.
func (r *Runner) PrepareTries() {
	r.tries.mu.Lock()
	defer r.tries.mu.Unlock()
	r.tries.prepare(pythonwasi.Lean.Name())
}

// try makes an instance for the call alone.
func (c *call) try(ctx context.Context) error {
	start := time.Now()
	w, err := c.r.tries.instance(ctx, c.v)
	if err != nil {
		if ctx.Err() != nil {
			err = fault.ErrCancelled
		}
		c.refused(err)
		return err
	}
	figures := &c.result.Figures
	figures.Cold, figures.Making = true, time.Since(start)
	figures.Init = figures.Making
	c.deadline = time.Now().Add(c.v.Timeout) // the wait for a place is not the code's fault
	defer c.r.room.ledger.Give(tryTenant, quota.InstanceMemory, instanceMemory)
	defer w.Close()
	err = c.process(ctx, &instance{guest: w})
	c.finish(err)
	return err
}

// tries bounds the tries under way and keeps the image that they are made from.
// Safe for concurrent use.
type tries struct {
	r       *Runner
	places  chan struct{} // one is in it for each try under way
	waiting atomic.Int64  // tries that wait for a place

	mu      sync.Mutex // guards all below; nothing blocks under it
	stocks  map[pythonwasi.Guest]*tryStock
	closed  bool
	closing chan struct{}  // closed with closed
	active  sync.WaitGroup // tries, and attempts to make an image
}

// tryStock has the image of one guest.
type tryStock struct {
	runtime  string
	image    *tryImage     // nil until it is first needed
	renewing chan struct{} // closed when the attempt to make another is over; nil when there is none
	err      error         // of the last attempt
}

// tryImage is an image with the number of those who use it.
type tryImage struct {
	image
	uses  int // tries that were made from it
	users int // who are cloning it now, and tries itself as long as it is the current one
}

func newTries(r *Runner) *tries {
	return &tries{r: r, stocks: map[pythonwasi.Guest]*tryStock{}, places: make(chan struct{}, r.cfg.MaxTries), closing: make(chan struct{})}
}

// enter waits for a place, which leave gives back.
func (t *tries) enter(ctx context.Context) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return fault.ErrClosed
	}
	t.active.Add(1)
	t.mu.Unlock()
	err := t.wait(ctx)
	if err != nil {
		t.active.Done()
	}
	return err
}

// wait blocks until there is a place, in order of arrival. The number of those who
// wait is bounded, because each holds a connection and a snippet in memory.
func (t *tries) wait(ctx context.Context) error {
	select {
	case t.places <- struct{}{}:
		return nil
	default:
	}
	defer t.waiting.Add(-1)
	if t.waiting.Add(1) > maxTriesWaiting {
		return fault.ErrBusy
	}
	timer := time.NewTimer(maxTryWait)
	defer timer.Stop()
	select {
	case t.places <- struct{}{}: // in order of arrival
		return nil
	case <-ctx.Done():
		return fault.ErrCancelled
	case <-t.closing:
		return fault.ErrClosed
	case <-timer.C:
		return fault.ErrBusy
	}
}

func (t *tries) leave() {
	<-t.places
	t.active.Done()
}

// instance makes an instance for a version that is in no table. The caller
// closes it and then gives instanceMemory back.
func (t *tries) instance(ctx context.Context, v *live) (guest, error) {
	image, err := t.acquire(ctx, v.Runtime)
	if err != nil {
		return nil, err
	}
	defer t.release(image)
	if t.r.room.ledger.Take(tryTenant, quota.InstanceMemory, instanceMemory) != nil {
		return nil, fault.ErrExhausted
	}
	w, err := t.clone(ctx, image.image, v)
	if err != nil {
		t.r.room.ledger.Give(tryTenant, quota.InstanceMemory, instanceMemory)
		if errors.Is(err, wasm.ErrMemory) {
			return nil, fault.ErrExhausted
		}
		return nil, fmt.Errorf("try: instance: %w", err)
	}
	return w, nil
}

func (t *tries) clone(ctx context.Context, from image, v *live) (guest, error) {
	python, err := t.r.maker.interpreters.get(ctx, v.Runtime)
	if err != nil {
		return nil, err
	}
	reserve := func(delta int64) bool { return t.r.room.ownMemory(tryTenant, delta) == nil }
	return python.engine.Clone(ctx, from, wasm.InstanceConfig{
		MemoryLimit: int64(v.MemoryMB) << 20, Code: v.code.tree, Reserve: reserve, Net: t.r.maker.network(v),
		Tmp: vfs.NewMem(vfs.MemConfig{MaxBytes: tryTmpBytes, MaxEntries: tmpEntries, Reserve: reserve}),
	})
}

// prepare begins to make the image of a runtime's guest if there is none, or if the
// one that there is has been used often enough. The caller holds mu.
func (t *tries) prepare(runtime string) *tryStock {
	g := guestOf(runtime)
	s := t.stocks[g]
	if s == nil {
		s = &tryStock{runtime: g.Name()}
		t.stocks[g] = s
	}
	if !t.closed && s.renewing == nil && (s.image == nil || s.image.uses >= tryImageUses) {
		s.renewing = make(chan struct{})
		t.active.Go(func() { t.renew(s) })
	}
	return s
}

// acquire returns a runtime's current image; the caller releases it. It blocks while there
// is none yet. One that has been used often enough is renewed meanwhile.
func (t *tries) acquire(ctx context.Context, runtime string) (*tryImage, error) {
	t.mu.Lock()
	s := t.prepare(runtime)
	if s.image == nil {
		renewing := s.renewing
		t.mu.Unlock()
		if renewing == nil {
			return nil, fault.ErrClosed
		}
		select {
		case <-renewing:
		case <-ctx.Done():
			return nil, fault.ErrCancelled
		}
		t.mu.Lock()
	}
	defer t.mu.Unlock()
	if s.image == nil {
		return nil, s.err
	}
	s.image.uses++
	s.image.users++
	return s.image, nil
}

// release ends a use of an image, which is closed after its last: renew may have put
// another in its place long before.
func (t *tries) release(image *tryImage) {
	t.mu.Lock()
	image.users--
	last := image.users == 0 // the current image has a user more, see renew
	t.mu.Unlock()
	if last {
		_ = image.Close() // a file that was only read
	}
}

// renew puts another image in the place of the current one.
func (t *tries) renew(s *tryStock) {
	base, err := t.base(s.runtime)
	if err == nil {
		t.rehearse(base, s.runtime)
	}
	t.mu.Lock()
	old := s.image
	if s.err = err; err == nil {
		s.image = &tryImage{image: base, users: 1}
	}
	close(s.renewing)
	s.renewing = nil
	t.mu.Unlock()
	switch {
	case err == nil && old != nil:
		t.release(old)
	case err != nil && !fault.Of(err).Passing():
		t.r.reporter.log.Error("image for tries not made", "error", err)
	}
}

// base returns a fresh image of a runtime's interpreter.
func (t *tries) base(runtime string) (image, error) {
	python, err := t.r.maker.interpreters.get(t.r.running, runtime)
	if err != nil {
		return nil, err
	}
	return python.bases.acquire(t.r.running, tryTenant)
}

// rehearse makes a first call of an image's, with code of ours: the pages that
// it writes to are copied ahead from then on, and a stranger's code should not
// say which those are.
func (t *tries) rehearse(from image, runtime string) {
	spec := catalog.VersionSpec{Entrypoint: "main.handler", Runtime: runtime}.WithDefaults()
	code, err := CodeFromFiles(map[string]string{"main.py": "def handler(event, context):\n    return {}\n"})
	if err != nil {
		panic(err) // it is a constant
	}
	v := newLive(t.r, &catalog.Version{VersionSpec: spec})
	v.code.tree = code
	w, err := t.clone(t.r.running, from, v)
	if err != nil {
		return // the first try will meet it
	}
	defer w.Close()
	deadline := time.Now().Add(maxFreezeTime)
	g := wasm.Call{Stdin: v.loadRequest(nil).encode(), Deadline: deadline, Turn: t.r.scheduler.turn(tryTenant, "")}
	if _, err := w.Load(t.r.running, g); err == nil {
		g.Stdin = v.invokeRequest(Invocation{Raw: true}, nil, deadline, false, func(int) {})
		_, _ = w.Invoke(t.r.running, g) // ours: it is not expected to fail, and nobody waits for it
	}
}

// close refuses new tries, waits for those under way, and lets go of the image.
func (t *tries) close() {
	t.mu.Lock()
	t.closed = true
	close(t.closing)
	t.mu.Unlock()
	t.active.Wait()
	t.mu.Lock()
	stocks := slices.Collect(maps.Values(t.stocks))
	t.mu.Unlock()
	for _, s := range stocks {
		if s.image != nil {
			t.release(s.image)
		}
	}
}
