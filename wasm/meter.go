package wasm

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// computing is how many guests of the process compute. Each has one of Go's processors, which
// Go can't take away.
var computing atomic.Int32

// keepsProcessor is how long a guest keeps its processor while another one has no guest, in
// nanoseconds. Goroutines run there; giving way would only have the guest go on there, too,
// far from its caches, and wakes a thread each time.
const keepsProcessor = int64(2 * time.Millisecond)

// Turn decides when a guest may compute. A call starts with Enter and ends with
// Leave; a sleeping guest has left. The goroutine that makes the call calls the
// methods.
type Turn interface {
	// Enter blocks until the guest may compute, ctx ends, or the deadline (zero
	// means none) passes.
	Enter(ctx context.Context, deadline time.Time) error
	// Yield reports that the guest has computed for used since the last Enter
	// or Yield, and blocks while others are ahead. It fails for the same
	// reasons as Enter, and after an error the guest has left.
	Yield(ctx context.Context, deadline time.Time, used time.Duration) error
	// Leave reports that the guest has computed for used and stops.
	Leave(used time.Duration)
}

// meter is what an instance is measured by: how long it computes, whose turn it takes,
// and what its owner pays for beside the linear memory.
type meter struct {
	now      func() int64  // the engine's clock
	computed time.Duration // in all calls, up to since
	stack    int64         // bytes of machine stack that the owner is charged for
	pages    pages

	// State of the current call.
	ctx     context.Context
	limit   deadline
	turn    Turn
	entered bool  // the guest has its turn
	since   int64 // when the turn began, on the engine's clock
	gave    int64 // when the guest last let goroutines run, on the engine's clock
	work    int   // done by the host since it last checked the clock; see did
	used    time.Duration

	lingered bool  // the guest has yielded in the middle of a host call; see linger
	late     error // why the call must end after it
}

// begin begins to measure a call.
func (m *meter) begin(ctx context.Context, turn Turn, deadline time.Time) {
	m.ctx, m.turn, m.used, m.work = ctx, turn, 0, 0
	m.lingered, m.late = false, nil
	m.limit.set(deadline, m.now())
}

// end lets go of what belongs to the call's caller.
func (m *meter) end() { m.ctx, m.turn = nil, nil }

// enter waits for the turn, at most until then.
func (m *meter) enter(until time.Time) error {
	if m.turn != nil {
		if err := m.turn.Enter(m.ctx, until); err != nil {
			return m.refused(err)
		}
	}
	m.entered = true
	computing.Add(1)
	m.since = m.now()
	m.gave = m.since
	return nil
}

// leave ends the turn.
func (m *meter) leave() {
	m.entered = false
	computing.Add(-1)
	used := m.lap()
	if m.turn != nil {
		m.turn.Leave(used)
	}
}

// giveWay lets others compute who are to come first, and waits for the turn again, at
// most until then.
func (m *meter) giveWay(until time.Time) error {
	used := m.lap()
	if m.turn != nil {
		if err := m.turn.Yield(m.ctx, until, used); err != nil {
			m.entered = false
			computing.Add(-1)
			return m.refused(err)
		}
	}
	m.since = m.now()
	if m.since-m.gave >= keepsProcessor || int(computing.Load()) >= runtime.GOMAXPROCS(0) {
		runtime.Gosched()
		m.since = m.now()
		m.gave = m.since
	}
	return nil
}

// lap accounts for the time the guest has computed since the turn began or the
// last lap, and returns it.
func (m *meter) lap() time.Duration {
	now := m.now()
	used := time.Duration(now - m.since)
	m.since = now
	m.used += used
	m.computed += used
	return used
}

// refused returns why Turn denied the guest a turn.
func (m *meter) refused(err error) error {
	if why := m.overdue(); why != nil {
		return why
	}
	return fmt.Errorf("%w: %w", ErrCancelled, err)
}

// overdue returns why the call must end, or nil.
func (m *meter) overdue() error {
	switch {
	case m.limit.passed(m.now()):
		return ErrDeadline
	case m.ctx.Err() != nil:
		return ErrCancelled
	}
	return nil
}

// CPUTime returns how long the last call computed.
func (i *Instance) CPUTime() time.Duration { return i.used }
