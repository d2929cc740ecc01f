package events

import (
	"cmp"
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
	"vivarium/host/quota"
	"vivarium/host/store"
)

// TimerSpec says when to call which function.
type TimerSpec struct {
	Name     string `json:"name"`                // unique in the function's tenant; the rules are those of functions' names
	Function string `json:"-"`                   // id or name
	Tag      string `json:"tag,omitempty"`       // empty means LatestTag
	Cron     string `json:"cron"`                // see cronForms
	TimeZone string `json:"time_zone,omitempty"` // IANA name; empty means UTC
	Payload  string `json:"payload,omitempty"`   // part of the timer event

	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	// ServiceAccountID is kept for who reads it back: the calls are the server's own.
	ServiceAccountID string `json:"service_account_id,omitempty"`

	Retry Retry `json:"retry,omitzero"`
}

// Retry says how often a call of a timer that fails is made again. The zero value leaves it
// to the version's AsyncConfig.
type Retry struct {
	Attempts int           `json:"attempts"` // after the first one
	Interval time.Duration `json:"interval"` // before each
}

// Bounds of Retry, as the cloud has them.
const (
	maxRetryAttempts = 5
	minRetryInterval = 10 * time.Second
	maxRetryInterval = time.Minute
)

func (r Retry) validate() error {
	switch {
	case r == Retry{}:
	case r.Attempts < 1 || r.Attempts > maxRetryAttempts:
		return fault.Invalidf("retry_attempts", "%d must be between 1 and %d", r.Attempts, maxRetryAttempts)
	case r.Interval < minRetryInterval || r.Interval > maxRetryInterval || r.Interval%time.Second != 0:
		return fault.Invalidf("retry_interval", "%v must be whole seconds from %v to %v", r.Interval, minRetryInterval, maxRetryInterval)
	}
	return nil
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
	Paused     bool      `json:"paused,omitempty"`    // it does not tick
	ChangedAt  time.Time `json:"changed_at,omitzero"` // what would have ticked before does not count as missed
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

// newTimer makes a record tick.
func newTimer(t Timer, revision uint64) (*timer, error) {
	zone := t.TimeZone
	if zone == "" {
		zone = "UTC"
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fault.Invalidf("time_zone", "%.80q must be the name of a time zone, such as Europe/Berlin", t.TimeZone)
	}
	if strings.Contains(t.Cron, "TZ=") {
		return nil, fault.Invalidf("cron_expression", "must have no time zone; there is a field for it")
	}
	schedule, err := parseCron(t.Cron, location)
	if err != nil {
		return nil, fault.Invalidf("cron_expression", "%.80q must be %s: %v", t.Cron, cronForms, err)
	}
	last := t.CreatedAt
	for _, later := range []time.Time{t.LastTick, t.ChangedAt} {
		if later.After(last) {
			last = later
		}
	}
	if t.NextTick = schedule.Next(last); t.NextTick.IsZero() {
		return nil, fault.Invalidf("cron_expression", "%.80q names a time that never comes", t.Cron)
	}
	return &timer{Timer: t, schedule: schedule, revision: revision}, nil
}

// Validate checks what is said of a timer, apart from whether its function exists.
//
// # Errors
//
// *fault.InvalidError.
func (s TimerSpec) Validate() error {
	if err := s.validate(); err != nil {
		return err
	}
	_, err := newTimer(Timer{TimerSpec: s, CreatedAt: time.Now()}, 0)
	return err
}

func (s TimerSpec) validate() error {
	if err := catalog.ValidateName(s.Name); err != nil {
		return err
	}
	if s.Tag != "" && s.Tag != catalog.LatestTag {
		if err := catalog.ValidateTag(s.Tag); err != nil {
			return err
		}
	}
	if len(s.Payload) > maxTimerPayload {
		return fault.Invalidf("payload", "has %d bytes, at most %d are allowed", len(s.Payload), maxTimerPayload)
	}
	if err := s.Retry.validate(); err != nil {
		return err
	}
	if err := (catalog.FunctionUpdate{Description: &s.Description, Labels: s.Labels}).Validate(); err != nil {
		return err
	}
	return catalog.ValidateTexts(map[string]string{
		"function": s.Function, "cron_expression": s.Cron, "time_zone": s.TimeZone, "service_account_id": s.ServiceAccountID,
	})
}

// CreateTimer makes a timer for a function within p's reach. Its first tick is the first that comes.
//
// # Errors
//
// *NotFoundError, *InvalidError, *ConflictError when the name is taken,
// *quota.Error, ErrUnavailable, ErrClosed.
func (e *Events) CreateTimer(ctx context.Context, p access.Principal, spec TimerSpec) (Timer, error) {
	if err := p.Allow("CreateTimer"); err != nil {
		return Timer{}, err
	}
	if err := spec.validate(); err != nil {
		return Timer{}, err
	}
	f, err := e.functions.Function(p, spec.Function)
	if err != nil {
		return Timer{}, err
	}
	if e.running.Err() != nil {
		return Timer{}, fault.ErrClosed
	}
	if err := e.mayTick(f, spec.Function); err != nil {
		return Timer{}, err
	}
	spec.Function = f.ID
	t, err := newTimer(Timer{
		TimerSpec: spec, ID: catalog.NewID(timerPrefix), FunctionID: f.ID, Tenant: f.Tenant, CreatedAt: time.Now().UTC(),
	}, 1)
	if err != nil {
		return Timer{}, err
	}
	e.clock.creating.Lock()
	defer e.clock.creating.Unlock()
	if err := e.ledger.Check(f.Tenant, quota.Timers, e.clock.counts()[f.Tenant], 1); err != nil {
		return Timer{}, err
	}
	taken := fault.Conflictf("timer", spec.Name, "exists already; choose another name")
	t.revision, err = e.store.Timers.Create(ctx, t.reference(), store.Record(t.Timer))
	if errors.Is(err, store.ErrRevision) {
		return Timer{}, taken
	}
	if err != nil {
		return Timer{}, err
	}
	e.clock.put(t)
	// If the function has begun to go since, DropTimers may not have seen the timer.
	f, err = e.functions.Function(system, f.ID)
	if err == nil {
		err = e.mayTick(f, spec.Function)
	}
	if err != nil {
		return Timer{}, cmp.Or(e.removeTimer(context.WithoutCancel(ctx), t.reference()), err)
	}
	return t.Timer, nil
}

// mayTick returns why a function, which the caller has named so, can have no timer.
func (e *Events) mayTick(f catalog.FunctionInfo, name string) error {
	switch {
	case f.Status == catalog.StatusDeleting:
		return fault.Conflictf("function", f.ID, "is being deleted")
	case f.Transient && e.store.Durable:
		return fault.Invalidf("function", "%s is in memory only; deploy it first", name)
	}
	return nil
}

// Timers lists timers within p's reach by name: those of a function, or of all functions
// when function is empty.
//
// # Errors
//
// *fault.NotFoundError.
func (e *Events) Timers(p access.Principal, function string) ([]Timer, error) {
	if err := p.Allow("Timers"); err != nil {
		return nil, err
	}
	id := ""
	if function != "" {
		f, err := e.functions.Function(p, function)
		if err != nil {
			return nil, err
		}
		id = f.ID
	}
	timers := []Timer{}
	for _, t := range e.clock.all() {
		if p.ActsFor(e.functions.TenantOf(t.FunctionID)) && (id == "" || t.FunctionID == id) {
			timers = append(timers, t.Timer)
		}
	}
	slices.SortFunc(timers, func(a, b Timer) int { return strings.Compare(a.reference(), b.reference()) })
	return timers, nil
}

// Timer returns the timer that p means by an id or a name: one within p's reach. Who
// acts for all tenants names those of the default tenant, and others as TENANT/NAME.
//
// # Errors
//
// *fault.NotFoundError.
func (e *Events) Timer(p access.Principal, idOrName string) (Timer, error) {
	if err := p.Allow("Timer"); err != nil {
		return Timer{}, err
	}
	t, err := e.timer(p, idOrName)
	if err != nil {
		return Timer{}, err
	}
	return t.Timer, nil
}

func (e *Events) timer(p access.Principal, idOrName string) (*timer, error) {
	name := strings.TrimPrefix(idOrName, access.DefaultTenant+"/")
	if p.Tenant != access.AllTenants {
		name = catalog.Reference(p.Tenant, idOrName)
	}
	for _, t := range e.clock.all() {
		if (t.ID == idOrName || t.reference() == name) && p.ActsFor(e.functions.TenantOf(t.FunctionID)) {
			return t, nil
		}
	}
	return nil, &fault.NotFoundError{Thing: "timer", Name: idOrName}
}

// DeleteTimer removes the timer that p means by an id or a name, see Timer, and returns
// it. A call that it has begun goes on.
//
// # Errors
//
// *fault.NotFoundError, fault.ErrUnavailable.
func (e *Events) DeleteTimer(ctx context.Context, p access.Principal, idOrName string) (Timer, error) {
	if err := p.Allow("DeleteTimer"); err != nil {
		return Timer{}, err
	}
	t, err := e.Timer(p, idOrName)
	if err != nil {
		return Timer{}, err
	}
	return t, e.removeTimer(ctx, t.reference())
}

func (e *Events) removeTimer(ctx context.Context, reference string) error {
	err := e.store.Timers.Delete(ctx, reference)
	if err == nil {
		e.clock.drop(reference)
	}
	return err
}

// removeTimers removes the timers of a function.
func (e *Events) removeTimers(ctx context.Context, functionID string) error {
	// The store knows them while this host is starting, and those that another one has just
	// made.
	entries, err := e.store.Timers.All(ctx)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		t, err := readTimer(entry)
		if err != nil || t.FunctionID != functionID {
			continue
		}
		if err := e.removeTimer(ctx, entry.Key); err != nil {
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
	return store.Record(map[string][]message{"messages": {{
		metadata{catalog.NewID(timerPrefix), "yandex.cloud.events.serverless.triggers.TimerMessage",
			tick.UTC().Format(time.RFC3339Nano), access.DefaultTenant, tenant},
		details{t.ID, t.Payload},
	}}})
}
