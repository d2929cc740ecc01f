package host

import (
	"context"

	"vivarium/host/access"
	"vivarium/host/logs"
)

// ReadLogs calls use with entries of the log of a function within p's reach, see
// logs.Book.Read.
//
// # Errors
//
// *fault.NotFoundError and those of logs.Book.Read.
func (h *Host) ReadLogs(
	ctx context.Context, p access.Principal, function string, q logs.Query, use func(entries []logs.Entry, cut bool) error,
) error {
	owner, err := logOwner(h, p, "ReadLogs", function)
	if err != nil {
		return err
	}
	return h.book.Read(ctx, owner, q, use)
}

// FollowLogs passes on the entries of such a log as they come, see logs.Book.Follow.
//
// # Errors
//
// *fault.NotFoundError and those of logs.Book.Follow.
func (h *Host) FollowLogs(ctx context.Context, p access.Principal, function string, q logs.Query, yield func(logs.Entry) error) error {
	owner, err := logOwner(h, p, "FollowLogs", function)
	if err != nil {
		return err
	}
	return h.book.Follow(ctx, owner, q, yield)
}

// logOwner returns whose log an operation is about.
func logOwner(h *Host, p access.Principal, o access.Operation, function string) (logs.Owner, error) {
	if err := p.Allow(o); err != nil {
		return logs.Owner{}, err
	}
	f, err := h.catalog.Function(p, function)
	return f.LogOwner(), err
}
