package manage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// Change is what somebody asks for, as its operation tells of it.
type Change struct {
	Description string
	Kind        string            // full name of the cloud's message that has its metadata
	IDs         map[string]string // the members of that message: what is changed
	By          access.Principal
	Started     time.Time
	Tenant      string // whose it is
	About       string // the id of the function or the timer, by which its operations are listed; may be empty
}

// Operation is a change, and what became of it.
type Operation struct {
	Change
	ID         string
	CreatedAt  time.Time
	ModifiedAt time.Time
	Done       bool
	// Response is what was changed as it is now, in the host's words: a
	// catalog.FunctionInfo, catalog.VersionInfo, Policy, events.Timer, secrets.Secret,
	// accounts.Account or accounts.Changes; nil after a deletion.
	Response any
	Err      error // why it was not done
}

// operationPrefix begins the ids of operations, as the cloud's do.
const operationPrefix = "d4o"

const (
	// drainPatience is how long a deletion is waited for.
	drainPatience = 10 * time.Second
	// signInterval is how often an operation that is not done is kept again. One that was not
	// for lostAfter has been lost with its server. Clocks of servers may differ by the rest.
	signInterval = 10 * time.Second
	lostAfter    = time.Minute
	// keepTime bounds how long the answer to a change that was made waits for its operation to
	// be kept.
	keepTime = 5 * time.Second
)

// Operations are the last changes, which all servers of a store have in common. Safe for
// concurrent use.
type Operations struct {
	kept     func() store.Operations
	log      *slog.Logger
	patience time.Duration
}

// Done keeps the operation of a change that was made, and returns it. The change was made even
// if the store can't keep that.
func (o *Operations) Done(ctx context.Context, c Change, response any) *Operation {
	op := pending(c)
	op.finish(response, nil)
	o.keep(ctx, op)
	return op
}

// Drain runs a deletion, which may wait for calls in progress, and returns its
// operation. What takes longer than ten seconds goes on as an operation that is not
// done.
//
// # Errors
//
// Those of remove, unless it takes longer.
func (o *Operations) Drain(ctx context.Context, c Change, remove func() error) (*Operation, error) {
	op := pending(c)
	ended := make(chan error, 1)
	go func() { ended <- remove() }()
	patience := time.NewTimer(o.patience)
	defer patience.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return nil, err
		}
		op.finish(nil, nil)
		o.keep(ctx, op)
	case <-patience.C:
		o.keep(ctx, op)
		going := *op
		go o.await(context.WithoutCancel(ctx), &going, ended)
	}
	return op, nil
}

// await keeps an operation until it ends.
func (o *Operations) await(ctx context.Context, op *Operation, ended <-chan error) {
	ticker := time.NewTicker(signInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			o.keep(ctx, op)
		case err := <-ended:
			if err != nil && fault.Of(err) == fault.Internal {
				o.log.Error("a change was not made", "operation", op.ID, "change", op.Description, "error", err)
			}
			op.finish(nil, err)
			o.keep(ctx, op)
			return
		}
	}
}

// Find returns an operation of a tenant that p acts for.
//
// # Errors
//
// One of the kind fault.NotFound; store.ErrUnavailable.
func (o *Operations) Find(ctx context.Context, p access.Principal, id string) (*Operation, error) {
	kept, err := o.kept().Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, unknownError(id)
	case err != nil:
		return nil, err
	case !p.ActsFor(kept.Tenant):
		return nil, unknownError(id)
	}
	return restore(kept)
}

// Of returns a tenant's operations on a function or a timer, newest first.
//
// # Errors
//
// store.ErrUnavailable.
func (o *Operations) Of(ctx context.Context, tenant, id string) ([]*Operation, error) {
	all, err := o.kept().About(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	found := make([]*Operation, len(all))
	for i, kept := range slices.Backward(all) {
		if found[len(all)-1-i], err = restore(kept); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func pending(c Change) *Operation {
	return &Operation{
		Change: c, ID: operationPrefix + strings.ToLower(rand.Text())[:17], CreatedAt: c.Started, ModifiedAt: c.Started,
	}
}

// finish notes how an operation ended.
func (op *Operation) finish(response any, err error) {
	op.Done, op.Response, op.Err, op.ModifiedAt = true, response, err, time.Now().UTC()
}

// keep has the store keep an operation as it is now.
func (o *Operations) keep(ctx context.Context, op *Operation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	err := o.kept().Put(ctx, store.Operation{ID: op.ID, Tenant: op.Tenant, About: op.About, Value: store.Record(newRecord(op))})
	if err != nil {
		o.log.Warn("a change will not be found among the operations", "operation", op.ID, "change", op.Description, "error", err)
	}
}

// restore returns an operation that was kept.
func restore(kept store.Operation) (*Operation, error) {
	var r record
	err := json.Unmarshal(kept.Value, &r)
	op := &Operation{
		Change: r.Change, ID: kept.ID, CreatedAt: r.Change.Started, ModifiedAt: r.ModifiedAt, Done: r.Done,
	}
	if err == nil && r.Response != nil {
		op.Response, err = r.Response.value()
	}
	if err != nil {
		return nil, fmt.Errorf("operation %s can't be read: %w", kept.ID, err)
	}
	if r.Failure != nil {
		op.Err = r.Failure
	}
	if !op.Done && time.Since(kept.Stored) > lostAfter {
		op.Done, op.Err = true, errLost
	}
	return op, nil
}

// unknownError means that there is no operation of an id.
type unknownError string

// Error implements error.
func (e unknownError) Error() string {
	return "operation " + string(e) + " not found; of each tenant's the last thousand are kept, for three days"
}

// Kind returns fault.NotFound.
func (unknownError) Kind() fault.Kind { return fault.NotFound }

// errLost is how an operation ends whose server has.
var errLost = &failure{fault.Conflict, "the server that was making the change has ended; look whether it was made, and ask again if not"}
