package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What threads.wat's threads do besides counting.
const (
	threadsCount = iota
	threadsYield
	threadsSleep
	threadsTrap
	threadsWait
	threadsSpin
)

func threadsRequest(threads, times, what uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, threads)
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, times), what)
}

// newThreads returns an instance of threads.wat, and what it has reserved.
func newThreads(t *testing.T, e *Engine) (i *Instance, reserved *atomic.Int64) {
	t.Helper()
	image, err := e.Boot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = image.Close() })
	reserved = &atomic.Int64{}
	i, err = e.Clone(t.Context(), image, InstanceConfig{MemoryLimit: 1 << 20, Reserve: func(delta int64) bool {
		reserved.Add(delta)
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	return i, reserved
}

// turns counts how many guests compute at once, which must be one.
type turns struct {
	t    *testing.T
	held atomic.Bool
}

func (s *turns) Enter(context.Context, time.Time) error {
	if s.held.Swap(true) {
		s.t.Error("the turn is taken twice")
	}
	return nil
}

func (s *turns) Yield(context.Context, time.Time, time.Duration) error {
	if !s.held.Load() {
		s.t.Error("a guest computes without a turn")
	}
	return nil
}

func (s *turns) Leave(time.Duration) {
	if !s.held.Swap(false) {
		s.t.Error("a turn is left twice")
	}
}

func TestThreads_RunOneAtATimeWithWhatIsTheirOwn(t *testing.T) {
	e := newTestEngine(t, "threads.wasm", nil)
	var instances sync.WaitGroup
	for range 3 {
		instances.Go(func() {
			i, reserved := newThreads(t, e)
			for _, c := range [][3]uint32{
				{1, 10, threadsCount}, {50, 100, threadsCount}, {50, 50, threadsYield}, {20, 20, threadsSleep}, {900, 2, threadsYield},
			} {
				r, err := i.Invoke(t.Context(), Call{
					Stdin: threadsRequest(c[0], c[1], c[2]), Turn: &turns{t: t}, Deadline: time.Now().Add(time.Minute),
				})
				if err != nil {
					t.Errorf("%v: %v", c, err)
					break
				}
				if got := binary.LittleEndian.Uint32(r.Body); got != c[0]*c[1] {
					t.Errorf("%v: counted %d, want %d", c, got, c[0]*c[1])
				}
				if n := i.otherThreads(); n != 0 {
					t.Errorf("%v: %d threads are left", c, n)
				}
				if n := len(i.threads.spare); n != 0 || i.threads.parked != 0 {
					t.Errorf("%v: %d spare functions and %d bytes of stacks are left", c, n, i.threads.parked)
				}
			}
			i.Close()
			if n := reserved.Load(); n != 0 {
				t.Errorf("%d bytes are reserved after the end", n)
			}
		})
	}
	instances.Wait()
}

// Threads that do no more than go on, by the hundred, are work as well.
func TestThreads_GoingOnIsWork(t *testing.T) {
	i, _ := newThreads(t, newTestEngine(t, "threads.wasm", nil))
	defer i.Close()
	th := i.withThreads().first
	th.stack = i.threads.stack.Get()
	i.entered = true
	defer func() { i.entered = false }()
	before := i.work
	if i.proceed(th); i.work != before+switchWork {
		t.Errorf("it counts for %d, want %d", i.work-before, switchWork)
	}
}

// What threads have left behind makes way for those that need memory.
func TestThreads_SpareStacksAreGivenUpBeforeMemoryRunsOut(t *testing.T) {
	i, reserved := newThreads(t, newTestEngine(t, "threads.wasm", nil))
	defer i.Close()
	ts := i.withThreads()
	for range 2 * maxSpare {
		ts.keepFunction(i.module.ExportedFunction(exportThread))
	}
	if len(ts.spare) != maxSpare || ts.parked != maxSpare*stackSize(ts.spare[0]) || ts.parked == 0 {
		t.Fatalf("%d functions with %d bytes are kept", len(ts.spare), ts.parked)
	}
	i.calling = i.module.ExportedFunction(exportThread)
	before, room := reserved.Load(), ts.parked-1
	i.linear.charge.reserve = func(delta int64) bool {
		if reserved.Load()+delta > before+room {
			return false
		}
		reserved.Add(delta)
		return true
	}
	if !i.chargeStack() || len(ts.spare) != 0 || ts.parked != 0 {
		t.Errorf("%d functions are left", len(ts.spare))
	}
}

// However a call with threads ends, they leave the guest, and nothing is left of them.
func TestThreads_EndWithTheCallThatFails(t *testing.T) {
	e := newTestEngine(t, "threads.wasm", nil)
	before := runtime.NumGoroutine()
	for what, want := range map[uint32]error{threadsTrap: nil, threadsWait: ErrDeadline, threadsSpin: ErrDeadline} {
		for _, cancelled := range []bool{false, true} {
			if cancelled && want == nil {
				continue
			}
			t.Run(fmt.Sprint(what, cancelled), func(t *testing.T) {
				i, reserved := newThreads(t, e)
				ctx, deadline := t.Context(), time.Now().Add(time.Minute)
				want := want
				if cancelled {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
					defer cancel()
					want = ErrCancelled
				} else if want != nil {
					deadline = time.Now().Add(200 * time.Millisecond)
				}
				_, err := i.Invoke(ctx, Call{Stdin: threadsRequest(20, 50, what), Turn: &turns{t: t}, Deadline: deadline})
				_, ok := errors.AsType[*TrapError](err)
				if want != nil && !errors.Is(err, want) || want == nil && !ok {
					t.Errorf("got %v, want %v", err, want)
				}
				if i.Usable() {
					t.Error("the instance takes further calls")
				}
				i.Close()
				if n := reserved.Load(); n != 0 {
					t.Errorf("%d bytes are reserved after the end", n)
				}
			})
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// BenchmarkThreads_Switch is one switch from a thread to another, of a thousand. Each
// addition takes two: to a thread that finds the lock taken, and back.
func BenchmarkThreads_Switch(b *testing.B) {
	e := newTestEngine(b, "threads.wasm", nil)
	image, err := e.Boot(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer image.Close()
	i, err := e.Clone(b.Context(), image, InstanceConfig{MemoryLimit: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer i.Close()
	const threads = 1000
	if _, err := i.Invoke(b.Context(), Call{Stdin: threadsRequest(threads, uint32(b.N/2/threads+1), threadsYield)}); err != nil {
		b.Fatal(err)
	}
}
