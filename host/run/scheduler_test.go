package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vivarium/host/roomtest"
)

// compete lets calls compute, a millisecond of pretended time at each step,
// until they have had total milliseconds together, and returns what each had.
func compete(t *testing.T, s *scheduler, total int64, calls ...[2]string) []int64 {
	t.Helper()
	had := make([]int64, len(calls))
	var sum atomic.Int64
	var wg sync.WaitGroup
	for i, c := range calls {
		wg.Go(func() {
			own := s.turn(c[0], c[1])
			if err := own.Enter(context.Background(), time.Time{}); err != nil {
				t.Error(err)
			}
			for sum.Load() < total {
				if s.competitors() == len(calls) { // counts only while all compete
					had[i]++
					sum.Add(1)
				}
				if err := own.Yield(context.Background(), time.Time{}, time.Millisecond); err != nil {
					t.Error(err)
				}
			}
			own.Leave(0)
		})
	}
	wg.Wait()
	return had
}

func (s *scheduler) competitors() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return count(s.root, func(s *share) *queue { return &s.competing })
}

func (s *scheduler) waiters() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return count(s.root, func(s *share) *queue { return &s.waiting })
}

// count returns how many calls there are in a kind of queues.
func count(s *share, kind func(*share) *queue) int {
	if s.granted != nil {
		return 1
	}
	n := 0
	for _, part := range kind(s).shares {
		n += count(part, kind)
	}
	return n
}

func TestScheduler_SharesByTenantThenFunctionThenCall(t *testing.T) {
	s := newScheduler(1)
	had := compete(t, s, 4000,
		[2]string{"a", "f"}, [2]string{"a", "f"}, [2]string{"a", "g"}, // one tenant with three calls
		[2]string{"b", "f"}) // and one with one
	for i, want := range []int64{500, 500, 1000, 2000} {
		if got := had[i]; got < want*8/10 || got > want*12/10 {
			t.Errorf("call %d had %d of 4000 ms, want about %d; all: %v", i, got, want, had)
		}
	}
	if s.free != 1 || s.waiters() != 0 {
		t.Errorf("afterwards %d turns are free and %d wait, want 1 and 0", s.free, s.waiters())
	}
}

func TestScheduler_NewcomerComesNext(t *testing.T) {
	s := newScheduler(1)
	spinner := s.turn("spinner", "f")
	if err := spinner.Enter(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // a second of computing that nobody else wanted
		if err := spinner.Yield(t.Context(), time.Time{}, time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	entered := make(chan struct{})
	light := s.turn("light", "f")
	go func() {
		if err := light.Enter(context.Background(), time.Time{}); err != nil {
			t.Error(err)
		}
		close(entered)
	}()
	roomtest.Until(t, "one waits", func() bool { return s.waiters() == 1 })
	back := make(chan struct{})
	go func() {
		defer close(back)
		if err := spinner.Yield(context.Background(), time.Time{}, time.Millisecond); err != nil {
			t.Error(err)
		}
	}()
	<-entered // at the spinner's very next yield
	select {
	case <-back:
		t.Error("two guests compute on one processor")
	case <-time.After(10 * time.Millisecond):
	}
	light.Leave(time.Millisecond)
	<-back
	spinner.Leave(0)
}

func TestScheduler_WaitEndsWithContextAndDeadline(t *testing.T) {
	s := newScheduler(1)
	holder := s.turn("a", "f")
	if err := holder.Enter(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	err := s.turn("b", "f").Enter(t.Context(), time.Now().Add(10*time.Millisecond))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := s.turn("b", "f").Enter(ctx, time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: got %v", err)
	}
	holder.Leave(time.Millisecond)
	if s.free != 1 || s.waiters() != 0 || s.competitors() != 0 {
		t.Errorf("afterwards %d free, %d waiting, %d competing, want 1, 0, 0", s.free, s.waiters(), s.competitors())
	}
}

// TestScheduler_ComingAgainPaysNoLess has a tenant leave after much computing and
// come again at once: the other, which goes on, is first to have as much.
func TestScheduler_ComingAgainPaysNoLess(t *testing.T) {
	s := newScheduler(1)
	steady, hog := s.turn("steady", "f"), s.turn("hog", "f")
	enter(t, steady)
	hogComes := func() chan struct{} {
		entered := make(chan struct{})
		go func() { enter(t, hog); close(entered) }()
		roomtest.Until(t, "one waits", func() bool { return s.waiters() == 1 })
		return entered
	}
	steadyYields := func() chan struct{} {
		back := make(chan struct{})
		go func() { yield(t, steady); close(back) }()
		return back
	}
	entered, back := hogComes(), steadyYields()
	<-entered
	hog.Leave(100 * time.Millisecond)
	<-back
	entered = hogComes()
	for n := 1; ; n++ {
		back = steadyYields()
		select {
		case <-back:
			continue
		case <-entered:
		}
		if n != 100 { // it had a millisecond before, and yields with one more than the hog
			t.Errorf("the hog came back after %d ms of the other's time, want 100", n)
		}
		break
	}
	hog.Leave(0)
	<-back
	steady.Leave(0)
}

// TestScheduler_AllAreEvenOnceAllHaveGone has somebody compute for a second when
// nobody else wanted to, which says nothing against it later.
func TestScheduler_AllAreEvenOnceAllHaveGone(t *testing.T) {
	for name, other := range map[string][2]string{
		"tenant": {"b", "f"}, "function": {"a", "g"}, "call": {"a", "f"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScheduler(1)
			before, later := s.turn("a", "f"), s.turn(other[0], other[1])
			enter(t, before)
			before.Leave(time.Second)
			enter(t, later)
			entered := make(chan struct{})
			go func() { enter(t, before); close(entered); before.Leave(time.Millisecond) }()
			roomtest.Until(t, "one waits", func() bool { return s.waiters() == 1 })
			yield(t, later)
			select {
			case <-entered:
			default:
				t.Error("one that had computed before waits for the newcomer to have as much")
			}
			later.Leave(time.Second)
			<-entered
		})
	}
}

func TestScheduler_RemembersSoMany(t *testing.T) {
	s := newScheduler(2)
	slow := s.turn("slow", "f")
	enter(t, slow)
	for i := range 2 * maxIdleShares {
		quick := s.turn(fmt.Sprint(i), "f")
		enter(t, quick)
		quick.Leave(time.Millisecond)
	}
	if got := len(s.root.parts); got != maxIdleShares+1 {
		t.Errorf("remembers %d tenants, want %d and one that computes", got, maxIdleShares)
	}
	slow.Leave(time.Millisecond)
	if got := len(s.root.parts); got != 0 {
		t.Errorf("remembers %d tenants when all have gone, want 0", got)
	}
}

func enter(t *testing.T, own *turn) {
	t.Helper()
	if err := own.Enter(context.Background(), time.Time{}); err != nil {
		t.Error(err)
	}
}

// yield yields after a millisecond of computing.
func yield(t *testing.T, own *turn) {
	t.Helper()
	if err := own.Yield(context.Background(), time.Time{}, time.Millisecond); err != nil {
		t.Error(err)
	}
}

// TestScheduler_Hammer has many calls that come, go and give up at random. No turn
// may get lost, never may more compute than there are processors, and the indexes
// must say what a scan says.
func TestScheduler_Hammer(t *testing.T) {
	const processors = 2
	s := newScheduler(processors)
	var inside atomic.Int64
	check := func(delta int64) {
		if n := inside.Add(delta); n < 0 || n > processors {
			t.Errorf("%d calls compute at once", n)
		}
	}
	used := func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(4)) * time.Microsecond }
	call := func(ctx context.Context, deadline time.Time, r *rand.Rand, own *turn) {
		if own.Enter(ctx, deadline) != nil {
			return
		}
		check(1)
		for range r.IntN(8) {
			check(-1)
			if own.Yield(ctx, deadline, used(r)) != nil {
				return
			}
			check(1)
		}
		check(-1)
		own.Leave(used(r))
	}
	actions := []func(r *rand.Rand, own *turn){
		func(r *rand.Rand, own *turn) { call(context.Background(), time.Time{}, r, own) },
		func(r *rand.Rand, own *turn) { // with little time
			call(context.Background(), time.Now().Add(time.Duration(r.IntN(100))*time.Microsecond), r, own)
		},
		func(r *rand.Rand, own *turn) { // whose caller goes
			ctx, cancel := context.WithCancel(context.Background())
			go func() { runtime.Gosched(); cancel() }()
			call(ctx, time.Time{}, r, own)
		},
		func(*rand.Rand, *turn) {
			s.mu.Lock()
			defer s.mu.Unlock()
			checkShare(t, s.root)
		},
	}
	var wg sync.WaitGroup
	for g := range uint64(50) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 0))
			for range 100 {
				own := s.turn(fmt.Sprint(r.IntN(5)), fmt.Sprint(r.IntN(3)))
				for range 1 + r.IntN(3) { // a call may sleep and come again
					actions[r.IntN(len(actions))](r, own)
				}
			}
		})
	}
	wg.Wait()
	if s.free != processors || s.waiters() != 0 || s.competitors() != 0 {
		t.Errorf("afterwards %d free, %d waiting, %d competing, want %d, 0, 0", s.free, s.waiters(), s.competitors(), processors)
	}
}

// checkShare compares the queues of s and its parts with what a scan finds.
func checkShare(t *testing.T, s *share) {
	t.Helper()
	for _, q := range []*queue{&s.competing, &s.waiting, &s.idle} {
		for i, p := range q.shares {
			if p.parent != s || p.place[q.slot] != i {
				t.Errorf("a share is at %d in queue %d, and believes in %d", i, q.slot, p.place[q.slot])
			}
			if p.virtual < q.shares[0].virtual {
				t.Errorf("the first in queue %d has had %v, another one %v", q.slot, q.shares[0].virtual, p.virtual)
			}
			if competes := p.granted != nil || p.competing.Len() > 0; competes != (q.slot != slotIdle) {
				t.Errorf("a share is in queue %d, and competes: %v", q.slot, competes)
			}
			if waits := p.granted != nil || p.waiting.Len() > 0; q.slot == slotWaiting && !waits {
				t.Error("a share is in the queue, and no call in it waits")
			}
		}
	}
	for _, p := range s.competing.shares {
		if (p.waiting.Len() > 0) && p.place[slotWaiting] < 0 {
			t.Error("a share with waiting calls is not in the queue")
		}
		checkShare(t, p)
	}
}
