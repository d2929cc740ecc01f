package run

import (
	"context"
	"sync"
	"time"
)

// scheduler hands out turns to compute. There are as many as processors; when
// more guests want to compute, they take turns so that each tenant gets the
// same share of time, within a tenant each function, and within a function
// whichever call has had less.
//
// It is a fair queue by virtual time: a tenant that has computed less comes
// first, however many calls the others have going. Guests give way at their
// yields, about every millisecond (see package wasm).
type scheduler struct {
	mu       sync.Mutex // guards all below; held for a few dozen instructions
	free     int
	present  int // turns that somebody has or waits for
	root     *share
	arrivals uint64 // so far
}

// turn is one call's place in the queue. It implements wasm.Turn.
type turn struct {
	s        *scheduler
	tenant   string
	function string
	share    *share      // the call's own
	late     *time.Timer // for wait; nil until it is needed
}

func newScheduler(processors int) *scheduler {
	return &scheduler{free: processors, root: newShare(nil, "")}
}

// turn returns the turn of one call. Use it for one call at a time.
func (s *scheduler) turn(tenant, function string) *turn {
	t := &turn{s: s, tenant: tenant, function: function, share: newShare(nil, "")}
	t.share.granted = make(chan struct{}, 1)
	return t
}

// Enter implements wasm.Turn.
func (t *turn) Enter(ctx context.Context, deadline time.Time) error {
	s := t.s
	s.mu.Lock()
	if function := s.root.part(t.tenant).part(t.function); function != t.share.parent {
		// The call is new, or what it was counted in has been forgotten.
		t.share.parent, t.share.virtual = function, 0
	}
	t.share.join()
	s.present++
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	s.enqueue(t.share)
	s.mu.Unlock()
	return t.wait(ctx, deadline)
}

// Yield implements wasm.Turn.
func (t *turn) Yield(ctx context.Context, deadline time.Time, used time.Duration) error {
	s := t.s
	s.mu.Lock()
	t.share.charge(used)
	next := s.root.first()
	if next == nil || !next.before(t.share) {
		s.mu.Unlock()
		return nil
	}
	s.grant(next)
	s.enqueue(t.share)
	s.mu.Unlock()
	return t.wait(ctx, deadline)
}

// Leave implements wasm.Turn.
func (t *turn) Leave(used time.Duration) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	t.share.charge(used)
	t.share.leave()
	s.present--
	s.release()
}

// wait blocks until t is granted its turn. When ctx or the deadline ends the
// wait, t is out of the queue.
func (t *turn) wait(ctx context.Context, deadline time.Time) error {
	var late <-chan time.Time
	if !deadline.IsZero() {
		if t.late == nil {
			t.late = time.NewTimer(time.Until(deadline))
		} else { // as often as guests yield
			t.late.Reset(time.Until(deadline))
		}
		defer t.late.Stop()
		late = t.late.C
	}
	var err error
	select {
	case <-t.share.granted:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-late:
		err = context.DeadlineExceeded
	}
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present--
	select {
	case <-t.share.granted: // too late: the turn goes to the next
		t.share.leave()
		s.release()
	default:
		s.dequeue(t.share)
		t.share.leave()
	}
	return err
}

// demand returns how many turns somebody has or waits for.
func (s *scheduler) demand() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.present
}

// release passes one turn on.
func (s *scheduler) release() {
	if next := s.root.first(); next != nil {
		s.grant(next)
		return
	}
	s.free++
}

func (s *scheduler) grant(call *share) {
	s.dequeue(call)
	call.granted <- struct{}{}
}

func (s *scheduler) enqueue(call *share) {
	s.arrivals++
	call.wait(s.arrivals)
}

func (s *scheduler) dequeue(call *share) {
	s.arrivals++
	call.proceed(s.arrivals)
}
