package events

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
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
	if !e.clock.settle(timer, jumped) || len(e.remarked("Timer hourly missed 2 ticks")) != 1 {
		t.Errorf("the log has no report: %q", e.remarks)
	}
	if want := timer.NextTick.Add(2 * time.Hour); !known().NextTick.Equal(want) {
		t.Errorf("next: %v, want %v", known().NextTick, want)
	}
	const years = 3 * 365 * 24 * time.Hour // more ticks than are counted
	if !e.clock.settle(known(), jumped.Add(years)) || len(e.remarked("missed 10000 or more")) != 1 {
		t.Errorf("years: no report: %q", e.remarks)
	}
	if next := known().NextTick; next.Before(jumped.Add(years)) || next.After(jumped.Add(years+time.Hour)) {
		t.Errorf("years: next %v", next)
	}
	wantList(t, "calls", made.all())
}
