package run

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crowds are a thousand calls that compete for one processor: of few and of many
// tenants and functions.
var crowds = []struct{ tenants, functions int }{{1, 1}, {1, 1000}, {10, 10}, {1000, 1}}

// BenchmarkScheduler_Yield measures a yield that hands the turn to another of a
// thousand waiting calls.
func BenchmarkScheduler_Yield(b *testing.B) {
	benchCrowds(b, func(own *turn, more func() bool) {
		for more() {
			if err := own.Yield(context.Background(), time.Time{}, time.Microsecond); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkScheduler_LeaveAndEnter measures leaving and queueing up again behind
// a thousand waiting calls.
func BenchmarkScheduler_LeaveAndEnter(b *testing.B) {
	benchCrowds(b, func(own *turn, more func() bool) {
		for more() {
			own.Leave(time.Microsecond)
			if err := own.Enter(context.Background(), time.Time{}); err != nil {
				b.Error(err)
			}
		}
	})
}

// benchCrowds runs call for each of the calls of a crowd once that has its first
// turn. more counts the steps of all, and says when there have been enough.
func benchCrowds(b *testing.B, call func(own *turn, more func() bool)) {
	const calls = 1000
	for _, c := range crowds {
		b.Run(fmt.Sprintf("tenants=%d/functions=%d", c.tenants, c.functions), func(b *testing.B) {
			s := newScheduler(1)
			holder := s.turn("holder", "f")
			if err := holder.Enter(b.Context(), time.Time{}); err != nil {
				b.Fatal(err)
			}
			var steps atomic.Int64
			more := func() bool { return steps.Add(1) <= int64(b.N) }
			var wg sync.WaitGroup
			for i := range calls {
				own := s.turn(fmt.Sprint(i%c.tenants), fmt.Sprint(i/c.tenants%c.functions))
				wg.Go(func() {
					if err := own.Enter(context.Background(), time.Time{}); err != nil {
						b.Error(err)
					}
					call(own, more)
					own.Leave(time.Microsecond)
				})
			}
			for s.competitors() <= calls {
				runtime.Gosched()
			}
			b.ResetTimer()
			holder.Leave(time.Microsecond)
			wg.Wait()
		})
	}
}
