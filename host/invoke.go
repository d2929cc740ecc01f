package host

import (
	"context"
	"errors"

	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/wasm/vfs"
)

// Invoke calls a function and returns what its handler returned. It blocks until
// then, at most until the version's execution timeout.
//
// # Errors
//
// *fault.NotFoundError and those of Runner.Invoke. When the version was found, the
// Result is there in spite of an error and has the version and the figures.
func (h *Host) Invoke(ctx context.Context, inv run.Invocation) (*run.Result, error) {
	for {
		v, err := h.Resolve(inv.Function, inv.Tag)
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

// Reserve takes n of a kind for a tenant, before it is held, and returns what gives
// it back, see quota.Ledger.
//
// # Errors
//
// *quota.Error, fault.ErrExhausted.
func (h *Host) Reserve(tenant string, k quota.Kind, n int64) (release func(), err error) {
	return h.ledger.Reserve(tenant, k, n)
}

// Try runs code once, see Runner.Try.
func (h *Host) Try(
	ctx context.Context, spec catalog.VersionSpec, code *vfs.Tree, inv run.Invocation, emit func(logs.Entry),
) (*run.Result, error) {
	return h.runner.Try(ctx, spec, code, inv, emit)
}

// PrepareTries begins to make what tries have in common, see Runner.PrepareTries.
func (h *Host) PrepareTries() { h.runner.PrepareTries() }

// Stats is what a host has at one moment.
type Stats struct {
	run.Stats
	Functions int
}

// Stats returns what there is now. The parts are not of the very same moment.
func (h *Host) Stats() Stats {
	h.mu.RLock()
	n := len(h.functions)
	h.mu.RUnlock()
	return Stats{h.runner.Stats(), n}
}

// InvokeAsync queues a call, see Events.Invoke.
func (h *Host) InvokeAsync(ctx context.Context, inv run.Invocation) (requestID string, err error) {
	return h.events.Invoke(ctx, inv)
}
