package host

import (
	"context"
	"errors"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/quota"
	"vivarium/host/run"
)

// Resolve returns the version that a call of p's is for, see catalog.Catalog.Resolve.
//
// # Errors
//
// Those of catalog.Catalog.Resolve.
func (h *Host) Resolve(p access.Principal, function, tag string) (*catalog.Version, error) {
	return h.catalog.Resolve(p, function, tag)
}

// Invoke calls a function for p and returns what its handler returned. It blocks until
// then, at most until the version's execution timeout.
//
// # Errors
//
// Those of Resolve and of Runner.Invoke. When the version was found, the
// Result is there in spite of an error and has the version and the figures.
func (h *Host) Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error) {
	for {
		v, err := h.catalog.Resolve(p, inv.Function, inv.Tag)
		if err != nil {
			return nil, err
		}
		result, err := h.runner.Invoke(ctx, v, inv)
		if !errors.Is(err, run.ErrRetired) {
			return result, err
		}
		// The tag has moved between finding the version and using it.
	}
}

// InvokeAsync queues a call, see Events.Invoke.
//
// # Errors
//
// Those of Events.Invoke.
func (h *Host) InvokeAsync(ctx context.Context, p access.Principal, inv run.Invocation) (requestID string, err error) {
	return h.events.Invoke(ctx, p, inv)
}

// Stats is what a host has at one moment.
type Stats struct {
	run.Stats
	Functions int
	Unkept    int64 // calls that the history did not keep up with, since the start
}

// Stats returns what there is now. The parts are not of the very same moment.
func (h *Host) Stats() Stats {
	s := Stats{Stats: h.runner.Stats(), Unkept: h.history.Dropped()}
	use, _ := h.catalog.Use(access.Operator) // who may see all
	for _, u := range use {
		s.Functions += int(u[quota.Functions])
	}
	return s
}
