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
	"sync"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
	"vivarium/host/throttle"
)

const (
	// interval is how long entries are collected before they are stored, since
	// each write waits for the disk.
	interval    = 50 * time.Millisecond
	batchSize   = 256 << 10 // bytes that complete a batch
	maxUnstored = 64 << 20  // bytes that may wait for an unavailable store
	retry       = time.Second
	lossRate    = 0.1 // warnings per second for each tenant

	// Per tenant: bytes that may wait for the store, and what is kept in
	// memory.
	maxUnstoredOf  = maxUnstored / 4
	maxRecent      = 10_000
	maxRecentBytes = 16 << 20
	// maxRecentAll bounds what is kept in memory for all tenants, in bytes.
	maxRecentAll = 256 << 20
)

// Book keeps execution logs: in the store, and the most recent entries of
// transient functions in memory. No call waits for it. Safe for concurrent use.
type Book struct {
	store  *store.Store
	echo   func(Entry)
	log    *slog.Logger
	ledger *quota.Ledger
	losses *throttle.Throttle

	mu       sync.Mutex         // guards all below; nothing blocks under it
	unstored map[Owner][][]byte // batches, lines of JSON each
	sizes    map[string]int     // bytes in unstored by tenant
	size     int                // of all tenants
	lost     map[string]int     // entries dropped for lack of room, by tenant
	tally    tally
	recent   map[string]*recentLog // by tenant: entries of transient functions
	inMemory int                   // bytes in recent
	changed  chan struct{}         // closed when recent gains an entry
	wake     chan struct{}         // of capacity 1: something is unstored
	flushes  chan chan<- struct{}  // waiters for everything to be stored
	ended    context.Context       // when Close begins
	end      context.CancelFunc    //
	storing  sync.WaitGroup        //
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
	// A copy: readers use the old entries without the mutex, and what is dropped is to
	// be freed.
	l.entries = append([]Entry(nil), l.entries[drop:]...)
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
	b := &Book{
		store: cfg.Store, log: cfg.Log, ledger: cfg.Ledger, echo: cfg.Echo,
		losses: throttle.New(lossRate, 1), changed: make(chan struct{}), wake: make(chan struct{}, 1),
		flushes: make(chan chan<- struct{}), tally: tally{tenants: map[string]map[string]*storedLog{}},
		unstored: map[Owner][][]byte{}, sizes: map[string]int{}, lost: map[string]int{}, recent: map[string]*recentLog{},
	}
	b.ended, b.end = context.WithCancel(context.Background())
	b.storing.Go(b.keepStoring)
	return b
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
	// Trimming copies, so it waits until there is twice as much as is kept.
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
	close(b.changed)
	b.changed = make(chan struct{})
}

// Add adds an entry.
func (b *Book) Add(o Owner, e Entry) {
	if b.echo != nil {
		b.echo(e)
	}
	tenant := o.Tenant
	if o.Transient {
		b.remember(tenant, e)
		return
	}
	line, err := json.Marshal(e)
	if err != nil { // the payload was checked when it was parsed
		return
	}
	line = append(line, '\n')
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size+len(line) > maxUnstored || b.sizes[tenant]+len(line) > maxUnstoredOf {
		b.lost[tenant]++ // waiting for room would hold up the call
		return
	}
	b.size += len(line)
	b.sizes[tenant] += len(line)
	batches := b.unstored[o]
	if n := len(batches); n == 0 || len(batches[n-1])+len(line) > batchSize {
		batches = append(batches, nil)
	}
	n := len(batches)
	batches[n-1] = append(batches[n-1], line...)
	b.unstored[o] = batches
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// keepStoring stores entries as they come, until Close, and then the rest.
func (b *Book) keepStoring() {
	for {
		var waiting chan<- struct{}
		select {
		case <-b.wake:
			timer := time.NewTimer(interval)
			select {
			case <-timer.C:
			case waiting = <-b.flushes:
			case <-b.ended.Done():
			}
			timer.Stop()
		case waiting = <-b.flushes:
		case <-b.ended.Done():
			b.storeAll()
			return
		}
		b.storeAll()
		if waiting != nil {
			close(waiting)
		}
	}
}

// storeAll stores everything unstored. It waits for an unavailable store,
// except after Close.
func (b *Book) storeAll() {
	b.mu.Lock()
	// size still counts what is taken here: it stays in memory until it is stored.
	unstored, lost := b.unstored, b.lost
	b.unstored, b.lost = map[Owner][][]byte{}, map[string]int{}
	b.mu.Unlock()
	for tenant, n := range lost {
		if ok, dropped := b.losses.Allow(tenant, 1); ok {
			b.log.Error("log entries lost: the store did not keep up", "tenant", tenant, "entries", n,
				"dropped", dropped)
		}
	}
	for owner, batches := range unstored {
		for _, batch := range batches {
			stored := b.storeBatch(owner.Function, batch)
			b.mu.Lock()
			b.size -= len(batch)
			if b.sizes[owner.Tenant] -= len(batch); b.sizes[owner.Tenant] == 0 {
				delete(b.sizes, owner.Tenant)
			}
			if stored {
				b.tally.add(owner.Tenant, owner.Function, int64(len(batch))+batchBytes)
			}
			b.mu.Unlock()
		}
		b.trim(owner.Tenant)
	}
}

// storeBatch stores a batch and reports whether it could.
func (b *Book) storeBatch(functionID string, batch []byte) bool {
	for attempt := 0; ; attempt++ {
		err := b.store.Logs.Append(context.Background(), functionID, batch)
		if err == nil {
			return true
		}
		if b.ended.Err() != nil {
			b.log.Error("log entries lost", "function", functionID, "error", err)
			return false
		}
		if attempt == 0 {
			b.log.Error("log not stored; retrying", "function", functionID, "error", err)
		}
		select {
		case <-time.After(retry):
		case <-b.ended.Done():
		}
	}
}

// Flush waits, for a little while at most, until what was added before is
// stored.
func (b *Book) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*retry)
	defer cancel()
	done := make(chan struct{})
	select {
	case b.flushes <- done:
	case <-b.ended.Done():
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// readMemory passes on a function's entries in memory and, with follow, new
// ones.
func (b *Book) readMemory(
	ctx context.Context, tenant, functionID string, follow bool, each func(Entry) error,
) error {
	next := 0
	for {
		b.mu.Lock()
		var entries []Entry
		if l := b.recent[tenant]; l != nil {
			next = max(next, l.first) // the others were dropped before this reader came to them
			entries = l.entries[next-l.first:]
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
		if !follow {
			return nil
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ended, cancel)()
	err := b.store.Logs.Read(ctx, functionID, since, follow, func(batch []byte) error {
		for line := range bytes.Lines(batch) {
			var e Entry
			if json.Unmarshal(line, &e) != nil {
				continue // not one of ours
			}
			if err := each(e); err != nil {
				return err
			}
		}
		return nil
	})
	if b.ended.Err() != nil {
		return fault.ErrClosed
	}
	return err
}

// Close stores what is left. Nothing may be added afterwards.
func (b *Book) Close() {
	b.end()
	b.storing.Wait()
}
