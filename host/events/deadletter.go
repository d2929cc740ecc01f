package events

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
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

// Sizes of a page of dead letters.
const (
	DefaultPageSize = 100
	MaxPageSize     = 1000
)

// maxLetterPage is how many bytes the bodies of a page of dead letters have, but
// for the last one.
const maxLetterPage = 16 << 20

// DeadLetters lists dead letters within p's reach, oldest first, a page at a time: those
// of a function, or of all when function is empty. Those of functions that are no more
// are within the reach of who acts for all tenants. A page has at most limit letters,
// where 0 means DefaultPageSize, and fewer when they are long.
//
// # Errors
//
// *fault.NotFoundError, *fault.InvalidError, fault.ErrUnavailable.
func (e *Events) DeadLetters(
	ctx context.Context, p access.Principal, function string, limit int, pageToken string,
) (letters []DeadLetter, next string, err error) {
	if err := p.Allow("DeadLetters"); err != nil {
		return nil, "", err
	}
	if limit == 0 {
		limit = DefaultPageSize
	}
	if limit < 0 || limit > MaxPageSize {
		return nil, "", fault.Invalidf("limit", "%d must be between 1 and %d", limit, MaxPageSize)
	}
	after := uint64(0)
	if pageToken != "" {
		if after, err = strconv.ParseUint(pageToken, 10, 64); err != nil {
			return nil, "", fault.Invalidf("pageToken", "must be the nextPageToken of an earlier answer")
		}
	}
	letters = []DeadLetter{}
	ids, err := e.buriers(p, function)
	if err != nil || ids != nil && len(ids) == 0 {
		return letters, "", err
	}
	size := 0
	err = e.store.Letters.List(ctx, ids, after, func(i store.Item) bool {
		if len(letters) >= limit || size >= maxLetterPage {
			next = letters[len(letters)-1].ID
			return false
		}
		size += len(i.Body)
		letters = append(letters, newDeadLetter(i))
		return true
	})
	if err != nil {
		return nil, "", err
	}
	return letters, next, nil
}

// buriers returns the ids of the functions whose dead letters a list is about; nil
// means all that there were.
func (e *Events) buriers(p access.Principal, function string) (ids []string, err error) {
	switch {
	case function != "":
		f, err := e.functions.Function(p, function)
		return []string{f.ID}, err
	case p.Tenant == access.AllTenants:
		return nil, nil
	}
	functions, err := e.functions.Functions(p)
	ids = []string{}
	for _, f := range functions {
		ids = append(ids, f.ID)
	}
	return ids, err
}

func (e *Events) deadLetter(ctx context.Context, id string) (store.Item, error) {
	sequence, err := strconv.ParseUint(id, 10, 64)
	if err != nil || sequence == 0 {
		return store.Item{}, missingLetter(id)
	}
	i, err := e.store.Letters.Get(ctx, sequence)
	if errors.Is(err, store.ErrNotFound) {
		return store.Item{}, missingLetter(id)
	}
	return i, err
}

func missingLetter(id string) error { return &fault.NotFoundError{Thing: "dead letter", Name: id} }

// ReplayDeadLetter queues the call of a dead letter within p's reach again, with all its
// attempts, and removes the dead letter. It returns the request id, which stays the same.
//
// # Errors
//
// *fault.NotFoundError, also when the function is no more; fault.ErrUnavailable.
func (e *Events) ReplayDeadLetter(ctx context.Context, p access.Principal, id string) (requestID string, err error) {
	if err := p.Allow("ReplayDeadLetter"); err != nil {
		return "", err
	}
	i, err := e.deadLetter(ctx, id)
	if err != nil {
		return "", err
	}
	if _, err := e.functions.Function(p, i.FunctionID); err != nil {
		if p.Tenant == access.AllTenants {
			return "", err
		}
		return "", missingLetter(id)
	}
	i.ID = "replay." + id // twice in a row is once
	for _, note := range []string{noteAttempt, noteError, noteVersion, noteAfter, noteChain} {
		delete(i.Notes, note)
	}
	if err := e.enqueue(ctx, i); err != nil {
		return "", err
	}
	return i.Notes[noteRequest], e.store.Letters.Delete(ctx, i.Sequence)
}
