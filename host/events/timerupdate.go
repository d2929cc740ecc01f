package events

import (
	"context"
	"errors"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// TimerUpdate says what to change; nil members stay as they are.
type TimerUpdate struct {
	Name        *string
	Description *string
	Labels      map[string]string // all of them; an empty map clears them
	Rule        *TimerRule
	Paused      *bool
}

// TimerRule is when a timer calls which function, and with what. The time zone stays.
type TimerRule struct {
	Function, Tag, Cron, Payload, ServiceAccountID string
	Retry                                          Retry
}

// updateAttempts is how often an update is tried while the timer ticks in between.
const updateAttempts = 10

// UpdateTimer changes the timer that p means by an id or a name, see Timer. It ticks by its
// new rule from now on; what it has not ticked while it was paused is not made up for.
//
// # Errors
//
// *fault.NotFoundError, *fault.InvalidError, also for a function of another tenant;
// *fault.ConflictError when the name is taken, fault.ErrUnavailable, fault.ErrClosed.
func (e *Events) UpdateTimer(ctx context.Context, p access.Principal, idOrName string, u TimerUpdate) (Timer, error) {
	if err := p.Allow("UpdateTimer"); err != nil {
		return Timer{}, err
	}
	for range updateAttempts {
		old, err := e.timer(p, idOrName)
		if err != nil {
			return Timer{}, err
		}
		changed, err := e.updated(p, old.Timer, u)
		if err != nil {
			return Timer{}, err
		}
		err = e.replace(ctx, old, changed)
		if err == nil {
			return changed.Timer, nil
		}
		if !errors.Is(err, store.ErrRevision) {
			return Timer{}, err
		}
		if !e.clock.reload(old) { // it has ticked, or another host has changed it
			return Timer{}, fault.ErrUnavailable
		}
	}
	return Timer{}, fault.Conflictf("timer", idOrName, "is being changed by others; try again")
}

// updated returns a timer with a change.
func (e *Events) updated(p access.Principal, t Timer, u TimerUpdate) (*timer, error) {
	if e.running.Err() != nil {
		return nil, fault.ErrClosed
	}
	if u.Name != nil {
		t.Name = *u.Name
	}
	if u.Description != nil {
		t.Description = *u.Description
	}
	if u.Labels != nil {
		t.Labels = u.Labels
	}
	if r := u.Rule; r != nil {
		f, err := e.functions.Function(p, r.Function)
		if err != nil {
			return nil, err
		}
		if f.Tenant != catalog.TenantOr(t.Tenant) {
			return nil, fault.Invalidf("function", "%.80s must be of the timer's folder", r.Function)
		}
		if err := e.mayTick(f, r.Function); err != nil {
			return nil, err
		}
		t.Function, t.FunctionID = f.ID, f.ID
		t.Tag, t.Cron, t.Payload, t.ServiceAccountID, t.Retry = r.Tag, r.Cron, r.Payload, r.ServiceAccountID, r.Retry
	}
	if u.Paused != nil {
		t.Paused = *u.Paused
	}
	if err := t.TimerSpec.validate(); err != nil {
		return nil, err
	}
	t.ChangedAt = time.Now().UTC()
	return newTimer(t, 0)
}

// replace stores a changed timer in place of the old one, and gives it its revision.
//
// # Errors
//
// store.ErrRevision when the old one is no more what it was; those of UpdateTimer.
func (e *Events) replace(ctx context.Context, old, changed *timer) (err error) {
	record := store.Record(changed.Timer)
	if changed.reference() == old.reference() {
		if changed.revision, err = e.store.Timers.Update(ctx, old.reference(), record, old.revision); err == nil {
			e.clock.put(changed)
		}
		return err
	}
	// Both are there for a moment: calls of one tick have one id, so that there is one.
	changed.revision, err = e.store.Timers.Create(ctx, changed.reference(), record)
	if errors.Is(err, store.ErrRevision) {
		return fault.Conflictf("timer", changed.Name, "exists already; choose another name")
	}
	if err != nil {
		return err
	}
	if err := e.store.Timers.DeleteRevision(ctx, old.reference(), old.revision); err != nil {
		_ = e.store.Timers.Delete(context.WithoutCancel(ctx), changed.reference())
		return err
	}
	e.clock.drop(old.reference())
	e.clock.put(changed)
	return nil
}
