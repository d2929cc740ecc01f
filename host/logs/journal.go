package logs

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
	"vivarium/host/throttle"
)

const (
	// interval is how long lines are collected before they are stored, since
	// each write waits for the disk.
	interval    = 50 * time.Millisecond
	batchSize   = 256 << 10 // bytes that complete a batch
	maxUnstored = 64 << 20  // bytes that may wait for an unavailable store
	retry       = time.Second
	patience    = time.Minute // of those who wait for lines to be stored
	lossRate    = 0.1         // warnings per second for each tenant

	// Per tenant: bytes that may wait for the store.
	maxUnstoredOf = maxUnstored / 4
)

// JournalConfig tells NewJournal where lines go.
type JournalConfig struct {
	Logs     store.Logs // must stay open until the journal is closed
	Ledger   *quota.Ledger
	Quota    quota.Quota   // bounds the bytes that the store has of a tenant's
	Log      *slog.Logger  // receives what only the operator can fix
	Lines    string        // what the lines are, in messages: "log entries" by default
	Interval time.Duration // how long lines are collected; 0 means 50 ms
	// LinesOf is how many lines are kept of a function at least, and BytesOf how many
	// bytes at most; the oldest go first. 0 means no bound.
	LinesOf int
	BytesOf int64
}

// Journal keeps lines of text in a store, for each function, in batches. Nobody who adds
// lines waits. Safe for concurrent use.
type Journal struct {
	cfg    JournalConfig
	store  store.Logs
	log    *slog.Logger
	ledger *quota.Ledger
	losses *throttle.Throttle
	missed atomic.Int64 // lines dropped since the start
	failed atomic.Bool  // the last batch could not be stored, yet

	mu       sync.Mutex         // guards all below; nothing blocks under it
	unstored map[Owner][][]byte // batches
	sizes    map[string]int     // bytes in unstored by tenant
	size     int                // of all tenants
	lost     map[string]int     // lines dropped for lack of room, by tenant
	tally    tally

	wake    chan struct{}        // of capacity 1: something is unstored
	flushes chan chan<- struct{} // waiters for everything to be stored
	ended   context.Context      // when Close begins
	end     context.CancelFunc   //
	storing sync.WaitGroup       //
}

// NewJournal returns a journal. Close it.
func NewJournal(cfg JournalConfig) *Journal {
	cfg.Lines = cmp.Or(cfg.Lines, "log entries")
	cfg.Interval = cmp.Or(cfg.Interval, interval)
	j := &Journal{
		cfg: cfg, store: cfg.Logs, log: cfg.Log, ledger: cfg.Ledger,
		losses: throttle.New(lossRate, 1), wake: make(chan struct{}, 1), flushes: make(chan chan<- struct{}),
		tally:    tally{tenants: map[string]map[string]*storedLog{}},
		unstored: map[Owner][][]byte{}, sizes: map[string]int{}, lost: map[string]int{},
	}
	j.ended, j.end = context.WithCancel(context.Background())
	j.storing.Go(j.keepStoring)
	return j
}

// AddLine adds a line, which ends with a newline and has no other, and stays the
// caller's. It is dropped when too much waits for the store.
func (j *Journal) AddLine(o Owner, line []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size+len(line) > maxUnstored || j.sizes[o.Tenant]+len(line) > maxUnstoredOf {
		j.lost[o.Tenant]++ // waiting for room would hold up the call
		j.missed.Add(1)
		return
	}
	j.size += len(line)
	j.sizes[o.Tenant] += len(line)
	batches := j.unstored[o]
	switch n := len(batches); {
	case n == 0:
		batches = append(batches, nil)
	case len(batches[n-1])+len(line) > batchSize: // this one is going to be as long
		batches = append(batches, make([]byte, 0, batchSize))
	}
	n := len(batches)
	batches[n-1] = append(batches[n-1], line...)
	j.unstored[o] = batches
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Missed returns how many lines were dropped since the start.
func (j *Journal) Missed() int64 { return j.missed.Load() }

// keepStoring stores lines as they come, until Close, and then the rest.
func (j *Journal) keepStoring() {
	for {
		var waiting chan<- struct{}
		select {
		case <-j.wake:
			timer := time.NewTimer(j.cfg.Interval)
			select {
			case <-timer.C:
			case waiting = <-j.flushes:
			case <-j.ended.Done():
			}
			timer.Stop()
		case waiting = <-j.flushes:
		case <-j.ended.Done():
			j.storeAll()
			return
		}
		j.storeAll()
		if waiting != nil {
			close(waiting)
		}
	}
}

// storeAll stores everything unstored. It waits for an unavailable store,
// except after Close.
func (j *Journal) storeAll() {
	j.mu.Lock()
	// size still counts what is taken here: it stays in memory until it is stored.
	unstored, lost := j.unstored, j.lost
	j.unstored, j.lost = map[Owner][][]byte{}, map[string]int{}
	j.mu.Unlock()
	for tenant, n := range lost {
		if ok, dropped := j.losses.Allow(tenant, 1); ok {
			j.log.Error(j.cfg.Lines+" lost: the store did not keep up", "tenant", tenant, "entries", n,
				"dropped", dropped)
		}
	}
	for owner, batches := range unstored {
		for _, batch := range batches {
			stored := j.storeBatch(owner.Function, batch)
			j.mu.Lock()
			j.size -= len(batch)
			if j.sizes[owner.Tenant] -= len(batch); j.sizes[owner.Tenant] == 0 {
				delete(j.sizes, owner.Tenant)
			}
			if stored {
				j.tally.add(owner.Tenant, owner.Function, int64(len(batch))+batchBytes, bytes.Count(batch, []byte{'\n'}))
			}
			j.mu.Unlock()
		}
		j.trimOf(owner)
		j.trim(owner.Tenant)
	}
}

// storeBatch stores a batch and reports whether it could.
func (j *Journal) storeBatch(functionID string, batch []byte) bool {
	for attempt := 0; ; attempt++ {
		err := j.store.Append(context.Background(), functionID, batch)
		j.failed.Store(err != nil)
		if err == nil {
			return true
		}
		if j.ended.Err() != nil {
			j.log.Error(j.cfg.Lines+" lost", "function", functionID, "error", err)
			return false
		}
		if attempt == 0 {
			j.log.Error(j.cfg.Lines+" not stored; retrying", "function", functionID, "error", err)
		}
		select {
		case <-time.After(retry):
		case <-j.ended.Done():
		}
	}
}

// Flush waits until what was added before is stored. It does not wait for long for a
// store that fails: one that is slow would have those who read next miss lines.
func (j *Journal) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(2 * retry)
	defer look.Stop()
	done, begin, ended := make(chan struct{}), j.flushes, j.ended.Done()
	for {
		select {
		case begin <- done:
			begin, ended = nil, nil // what is being stored is still stored at the end
		case <-done:
			return
		case <-look.C:
			if j.failed.Load() {
				return
			}
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// ReadLines passes on the lines that the store has of a function, oldest first, and with
// follow those that come; each must not keep them. It begins with the batches that were
// stored since a time.
//
// # Errors
//
// What each returns, ctx's, fault.ErrUnavailable, fault.ErrClosed.
func (j *Journal) ReadLines(
	ctx context.Context, functionID string, since time.Time, follow bool, each func(line []byte) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.ended, cancel)()
	err := j.store.Read(ctx, functionID, since, follow, func(batch []byte) error {
		for line := range bytes.Lines(batch) {
			if err := each(line); err != nil {
				return err
			}
		}
		return nil
	})
	if j.ended.Err() != nil {
		return fault.ErrClosed
	}
	return err
}

// Close stores what is left. Nothing may be added afterwards.
func (j *Journal) Close() {
	j.end()
	j.storing.Wait()
}
