package host

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
	n := 0
	for _, tenant := range s.tenants {
		n += tenant.active
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
	if s.free != 1 || len(s.waiting) != 0 {
		t.Errorf("afterwards %d turns are free and %d wait, want 1 and 0", s.free, len(s.waiting))
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
	eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.waiting) == 1 })
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
	if s.free != 1 || len(s.waiting) != 0 || s.competitors() != 0 {
		t.Errorf("afterwards %d free, %d waiting, %d competing, want 1, 0, 0", s.free, len(s.waiting), s.competitors())
	}
}

// TestScheduler_Hammer has many calls that come, go and give up. No turn may
// get lost, and never may more compute than there are processors.
func TestScheduler_Hammer(t *testing.T) {
	s := newScheduler(2)
	var inside atomic.Int64
	check := func(delta int64) {
		if n := inside.Add(delta); n < 0 || n > 2 {
			t.Errorf("%d calls compute at once", n)
		}
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			own := s.turn(string(rune('a'+g%3)), string(rune('a'+g%5)))
			for n := range 500 {
				deadline := time.Time{}
				if (g+n)%4 == 0 {
					deadline = time.Now().Add(50 * time.Microsecond)
				}
				if own.Enter(context.Background(), deadline) != nil {
					continue
				}
				check(1)
				gone := false
				for range n % 5 {
					check(-1)
					if gone = own.Yield(context.Background(), deadline, time.Microsecond) != nil; gone {
						break
					}
					check(1)
				}
				if !gone {
					check(-1)
					own.Leave(time.Microsecond)
				}
			}
		})
	}
	wg.Wait()
	if s.free != 2 || len(s.waiting) != 0 || s.competitors() != 0 {
		t.Errorf("afterwards %d free, %d waiting, %d competing, want 2, 0, 0", s.free, len(s.waiting), s.competitors())
	}
}
