package host

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"vivarium/host/store"
)

// DeadLetter is an asynchronous call that failed for good and whose version
// names no function for that.
type DeadLetter struct {
	ID         string    `json:"id"`
	FunctionID string    `json:"function_id"`
	VersionID  string    `json:"version_id"` // of the last attempt; may be empty
	Tag        string    `json:"tag"`
	RequestID  string    `json:"request_id"`
	Attempts   int       `json:"attempts"`
	Error      string    `json:"error"` // the answer to the last attempt
	FailedAt   time.Time `json:"failed_at"`
	Body       []byte    `json:"body"`
}

func newDeadLetter(i store.Item) DeadLetter {
	d := DeadLetter{
		ID: strconv.FormatUint(i.Sequence, 10), FunctionID: i.FunctionID, VersionID: i.Notes[noteVersion],
		Tag: i.Notes[noteTag], RequestID: i.Notes[noteRequest], FailedAt: i.Stored, Body: i.Body,
	}
	d.Attempts, _ = strconv.Atoi(i.Notes[noteAttempt])       // this host wrote it
	_ = json.Unmarshal([]byte(i.Notes[noteError]), &d.Error) // and this
	return d
}

// ListDeadLetters lists dead letters, oldest first: those of a function, or of all
// functions of a tenant when function is empty. A limit of 0 means
// DefaultPageSize.
//
// # Errors
//
// *NotFoundError, *InvalidError, ErrStoreUnavailable.
func (h *Host) ListDeadLetters(ctx context.Context, tenant, function string, limit int) ([]DeadLetter, error) {
	if limit == 0 {
		limit = DefaultPageSize
	}
	if limit < 0 || limit > MaxPageSize {
		return nil, invalid("limit", "%d must be between 1 and %d", limit, MaxPageSize)
	}
	ids := []string{""} // of functions; this one means all
	if function != "" {
		f, err := h.lookup(function)
		if err != nil {
			return nil, err
		}
		ids[0] = f.id
	} else if tenant != AllTenants {
		ids = nil
		for _, f := range h.Functions() {
			if f.Tenant == tenant {
				ids = append(ids, f.ID)
			}
		}
	}
	letters := []DeadLetter{}
	if h.cfg.Store == nil {
		return letters, nil
	}
	for _, id := range ids {
		items, err := h.cfg.Store.Dead(ctx, id, limit)
		if err != nil {
			return nil, storeError(err)
		}
		for _, i := range items {
			letters = append(letters, newDeadLetter(i))
		}
	}
	slices.SortStableFunc(letters, func(a, b DeadLetter) int { return a.FailedAt.Compare(b.FailedAt) })
	return letters[:min(limit, len(letters))], nil
}

// FindDeadLetter returns the dead letter of that id, when it is of a function
// within p's reach. Those of functions that are no more are within
// the reach of who acts for all tenants.
//
// # Errors
//
// *NotFoundError, ErrStoreUnavailable.
func (h *Host) FindDeadLetter(ctx context.Context, p Principal, id string) (DeadLetter, error) {
	i, err := h.deadLetter(ctx, id)
	if err != nil {
		return DeadLetter{}, err
	}
	if p.Tenant != AllTenants && !p.ActsFor(h.tenantOf(i.FunctionID)) {
		return DeadLetter{}, &NotFoundError{Kind: "dead letter", Name: id}
	}
	return newDeadLetter(i), nil
}

func (h *Host) deadLetter(ctx context.Context, id string) (store.Item, error) {
	missing := &NotFoundError{Kind: "dead letter", Name: id}
	sequence, err := strconv.ParseUint(id, 10, 64)
	if err != nil || sequence == 0 || h.cfg.Store == nil {
		return store.Item{}, missing
	}
	i, err := h.cfg.Store.DeadLetter(ctx, sequence)
	if errors.Is(err, store.ErrNotFound) {
		return store.Item{}, missing
	}
	return i, storeError(err)
}

// ReplayDeadLetter queues the call anew, with all its attempts, and removes the
// dead letter. It returns the request id, which stays the same.
//
// # Errors
//
// *NotFoundError, also when the function is no more; ErrStoreUnavailable.
func (h *Host) ReplayDeadLetter(ctx context.Context, id string) (requestID string, err error) {
	i, err := h.deadLetter(ctx, id)
	if err != nil {
		return "", err
	}
	if _, err := h.lookup(i.FunctionID); err != nil {
		return "", err
	}
	i.ID = "replay." + id // twice in a row is once
	for _, note := range []string{noteAttempt, noteError, noteVersion, noteAfter, noteChain} {
		delete(i.Notes, note)
	}
	if err := h.cfg.Store.Enqueue(ctx, i); err != nil {
		return "", storeError(err)
	}
	return i.Notes[noteRequest], storeError(h.cfg.Store.Unbury(ctx, i.Sequence))
}
