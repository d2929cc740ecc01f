package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/paced"
	"vivarium/host/profile"
	"vivarium/host/quota"
	"vivarium/host/run"
)

// Calls are the calls that there were, of the host's functions. Safe for concurrent use.
type Calls struct{ host *Host }

// List returns calls of a function within p's reach, newest first, see
// history.History.List.
//
// # Errors
//
// *fault.NotFoundError and those of history.History.List.
func (c *Calls) List(ctx context.Context, p access.Principal, function string, q history.Query) ([]history.Call, error) {
	owner, err := logOwner(c.host, p, "Calls", function)
	if err != nil {
		return nil, err
	}
	return c.host.history.List(ctx, owner, q)
}

// Get returns the call with an id, of a function within p's reach.
//
// # Errors
//
// *fault.NotFoundError and those of history.History.Get.
func (c *Calls) Get(ctx context.Context, p access.Principal, id string) (history.Call, error) {
	return c.get(ctx, p, "Call", id)
}

func (c *Calls) get(ctx context.Context, p access.Principal, o access.Operation, id string) (history.Call, error) {
	if err := p.Allow(o); err != nil {
		return history.Call{}, err
	}
	functionID, _, ok := history.ParseID(id)
	f, err := c.host.catalog.Function(p, functionID)
	if !ok || err != nil {
		return history.Call{}, &fault.NotFoundError{Thing: "call", Name: fmt.Sprintf("%.80s", id)}
	}
	return c.host.history.Get(ctx, f.LogOwner(), id)
}

// Replay says how a call is to be made again.
type Replay struct {
	// VersionID and Tag name the version, one of the two; without both it is the one that
	// the call was of.
	VersionID, Tag string
	// Event is what the function is called with; nil means what it was called with then.
	Event []byte
	// Profile, if set, gets where the call's time goes.
	Profile *profile.Profile
	// RequestID is a UUID; empty means a new one.
	RequestID string
	// Accept is that of the run.Invocation; nil takes every result.
	Accept func(raw bool, r *run.Result, work paced.Work) error
}

// Replay makes a call again and returns the new one as the history has it. That the
// function failed is no error here: the call tells. It blocks as Invoke does.
//
// # Errors
//
// Those of Get; *fault.NotFoundError for a version or a tag that is not there;
// *fault.ConflictError when not all of the event was kept; *fault.InvalidError; those of
// Invoke when the call could not be made.
func (c *Calls) Replay(ctx context.Context, p access.Principal, id string, r Replay) (history.Call, error) {
	origin, err := c.get(ctx, p, "ReplayCall", id)
	if err != nil {
		return origin, err
	}
	event := r.Event
	switch {
	case event != nil:
	case origin.Event.Cut:
		return origin, fault.Conflictf("call", id,
			"can't be made again as it was: its event has %d bytes, of which only the beginning is kept; give an event", origin.Event.Bytes)
	default:
		event = origin.Event.Content()
	}
	if r.RequestID == "" {
		r.RequestID = uuid.NewString()
	}
	var made *history.Made
	inv := run.Invocation{
		RequestID: r.RequestID, Received: time.Now(), Kind: origin.Kind, ReplayOf: id,
		Raw: origin.Kind != history.HTTP, Body: event, Kept: func(m history.Made) { made = &m },
	}
	if !inv.Raw {
		if !isObject(event) {
			return origin, fault.Invalidf("event", "must be a JSON object, as the call was over HTTP")
		}
		inv.Body, inv.Event = nil, func(paced.Work) []byte { return event }
	}
	functionID, _, _ := history.ParseID(id)
	if r.Profile != nil {
		f, err := c.host.catalog.Function(p, functionID)
		if err != nil {
			return origin, err
		}
		release, err := c.host.ledger.Reserve(f.Tenant, quota.Profile, profile.MaxBytes)
		if err != nil {
			return origin, err
		}
		defer release()
		inv.Observer = r.Profile.Observe
	}
	if r.Accept != nil {
		inv.Accept = func(result *run.Result, work paced.Work) error { return r.Accept(inv.Raw, result, work) }
	}
	for {
		v, err := c.replayed(p, functionID, origin, r)
		if err != nil {
			return origin, err
		}
		_, err = c.host.runner.Invoke(ctx, v, inv)
		switch {
		case made != nil:
			return c.host.history.Keep(*made), nil
		case !errors.Is(err, run.ErrRetired) || r.Tag == "":
			return origin, err
		}
		// The tag has moved between finding the version and using it.
	}
}

// replayed returns the version that is to be called.
func (c *Calls) replayed(p access.Principal, functionID string, origin history.Call, r Replay) (*catalog.Version, error) {
	switch {
	case r.VersionID != "" && r.Tag != "":
		return nil, fault.Invalidf("tag", "there is a version besides; name one of the two")
	case r.Tag != "":
		return c.host.catalog.Resolve(p, functionID, r.Tag)
	}
	id := r.VersionID
	if id == "" {
		id = origin.VersionID
	}
	v, err := c.host.catalog.Version(p, id)
	switch {
	case err != nil && r.VersionID == "":
		return nil, fault.Conflictf("call", origin.ID, "was of version %s, which is gone; name another version or a tag", id)
	case err != nil:
		return nil, err
	case v.FunctionID != functionID:
		return nil, &fault.NotFoundError{Version: id}
	}
	return v.Version, nil
}

// isObject reports whether a text is a JSON object.
func isObject(text []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(text, &members) == nil && members != nil
}
