// Package logs keeps functions' execution logs (contract §8).
//
// A Call turns each line that one call prints to its two streams into an Entry;
// the platform's own entries (START, END, REPORT, ERROR) take the same path. A
// Book receives the entries. Those of stored functions are collected for a
// moment and stored as a batch, since each write waits for the disk; of
// transient functions the most recent entries stay in memory. A Query selects
// entries to read, or to follow.
//
// No call waits for its log. What a tenant logs displaces only its own older
// entries, never another tenant's (tally.go).
package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

const (
	// What is kept in memory for a tenant.
	maxRecent      = 10_000
	maxRecentBytes = 16 << 20
	// maxRecentAll bounds what is kept in memory for all tenants, in bytes.
	maxRecentAll = 256 << 20
	// readAtOnce is how many entries a reader copies under the mutex.
	readAtOnce = 64
)

// Book keeps execution logs: in the store, and the most recent entries of
// transient functions in memory. No call waits for it. Safe for concurrent use.
type Book struct {
	*Journal
	echo func(Entry)

	// The journal's mutex guards the members below.
	recent   map[string]*recentLog // by tenant: entries of transient functions
	inMemory int                   // bytes in recent
	changed  chan struct{}         // closed when recent gains an entry; nil when nobody waits for that
}

// recentLog is a tenant's newest entries.
type recentLog struct {
	entries []Entry
	first   int // number of the first entry
	size    int // bytes
}

// memorySize returns the approximate memory of an entry, in bytes.
func (e *Entry) memorySize() int { return entryBytes + len(e.Message) + len(e.Payload) }

// keep trims the log to a number of entries and of bytes, and returns how many
// bytes that frees.
func (l *recentLog) keep(entries, size int) (freed int) {
	drop := 0
	for drop < len(l.entries) && (len(l.entries)-drop > entries || l.size-freed > size) {
		freed += l.entries[drop].memorySize()
		drop++
	}
	l.entries = slices.Delete(l.entries, 0, drop)
	if cap(l.entries) > 4*len(l.entries) {
		l.entries = slices.Clone(l.entries)
	}
	l.first, l.size = l.first+drop, l.size-freed
	return freed
}

// Config tells New where logs go.
type Config struct {
	Store  *store.Store // must stay open until the book is closed
	Ledger *quota.Ledger
	Log    *slog.Logger // receives what only the operator can fix
	Echo   func(Entry)  // also receives each entry; should be quick. May be nil
}

// New returns a book. Close it.
func New(cfg Config) *Book {
	return &Book{
		Journal: NewJournal(JournalConfig{Logs: cfg.Store.Logs, Ledger: cfg.Ledger, Quota: quota.LogBytes, Log: cfg.Log}),
		echo:    cfg.Echo, recent: map[string]*recentLog{},
	}
}

// remember keeps an entry in memory, within the bounds for its tenant and for
// all: whoever has most loses first.
func (b *Book) remember(tenant string, e Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.recent[tenant]
	if l == nil {
		l = &recentLog{}
		b.recent[tenant] = l
	}
	l.entries = append(l.entries, e)
	l.size += e.memorySize()
	b.inMemory += e.memorySize()
	// Trimming moves what is left, so it waits until there is twice as much as is kept.
	if len(l.entries) >= 2*maxRecent || l.size >= 2*maxRecentBytes {
		b.inMemory -= l.keep(maxRecent, maxRecentBytes)
	}
	if b.inMemory > maxRecentAll {
		for _, other := range b.recent {
			if other.size > l.size {
				l = other
			}
		}
		b.inMemory -= l.keep(maxRecent, l.size/2)
	}
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Add adds an entry.
func (b *Book) Add(o Owner, e Entry) {
	if b.echo != nil {
		b.echo(e)
	}
	if o.Transient {
		b.remember(o.Tenant, e)
		return
	}
	w := encoders.Get().(*encoder)
	defer encoders.Put(w)
	if line, ok := w.line(e); ok {
		b.AddLine(o, line)
	}
	w.entry = Entry{}
}

// encoder makes lines of entries.
type encoder struct {
	entry Entry
	text  bytes.Buffer
	json  *json.Encoder
}

// line returns an entry as a line of JSON, until the next one. The payload is as
// encoding/json would write it; it would check it once more, and a large one takes long.
func (w *encoder) line(e Entry) (line []byte, ok bool) {
	w.text.Reset()
	w.entry, w.entry.Payload = e, nil
	if w.json.Encode(&w.entry) != nil {
		return nil, false
	}
	if len(e.Payload) > 0 {
		w.text.Truncate(w.text.Len() - len("}\n"))
		w.text.WriteString(`,"json_payload":`)
		w.text.Write(e.Payload)
		w.text.WriteString("}\n")
	}
	return w.text.Bytes(), true
}

// encoders are for all who add entries: what one call would keep for its own is little
// used, and made anew for each line it is garbage.
var encoders = sync.Pool{New: func() any {
	w := &encoder{}
	w.json = json.NewEncoder(&w.text)
	return w
}}

// readMemory passes on a function's entries in memory and, with follow, new
// ones.
func (b *Book) readMemory(
	ctx context.Context, tenant, functionID string, follow bool, each func(Entry) error,
) error {
	next, end := 0, 0 // end is where the log ended when the reader came
	entries := make([]Entry, 0, readAtOnce)
	for {
		clear(entries)
		entries = entries[:0]
		b.mu.Lock()
		if l := b.recent[tenant]; l != nil {
			if next == 0 {
				end = l.first + len(l.entries)
			}
			next = max(next, l.first) // the others were dropped before this reader came to them
			left := l.entries[next-l.first:]
			entries = append(entries, left[:min(len(left), readAtOnce)]...)
		}
		if len(entries) == 0 && b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		next += len(entries)
		for _, e := range entries {
			if e.FunctionID == functionID {
				if err := each(e); err != nil {
					return err
				}
			}
		}
		switch {
		case !follow && (next >= end || len(entries) == 0):
			return nil
		case len(entries) > 0:
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-b.ended.Done():
			return fault.ErrClosed
		}
	}
}

// readStore passes on a function's entries in the store.
func (b *Book) readStore(
	ctx context.Context, functionID string, since time.Time, follow bool, each func(Entry) error,
) error {
	return b.ReadLines(ctx, functionID, since, follow, func(line []byte) error {
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			return nil // not one of ours
		}
		return each(e)
	})
}
