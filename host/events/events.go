// Package events makes the calls that no caller waits for: asynchronous calls, and
// those of timers.
//
// # Vocabulary
//
//   - Item: a queued call in the store (store.Item): the function, the body, and notes
//     such as the tag, the request id and the number of attempts so far.
//   - Line: the items of one function; the ticks of its timers have a line of their own.
//   - Attempt: one call of the function for an item. An attempt that found no instance
//     free does not count as one.
//   - Outcome: what follows from an item: nothing, another attempt, a call of the
//     function that the version names for success or failure, or a dead letter.
//   - Dead letter: a call that failed for good. It is kept until it is replayed, expires,
//     or gives way to a newer one of the same tenant.
//   - Tick: a time at which a timer is due. Ticks that were missed are reported, not made
//     up for.
//
// # The way of an asynchronous call
//
//	Events.Invoke    principal, name and tag to version; counted against the tenant, queued
//	dispatcher       which line is served next: tenants take turns, then their functions
//	worker.call      one attempt, by Functions.Invoke
//	worker.finish    the outcome is stored; then the item leaves the queue
//
// An item leaves the queue only after its outcome is stored, so a call is made at least
// once, and an outcome is stored once: it has an id made from the item's place in the queue.
//
// # The way of a tick
//
// The clock first notes the tick in the timer's record. Of several hosts with the same
// store one succeeds, and queues the call.
package events

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
	// TenantOf returns the tenant of a function; empty when there is no such function.
	TenantOf(functionID string) string
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

// Config tells New what it needs.
type Config struct {
	Store     *store.Store // the caller closes it, after the events
	Ledger    *quota.Ledger
	Functions Functions
	Log       *slog.Logger // receives what only the operator can mend
}

// Events makes asynchronous calls and those of timers. Safe for concurrent use.
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
	unwatch func() // ends the news of timers; may be called more than once
}

// New returns events that make no call before Start.
func New(cfg Config) *Events {
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
	if err := e.store.Timers.Damage(); err != nil {
		e.log.Error("store: timers are lost; create those that are missing again", "error", err)
	}
	e.working.Go(func() { e.dispatcher.run(e.making) })
	e.working.Go(e.clock.run)
	return nil
}

// Close cancels the calls in progress, waits until they have ended, and makes no more. A
// cancelled call stays in the queue. Close is idempotent.
func (e *Events) Close() {
	e.stop()
	e.unwatch()
	e.working.Wait()
}

// Drop removes the timers and the queued calls of a function that is being deleted.
//
// # Errors
//
// fault.ErrUnavailable.
func (e *Events) Drop(ctx context.Context, f catalog.FunctionInfo) error {
	if f.Transient && e.store.Durable {
		return nil // it can have neither
	}
	if err := e.removeTimers(ctx, f.ID); err != nil {
		return err
	}
	return e.store.Queue.Drop(ctx, f.ID)
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
