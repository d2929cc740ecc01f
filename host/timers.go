package host

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // so that time zones do not depend on the machine

	"github.com/robfig/cron/v3"

	"vivarium/host/store"
)

// TimerSpec says when to call which function.
type TimerSpec struct {
	Name     string `json:"name"`                // unique; the rules are those of functions' names
	Function string `json:"-"`                   // id or name
	Tag      string `json:"tag,omitempty"`       // empty means LatestTag
	Cron     string `json:"cron"`                // [second] minute hour day month weekday, or @hourly and such
	TimeZone string `json:"time_zone,omitempty"` // IANA name; empty means UTC
	Payload  string `json:"payload,omitempty"`   // part of the timer event
}

// Timer is a timer as it is now.
type Timer struct {
	TimerSpec
	ID         string    `json:"id"`
	FunctionID string    `json:"function_id"`
	CreatedAt  time.Time `json:"created_at"`
	LastTick   time.Time `json:"last_tick,omitzero"` // zero before the first
	NextTick   time.Time `json:"-"`
}

// timer is one that ticks.
type timer struct {
	Timer    // NextTick is the first that is not settled: it may have passed
	schedule cron.Schedule
	revision uint64 // that the store gave it
}

const (
	timerPrefix     = "a1s"
	maxTimerPayload = 128 << 10 // bytes
)

var cronParser = cron.NewParser(
	cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// newTimer makes a record tick.
func newTimer(t Timer, revision uint64) (*timer, error) {
	zone := t.TimeZone
	if zone == "" {
		zone = "UTC"
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		return nil, invalid("time_zone", "%.80q must be the name of a time zone, such as Europe/Berlin", t.TimeZone)
	}
	if strings.Contains(t.Cron, "TZ=") {
		return nil, invalid("cron_expression", "must have no time zone; there is a field for it")
	}
	schedule, err := cronParser.Parse("CRON_TZ=" + zone + " " + t.Cron)
	if err != nil {
		return nil, invalid("cron_expression", "%.80q must be [second] minute hour day month weekday: %v", t.Cron, err)
	}
	last := t.LastTick
	if last.IsZero() {
		last = t.CreatedAt
	}
	if t.NextTick = schedule.Next(last); t.NextTick.IsZero() {
		return nil, invalid("cron_expression", "%.80q names a time that never comes", t.Cron)
	}
	return &timer{Timer: t, schedule: schedule, revision: revision}, nil
}

func (s TimerSpec) validate() error {
	if err := validateName(s.Name); err != nil {
		return err
	}
	if s.Tag != "" && s.Tag != LatestTag {
		if err := validateTag(s.Tag); err != nil {
			return err
		}
	}
	if len(s.Payload) > maxTimerPayload {
		return invalid("payload", "has %d bytes, at most %d are allowed", len(s.Payload), maxTimerPayload)
	}
	return nil
}

// CreateTimer makes a timer. Its first tick is the first that comes.
//
// # Errors
//
// *NotFoundError, *InvalidError, *ConflictError when the name is taken,
// *QuotaError, ErrStoreUnavailable, ErrClosed.
func (h *Host) CreateTimer(ctx context.Context, spec TimerSpec) (Timer, error) {
	if err := spec.validate(); err != nil {
		return Timer{}, err
	}
	f, err := h.lookup(spec.Function)
	if err != nil {
		return Timer{}, err
	}
	switch {
	case h.running.Err() != nil:
		return Timer{}, ErrClosed
	case f.snapshot(h).Status == StatusDeleting:
		return Timer{}, conflict("function", f.id, "is being deleted")
	case f.transient && h.cfg.Store != nil:
		return Timer{}, invalid("function", "%s is in memory only; deploy it first", spec.Function)
	}
	spec.Function = f.id
	t, err := newTimer(Timer{
		TimerSpec: spec, ID: newID(timerPrefix), FunctionID: f.id, CreatedAt: time.Now().UTC(),
	}, 1)
	if err != nil {
		return Timer{}, err
	}
	h.clock.creating.Lock()
	defer h.clock.creating.Unlock()
	if err := h.fitsKept(f.snapshot(h).Tenant, QuotaTimers); err != nil {
		return Timer{}, err
	}
	taken := conflict("timer", spec.Name, "exists already; choose another name")
	if h.cfg.Store != nil {
		t.revision, err = h.cfg.Store.Timers.Create(ctx, spec.Name, encodeRecord(t.Timer))
		if errors.Is(err, store.ErrRevision) {
			return Timer{}, taken
		}
		if err != nil {
			return Timer{}, storeError(err)
		}
	}
	if !h.clock.put(t, h.cfg.Store == nil) {
		return Timer{}, taken
	}
	return t.Timer, nil
}

// ListTimers lists timers by name: those of a function, or all when function is
// empty.
//
// # Errors
//
// *NotFoundError.
func (h *Host) ListTimers(function string) ([]Timer, error) {
	id := ""
	if function != "" {
		f, err := h.lookup(function)
		if err != nil {
			return nil, err
		}
		id = f.id
	}
	h.clock.mu.Lock()
	defer h.clock.mu.Unlock()
	timers := []Timer{}
	for _, t := range h.clock.timers {
		if id == "" || t.FunctionID == id {
			timers = append(timers, t.Timer)
		}
	}
	slices.SortFunc(timers, func(a, b Timer) int { return strings.Compare(a.Name, b.Name) })
	return timers, nil
}

// DeleteTimer removes a timer, given by id or name. A call that it has begun
// goes on.
//
// # Errors
//
// *NotFoundError, ErrStoreUnavailable.
func (h *Host) DeleteTimer(ctx context.Context, idOrName string) error {
	h.clock.mu.Lock()
	name := ""
	for _, t := range h.clock.timers {
		if t.ID == idOrName || t.Name == idOrName {
			name = t.Name
		}
	}
	h.clock.mu.Unlock()
	if name == "" {
		return &NotFoundError{Kind: "timer", Name: idOrName}
	}
	if h.cfg.Store != nil {
		if err := h.cfg.Store.Timers.Delete(ctx, name); err != nil {
			return storeError(err)
		}
	}
	h.clock.drop(name)
	return nil
}

// deleteTimersOf removes the timers of a function that goes.
func (h *Host) deleteTimersOf(ctx context.Context, f *function) error {
	timers, err := h.ListTimers(f.id)
	if err != nil {
		return nil // it is gone
	}
	for _, t := range timers {
		var missing *NotFoundError
		if err := h.DeleteTimer(ctx, t.ID); err != nil && !errors.As(err, &missing) {
			return err
		}
	}
	return nil
}

// timerEvent is what a timer calls its function with (contract §2.6).
func timerEvent(t *Timer, tenant string, tick time.Time) []byte {
	type metadata struct {
		ID      string `json:"event_id"`
		Type    string `json:"event_type"`
		Created string `json:"created_at"`
		Cloud   string `json:"cloud_id"`
		Folder  string `json:"folder_id"`
	}
	type details struct {
		Trigger string `json:"trigger_id"`
		Payload string `json:"payload"`
	}
	type message struct {
		Metadata metadata `json:"event_metadata"`
		Details  details  `json:"details"`
	}
	return encodeRecord(map[string][]message{"messages": {{
		metadata{newID(timerPrefix), "yandex.cloud.events.serverless.triggers.TimerMessage",
			tick.UTC().Format(time.RFC3339Nano), defaultTenant, tenant},
		details{t.ID, t.Payload},
	}}})
}
