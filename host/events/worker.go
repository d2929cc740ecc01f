package events

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/run"
	"vivarium/host/store"
)

const (
	maxChain = 16 // calls that lead to each other by outcome
	// maxFailureBody is the largest body that is told to the target of failures
	// (contract §2.6): as JSON it can be six times as long.
	maxFailureBody = 256 << 10

	// Retries wait, twice as long each time.
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
	// busyRetry is when a call comes again that found no instance free.
	busyRetry = 500 * time.Millisecond
	// newsPatience is how long a function may take to be known to all servers.
	newsPatience = time.Minute
)

// asyncWorker makes the calls that are queued.
type asyncWorker struct{ e *Events }

// early returns how long an item has to wait before it is tried again.
func (w *asyncWorker) early(i store.Item) time.Duration {
	ms, err := strconv.ParseInt(i.Notes[noteAfter], 10, 64)
	if err != nil {
		return 0
	}
	// A longer wait than there is means that the clock was put back.
	if wait := time.Until(time.UnixMilli(ms)); wait <= lastRetry {
		return max(wait, 0)
	}
	return 0
}

// call makes one attempt of a queued call and sees to its outcome. When it could
// not be made now, it is given back, to come again after the time that is returned.
func (w *asyncWorker) call(i store.Item) (again time.Duration) {
	if w.behind(i) {
		i.Later(busyRetry)
		return busyRetry
	}
	working := time.NewTicker(store.WorkingEvery)
	defer working.Stop()
	ended := make(chan struct{})
	var reporting sync.WaitGroup
	reporting.Go(func() {
		for {
			select {
			case <-working.C:
				i.Working()
			case <-ended:
				return
			}
		}
	})
	result, err := w.e.functions.Invoke(w.e.running, system, run.Invocation{
		Function: i.FunctionID, Tag: i.Notes[noteTag], RequestID: i.Notes[noteRequest],
		Received: time.Now(), Raw: true, Body: i.Body, Kind: kindOf(i),
	})
	close(ended)
	reporting.Wait()
	switch {
	case fault.Of(err).Passing():
		i.Later(busyRetry) // not the function's fault, and no attempt
		return busyRetry
	case err != nil && w.gone(err, i.FunctionID):
		err = nil // it is being deleted, and its queued calls with it
		result = nil
	}
	ctx := context.Background()
	if failed := w.finish(ctx, i, result, err); failed != nil {
		w.e.log.Error("outcome of an asynchronous call not stored; the call is made again",
			"function", i.FunctionID, "request_id", i.Notes[noteRequest], "error", failed)
		return 0 // it comes again
	}
	if err := i.Done(ctx); err != nil {
		w.e.log.Warn("asynchronous call may be made again", "function", i.FunctionID,
			"request_id", i.Notes[noteRequest], "error", err)
	}
	return 0
}

// kindOf returns what made an item's call.
func kindOf(i store.Item) history.Kind {
	if i.Notes[noteTimer] != "" {
		return history.Timer
	}
	return history.Async
}

// behind reports whether this host has yet to learn what whoever queued the item knew of
// its function. The call would meet what was there before, or nothing.
func (w *asyncWorker) behind(i store.Item) bool {
	if w.e.store.Exclusive {
		return false
	}
	if f, err := w.e.functions.Function(system, i.FunctionID); err == nil {
		needed, _ := strconv.ParseUint(i.Notes[noteNews], 10, 64) // none means any
		return f.Revision < needed
	}
	_, err := w.e.store.Functions.Get(w.e.running, i.FunctionID)
	// One that lags behind may have answered. The items of a function that is deleted
	// go with it.
	return !errors.Is(err, store.ErrNotFound) || time.Since(i.Stored) < newsPatience
}

// gone reports whether a call failed because its function is being deleted. One that
// nobody has heard of is something else: what it was called with must not be lost.
func (w *asyncWorker) gone(err error, functionID string) bool {
	nf, ok := errors.AsType[*fault.NotFoundError](err)
	return ok && nf.Tag == "" && w.e.functions.TenantOf(functionID) != ""
}

// finish stores what follows from an attempt: another one, a call of a target,
// a dead letter, or nothing.
func (w *asyncWorker) finish(ctx context.Context, i store.Item, result *run.Result, failure error) error {
	attempts, _ := strconv.Atoi(i.Notes[noteAttempt]) // none means 0
	attempts++
	var cfg catalog.AsyncConfig
	versionID := ""
	if result != nil {
		versionID = result.Version.ID
		if result.Version.Async != nil {
			cfg = *result.Version.Async
		}
	}
	if failure == nil {
		if result == nil || cfg.Success == "" {
			return nil
		}
		return w.notify(ctx, i, cfg.Success, result.Body)
	}
	retries, delay := cfg.Retries, min(firstRetry<<min(attempts-1, 20), lastRetry)
	if n, err := strconv.Atoi(i.Notes[noteRetries]); err == nil {
		every, _ := strconv.Atoi(i.Notes[noteEvery]) // both are ours
		retries, delay = n, time.Duration(every)*time.Millisecond
	}
	if attempts <= retries {
		i.Notes[noteAttempt] = strconv.Itoa(attempts)
		i.Notes[noteAfter] = strconv.FormatInt(time.Now().Add(delay).UnixMilli(), 10)
		i.ID = itemID("retry", i)
		return w.e.enqueue(ctx, i)
	}
	if i.Notes[noteTimer] != "" && (result == nil || result.Version.Async == nil) {
		return nil // nobody asked for more than the log says
	}
	if cfg.Failure != "" {
		return w.notify(ctx, i, cfg.Failure, failureDocument(i, versionID, attempts, failure))
	}
	return w.bury(ctx, i, i, versionID, attempts, string(errorText(failure)))
}

// itemID names what follows from an item. When the item comes again although
// that was stored already, it is not stored twice.
func itemID(what string, cause store.Item) string {
	return what + "." + strconv.FormatUint(cause.Sequence, 10)
}

// notify queues a call of a target with an outcome. A target that the function's
// tenant does not have, or that calls have led to for too long, makes it a dead
// letter.
func (w *asyncWorker) notify(ctx context.Context, i store.Item, target string, body []byte) error {
	chain, _ := strconv.Atoi(i.Notes[noteChain]) // none means 0
	f, err := w.e.functions.Function(system.In(w.e.functions.TenantOf(i.FunctionID)), target)
	next := store.Item{
		ID: itemID("outcome", i), Body: body,
		Notes: map[string]string{noteRequest: i.Notes[noteRequest], noteChain: strconv.Itoa(chain + 1)},
	}
	switch {
	case err != nil:
		next.FunctionID = i.FunctionID
		return w.bury(ctx, next, i, "", 0, "the target of the outcome: "+err.Error())
	case chain >= maxChain:
		next.FunctionID = f.ID
		return w.bury(ctx, next, i, "", 0, "the outcomes of "+strconv.Itoa(maxChain)+" calls have led here; do they go in a circle?")
	}
	next.FunctionID = f.ID
	return w.e.enqueue(ctx, next)
}

// bury makes i, which follows from an item, a dead letter.
func (w *asyncWorker) bury(ctx context.Context, i, cause store.Item, versionID string, attempts int, reason string) error {
	i.Notes[noteError], i.Notes[noteVersion] = headerText(reason), versionID
	i.Notes[noteAttempt] = strconv.Itoa(attempts)
	delete(i.Notes, noteAfter)
	i.ID = itemID("dead", cause)
	return w.e.letters.bury(ctx, i)
}

// headerText makes text that fits into a header: one line, not too long.
func headerText(s string) string {
	if len(s) > 8<<10 {
		s = s[:8<<10]
	}
	b, _ := json.Marshal(s) // strings always marshal
	return string(b)
}

// errorText is what a caller would have been answered.
func errorText(err error) []byte {
	if fe, ok := errors.AsType[*fault.FunctionError](err); ok {
		return fe.Body()
	}
	message, kind := "Internal error", "PlatformError"
	if fault.Of(err) == fault.NotFound {
		message, kind = err.Error(), "NotFound"
	}
	b, _ := json.Marshal(map[string]string{"errorMessage": message, "errorType": kind}) // strings always marshal
	return b
}

// failureDocument is what the target of failures is called with.
func failureDocument(i store.Item, versionID string, attempts int, err error) []byte {
	d := struct {
		RequestID  string          `json:"request_id"`
		FunctionID string          `json:"function_id"`
		VersionID  string          `json:"version_id"`
		Attempts   int             `json:"attempts"`
		Error      json.RawMessage `json:"error"`
		Body       string          `json:"body,omitempty"`        // of the call, when it is text
		BodyBase64 []byte          `json:"body_base64,omitempty"` // when it is not
		// BodyOmitted says that the body is too long to be told.
		BodyOmitted bool `json:"body_omitted,omitempty"`
	}{RequestID: i.Notes[noteRequest], FunctionID: i.FunctionID, VersionID: versionID, Attempts: attempts, Error: errorText(err)}
	switch {
	case len(i.Body) > maxFailureBody:
		d.BodyOmitted = true
	case utf8.Valid(i.Body):
		d.Body = string(i.Body)
	default:
		d.BodyBase64 = i.Body
	}
	b, err := json.Marshal(d)
	if err != nil { // the error document that a guest wrote is no JSON
		d.Error, _ = json.Marshal(string(d.Error))
		b, _ = json.Marshal(d)
	}
	return b
}
