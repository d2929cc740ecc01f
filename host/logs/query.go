package logs

import (
	"context"
	"slices"
	"strings"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
)

// DefaultLimit is how many entries Read passes on unless the query says
// otherwise; MaxLimit is the most.
const (
	DefaultLimit = 1000
	MaxLimit     = 100_000
)

// Query chooses entries of a function's execution log. The zero value of a
// member means that it does not matter.
type Query struct {
	Version   string // id
	Since     time.Time
	Until     time.Time
	MinLevel  Level // entries without a level count as LevelInfo
	Contains  string
	RequestID string
	Limit     int // of the newest entries; 0 means DefaultLimit
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

// wants says if an entry is one of those.
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
		q.Contains != "" && !strings.Contains(e.Message, q.Contains),
		q.MinLevel != "" && slices.Index(Levels, level) < slices.Index(Levels, q.MinLevel):
		return false
	}
	return true
}

// MaxBytes bounds what Read passes on, in bytes of text: of more, the oldest
// entries are left out.
const MaxBytes = 16 << 20

// Owner is whose log entries belong to.
type Owner struct {
	Tenant   string
	Function string // id
	// Transient functions are in memory alone, and so is their log.
	Transient bool
}

// Read calls use with the entries of a function's log, oldest first, those of calls
// that have ended included, and reports whether there was more than MaxBytes. Use
// may take as long as a reader does: until it returns, the entries count as memory
// of the tenant. Without a store, there is what happened of late in this process.
//
// # Errors
//
// *fault.InvalidError, *quota.Error, fault.ErrExhausted, fault.ErrUnavailable, and
// use's.
func (b *Book) Read(ctx context.Context, o Owner, q Query, use func(entries []Entry, cut bool) error) error {
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	w := window{limit: q.Limit, entries: []Entry{}, take: func(n int) error {
		return b.ledger.Take(o.Tenant, quota.LogBuffer, int64(n))
	}}
	defer func() { b.ledger.Give(o.Tenant, quota.LogBuffer, int64(w.taken)) }()
	if err := b.read(ctx, o, q, false, w.add); err != nil {
		return err
	}
	return use(w.entries[w.first:], w.cut)
}

// Follow passes on the entries of a function's log that there are and then those
// that come, until ctx ends or yield returns an error, which it returns. The query's
// Limit does not matter.
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
	b.Flush(ctx)
	return b.readStore(ctx, o.Function, q.Since, follow, wanted)
}

// window keeps the newest of the entries that it is given.
type window struct {
	limit   int // of entries
	take    func(bytes int) error
	entries []Entry
	first   int // before it are those that were dropped
	bytes   int
	taken   int  // what take was asked for
	cut     bool // some were dropped because of their bytes
}

// add adds an entry. The error is take's.
func (w *window) add(e Entry) error {
	const step = 64 << 10
	w.entries = append(w.entries, e)
	w.bytes += e.size()
	for len(w.entries)-w.first > w.limit || w.bytes > MaxBytes {
		w.cut = w.cut || len(w.entries)-w.first <= w.limit
		w.bytes -= w.entries[w.first].size()
		w.entries[w.first] = Entry{}
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
func (e *Entry) size() int { return len(e.Message) + len(e.Payload) + 2*entryBytes }
