package manage

import (
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
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
	// catalog.FunctionInfo, catalog.VersionInfo, Policy, events.Timer; nil after a
	// deletion.
	Response any
	Err      error // why it was not done
}

// maxOperations is how many operations can still be looked up.
const maxOperations = 1000

// operationPrefix begins the ids of operations, as the cloud's do.
const operationPrefix = "d4o"

// Operations are the last changes. The zero value is ready. Safe for concurrent use:
// what is handed out are copies.
type Operations struct {
	mu   sync.Mutex   // guards last and what it points to
	last []*Operation // oldest first
}

// Done keeps the operation of a change that was made.
func (o *Operations) Done(c Change, response any) *Operation {
	op := pending(c)
	o.finish(op, response, nil)
	o.add(op)
	return o.copy(op)
}

// drainPatience is how long a deletion is waited for.
const drainPatience = 10 * time.Second

// Drain runs a deletion, which may wait for calls in progress, and returns its
// operation. What takes longer than ten seconds goes on as an operation that is not
// done.
//
// # Errors
//
// Those of remove, unless it takes longer.
func (o *Operations) Drain(c Change, remove func() error) (*Operation, error) {
	op := pending(c)
	ended := make(chan error, 1)
	go func() { ended <- remove() }()
	patience := time.NewTimer(drainPatience)
	defer patience.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return nil, err
		}
		o.finish(op, nil, nil)
		o.add(op)
	case <-patience.C:
		o.add(op)
		go func() { o.finish(op, nil, <-ended) }()
	}
	return o.copy(op), nil
}

// Find returns an operation of a tenant that p acts for.
//
// # Errors
//
// One of the kind fault.NotFound.
func (o *Operations) Find(p access.Principal, id string) (*Operation, error) {
	found := o.find(func(op *Operation) bool { return op.ID == id && p.ActsFor(op.Tenant) })
	if len(found) == 0 {
		return nil, unknownError(id)
	}
	return found[0], nil
}

// Of returns the operations on a function or a timer, newest first.
func (o *Operations) Of(id string) []*Operation {
	return o.find(func(op *Operation) bool { return op.About == id })
}

func pending(c Change) *Operation {
	return &Operation{
		Change: c, ID: operationPrefix + strings.ToLower(rand.Text())[:17], CreatedAt: c.Started, ModifiedAt: c.Started,
	}
}

// add keeps an operation, in place of the oldest when there are many.
func (o *Operations) add(op *Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) >= maxOperations {
		o.last = append(o.last[:0:0], o.last[1:]...)
	}
	o.last = append(o.last, op)
}

// finish notes how an operation ended.
func (o *Operations) finish(op *Operation, response any, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	op.Done, op.Response, op.Err, op.ModifiedAt = true, response, err, time.Now().UTC()
}

// copy returns op as it is now.
func (o *Operations) copy(op *Operation) *Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	copied := *op
	return &copied
}

// find returns those for which match holds, newest first.
func (o *Operations) find(match func(*Operation) bool) []*Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := []*Operation{}
	for i := len(o.last) - 1; i >= 0; i-- {
		if match(o.last[i]) {
			copied := *o.last[i]
			found = append(found, &copied)
		}
	}
	return found
}

// unknownError means that there is no operation of an id.
type unknownError string

// Error implements error.
func (e unknownError) Error() string {
	return "operation " + string(e) + " not found; each server knows the last 1000 of its own"
}

// Kind returns fault.NotFound.
func (unknownError) Kind() fault.Kind { return fault.NotFound }
