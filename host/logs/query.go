package logs

import (
	"context"
	"slices"
	"strings"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// DefaultLimit is how many entries Read passes on unless the query sets a
// limit; MaxLimit is the highest.
const (
	DefaultLimit = 1000
	MaxLimit     = 100_000
)

// Query selects entries of a function's execution log. Zero members select
// everything.
type Query struct {
	Version   string // id
	Since     time.Time
	Until     time.Time
	MinLevel  Level  // entries without a level count as LevelInfo
	Contains  string // in upper or lower case
	RequestID string
	Limit     int // keep only the newest; 0 means DefaultLimit
}

func (q Query) validate() error {
	switch {
	case q.MinLevel != "" && !slices.Contains(Levels, q.MinLevel):
		return fault.Invalidf("level", "%.80q must be one of %v", q.MinLevel, Levels)
	case q.Limit < 0 || q.Limit > MaxLimit:
		return fault.Invalidf("limit", "%d must be between 1 and %d", q.Limit, MaxLimit)
	case !q.Until.IsZero() && q.Until.Before(q.Since):
		return fault.Invalidf("until", "%s must not be before since, %s", q.Until.Format(time.RFC3339), q.Since.Format(time.RFC3339))
	}
	return nil
}

// wants reports whether the query selects an entry.
func (q *Query) wants(e *Entry) bool {
	level := e.Level
	if level == LevelUnspecified || level == "" {
		level = LevelInfo
	}
	switch {
	case !q.Since.IsZero() && e.Time.Before(q.Since),
		!q.Until.IsZero() && e.Time.After(q.Until),
		q.Version != "" && e.VersionID != q.Version,
		q.RequestID != "" && e.RequestID != q.RequestID,
		q.Contains != "" && !strings.Contains(strings.ToLower(e.Message), strings.ToLower(q.Contains)),
		q.MinLevel != "" && slices.Index(Levels, level) < slices.Index(Levels, q.MinLevel):
		return false
	}
	return true
}

// MaxBytes bounds the text that Read passes on, in bytes: beyond it, the oldest
// entries are left out.
const MaxBytes = 16 << 20

// Owner is the function that log entries belong to.
type Owner struct {
	Tenant   string
	Function string // id
	// Transient functions exist only in memory, and so do their logs.
	Transient bool
}

// Read calls use with the entries of a function's log, oldest first, including
// those of calls that have just ended, and reports whether entries were cut to
// stay within MaxBytes. Use may take as long as a reader does: until it
// returns, the entries count against the tenant's memory. Without a store,
// recent entries of this process are all there is.
//
// # Errors
//
// *fault.InvalidError, *quota.Error, fault.ErrExhausted, fault.ErrUnavailable,
// and use's.
func (b *Book) Read(ctx context.Context, o Owner, q Query, use func(entries []Entry, cut bool) error) error {
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	w := window{limit: q.Limit, entries: []Entry{}, reserve: func(n int) error {
		return b.ledger.Take(o.Tenant, quota.LogBuffer, int64(n))
	}}
	defer func() { b.ledger.Give(o.Tenant, quota.LogBuffer, int64(w.taken)) }()
	if err := b.read(ctx, o, q, false, w.add); err != nil {
		return err
	}
	return use(w.entries[w.first:], w.cut)
}

// Follow passes existing and then new entries of a function's log to yield,
// until ctx ends or yield returns an error, which Follow returns. It ignores
// the query's Limit.
//
// # Errors
//
// Those of Read, ctx's, fault.ErrClosed.
func (b *Book) Follow(ctx context.Context, o Owner, q Query, yield func(Entry) error) error {
	if err := b.ledger.Take(o.Tenant, quota.LogStream, 1); err != nil {
		return err
	}
	defer b.ledger.Give(o.Tenant, quota.LogStream, 1)
	return b.read(ctx, o, q, true, yield)
}

func (b *Book) read(ctx context.Context, o Owner, q Query, follow bool, each func(Entry) error) error {
	if err := q.validate(); err != nil {
		return err
	}
	wanted := func(e Entry) error {
		if !q.wants(&e) {
			return nil
		}
		return each(e)
	}
	if o.Transient {
		return b.readMemory(ctx, o.Tenant, o.Function, follow, wanted)
	}
	if err := b.ledger.Take(o.Tenant, quota.LogBuffer, store.MaxReadAhead); err != nil {
		return err
	}
	defer b.ledger.Give(o.Tenant, quota.LogBuffer, store.MaxReadAhead)
	b.Flush(ctx)
	return b.readStore(ctx, o.Function, q.Since, follow, wanted)
}

// window keeps the newest of the entries added to it.
type window struct {
	limit   int // maximum number of entries
	reserve func(bytes int) error
	entries []Entry
	first   int // entries before it were dropped
	bytes   int
	taken   int  // total requested from reserve
	cut     bool // some were dropped for their size
}

// add adds an entry. The error is reserve's.
func (w *window) add(e Entry) error {
	const step = 64 << 10
	w.entries = append(w.entries, e)
	w.bytes += e.size()
	for len(w.entries)-w.first > w.limit || w.bytes > MaxBytes {
		w.cut = w.cut || len(w.entries)-w.first <= w.limit
		w.bytes -= w.entries[w.first].size()
		w.entries[w.first] = Entry{} // frees its text
		w.first++
	}
	// Moving the rest costs as much as dropping as many did.
	if w.first > len(w.entries)/2 {
		w.entries, w.first = slices.Delete(w.entries, 0, w.first), 0
	}
	for w.bytes > w.taken {
		if err := w.reserve(step); err != nil {
			return err
		}
		w.taken += step
	}
	return nil
}

// size returns the approximate memory of an entry, in bytes.
func (e *Entry) size() int { return len(e.Message) + len(e.Payload) + 2*entryBytes }
