package host

import (
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/roomtest"
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
		timer, err := h.events.CreateTimer(t.Context(), access.Operator, events.TimerSpec{
			Name: "each-second", Function: "fun", Cron: "* * * * * *", TimeZone: "Asia/Kathmandu", Payload: "hello",
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.events.CreateTimer(t.Context(), access.Operator, events.TimerSpec{Name: "each-second", Function: "fun", Cron: "* * * * *"})
		wantError[*fault.ConflictError](t, err, "exists already")
		roomtest.Until(t, "two ticks", func() bool { return len(h.log("tick TimerMessage hello")) >= 2 })
		if timers, err := h.events.Timers(access.Operator, "fun"); err != nil || len(timers) != 1 ||
			timers[0].ID != timer.ID || timers[0].LastTick.IsZero() {
			t.Errorf("timers: %+v, %v", timers, err)
		}
		if _, err := h.events.DeleteTimer(t.Context(), access.Operator, timer.ID); err != nil {
			t.Fatal(err)
		}
		_, err = h.events.DeleteTimer(t.Context(), access.Operator, timer.ID)
		wantError[*fault.NotFoundError](t, err, "timer")
	})
}

func TestTimers_MissedTicksAreReportedAndNotMadeUpFor(t *testing.T) {
	restart(t, func(h *testHost) {
		h.create("fun")
		h.version("fun", ticking, catalog.VersionSpec{})
		timer, err := h.events.CreateTimer(t.Context(), access.Operator, events.TimerSpec{Name: "hourly", Function: "fun", Cron: "@hourly"})
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
		roomtest.Until(t, "a report", func() bool { return len(h.log("Timer hourly missed 5 ticks")) == 1 })
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
	timer, err := a.events.CreateTimer(t.Context(), access.Operator, events.TimerSpec{Name: "each-second", Function: "fun", Cron: "* * * * * *"})
	if err != nil {
		t.Fatal(err)
	}
	ticks := func() int { return len(a.log("tick")) + len(b.log("tick")) }
	roomtest.Until(t, "four ticks", func() bool { return ticks() >= 4 })
	if passed := int(time.Since(timer.CreatedAt)/time.Second) + 1; ticks() > passed {
		t.Errorf("%d ticks in %d seconds", ticks(), passed)
	}
}
