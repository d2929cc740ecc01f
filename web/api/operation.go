package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"vivarium/host/catalog"
)

// Operation is a change, and what became of it. All are done by the time they
// are answered, but for deletions that wait for calls in progress.
type Operation struct {
	ID          string         `json:"id"`
	Description string         `json:"description"`
	CreatedAt   Time           `json:"createdAt"`
	CreatedBy   string         `json:"createdBy" doc:"The id of the key; empty where no key was needed."`
	ModifiedAt  Time           `json:"modifiedAt"`
	Done        bool           `json:"done"`
	Metadata    map[string]any `json:"metadata" doc:"Its @type tells the change; functionId or functionVersionId, what was changed."`
	Response    any            `json:"response,omitempty" doc:"The function, version or policy as it is now; an empty object after a deletion."`
	Error       *Status        `json:"error,omitempty"`

	about subject
}

// maxOperations is how many operations can still be looked up.
const maxOperations = 1000

// operations are the last changes. Safe for concurrent use: what is handed out
// are copies.
type operations struct {
	mu   sync.Mutex   // guards last and what it points to
	last []*Operation // oldest first
}

// add keeps an operation, in place of the oldest when there are many.
func (o *operations) add(op *Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) >= maxOperations {
		o.last = append(o.last[:0:0], o.last[1:]...)
	}
	o.last = append(o.last, op)
}

// finish notes how an operation ended.
func (o *operations) finish(op *Operation, response any, status *Status) {
	o.mu.Lock()
	defer o.mu.Unlock()
	op.Done, op.Response, op.Error, op.ModifiedAt = true, response, status, Time(now())
}

// copy returns op as it is now.
func (o *operations) copy(op *Operation) *Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	copied := *op
	return &copied
}

// find returns those for which match holds, newest first.
func (o *operations) find(match func(*Operation) bool) []*Operation {
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

// of returns the operations on a function.
func (o *operations) of(functionID string) []*Operation {
	return o.find(func(op *Operation) bool { return op.about.functionID == functionID })
}

// operationPrefix begins the ids of operations, as the cloud's do.
const operationPrefix = "d4o"

// subject is what a change is about.
type subject struct {
	tenant     string // whose it is
	functionID string // empty when it is about none
}

func of(f catalog.FunctionInfo) subject { return subject{f.Tenant, f.ID} }

func ofVersion(v catalog.VersionInfo) subject { return subject{v.Tenant, v.FunctionID} }

// pending returns an operation that is not done. Metadata names what it
// changes; kind is its message's name.
func (h *Handler) pending(q *request, description, kind string, about subject, started time.Time, metadata map[string]any) *Operation {
	metadata["@type"] = typePrefix + "yandex.cloud.serverless.functions.v1." + kind
	return &Operation{
		ID:          operationPrefix + strings.ToLower(rand.Text())[:17],
		Description: description, CreatedAt: Time(started), CreatedBy: q.principal.KeyID, ModifiedAt: Time(started),
		Metadata: metadata, about: about,
	}
}

// done returns the operation of a change that was made.
func (h *Handler) done(
	q *request, description, kind string, about subject, started time.Time, metadata map[string]any, response any,
) *Operation {
	op := h.pending(q, description, kind, about, started, metadata)
	h.operations.finish(op, response, nil)
	h.operations.add(op)
	return h.operations.copy(op)
}

// drainPatience is how long the answer to a deletion waits for calls in
// progress. What takes longer goes on as an operation that is not done.
const drainPatience = 10 * time.Second

// noEnd is a request's context without its end: a change that has begun is not
// left half done because the caller went away.
func noEnd(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// drain runs a deletion, and returns its operation once it is done or patience
// is over.
func (h *Handler) drain(q *request, op *Operation, remove func() error) (any, error) {
	ended := make(chan error, 1)
	go func() { ended <- remove() }()
	patience := time.NewTimer(drainPatience)
	defer patience.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return nil, err
		}
		h.operations.finish(op, struct{}{}, nil)
		h.operations.add(op)
	case <-patience.C:
		h.operations.add(op)
		go func() {
			if err := <-ended; err != nil {
				h.operations.finish(op, nil, statusOf(err).body(""))
				return
			}
			h.operations.finish(op, struct{}{}, nil)
		}()
	}
	return h.operations.copy(op), nil
}

// operation returns an operation of the caller's tenant.
func (h *Handler) operation(q *request, id string) (*Operation, error) {
	found := h.operations.find(func(op *Operation) bool { return op.ID == id && q.principal.ActsFor(op.about.tenant) })
	if len(found) == 0 {
		return nil, &statusError{http: http.StatusNotFound, code: CodeNotFound,
			message: "operation " + id + " not found; each server knows the last 1000 of its own"}
	}
	return found[0], nil
}

// getOperation serves GET /operations/{operationId}.
func (h *Handler) getOperation(q *request) (any, error) { return h.operation(q, q.path["operationId"]) }
