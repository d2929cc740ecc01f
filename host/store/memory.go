package store

import (
	"cmp"
	"context"
	"fmt"
	"sync"
)

// Defaults for Config in Memory, where they differ from Open's.
const (
	DefaultMemoryBytes      = 1 << 30   // MaxBytes: of buckets and code
	DefaultMemoryLogBytes   = 64 << 20  // LogBytes
	DefaultMemoryCallBytes  = 32 << 20  // CallBytes
	DefaultMemoryQueueBytes = 128 << 20 // QueueBytes
)

// memory is what the parts of a store in memory share.
type memory struct {
	room  room // for the buckets and for code
	once  sync.Once
	ended chan struct{} // closed by close
}

// Memory returns an empty store in the memory of this process, which ends with
// it. It uses the bounds in cfg. They count actual bytes, including approximate
// overheads; an empty store costs next to nothing and runs nothing.
//
// No method blocks, except those that call functions of the caller's; they hold
// no lock meanwhile. The only possible failure is lack of room: ErrUnavailable.
// The longest log makes room for the others. The latest 131,072 IDs are
// remembered.
func Memory(cfg Config) *Store {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, DefaultMemoryBytes)
	cfg.LogBytes = cmp.Or(cfg.LogBytes, DefaultMemoryLogBytes)
	cfg.CallBytes = cmp.Or(cfg.CallBytes, DefaultMemoryCallBytes)
	cfg.QueueBytes = cmp.Or(cfg.QueueBytes, DefaultMemoryQueueBytes)
	cfg = cfg.withDefaults()
	m := &memory{room: room{most: cfg.MaxBytes}, ended: make(chan struct{})}
	s := &Store{
		Exclusive: true, backend: m,
		Code:       &memCode{memory: m, archives: map[string]memArchive{}},
		Logs:       newMemLogs(m, cfg.LogAge, cfg.LogBytes),
		Calls:      newMemLogs(m, cfg.LogAge, cfg.CallBytes),
		Queue:      &memQueue{memory: m, most: cfg.QueueBytes, ackWait: cfg.ackWait, lines: map[Line]*memLine{}},
		Letters:    &memLetters{memory: m, most: cfg.QueueBytes, age: cfg.DeadAge},
		Operations: &memOperations{memory: m, most: cfg.CallBytes / operationShare},
		Notices:    &memNotices{memory: m, listeners: map[chan []byte]bool{}},
	}
	for _, b := range s.buckets() {
		*b.into = newMemBucket(m)
	}
	return s
}

// open returns nil until close, then ErrUnavailable.
func (m *memory) open() error {
	select {
	case <-m.ended:
		return fmt.Errorf("%w: closed", ErrUnavailable)
	default:
		return nil
	}
}

func (m *memory) ready(context.Context) error { return m.open() }

func (m *memory) fresh() error { return nil }

func (m *memory) close() { m.once.Do(func() { close(m.ended) }) }

// room counts bytes. Safe for concurrent use.
type room struct {
	most int64

	mu   sync.Mutex // guards used
	used int64
}

// reserve takes n bytes, or gives them back if n is negative.
//
// # Errors
//
// ErrUnavailable.
func (r *room) reserve(n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if free := r.most - r.used; n > max(free, 0) {
		return fmt.Errorf("%w: %d bytes do not fit into the %d that are free in memory; delete old versions, or use "+
			"a data directory", ErrUnavailable, n, max(free, 0))
	}
	r.used += n
	return nil
}
