package host

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"vivarium/host/quota"
)

// DefaultLogLimit is how many entries Logs returns unless the query says
// otherwise; MaxLogLimit is the most.
const (
	DefaultLogLimit = 1000
	MaxLogLimit     = 100_000
)

// LogQuery chooses entries of a function's execution log. The zero value of a
// member means that it does not matter.
type LogQuery struct {
	Function  string // id or name
	Version   string // id
	Since     time.Time
	Until     time.Time
	MinLevel  Level // entries without a level count as LevelInfo
	Contains  string
	RequestID string
	Limit     int // of the newest entries; 0 means DefaultLogLimit
}

func (q LogQuery) validate() error {
	switch {
	case q.MinLevel != "" && !slices.Contains(levels, q.MinLevel):
		return invalid("level", "%.80q must be one of %v", q.MinLevel, levels)
	case q.Limit < 0 || q.Limit > MaxLogLimit:
		return invalid("limit", "%d must be between 1 and %d", q.Limit, MaxLogLimit)
	case !q.Until.IsZero() && q.Until.Before(q.Since):
		return invalid("until", "%s must not be before since, %s", q.Until.Format(time.RFC3339), q.Since.Format(time.RFC3339))
	}
	return nil
}

// wants says if an entry is one of those.
func (q *LogQuery) wants(e *LogEntry) bool {
	level := e.Level
	if level == LevelUnspecified || level == "" {
		level = LevelInfo
	}
	switch {
	case !q.Since.IsZero() && e.Time.Before(q.Since),
		!q.Until.IsZero() && e.Time.After(q.Until),
		q.Version != "" && e.VersionID != q.Version,
		q.RequestID != "" && e.RequestID != q.RequestID,
		q.Contains != "" && !strings.Contains(e.Message, q.Contains),
		q.MinLevel != "" && slices.Index(levels, level) < slices.Index(levels, q.MinLevel):
		return false
	}
	return true
}

// Logs returns entries of a function's log, oldest first, those of calls that
// have ended included. Without a store, it has what happened of late in this
// process.
//
// # Errors
//
// *NotFoundError, *InvalidError, ErrStoreUnavailable.
func (h *Host) Logs(ctx context.Context, q LogQuery) ([]LogEntry, error) {
	if q.Limit == 0 {
		q.Limit = DefaultLogLimit
	}
	entries := []LogEntry{}
	err := h.readLog(ctx, q, false, func(e LogEntry) error {
		if len(entries) >= 2*q.Limit {
			entries = slices.Delete(entries, 0, len(entries)-q.Limit)
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries[max(0, len(entries)-q.Limit):], nil
}

// FollowLogs passes on the entries of a function's log that there are and then
// those that come, until ctx ends or yield returns an error, which it returns.
// The query's Limit does not matter.
//
// # Errors
//
// Those of Logs, ctx's, *QuotaError, ErrClosed.
func (h *Host) FollowLogs(ctx context.Context, q LogQuery, yield func(LogEntry) error) error {
	f, err := h.lookup(q.Function)
	if err != nil {
		return err
	}
	tenant := f.snapshot(h).Tenant
	if err := h.ledger.Take(tenant, quota.LogStream, 1); err != nil {
		return err
	}
	defer h.ledger.Give(tenant, quota.LogStream, 1)
	return h.readLog(ctx, q, true, yield)
}

func (h *Host) readLog(ctx context.Context, q LogQuery, follow bool, each func(LogEntry) error) error {
	if err := q.validate(); err != nil {
		return err
	}
	f, err := h.lookup(q.Function)
	if err != nil {
		return err
	}
	wanted := func(e LogEntry) error {
		if !q.wants(&e) {
			return nil
		}
		return each(e)
	}
	if h.cfg.Store == nil || f.transient {
		return h.book.readMemory(ctx, f.snapshot(h).Tenant, f.id, follow, wanted)
	}
	h.book.flush(ctx)
	return h.book.readStore(ctx, f.id, q.Since, follow, wanted)
}

// recorder returns what takes the log entries of a version.
func (h *Host) recorder(v *Version) func(LogEntry) {
	return func(e LogEntry) {
		h.cfg.Logs(e)
		h.book.add(e, v.Tenant, v.SHA256 != "")
	}
}

// remark writes an entry of the platform's own about a function, outside of any
// call.
func (h *Host) remark(f *function, level Level, message string, payload any) {
	e := LogEntry{Time: time.Now(), FunctionID: f.id, Level: level, Message: message, System: true}
	e.Payload, _ = json.Marshal(payload) // plain data always marshals
	h.cfg.Logs(e)
	h.book.add(e, f.snapshot(h).Tenant, !f.transient)
}
