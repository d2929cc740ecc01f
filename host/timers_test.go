package host

import (
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/store"
)

const ticking = `
def handler(event, context):
    m = event["messages"][0]
    print("tick", m["event_metadata"]["event_type"].split(".")[-1], m["details"]["payload"])
`

func TestTimers_Tick(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		h.create("fun")
		h.version("fun", ticking, catalog.VersionSpec{})
		timer, err := h.events.CreateTimer(t.Context(), access.Operator, TimerSpec{
			Name: "each-second", Function: "fun", Cron: "* * * * * *", TimeZone: "Asia/Kathmandu", Payload: "hello",
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.events.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "each-second", Function: "fun", Cron: "* * * * *"})
		wantError[*fault.ConflictError](t, err, "exists already")
		until(t, "three ticks", func() bool { return len(h.log("tick TimerMessage hello")) >= 3 })
		if timers, err := h.events.Timers(access.Operator, "fun"); err != nil || len(timers) != 1 ||
			timers[0].ID != timer.ID || timers[0].LastTick.IsZero() {
			t.Errorf("timers: %+v, %v", timers, err)
		}
		if _, err := h.events.DeleteTimer(t.Context(), access.Operator, timer.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // for what is under way
		n := len(h.log("tick"))
		time.Sleep(2 * time.Second)
		if now := len(h.log("tick")); now > n+1 {
			t.Errorf("it ticks on: %d times, then %d", n, now)
		}
		_, err = h.events.DeleteTimer(t.Context(), access.Operator, timer.ID)
		wantError[*fault.NotFoundError](t, err, "timer")
	})
}

func TestTimers_BrokenRulesAreNamed(t *testing.T) {
	h := newTestHost(t, Config{})
	h.create("fun")
	for field, spec := range map[string]TimerSpec{
		"name":              {Name: "X", Cron: "* * * * *"},
		"tag":               {Name: "abc", Cron: "* * * * *", Tag: "X"},
		"time_zone":         {Name: "abc", Cron: "* * * * *", TimeZone: "Mars/Olympus"},
		"cron_expression":   {Name: "abc", Cron: "* * *"},
		"cron_expression: ": {Name: "abc", Cron: "0 0 30 2 *"},
		"payload":           {Name: "abc", Cron: "* * * * *", Payload: string(make([]byte, maxTimerPayload+1))},
	} {
		spec.Function = "fun"
		_, err := h.events.CreateTimer(t.Context(), access.Operator, spec)
		wantError[*fault.InvalidError](t, err, field)
	}
	_, err := h.events.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "abc", Cron: "* * * * *", Function: "nobody"})
	wantError[*fault.NotFoundError](t, err, "nobody")
}

func TestTimers_MissedTicksAreReportedAndNotMadeUpFor(t *testing.T) {
	restart(t, func(h *testHost) {
		h.create("fun")
		h.version("fun", ticking, catalog.VersionSpec{})
		timer, err := h.events.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "hourly", Function: "fun", Cron: "@hourly"})
		if err != nil {
			t.Fatal(err)
		}
		h.Close()
		e, err := h.cfg.Store.Timers.Get(t.Context(), "hourly")
		if err != nil {
			t.Fatal(err)
		}
		timer.CreatedAt = time.Now().Add(-5 * time.Hour)
		if _, err := h.cfg.Store.Timers.Update(t.Context(), "hourly", store.Record(timer), e.Revision); err != nil {
			t.Fatal(err)
		}
	}, func(h *testHost) {
		until(t, "a report", func() bool { return len(h.log("Timer hourly missed 5 ticks")) == 1 })
		timers, err := h.events.Timers(access.Operator, "")
		if err != nil || len(timers) != 1 || !timers[0].NextTick.After(time.Now()) {
			t.Errorf("timers: %+v, %v", timers, err)
		}
		if got := h.messages("fun", logs.Query{MinLevel: logs.LevelWarn}); len(got) == 0 {
			t.Error("the stored log has no report")
		}
		h.emptied()
		if n := len(h.log("tick T")); n != 0 {
			t.Errorf("%d calls", n)
		}
		if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
			t.Fatal(err)
		}
		if timers, _ := h.events.Timers(access.Operator, ""); len(timers) != 0 {
			t.Errorf("the function is gone, its timers are not: %+v", timers)
		}
	})
}

func TestTimers_OfTwoHostsTickOnce(t *testing.T) {
	s := openStore(t, t.TempDir())
	t.Cleanup(s.Close)
	a, b := newTestHost(t, Config{Store: s}), newTestHost(t, Config{Store: s})
	a.create("fun")
	a.version("fun", ticking, catalog.VersionSpec{})
	timer, err := a.events.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "each-second", Function: "fun", Cron: "* * * * * *"})
	if err != nil {
		t.Fatal(err)
	}
	ticks := func() int { return len(a.log("tick")) + len(b.log("tick")) }
	until(t, "four ticks", func() bool { return ticks() >= 4 })
	if passed := int(time.Since(timer.CreatedAt)/time.Second) + 1; ticks() > passed {
		t.Errorf("%d ticks in %d seconds", ticks(), passed)
	}
}

func TestTimers_ClockThatJumpsAheadIsReported(t *testing.T) {
	h := newTestHost(t, Config{})
	h.create("fun")
	h.version("fun", ticking, catalog.VersionSpec{})
	if _, err := h.events.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "hourly", Function: "fun", Cron: "@hourly"}); err != nil {
		t.Fatal(err)
	}
	h.events.clock.mu.Lock()
	timer := h.events.clock.timers["hourly"]
	h.events.clock.mu.Unlock()
	jumped := timer.NextTick.Add(90 * time.Minute)
	if !h.events.clock.settle(timer, jumped) || len(h.log("Timer hourly missed 2 ticks")) != 1 || len(h.log("tick T")) != 0 {
		t.Errorf("the log has no report, or a call")
	}
	timers, err := h.events.Timers(access.Operator, "")
	if want := timer.NextTick.Add(2 * time.Hour); err != nil || !timers[0].NextTick.Equal(want) {
		t.Errorf("next: %+v, %v, want %v", timers, err, want)
	}
	const years = 3 * 365 * 24 * time.Hour // more ticks than are counted
	h.events.clock.mu.Lock()
	timer = h.events.clock.timers["hourly"]
	h.events.clock.mu.Unlock()
	if !h.events.clock.settle(timer, jumped.Add(years)) || len(h.log("missed 10000 or more")) != 1 {
		t.Errorf("years: no report")
	}
	timers, _ = h.events.Timers(access.Operator, "")
	if next := timers[0].NextTick; next.Before(jumped.Add(years)) || next.After(jumped.Add(years+time.Hour)) {
		t.Errorf("years: next %v", next)
	}
}
