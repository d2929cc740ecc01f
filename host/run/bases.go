package run

import (
	"context"
	"sync"

	"vivarium/host/fault"
)

// baseStock keeps one freshly started interpreter ready as an image, for the
// next version. Each is used for one version only, since the seed of Python's
// string hashes is in it.
type baseStock struct {
	engine    engine
	scheduler *scheduler
	ready     chan bootResult // of capacity 1
	next      chan string     // of capacity 1: a tenant took one
	done      sync.WaitGroup
}

type bootResult struct {
	image image
	err   error
}

// newBaseStock starts the goroutine that refills the stock until ctx ends.
func newBaseStock(ctx context.Context, engine engine, scheduler *scheduler) *baseStock {
	s := &baseStock{engine: engine, scheduler: scheduler, ready: make(chan bootResult, 1), next: make(chan string, 1)}
	s.done.Add(1)
	go s.refill(ctx)
	return s
}

func (s *baseStock) refill(ctx context.Context) {
	defer s.done.Done()
	for tenant := ""; ; { // the first one is for all
		image, err := s.engine.Boot(ctx, s.scheduler.turn(tenant, "interpreters"))
		select {
		case s.ready <- bootResult{image, err}:
		case <-ctx.Done():
			if image != nil {
				_ = image.Close() // an anonymous file
			}
			return
		}
		select {
		case tenant = <-s.next:
		case <-ctx.Done():
			return
		}
	}
}

// acquire returns a fresh base image, which the caller closes. It blocks until
// one is booted. The next one is booted in the turn of the tenant, who must not have
// one here.
func (s *baseStock) acquire(ctx context.Context, tenant string) (image, error) {
	select {
	case r := <-s.ready:
		s.next <- tenant
		return r.image, r.err
	case <-ctx.Done():
		return nil, fault.ErrClosed
	}
}

// close waits for the goroutine, whose context must have ended.
func (s *baseStock) close() {
	s.done.Wait()
	select {
	case r := <-s.ready:
		if r.image != nil {
			_ = r.image.Close() // an anonymous file
		}
	default:
	}
}

// interpreter is what the versions of one runtime are made of.
type interpreter struct {
	engine engine
	bases  *baseStock
}

// interpreters has those that versions have asked for. Safe for concurrent use.
type interpreters struct {
	running   context.Context // ends before close
	engines   engines
	scheduler *scheduler

	mu  sync.RWMutex // guards all; nothing blocks under it
	all map[string]*interpreter
}

// newInterpreters starts with one whose engine is there. Each has a goroutine
// until running ends.
func newInterpreters(running context.Context, e engines, s *scheduler) *interpreters {
	r := &interpreters{running: running, engines: e, scheduler: s, all: map[string]*interpreter{}}
	_, _ = r.get(running, e.first()) // who needs it is told what is wrong
	return r
}

// get returns a runtime's. It may block for some seconds the first time.
//
// # Errors
//
// Those of engines.
func (r *interpreters) get(ctx context.Context, name string) (*interpreter, error) {
	if in := r.ready(name); in != nil {
		return in, nil
	}
	name = guestOf(name).Name()
	e, err := r.engines.engine(ctx, name)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.all[name]
	if in == nil {
		in = &interpreter{e, newBaseStock(r.running, e, r.scheduler)}
		r.all[name] = in
	}
	return in, nil
}

// ready returns a runtime's if somebody has asked for it before, else nil. It does not block.
func (r *interpreters) ready(name string) *interpreter {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all[guestOf(name).Name()]
}

// close waits for the end of all. Nobody asks for another any more.
func (r *interpreters) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.all {
		in.bases.close()
	}
}
