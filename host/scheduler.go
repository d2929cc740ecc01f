package host

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
	mu      sync.Mutex // guards all below; held for a few dozen instructions
	free    int
	waiting []*turn // in order of arrival
	tenants map[string]*share
}

// share is what a tenant, or a function within it, has had.
type share struct {
	virtual   time.Duration // computing time, counted from that of its competitors when it came
	active    int           // turns held or waited for
	functions map[string]*share
	turns     map[*turn]bool // of a function: those that are active
}

// turn is one call's place in the queue. It implements wasm.Turn.
type turn struct {
	s        *scheduler
	tenant   string
	function string
	virtual  time.Duration // this call's own, as in share
	granted  chan struct{} // of capacity 1
}

func newScheduler(processors int) *scheduler {
	return &scheduler{free: processors, tenants: map[string]*share{}}
}

// turn returns the turn of one call. Use it for one call at a time.
func (s *scheduler) turn(tenant, function string) *turn {
	return &turn{s: s, tenant: tenant, function: function, granted: make(chan struct{}, 1)}
}

// shares returns the two shares that t draws on.
func (s *scheduler) shares(t *turn) (tenant, function *share) {
	tenant = s.tenants[t.tenant]
	return tenant, tenant.functions[t.function]
}

// join makes t a competitor. A newcomer starts where the least served of its
// competitors stands: it comes next, but has no claim to time before.
func (s *scheduler) join(t *turn) {
	tenant := joinShare(s.tenants, t.tenant)
	if tenant.functions == nil {
		tenant.functions = map[string]*share{}
	}
	function := joinShare(tenant.functions, t.function)
	if function.turns == nil {
		function.turns = map[*turn]bool{}
	}
	var least time.Duration
	found := false
	for other := range function.turns {
		if !found || other.virtual < least {
			least, found = other.virtual, true
		}
	}
	t.virtual = max(t.virtual, least)
	function.turns[t] = true
}

func joinShare(shares map[string]*share, name string) *share {
	own, ok := shares[name]
	if !ok {
		own = &share{}
		shares[name] = own
	}
	if own.active == 0 {
		var least time.Duration
		found := false
		for _, other := range shares {
			if other.active > 0 && (!found || other.virtual < least) {
				least, found = other.virtual, true
			}
		}
		own.virtual = max(own.virtual, least)
	}
	own.active++
	return own
}

// part ends t's competing. Shares that nobody uses are forgotten once their
// virtual time says nothing any more, which is when all have gone.
func (s *scheduler) part(t *turn) {
	tenant, function := s.shares(t)
	delete(function.turns, t)
	function.active--
	tenant.active--
	if function.active == 0 {
		forgetIdle(tenant.functions)
	}
	if tenant.active == 0 {
		forgetIdle(s.tenants)
	}
}

// maxIdleShares bounds how many idle competitors are remembered.
const maxIdleShares = 1024

func forgetIdle(shares map[string]*share) {
	if len(shares) <= maxIdleShares {
		return
	}
	for name, s := range shares {
		if s.active == 0 {
			delete(shares, name)
		}
	}
}

// Enter implements wasm.Turn.
func (t *turn) Enter(ctx context.Context, deadline time.Time) error {
	s := t.s
	s.mu.Lock()
	s.join(t)
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	s.waiting = append(s.waiting, t)
	s.mu.Unlock()
	return t.wait(ctx, deadline)
}

// Yield implements wasm.Turn.
func (t *turn) Yield(ctx context.Context, deadline time.Time, used time.Duration) error {
	s := t.s
	s.mu.Lock()
	t.charge(used)
	next := s.next()
	if next < 0 || !s.before(s.waiting[next], t) {
		s.mu.Unlock()
		return nil
	}
	s.grant(next)
	s.waiting = append(s.waiting, t)
	s.mu.Unlock()
	return t.wait(ctx, deadline)
}

// Leave implements wasm.Turn.
func (t *turn) Leave(used time.Duration) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	t.charge(used)
	s.part(t)
	s.release()
}

func (t *turn) charge(used time.Duration) {
	tenant, function := t.s.shares(t)
	tenant.virtual += used
	function.virtual += used
	t.virtual += used
}

// wait blocks until t is granted its turn. When ctx or the deadline ends the
// wait, t is out of the queue.
func (t *turn) wait(ctx context.Context, deadline time.Time) error {
	var late <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	var err error
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-late:
		err = context.DeadlineExceeded
	}
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part(t)
	select {
	case <-t.granted: // too late: the turn goes to the next
		s.release()
	default:
		for i, w := range s.waiting {
			if w == t {
				s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
				break
			}
		}
	}
	return err
}

// release passes one turn on.
func (s *scheduler) release() {
	if next := s.next(); next >= 0 {
		s.grant(next)
		return
	}
	s.free++
}

func (s *scheduler) grant(i int) {
	t := s.waiting[i]
	s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
	t.granted <- struct{}{}
}

// next returns the index of the waiting turn that comes first, or -1. The queue
// is as long as there are calls in progress, so a scan will do.
func (s *scheduler) next() int {
	best := -1
	for i, t := range s.waiting {
		if best < 0 || s.before(t, s.waiting[best]) {
			best = i
		}
	}
	return best
}

// before says if a comes before b.
func (s *scheduler) before(a, b *turn) bool {
	at, af := s.shares(a)
	bt, bf := s.shares(b)
	switch {
	case at != bt:
		return at.virtual < bt.virtual
	case af != bf:
		return af.virtual < bf.virtual
	}
	return a.virtual < b.virtual
}
