package events

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/run"
)

func TestTimers_BrokenRulesAreNamed(t *testing.T) {
	e := inMemory(t)
	e.function("fun", catalog.AsyncConfig{}, nil)
	for field, spec := range map[string]TimerSpec{
		"name":              {Name: "X", Cron: "* * * * *"},
		"tag":               {Name: "abc", Cron: "* * * * *", Tag: "X"},
		"time_zone":         {Name: "abc", Cron: "* * * * *", TimeZone: "Mars/Olympus"},
		"cron_expression":   {Name: "abc", Cron: "* * *"},
		"cron_expression: ": {Name: "abc", Cron: "0 0 30 2 *"},
		"retry_attempts":    {Name: "abc", Cron: "* * * * *", Retry: Retry{Attempts: 6, Interval: time.Minute}},
		"retry_attempts: ":  {Name: "abc", Cron: "* * * * *", Retry: Retry{Interval: time.Minute}},
		"retry_interval":    {Name: "abc", Cron: "* * * * *", Retry: Retry{Attempts: 1, Interval: time.Second}},
		"payload":           {Name: "abc", Cron: "* * * * *", Payload: string(make([]byte, maxTimerPayload+1))},
	} {
		spec.Function = "fun"
		_, err := e.CreateTimer(t.Context(), access.Operator, spec)
		wantError[*fault.InvalidError](t, err, field)
	}
	_, err := e.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "abc", Cron: "* * * * *", Function: "nobody"})
	wantError[*fault.NotFoundError](t, err, "nobody")
}

// A timer that is made while its function goes does not stay behind.
func TestTimers_GoWithTheirFunction(t *testing.T) {
	e := inMemory(t)
	var wg sync.WaitGroup
	for n := range 100 {
		f := e.function(fmt.Sprint("fun-", n), catalog.AsyncConfig{}, nil)
		for m := range 4 {
			wg.Go(func() {
				_, _ = e.CreateTimer(t.Context(), access.Operator,
					TimerSpec{Name: fmt.Sprint("timer-", n, "-", m), Function: f.ID, Cron: "@yearly"})
			})
		}
		wg.Go(func() {
			if err := e.DeleteFunction(t.Context(), access.Operator, f.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	timers, err := e.store.Timers.All(t.Context())
	if err != nil || len(timers) > 0 || len(e.clock.all()) > 0 {
		t.Errorf("%d timers are stored, %v, and %d tick", len(timers), err, len(e.clock.all()))
	}
}

func TestClock_ThatJumpsAheadIsReported(t *testing.T) {
	e := inMemory(t)
	var made calls
	e.function("fun", catalog.AsyncConfig{}, made.handler(echo))
	if _, err := e.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "hourly", Function: "fun", Cron: "@hourly"}); err != nil {
		t.Fatal(err)
	}
	e.start()
	known := func() *timer {
		e.clock.mu.Lock()
		defer e.clock.mu.Unlock()
		return e.clock.timers["hourly"]
	}
	timer := known()
	jumped := timer.NextTick.Add(90 * time.Minute)
	if !e.clock.advance(timer, jumped) || len(e.remarked("Timer hourly missed 2 ticks")) != 1 {
		t.Errorf("the log has no report: %q", e.remarks)
	}
	if want := timer.NextTick.Add(2 * time.Hour); !known().NextTick.Equal(want) {
		t.Errorf("next: %v, want %v", known().NextTick, want)
	}
	const years = 3 * 365 * 24 * time.Hour // more ticks than are counted
	if !e.clock.advance(known(), jumped.Add(years)) || len(e.remarked("missed 10000 or more")) != 1 {
		t.Errorf("years: no report: %q", e.remarks)
	}
	if next := known().NextTick; next.Before(jumped.Add(years)) || next.After(jumped.Add(years+time.Hour)) {
		t.Errorf("years: next %v", next)
	}
	wantList(t, "calls", made.all())
}

// tick makes a timer that ticks each second.
func (e *testEvents) tick(name, function string) Timer {
	e.t.Helper()
	timer, err := e.CreateTimer(e.t.Context(), access.Operator, TimerSpec{
		Name: name, Function: function, Cron: "* * * * * *", TimeZone: "Asia/Kathmandu", Payload: "hello",
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return timer
}

func TestClock_TicksOnTime(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c times
		var body atomic.Value
		e.function("acme/fun", catalog.AsyncConfig{}, c.handler(func(inv run.Invocation) ([]byte, error) {
			body.Store(string(inv.Body))
			return nil, nil
		}))
		e.start()
		timer := e.tick("each-second", "acme/fun")
		_, err := e.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "each-second", Function: "acme/fun", Cron: "@daily"})
		wantError[*fault.ConflictError](t, err, "exists already")
		time.Sleep(10*time.Second + 500*time.Millisecond)
		wantPauses(t, &c, 1, 1, 1, 1, 1, 1, 1, 1, 1)
		if got := body.Load().(string); !strings.HasSuffix(got, `"details":{"trigger_id":"`+timer.ID+`","payload":"hello"}}]}`) {
			t.Errorf("the event is %s", got)
		}
		if now, err := e.Timer(access.Operator, timer.ID); err != nil || time.Since(now.LastTick) > time.Second {
			t.Errorf("its last tick is not noted: %+v, %v", now, err)
		}
		if _, err := e.DeleteTimer(t.Context(), access.Operator, timer.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(c.all()) != 10 {
			t.Errorf("%d calls, want 10: it ticks on", len(c.all()))
		}
		_, err = e.DeleteTimer(t.Context(), access.Operator, timer.ID)
		wantError[*fault.NotFoundError](t, err, "timer")
	})
}

func TestClock_OfTwoProcessesTicksOnce(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.store.Exclusive = false
		other := open(t, e.store)
		var n atomic.Int64
		count := func(context.Context, run.Invocation) ([]byte, error) { n.Add(1); return nil, nil }
		f := e.function("fun", catalog.AsyncConfig{}, count)
		other.handle(f.ID, count)
		e.start()
		other.start()
		e.tick("each-second", "fun")
		time.Sleep(60*time.Second + 500*time.Millisecond)
		if n.Load() != 60 {
			t.Errorf("%d calls in 60 seconds", n.Load())
		}
	})
}

// Ticks that nobody was there for are reported and not made up for.
func TestClock_MissedTicksAreReported(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		f := e.function("fun", catalog.AsyncConfig{}, nil)
		if _, err := e.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "hourly", Function: "fun", Cron: "@hourly"}); err != nil {
			t.Fatal(err)
		}
		e.Close()
		time.Sleep(5*time.Hour + 10*time.Second) // the last one not long ago
		next := open(t, e.store)
		var c calls
		next.handle(f.ID, c.handler(echo))
		next.start()
		time.Sleep(time.Second)
		wantList(t, "calls", c.all())
		if len(next.remarked("Timer hourly missed 5 ticks")) != 1 {
			t.Errorf("remarks: %q", next.remarks)
		}
		time.Sleep(time.Hour)
		if len(c.all()) != 1 {
			t.Errorf("%d calls an hour later, want 1", len(c.all()))
		}
	})
}

// A tick that the function fails leaves no dead letter unless its owner asked for that.
func TestClock_TicksThatFail(t *testing.T) {
	for async, want := range map[*catalog.AsyncConfig]int{nil: 0, {}: 1} {
		bubble(t, func(t *testing.T, e *testEvents) {
			var c times
			f := e.function("fun", catalog.AsyncConfig{}, c.handler(failing))
			e.version(f.ID, async)
			e.start()
			timer := e.tick("each-second", "fun")
			time.Sleep(1500 * time.Millisecond)
			if _, err := e.DeleteTimer(t.Context(), access.Operator, timer.ID); err != nil {
				t.Fatal(err)
			}
			e.emptied()
			if n := len(e.deadLetters(access.Operator)); n != want*len(c.all()) || len(c.all()) == 0 {
				t.Errorf("%d dead letters of %d calls, asynchronous: %v", n, len(c.all()), async != nil)
			}
		})
	}
}

// However many timers of one tenant are due, those of others do not wait for all of them.
func TestClock_ManyTimersOfOneTenantHoldUpNoOther(t *testing.T) {
	c := newClock(nil)
	now := time.Now()
	add := func(tenant string, n int, late time.Duration) {
		for i := range n {
			name := fmt.Sprint("timer-", i)
			c.put(&timer{Timer: Timer{TimerSpec: TimerSpec{Name: name}, Tenant: tenant, NextTick: now.Add(-late)}, revision: 1})
		}
	}
	add("bad", 1000, time.Minute)
	add("good", 1, time.Second)
	add("idle", 1, -time.Second)
	due, next := c.due(now)
	if len(due) != dueAtOnce+1 || due[dueAtOnce].Tenant != "good" {
		t.Errorf("%d timers are due, the last of %s", len(due), due[len(due)-1].Tenant)
	}
	if want := now.Add(time.Second); !next.Equal(want) {
		t.Errorf("the next one is due %v, want %v", next, want)
	}
}

func TestTimers_KeepToTheirQuota(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		e.function("acme/fun", catalog.AsyncConfig{}, nil)
		e.ledger.SetOwn("acme", quota.Amounts{quota.Timers: 3})
		var made atomic.Int64
		var making sync.WaitGroup
		for n := range 10 {
			making.Go(func() {
				spec := TimerSpec{Name: fmt.Sprint("timer-", n), Function: "acme/fun", Cron: "@daily"}
				if _, err := e.CreateTimer(t.Context(), access.Operator, spec); err == nil {
					made.Add(1)
				} else {
					wantError[*quota.Error](t, err, "timers")
				}
			})
		}
		making.Wait()
		if made.Load() != 3 || e.TimerCounts()["acme"] != 3 {
			t.Errorf("%d were made, %d are counted, want 3", made.Load(), e.TimerCounts()["acme"])
		}
	})
}

// A record that can't be read stops its own timer alone.
func TestTimers_ThatCantBeReadHoldUpNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, e *testEvents) {
		var c calls
		e.function("fun", catalog.AsyncConfig{}, c.handler(echo))
		for _, text := range []string{"{", `{"name": "odd", "cron": "never"}`, "null"} {
			if _, err := e.store.Timers.Create(t.Context(), fmt.Sprint("odd-", len(text)), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		e.start()
		e.tick("each-second", "fun")
		time.Sleep(3500 * time.Millisecond)
		if len(c.all()) != 3 {
			t.Errorf("%d calls in 3 seconds", len(c.all()))
		}
	})
}
