package events

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/run"
)

// sleeper is code that takes an hour, and counts its calls in progress.
func sleeper(running *atomic.Int64) handler {
	return func(ctx context.Context, _ run.Invocation) ([]byte, error) {
		running.Add(1)
		defer running.Add(-1)
		select {
		case <-time.After(time.Hour):
		case <-ctx.Done():
		}
		return nil, ctx.Err()
	}
}

// Calls that sleep take no more than the places of their tenant, and none of another's.
func TestDispatcher_TenantsHavePlacesOfTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.start()
		sleeping := make([]atomic.Int64, 6)
		for n := range sleeping {
			name := fmt.Sprintf("tenant-%d/fun", n)
			e.function(name, catalog.AsyncConfig{}, sleeper(&sleeping[n]))
			for range maxAsyncTenant + 10 {
				e.queue(name, "")
			}
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		total := int64(0)
		for n := range sleeping {
			total += sleeping[n].Load()
			most, least := int64(maxAsyncTenant-maxAsyncTenant/asyncSpare), int64(asyncShare-asyncShare/asyncSpare)
			if got := sleeping[n].Load(); n < 4 && got != most || n >= 4 && got != least {
				t.Errorf("tenant %d has %d calls in progress", n, got)
			}
		}
		if want := int64(maxAsyncCalls - maxAsyncCalls/asyncSpare + 2*(asyncShare-asyncShare/asyncSpare)); total != want {
			t.Errorf("%d calls are in progress, want %d", total, want)
		}
		// The calls of one more tenant are made at once, and so are those of other functions
		// of one whose calls sleep, and its ticks.
		var c calls
		for _, tenant := range []string{"tenant-0", "tenant-5"} {
			e.function(tenant+"/other", catalog.AsyncConfig{}, c.handler(echo))
			e.queue(tenant+"/other", "call")
		}
		e.function("late/fun", catalog.AsyncConfig{}, c.handler(echo))
		e.queue("late/fun", "call")
		ticks := e.function("tenant-0/ticks", catalog.AsyncConfig{}, c.handler(echo))
		tick := e.item(ticks.ID, "tick")
		tick.Timer = true
		if err := e.enqueue(t.Context(), tick); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := c.all(); len(got) != 4 {
			t.Errorf("calls: %q", got)
		}
		e.Close()
	})
}

// The tenant with the fewest calls in progress comes next, and then its function with the
// fewest; ticks come before calls.
func TestDispatcher_ServesThoseWhoHaveLeast(t *testing.T) {
	for want, lines := range map[string][2]line{
		"the tick":        {{lane: lane{"a", true}, busy: 9, turn: 9}, {lane: lane{"b", false}}},
		"the tenant":      {{lane: lane{"b", false}, busy: 9, turn: 9}, {lane: lane{"a", false}}},
		"the function":    {{lane: lane{"a", false}, busy: 1, turn: 9}, {lane: lane{"a", false}, busy: 2}},
		"the one waiting": {{lane: lane{"a", false}, turn: 1}, {lane: lane{"a", false}, turn: 2}},
	} {
		d := &dispatcher{tenants: map[lane]int{{"a", false}: 5, {"b", false}: 4, {"a", true}: 7}}
		if first, second := &lines[0], &lines[1]; !d.before(first, second) || d.before(second, first) {
			t.Errorf("%s does not come first", want)
		}
	}
}

// A function without a free instance has one call that waits for one. It holds up no
// other function, and goes on as soon as there is room.
func TestDispatcher_AFullFunctionHoldsUpNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var running atomic.Int64
		full := e.function("full", catalog.AsyncConfig{}, sleeper(&running))
		e.setFull(full.ID, true)
		var c calls
		e.function("free", catalog.AsyncConfig{}, c.handler(echo))
		e.start()
		for range 5 {
			e.queue("full", "")
		}
		e.queue("free", "free")
		time.Sleep(time.Minute)
		if n := running.Load(); n != 1 {
			t.Errorf("%d calls of the full function wait, want 1", n)
		}
		wantList(t, "calls of the other one", c.all(), "free")
		e.setFull(full.ID, false)
		time.Sleep(2 * busyRetry)
		if n := running.Load(); n != 5 {
			t.Errorf("%d calls are in progress, want all 5", n)
		}
		e.Close()
	})
}

// setFull sets whether a function has room for one more call.
func (e *testEvents) setFull(functionID string, full bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full[functionID] = full
}

// What another process queues is found without being told of.
func TestDispatcher_FindsWhatOthersQueue(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c times
		f := e.function("fun", catalog.AsyncConfig{}, c.handler(echo))
		e.start()
		synctest.Wait()
		if err := e.store.Queue.Add(t.Context(), e.item(f.ID, "1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lineInterval)
		if len(c.all()) != 1 || c.all()[0] > lineInterval {
			t.Errorf("calls after %v, want one within %v", c.all(), lineInterval)
		}
	})
}

// Lines that are empty are forgotten.
func TestDispatcher_KeepsNoEmptyLines(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c calls
		e.start()
		for n := range 20 {
			name := fmt.Sprint("fun-", n)
			e.function(name, catalog.AsyncConfig{}, c.handler(echo))
			e.queue(name, "")
		}
		e.emptied()
		time.Sleep(2 * lineInterval)
		e.dispatcher.mu.Lock()
		defer e.dispatcher.mu.Unlock()
		if d := e.dispatcher; len(d.lines) != 0 || len(d.tenants) != 0 || d.total != 0 {
			t.Errorf("left are %v, %v, %d", d.lines, d.tenants, d.total)
		}
	})
}

// Many tenants queue at once while functions fail, are full and come free. Each call is
// made, and each failure is kept.
func TestEvents_Hammer(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		const tenants, each = 8, 60
		var made [tenants]atomic.Int64
		e.start()
		for n := range tenants {
			e.function(fmt.Sprintf("tenant-%d/fun", n), catalog.AsyncConfig{Retries: 1},
				func(_ context.Context, inv run.Invocation) ([]byte, error) {
					time.Sleep(time.Duration(len(inv.Body)) * time.Millisecond)
					switch made[n].Add(1) % 7 {
					case 1:
						return nil, fault.ErrBusy
					case 2:
						return failing(inv)
					}
					if len(inv.Body) == 13 { // whatever the attempt
						return failing(inv)
					}
					return nil, nil
				})
		}
		var queueing sync.WaitGroup
		for n := range tenants {
			queueing.Go(func() {
				for i := range each {
					e.queue(fmt.Sprintf("tenant-%d/fun", n), "0123456789abcdef"[:i%16])
					time.Sleep(time.Millisecond)
				}
			})
		}
		queueing.Wait()
		e.emptied()
		synctest.Wait()
		for n := range tenants {
			letters := e.deadLetters(member(fmt.Sprint("tenant-", n)))
			if made[n].Load() < each {
				t.Errorf("tenant %d: %d calls, want %d or more", n, made[n].Load(), each)
			}
			if len(letters) < each/16 {
				t.Errorf("tenant %d: %d dead letters, want %d or more", n, len(letters), each/16)
			}
			for _, l := range letters {
				if l.Attempts != 2 {
					t.Errorf("tenant %d: a dead letter after %d attempts, want 2", n, l.Attempts)
				}
			}
		}
		queued, err := e.Queued(t.Context(), "tenant-0")
		if err != nil || queued.Items != 0 || queued.Bytes != 0 {
			t.Errorf("left in the queue: %+v, %v", queued, err)
		}
	})
}

// The quota of queued calls holds while many queue at once.
func TestQueueCount_HoldsWhileManyQueue(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.function("acme/fun", catalog.AsyncConfig{}, nil)
		e.ledger.SetOwn("acme", quota.Amounts{quota.AsyncCalls: 10})
		var accepted, refused atomic.Int64
		var queueing sync.WaitGroup
		for range 50 {
			queueing.Go(func() {
				_, err := e.Events.Invoke(t.Context(), access.Operator, run.Invocation{Function: "acme/fun", Body: []byte("1")})
				if err == nil {
					accepted.Add(1)
				} else if wantError[*quota.Error](t, err, "asyncCalls"); err != nil {
					refused.Add(1)
				}
			})
		}
		queueing.Wait()
		if accepted.Load() != 10 || refused.Load() != 40 {
			t.Errorf("%d accepted, %d refused; want 10 and 40", accepted.Load(), refused.Load())
		}
		if n := e.ledger.State("acme").Exceeded[quota.AsyncCalls]; n != 40 {
			t.Errorf("%d refusals are counted, want 40", n)
		}
		queued, err := e.Queued(t.Context(), "acme")
		if err != nil || queued.Items != 10 || queued.Bytes != 10 {
			t.Errorf("in the queue: %+v, %v", queued, err)
		}
		if len(e.queued.pending) != 0 {
			t.Errorf("still being queued: %v", e.queued.pending)
		}
	})
}
