package events

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/run"
	"vivarium/host/store"
)

// Notes that queued calls carry.
const (
	noteTag     = "Tag"
	noteRequest = "Request-Id"
	noteAttempt = "Attempt"        // how often it was tried
	noteAfter   = "Not-Before"     // in Unix milliseconds
	noteChain   = "Chain"          // how many calls led to it
	noteError   = "Error"          // of a dead letter
	noteVersion = "Version"        // of a dead letter
	noteTimer   = "Timer"          // the id of the timer that called
	noteRetries = "Retries"        // of the timer: how often it is tried after the first time
	noteEvery   = "Retry-Interval" // and the milliseconds before each
	noteNews    = "Revision"       // of the function's record, as who queued it knew it
)

// Invoke queues a call of a function that p may call, in raw mode, and returns its request id. The
// call is made at least once, also when the program ends before, if the store is
// durable; what becomes of its outcome the version's AsyncConfig says.
//
// # Errors
//
// Those of catalog.Catalog.Resolve; *fault.InvalidError when the version has no AsyncConfig, the
// function is in no store, or the body is too large; *quota.Error;
// fault.ErrUnavailable; fault.ErrClosed.
func (e *Events) Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (requestID string, err error) {
	v, err := e.functions.Resolve(p, inv.Function, inv.Tag)
	if err != nil {
		return "", err
	}
	switch {
	case v.Async == nil:
		return "", fault.Invalidf("integration", "the version has no async_invocation_config; deploy it with one")
	case v.Transient && e.store.Durable:
		return "", fault.Invalidf("integration", "asynchronous calls need a function that is deployed to a data directory")
	case len(inv.Body) > run.MaxResponse:
		return "", fault.Invalidf("body", "has %d bytes, at most %d are allowed", len(inv.Body), run.MaxResponse)
	case e.running.Err() != nil:
		return "", fault.ErrClosed
	}
	if inv.RequestID == "" {
		inv.RequestID = uuid.NewString()
	}
	queued, err := e.queued.reserve(ctx, v.Tenant, len(inv.Body))
	if err != nil {
		return "", err
	}
	// A retry of the caller's own may carry the same request id: no item id.
	err = e.enqueue(ctx, store.Item{
		FunctionID: v.FunctionID, Body: inv.Body,
		Notes: map[string]string{noteTag: inv.Tag, noteRequest: inv.RequestID},
	})
	queued(err == nil)
	return inv.RequestID, err
}

// enqueue queues an item.
func (e *Events) enqueue(ctx context.Context, i store.Item) error {
	if !e.store.Exclusive {
		if f, err := e.functions.Function(system, i.FunctionID); err == nil {
			i.Notes[noteNews] = strconv.FormatUint(f.Revision, 10)
		}
	}
	if err := e.store.Queue.Add(ctx, i); err != nil {
		return err
	}
	e.dispatcher.arrived(i.Line())
	return nil
}
