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
	engine engine
	ready  chan bootResult // of capacity 1
	next   chan struct{}   // of capacity 1: somebody took one
	done   sync.WaitGroup
}

type bootResult struct {
	image image
	err   error
}

// newBaseStock starts the goroutine that refills the stock until ctx ends.
func newBaseStock(ctx context.Context, engine engine) *baseStock {
	s := &baseStock{engine: engine, ready: make(chan bootResult, 1), next: make(chan struct{}, 1)}
	s.done.Add(1)
	go s.refill(ctx)
	return s
}

func (s *baseStock) refill(ctx context.Context) {
	defer s.done.Done()
	for {
		image, err := s.engine.Boot(ctx)
		select {
		case s.ready <- bootResult{image, err}:
		case <-ctx.Done():
			if image != nil {
				_ = image.Close() // an anonymous file
			}
			return
		}
		select {
		case <-s.next:
		case <-ctx.Done():
			return
		}
	}
}

// take returns a fresh base image, which the caller closes. It blocks until
// one is booted.
func (s *baseStock) take(ctx context.Context) (image, error) {
	select {
	case r := <-s.ready:
		s.next <- struct{}{}
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
