package host

import (
	"context"

	"vivarium/host/logs"
)

// ReadLogs calls use with entries of a function's log, see logs.Book.Read.
//
// # Errors
//
// *fault.NotFoundError and those of logs.Book.Read.
func (h *Host) ReadLogs(ctx context.Context, function string, q logs.Query, use func(entries []logs.Entry, cut bool) error) error {
	f, err := h.lookup(function)
	if err != nil {
		return err
	}
	return h.book.Read(ctx, f.logOwner(h), q, use)
}

// FollowLogs passes on the entries of a function's log as they come, see
// logs.Book.Follow.
//
// # Errors
//
// *fault.NotFoundError and those of logs.Book.Follow.
func (h *Host) FollowLogs(ctx context.Context, function string, q logs.Query, yield func(logs.Entry) error) error {
	f, err := h.lookup(function)
	if err != nil {
		return err
	}
	return h.book.Follow(ctx, f.logOwner(h), q, yield)
}

// logOwner returns whose log the function's entries belong to.
func (f *function) logOwner(h *Host) logs.Owner {
	return logs.Owner{Tenant: f.snapshot(h).Tenant, Function: f.id, Transient: f.transient}
}
