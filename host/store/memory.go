package store

import (
	"cmp"
	"context"
	"fmt"
	"sync"
)

// Defaults of Config for Memory, where they are others than for Open.
const (
	DefaultMemoryBytes      = 1 << 30   // MaxBytes: of buckets and code
	DefaultMemoryLogBytes   = 64 << 20  // LogBytes
	DefaultMemoryQueueBytes = 128 << 20 // QueueBytes
)

// memory is what the parts of a store in memory have in common.
type memory struct {
	room  room // of the buckets and of code
	once  sync.Once
	ended chan struct{} // closed by close
}

// Memory returns an empty store in the memory of this process, which ends with
// it. Of cfg it takes the bounds. They are taken up byte by byte, with what a thing
// takes besides what it is, about; an empty store costs next to nothing and runs
// nothing.
//
// No method blocks, but for those that call functions of the caller's: they hold
// no lock meanwhile. The only fault that there can be is that there is no room:
// ErrUnavailable. Of logs, the longest makes room for the others. Of IDs, the
// latest 131,072 are known.
func Memory(cfg Config) *Store {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, DefaultMemoryBytes)
	cfg.LogBytes = cmp.Or(cfg.LogBytes, DefaultMemoryLogBytes)
	cfg.QueueBytes = cmp.Or(cfg.QueueBytes, DefaultMemoryQueueBytes)
	cfg = cfg.withDefaults()
	m := &memory{room: room{most: cfg.MaxBytes}, ended: make(chan struct{})}
	s := &Store{
		Exclusive: true, backend: m,
		Code:    &memCode{memory: m, archives: map[string]memArchive{}},
		Logs:    newMemLogs(m, cfg.LogAge, cfg.LogBytes),
		Queue:   &memQueue{memory: m, most: cfg.QueueBytes, ackWait: cfg.ackWait, lines: map[Line]*memLine{}},
		Letters: &memLetters{memory: m, most: cfg.QueueBytes, age: cfg.DeadAge},
	}
	for _, b := range s.buckets() {
		*b.into = newMemBucket(m)
	}
	return s
}

// open is nil until close, and then ErrUnavailable.
func (m *memory) open() error {
	select {
	case <-m.ended:
		return fmt.Errorf("%w: closed", ErrUnavailable)
	default:
		return nil
	}
}

func (m *memory) ready(context.Context) error { return m.open() }

func (m *memory) close() { m.once.Do(func() { close(m.ended) }) }

// room counts bytes. Safe for concurrent use.
type room struct {
	most int64

	mu   sync.Mutex // guards used
	used int64
}

// take takes so many bytes, or gives them back when there are less than 0.
//
// # Errors
//
// ErrUnavailable.
func (r *room) take(n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if free := r.most - r.used; n > max(free, 0) {
		return fmt.Errorf("%w: %d bytes do not fit into the %d that are free in memory; delete old versions, or keep "+
			"what there is in a directory", ErrUnavailable, n, max(free, 0))
	}
	r.used += n
	return nil
}
