package host

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"vivarium/host/store"
)

const (
	// logInterval is how long entries gather before they are stored together:
	// each store waits for the disk.
	logInterval = 50 * time.Millisecond
	logBatch    = 256 << 10 // bytes that make a batch complete
	maxUnstored = 32 << 20  // bytes that wait for a store that is not there
	maxRecent   = 10_000    // entries that are kept in memory
	logRetry    = time.Second
)

// logBook keeps execution logs: in the store, else the most recent entries in
// memory. No call waits for it. Safe for concurrent use.
type logBook struct {
	store *store.Store // nil: memory alone
	log   *slog.Logger

	mu       sync.Mutex           // guards all below; nothing blocks under it
	unstored map[string][][]byte  // batches by function id, lines of JSON each
	size     int                  // bytes in unstored
	lost     int                  // entries that there was no room for
	recent   []LogEntry           // of functions that are in no store
	first    int                  // number of the first entry in recent
	changed  chan struct{}        // closed when recent gets an entry
	wake     chan struct{}        // of capacity 1: something is unstored
	flushes  chan chan<- struct{} // who waits until all is stored
	ended    context.Context      // when Close begins
	end      context.CancelFunc   //
	storing  sync.WaitGroup       //
}

func newLogBook(s *store.Store, log *slog.Logger) *logBook {
	b := &logBook{
		store: s, log: log, unstored: map[string][][]byte{}, changed: make(chan struct{}),
		wake: make(chan struct{}, 1), flushes: make(chan chan<- struct{}),
	}
	b.ended, b.end = context.WithCancel(context.Background())
	if s != nil {
		b.storing.Go(b.keepStoring)
	}
	return b
}

// add takes an entry. Those of functions that are in no store stay in memory.
func (b *logBook) add(e LogEntry, stored bool) {
	if !stored || b.store == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.recent = append(b.recent, e); len(b.recent) >= 2*maxRecent {
			drop := len(b.recent) - maxRecent
			b.recent, b.first = append([]LogEntry(nil), b.recent[drop:]...), b.first+drop
		}
		close(b.changed)
		b.changed = make(chan struct{})
		return
	}
	line, err := json.Marshal(e)
	if err != nil { // the payload was checked when it was read
		return
	}
	line = append(line, '\n')
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size+len(line) > maxUnstored {
		b.lost++
		return
	}
	b.size += len(line)
	batches := b.unstored[e.FunctionID]
	if n := len(batches); n == 0 || len(batches[n-1])+len(line) > logBatch {
		batches = append(batches, nil)
	}
	n := len(batches)
	batches[n-1] = append(batches[n-1], line...)
	b.unstored[e.FunctionID] = batches
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// keepStoring stores what comes, until Close, and then what is left.
func (b *logBook) keepStoring() {
	for {
		var waiting chan<- struct{}
		select {
		case <-b.wake:
			timer := time.NewTimer(logInterval)
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

// storeAll stores what there is. A store that is not there it waits for, except
// after Close.
func (b *logBook) storeAll() {
	b.mu.Lock()
	unstored, lost := b.unstored, b.lost
	b.unstored, b.lost = map[string][][]byte{}, 0
	b.mu.Unlock()
	if lost > 0 {
		b.log.Error("log entries lost: the store took none for too long", "entries", lost)
	}
	for functionID, batches := range unstored {
		for _, batch := range batches {
			b.storeBatch(functionID, batch)
			b.mu.Lock()
			b.size -= len(batch)
			b.mu.Unlock()
		}
	}
}

func (b *logBook) storeBatch(functionID string, batch []byte) {
	for attempt := 0; ; attempt++ {
		err := b.store.AppendLog(context.Background(), functionID, batch)
		if err == nil {
			return
		}
		if b.ended.Err() != nil {
			b.log.Error("log entries lost", "function", functionID, "err", err)
			return
		}
		if attempt == 0 {
			b.log.Error("log not stored; trying again", "function", functionID, "err", err)
		}
		select {
		case <-time.After(logRetry):
		case <-b.ended.Done():
		}
	}
}

// flush waits until what was added before is stored, or for a little while.
func (b *logBook) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*logRetry)
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

// readMemory passes on the entries of a function that are in memory, and with
// follow those that come.
func (b *logBook) readMemory(ctx context.Context, functionID string, follow bool, each func(LogEntry) error) error {
	next := 0
	for {
		b.mu.Lock()
		next = max(next, b.first)
		entries := b.recent[next-b.first:]
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
			return ErrClosed
		}
	}
}

// readStore passes on the entries of a function that are in the store.
func (b *logBook) readStore(
	ctx context.Context, functionID string, since time.Time, follow bool, each func(LogEntry) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ended, cancel)()
	err := b.store.ReadLog(ctx, functionID, since, follow, func(batch []byte) error {
		for line := range bytes.Lines(batch) {
			var e LogEntry
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
		return ErrClosed
	}
	return storeError(err)
}

// close stores what is left. Nobody may add anything after it.
func (b *logBook) close() {
	b.end()
	b.storing.Wait()
}
