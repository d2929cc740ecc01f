package host

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // so that time zones do not depend on the machine

	"github.com/robfig/cron/v3"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// TimerSpec says when to call which function.
type TimerSpec struct {
	Name     string `json:"name"`                // unique in the function's tenant; the rules are those of functions' names
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
	Tenant     string    `json:"tenant,omitempty"` // the function's; empty means DefaultTenant
	CreatedAt  time.Time `json:"created_at"`
	LastTick   time.Time `json:"last_tick,omitzero"` // zero before the first
	NextTick   time.Time `json:"-"`
}

// reference is what the timer is called where there are several tenants: its
// key in the store and in the clock.
func (t *Timer) reference() string { return catalog.Reference(t.Tenant, t.Name) }

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
		return nil, fault.Invalidf("time_zone", "%.80q must be the name of a time zone, such as Europe/Berlin", t.TimeZone)
	}
	if strings.Contains(t.Cron, "TZ=") {
		return nil, fault.Invalidf("cron_expression", "must have no time zone; there is a field for it")
	}
	schedule, err := cronParser.Parse("CRON_TZ=" + zone + " " + t.Cron)
	if err != nil {
		return nil, fault.Invalidf("cron_expression", "%.80q must be [second] minute hour day month weekday: %v", t.Cron, err)
	}
	last := t.LastTick
	if last.IsZero() {
		last = t.CreatedAt
	}
	if t.NextTick = schedule.Next(last); t.NextTick.IsZero() {
		return nil, fault.Invalidf("cron_expression", "%.80q names a time that never comes", t.Cron)
	}
	return &timer{Timer: t, schedule: schedule, revision: revision}, nil
}

func (s TimerSpec) validate() error {
	if err := catalog.ValidateName(s.Name); err != nil {
		return err
	}
	if s.Tag != "" && s.Tag != catalog.LatestTag {
		if err := validateTag(s.Tag); err != nil {
			return err
		}
	}
	if len(s.Payload) > maxTimerPayload {
		return fault.Invalidf("payload", "has %d bytes, at most %d are allowed", len(s.Payload), maxTimerPayload)
	}
	return catalog.ValidateTexts(map[string]string{"function": s.Function, "cron_expression": s.Cron, "time_zone": s.TimeZone})
}

// CreateTimer makes a timer. Its first tick is the first that comes.
//
// # Errors
//
// *NotFoundError, *InvalidError, *ConflictError when the name is taken,
// *QuotaError, ErrUnavailable, ErrClosed.
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
		return Timer{}, fault.ErrClosed
	case f.snapshot(h).Status == catalog.StatusDeleting:
		return Timer{}, fault.Conflictf("function", f.id, "is being deleted")
	case f.transient && h.cfg.Store.Durable:
		return Timer{}, fault.Invalidf("function", "%s is in memory only; deploy it first", spec.Function)
	}
	spec.Function = f.id
	t, err := newTimer(Timer{
		TimerSpec: spec, ID: catalog.NewID(timerPrefix), FunctionID: f.id, Tenant: f.snapshot(h).Tenant, CreatedAt: time.Now().UTC(),
	}, 1)
	if err != nil {
		return Timer{}, err
	}
	h.clock.creating.Lock()
	defer h.clock.creating.Unlock()
	if err := h.fitsKept(f.snapshot(h).Tenant, QuotaTimers); err != nil {
		return Timer{}, err
	}
	taken := fault.Conflictf("timer", spec.Name, "exists already; choose another name")
	t.revision, err = h.cfg.Store.Timers.Create(ctx, t.reference(), encodeRecord(t.Timer))
	if errors.Is(err, store.ErrRevision) {
		return Timer{}, taken
	}
	if err != nil {
		return Timer{}, storeError(err)
	}
	h.clock.put(t)
	return t.Timer, nil
}

// ListTimers lists timers by name: those of a function, or of all functions of a
// tenant when function is empty.
//
// # Errors
//
// *NotFoundError.
func (h *Host) ListTimers(tenant, function string) ([]Timer, error) {
	id := ""
	if function != "" {
		f, err := h.lookup(function)
		if err != nil {
			return nil, err
		}
		id = f.id
	}
	timers := []Timer{}
	for _, t := range h.clock.all() {
		if within(tenant, h.tenantOf(t.FunctionID)) && (id == "" || t.FunctionID == id) {
			timers = append(timers, t.Timer)
		}
	}
	slices.SortFunc(timers, func(a, b Timer) int { return strings.Compare(a.reference(), b.reference()) })
	return timers, nil
}

// tenantOf returns whose a function is; empty when it is nobody's.
func (h *Host) tenantOf(functionID string) string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if f := h.functions[functionID]; f != nil {
		return f.record.Tenant
	}
	return ""
}

// FindTimer returns the timer that p means by an id or a name: one of p's tenant,
// see Find.
//
// # Errors
//
// *NotFoundError.
func (h *Host) FindTimer(p access.Principal, idOrName string) (Timer, error) {
	name := strings.TrimPrefix(idOrName, catalog.DefaultTenant+"/")
	if p.Tenant != access.AllTenants {
		name = catalog.Reference(p.Tenant, idOrName)
	}
	for _, t := range h.clock.all() {
		if (t.ID == idOrName || t.reference() == name) && p.ActsFor(h.tenantOf(t.FunctionID)) {
			return t.Timer, nil
		}
	}
	return Timer{}, &fault.NotFoundError{Thing: "timer", Name: idOrName}
}

// DeleteTimer removes a timer, given by id or name, or as TENANT/NAME. A call
// that it has begun goes on.
//
// # Errors
//
// *NotFoundError, ErrUnavailable.
func (h *Host) DeleteTimer(ctx context.Context, idOrName string) error {
	t, err := h.FindTimer(access.Operator, idOrName)
	if err != nil {
		return err
	}
	if err := h.cfg.Store.Timers.Delete(ctx, t.reference()); err != nil {
		return storeError(err)
	}
	h.clock.drop(t.reference())
	return nil
}

// deleteTimersOf removes the timers of a function that goes.
func (h *Host) deleteTimersOf(ctx context.Context, f *function) error {
	timers, err := h.ListTimers(access.AllTenants, f.id)
	if err != nil {
		return nil // it is gone
	}
	for _, t := range timers {
		var missing *fault.NotFoundError
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
		metadata{catalog.NewID(timerPrefix), "yandex.cloud.events.serverless.triggers.TimerMessage",
			tick.UTC().Format(time.RFC3339Nano), catalog.DefaultTenant, tenant},
		details{t.ID, t.Payload},
	}}})
}
