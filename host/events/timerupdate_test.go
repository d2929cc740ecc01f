package events

import (
	"errors"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

func TestUpdateTimer_ChangesWhatItNames(t *testing.T) {
	e := inMemory(t)
	f, g := e.function("fun", catalog.AsyncConfig{}, nil), e.function("gun", catalog.AsyncConfig{}, nil)
	made, err := e.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "tick", Function: f.ID, Cron: "@yearly", Payload: "p"})
	if err != nil {
		t.Fatal(err)
	}
	name, description, paused := "tack", "what it is for", true
	got, err := e.UpdateTimer(t.Context(), access.Operator, "tick", TimerUpdate{Name: &name, Description: &description, Paused: &paused})
	if err != nil || got.ID != made.ID || got.Name != name || got.Description != description || !got.Paused || got.Payload != "p" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := e.Timer(access.Operator, "tick"); fault.Of(err) != fault.NotFound {
		t.Errorf("the old name: %v", err)
	}
	// The old name is free again, and the new one is taken.
	if _, err := e.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "tick", Function: f.ID, Cron: "@yearly"}); err != nil {
		t.Error(err)
	}
	if _, err := e.UpdateTimer(t.Context(), access.Operator, "tick", TimerUpdate{Name: &name}); fault.Of(err) != fault.Conflict {
		t.Errorf("a name that is taken: %v", err)
	}
	rule := &TimerRule{Function: g.ID, Cron: "@monthly", Payload: "q"}
	got, err = e.UpdateTimer(t.Context(), access.Operator, made.ID, TimerUpdate{Rule: rule})
	if err != nil || got.FunctionID != g.ID || got.Payload != "q" || !got.Paused || time.Until(got.NextTick) > 32*24*time.Hour {
		t.Errorf("got %+v, %v", got, err)
	}
	if timers, err := e.Timers(access.Operator, g.ID); err != nil || len(timers) != 1 || timers[0].ID != made.ID {
		t.Errorf("of the function that it calls now: %+v, %v", timers, err)
	}
	for _, u := range []TimerUpdate{
		{Rule: &TimerRule{Function: g.ID, Cron: "never"}}, {Name: new(string)}, {Labels: map[string]string{"A": ""}},
	} {
		if _, err := e.UpdateTimer(t.Context(), access.Operator, made.ID, u); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", u, err)
		}
	}
	other := e.function("them/fun", catalog.AsyncConfig{}, nil)
	_, err = e.UpdateTimer(t.Context(), access.Operator, made.ID, TimerUpdate{Rule: &TimerRule{Function: other.ID, Cron: "@yearly"}})
	if invalid, ok := errors.AsType[*fault.InvalidError](err); !ok || invalid.Field != "function" {
		t.Errorf("another tenant's function: %v", err)
	}
}

// A paused timer is not due, however much time passes; nor does it miss anything.
func TestClock_PausedTimersAreNotDue(t *testing.T) {
	e := inMemory(t)
	f := e.function("fun", catalog.AsyncConfig{}, nil)
	if _, err := e.CreateTimer(t.Context(), access.Operator, TimerSpec{Name: "tick", Function: f.ID, Cron: "@yearly"}); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(3 * 365 * 24 * time.Hour)
	if due, _ := e.clock.due(later); len(due) != 1 {
		t.Fatalf("%d are due", len(due))
	}
	for _, paused := range []bool{true, false} {
		if _, err := e.UpdateTimer(t.Context(), access.Operator, "tick", TimerUpdate{Paused: &paused}); err != nil {
			t.Fatal(err)
		}
		if due, _ := e.clock.due(later); len(due) == 1 == paused {
			t.Errorf("paused: %v: %d are due", paused, len(due))
		}
	}
}
