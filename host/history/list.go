package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// DefaultLimit is how many calls List returns unless the query sets a limit; the highest is
// MaxCalls.
const DefaultLimit = 100

// Query selects calls of a function. Zero members select everything.
type Query struct {
	Version   string // id
	RequestID string
	Since     time.Time
	Until     time.Time
	Failed    bool   // only those with a status of 400 and more
	Before    string // the id of a call: only older ones
	Limit     int    // the newest; 0 means DefaultLimit
}

func (q Query) validate() error {
	switch {
	case q.Limit < 0 || q.Limit > MaxCalls:
		return fault.Invalidf("limit", "%d must be between 1 and %d", q.Limit, MaxCalls)
	case !q.Until.IsZero() && q.Until.Before(q.Since):
		return fault.Invalidf("until", "%s must not be before since, %s", q.Until.Format(time.RFC3339), q.Since.Format(time.RFC3339))
	}
	if _, _, ok := ParseID(q.Before); q.Before != "" && !ok {
		return fault.Invalidf("before", "%.80q is no id of a call", q.Before)
	}
	return nil
}

// wants reports whether the query selects a call.
func (q *Query) wants(c *Call) bool {
	switch {
	case q.Version != "" && c.VersionID != q.Version,
		q.RequestID != "" && c.RequestID != q.RequestID,
		!q.Since.IsZero() && c.Received.Before(q.Since),
		!q.Until.IsZero() && c.Received.After(q.Until),
		q.Failed && c.Status < 400,
		q.Before != "" && c.ID >= q.Before: // ids of one function are in the order of their calls
		return false
	}
	return true
}

// List returns calls of a function, newest first, without their texts and connections.
//
// # Errors
//
// *fault.InvalidError, *quota.Error, fault.ErrExhausted, fault.ErrUnavailable.
func (h *History) List(ctx context.Context, o logs.Owner, q Query) ([]Call, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	calls := []Call{}
	newest := func() {
		slices.SortFunc(calls, func(a, b Call) int { return strings.Compare(b.ID, a.ID) })
		calls = calls[:min(len(calls), q.Limit)]
	}
	err := h.read(ctx, o, time.Time{}, func(line []byte) error {
		var c Call
		if json.Unmarshal(line, &c) != nil || !q.wants(&c) {
			return nil // not one of ours, or not of the query's
		}
		c.Event.drop()
		c.Answer.drop()
		c.Connections, c.Refused = nil, nil
		if calls = append(calls, c); len(calls) >= 2*q.Limit {
			newest()
		}
		return nil
	})
	newest()
	return calls, err
}

// drop takes out what may be long.
func (t *Text) drop() { t.Text, t.Redacted = "", nil }

// skew is by how much clocks may differ: that of the store, and that of who has made a
// call.
const skew = 5 * time.Minute

// Get returns a call of a function.
//
// # Errors
//
// *fault.NotFoundError, *quota.Error, fault.ErrExhausted, fault.ErrUnavailable.
func (h *History) Get(ctx context.Context, o logs.Owner, id string) (Call, error) {
	var found Call
	_, ended, ok := ParseID(id)
	if !ok {
		return found, notFound(id)
	}
	err := h.read(ctx, o, ended.Add(-skew), func(line []byte) error {
		var c Call
		if !bytes.Contains(line, []byte(id)) || json.Unmarshal(line, &c) != nil || c.ID != id {
			return nil
		}
		found = c
		return errFound
	})
	switch {
	case err == errFound:
		return found, nil
	case err == nil:
		err = notFound(id)
	}
	return found, err
}

// errFound ends reading.
var errFound = errors.New("found")

func notFound(id string) error {
	id, _ = cutText(id, 80)
	return &fault.NotFoundError{Thing: "call", Name: id}
}

// read passes on the lines that there are of a function, those of calls that have just ended
// included.
func (h *History) read(ctx context.Context, o logs.Owner, since time.Time, each func(line []byte) error) error {
	// The rows of a list count as well: they are bounded, too.
	const most = store.MaxReadAhead + 2*MaxCalls<<10
	if err := h.cfg.Ledger.Take(o.Tenant, quota.LogBuffer, most); err != nil {
		return err
	}
	defer h.cfg.Ledger.Give(o.Tenant, quota.LogBuffer, most)
	h.flush(ctx)
	journal, owner := h.of(o)
	journal.Flush(ctx)
	return journal.ReadLines(ctx, owner.Function, since, false, each)
}
