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

// MaxLogBytes bounds what Logs returns, in bytes of text: of more, the oldest
// entries are left out.
const MaxLogBytes = 16 << 20

// Logs returns entries of a function's log, oldest first, those of calls that
// have ended included. Without a store, it has what happened of late in this
// process.
//
// # Errors
//
// *NotFoundError, *InvalidError, *QuotaError, ErrBusy, ErrStoreUnavailable.
func (h *Host) Logs(ctx context.Context, q LogQuery) (entries []LogEntry, err error) {
	err = h.ReadLogs(ctx, q, func(read []LogEntry, _ bool) error { entries = read; return nil })
	return entries, err
}

// ReadLogs calls use with what Logs returns, and says if there was more than
// MaxLogBytes. Use may take as long as a reader does: until it returns, the
// entries count as memory of the function's tenant.
//
// # Errors
//
// Those of Logs and use's.
func (h *Host) ReadLogs(ctx context.Context, q LogQuery, use func(entries []LogEntry, cut bool) error) error {
	if q.Limit == 0 {
		q.Limit = DefaultLogLimit
	}
	f, err := h.lookup(q.Function)
	if err != nil {
		return err
	}
	tenant := f.snapshot(h).Tenant
	g := logWindow{limit: q.Limit, entries: []LogEntry{}, take: func(n int) error {
		return ledgerError(h.ledger.Take(tenant, quota.LogBuffer, int64(n)))
	}}
	defer func() { h.ledger.Give(tenant, quota.LogBuffer, int64(g.taken)) }()
	if err := h.readLog(ctx, q, false, g.add); err != nil {
		return err
	}
	return use(g.entries[g.first:], g.cut)
}

// logWindow keeps the newest of the entries that it is given.
type logWindow struct {
	limit   int // of entries
	take    func(bytes int) error
	entries []LogEntry
	first   int // before it are those that were dropped
	bytes   int
	taken   int  // what take was asked for
	cut     bool // some were dropped because of their bytes
}

// add adds an entry. The error is take's.
func (w *logWindow) add(e LogEntry) error {
	const step = 64 << 10
	w.entries = append(w.entries, e)
	w.bytes += e.size()
	for len(w.entries)-w.first > w.limit || w.bytes > MaxLogBytes {
		w.cut = w.cut || len(w.entries)-w.first <= w.limit
		w.bytes -= w.entries[w.first].size()
		w.entries[w.first] = LogEntry{}
		w.first++
	}
	if w.first > len(w.entries)/2 {
		w.entries, w.first = slices.Delete(w.entries, 0, w.first), 0
	}
	for w.bytes > w.taken {
		if err := w.take(step); err != nil {
			return err
		}
		w.taken += step
	}
	return nil
}

// size returns about how much memory an entry takes, in bytes.
func (e *LogEntry) size() int { return len(e.Message) + len(e.Payload) + 2*entryBytes }

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
