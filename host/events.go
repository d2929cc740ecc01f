package host

import (
	"context"
	"log/slog"
	"sync"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/host/store"
)

// Functions is what events need of the functions that they call.
type Functions interface {
	// Function describes the function that a principal means by an id or a name.
	Function(p access.Principal, idOrName string) (catalog.FunctionInfo, error)
	// Functions describes all functions within a principal's reach.
	Functions(p access.Principal) ([]catalog.FunctionInfo, error)
	// Resolve returns the version of a function that carries a tag.
	Resolve(p access.Principal, function, tag string) (*catalog.Version, error)
	// Invoke calls a function and waits for its result.
	Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error)
	// HasRoom reports whether one more call of a function would find an instance at
	// once.
	HasRoom(functionID string) bool
	// Remark writes an entry of the platform's own to a function's log.
	Remark(functionID string, level logs.Level, message string, payload any)
}

// EventsConfig tells newEvents what events are about.
type EventsConfig struct {
	Store     *store.Store // the caller closes it, after the events
	Ledger    *quota.Ledger
	Functions Functions
	Log       *slog.Logger // receives what only the operator can mend
}

// Events makes the calls that nobody waits for: those that are queued, and those of
// timers. Safe for concurrent use.
type Events struct {
	store     *store.Store
	ledger    *quota.Ledger
	functions Functions
	log       *slog.Logger

	queued     *queueCount
	dispatcher *dispatcher
	letters    *letters
	clock      *clock

	running context.Context // ends when Close begins
	stop    context.CancelFunc
	making  context.Context // queued calls; ends with hold
	hold    context.CancelFunc
	working sync.WaitGroup
	unwatch func() // ends the news of timers
}

// newEvents returns events that make no call before Start.
func newEvents(cfg EventsConfig) *Events {
	e := &Events{store: cfg.Store, ledger: cfg.Ledger, functions: cfg.Functions, log: cfg.Log, unwatch: func() {}}
	e.running, e.stop = context.WithCancel(context.Background())
	e.making, e.hold = context.WithCancel(e.running)
	e.queued = &queueCount{e: e, queued: map[string]store.Queued{}, pending: map[string]store.Queued{}}
	e.letters = &letters{e: e}
	e.clock = newClock(e)
	e.dispatcher = newDispatcher(e)
	return e
}

// Start begins to make calls. Functions must be known.
//
// # Errors
//
// fault.ErrUnavailable.
func (e *Events) Start(ctx context.Context) error {
	unwatch, err := e.clock.watch(ctx)
	if err != nil {
		return err
	}
	e.unwatch = unwatch
	e.working.Go(func() { e.dispatcher.run(e.making) })
	e.working.Go(e.clock.run)
	return nil
}

// Close ends the making of calls, and waits for those in progress. Functions should
// refuse calls by then.
func (e *Events) Close() {
	e.stop()
	e.unwatch()
	e.working.Wait()
}

// Queued returns what a tenant has in the queue.
//
// # Errors
//
// fault.ErrUnavailable.
func (e *Events) Queued(ctx context.Context, tenant string) (store.Queued, error) {
	return e.queued.of(ctx, tenant)
}

// TimerCounts returns how many timers each tenant has.
func (e *Events) TimerCounts() map[string]int64 { return e.clock.counts() }

// system is who makes the calls that were queued, and looks up what belongs to them:
// whoever queued them was allowed to.
var system = access.Operator

// tenantOf returns whose a function is; empty when it is nobody's.
func (e *Events) tenantOf(functionID string) string {
	f, _ := e.functions.Function(system, functionID) // none is nobody's
	return f.Tenant
}
