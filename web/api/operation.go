package api

import (
	"context"
	"strings"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/secrets"
	"vivarium/web/manage"
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
}

// operation describes an operation.
func (q *request) operation(op *manage.Operation) *Operation {
	answer := &Operation{
		ID: op.ID, Description: op.Description, CreatedAt: Time(op.CreatedAt), CreatedBy: op.By.KeyID,
		ModifiedAt: Time(op.ModifiedAt), Done: op.Done, Metadata: map[string]any{"@type": typePrefix + op.Kind},
	}
	for name, id := range op.IDs {
		answer.Metadata[name] = id
	}
	switch {
	case op.Err != nil:
		answer.Error = statusOf(op.Err).body("")
	case op.Done:
		answer.Response = changed(op.Response, q.base())
	}
	return answer
}

// changed describes what an operation has changed.
func changed(v any, base string) any {
	switch v := v.(type) {
	case catalog.FunctionInfo:
		return newFunction(v, base)
	case catalog.VersionInfo:
		return newVersion(v)
	case manage.Policy:
		return newPolicy(v.FunctionID, v.ScalingPolicy)
	case events.Timer:
		return newTimer(v)
	case secrets.Secret:
		return newSecret(v)
	}
	return struct{}{}
}

// subject is what a change is about.
type subject struct {
	tenant string // whose it is
	id     string // of the function or the timer; may be empty
}

func of(f catalog.FunctionInfo) subject { return subject{f.Tenant, f.ID} }

func ofVersion(v catalog.VersionInfo) subject { return subject{v.Tenant, v.FunctionID} }

// ids name what a change is about, in its metadata.
type ids = map[string]string

// change returns what an operation tells of a request.
func (q *request) change(description, kind string, about subject, started time.Time, of ids) manage.Change {
	if !strings.Contains(kind, ".") {
		kind = "yandex.cloud.serverless.functions.v1." + kind
	}
	return manage.Change{
		Description: description, Kind: kind, IDs: of, By: q.principal, Started: started,
		Tenant: catalog.TenantOr(about.tenant), About: about.id,
	}
}

// done returns the operation of a change that was made. Metadata names what it
// changed; kind is its message's name.
func (h *Handler) done(
	q *request, description, kind string, about subject, started time.Time, metadata ids, response any,
) *manage.Operation {
	return h.desk.Operations.Done(q.Context(), q.change(description, kind, about, started, metadata), response)
}

// noEnd is a request's context without its end: a change that has begun is not
// left half done because the caller went away.
func noEnd(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// drain runs a deletion, and returns its operation once it is done or patience
// is over.
func (h *Handler) drain(
	q *request, description, kind string, about subject, started time.Time, metadata ids, remove func() error,
) (any, error) {
	return answered(h.desk.Operations.Drain(q.Context(), q.change(description, kind, about, started, metadata), remove))
}

// getOperation serves GET /operations/{operationId}.
func (h *Handler) getOperation(q *request) (any, error) {
	return answered(h.desk.Operations.Find(q.Context(), q.principal, q.path["operationId"]))
}

// answered returns an operation as a route does.
func answered(op *manage.Operation, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return op, nil
}
