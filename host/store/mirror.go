package store

import (
	"context"
	"errors"
	"sync"
)

// Mirror is a bucket's records in this process's memory, as its news have them. What this
// process changes it knows at once, and news of before don't take it back. Safe for
// concurrent use; only changes block.
type Mirror[T any] struct {
	bucket  Bucket
	decode  func(Entry) (T, bool)
	unwatch func()

	mu      sync.RWMutex // guards what follows; nothing blocks under it
	seen    uint64       // the revision of the last news
	records map[string]*Mirrored[T]
	deleted map[string]uint64 // by this process: the revision that it knew, until the news say more
}

// Mirrored is a record with the revision that the store gave it. It is replaced as a whole,
// never modified.
type Mirrored[T any] struct {
	Record   T
	revision uint64
}

// NewMirror returns a bucket's mirror once all that is there was given to decode, which
// also reports whether it can be read. What can't leaves what was known.
//
// # Errors
//
// ErrUnavailable.
func NewMirror[T any](ctx context.Context, b Bucket, decode func(Entry) (T, bool)) (*Mirror[T], error) {
	m := &Mirror[T]{bucket: b, decode: decode, records: map[string]*Mirrored[T]{}, deleted: map[string]uint64{}}
	stop, err := b.Watch(ctx, m.learn, func() {})
	if err != nil {
		return nil, err
	}
	m.unwatch = stop
	return m, nil
}

// Close ends the news.
func (m *Mirror[T]) Close() { m.unwatch() }

func (m *Mirror[T]) learn(e Entry) {
	var record T
	if !e.Deleted {
		var ok bool
		if record, ok = m.decode(e); !ok {
			return
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = max(m.seen, e.Revision)
	if known := m.records[e.Key]; e.Revision <= m.deleted[e.Key] || known != nil && e.Revision <= known.revision {
		return
	}
	delete(m.deleted, e.Key)
	if e.Deleted {
		delete(m.records, e.Key)
	} else {
		m.records[e.Key] = &Mirrored[T]{record, e.Revision}
	}
}

// keep takes over what this process has written, unless the news are further.
func (m *Mirror[T]) keep(key string, record T, revision uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.records[key]; revision > m.seen && (known == nil || revision > known.revision) {
		m.records[key] = &Mirrored[T]{record, revision}
	}
}

// Get returns the record of a key, nil if there is none.
func (m *Mirror[T]) Get(key string) *Mirrored[T] {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.records[key]
}

// Fetch returns the record of a key as the store has it, of which news may be under way;
// nil if there is none.
//
// # Errors
//
// ErrCorrupt, ErrUnavailable.
func (m *Mirror[T]) Fetch(ctx context.Context, key string) (*Mirrored[T], error) {
	e, err := m.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	record, ok := m.decode(e)
	if !ok {
		return nil, ErrCorrupt
	}
	return &Mirrored[T]{record, e.Revision}, nil
}

// Select returns the records for which match holds, in no order.
func (m *Mirror[T]) Select(match func(*T) bool) []*Mirrored[T] {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []*Mirrored[T]
	for _, r := range m.records {
		if match(&r.Record) {
			found = append(found, r)
		}
	}
	return found
}

// Create sets the record of a key that has none.
//
// # Errors
//
// Those of Bucket.Create.
func (m *Mirror[T]) Create(ctx context.Context, key string, record T) error {
	revision, err := m.bucket.Create(ctx, key, Record(record))
	if err == nil {
		m.keep(key, record, revision)
	}
	return err
}

// Update replaces an old record, unless somebody else has.
//
// # Errors
//
// Those of Bucket.Update.
func (m *Mirror[T]) Update(ctx context.Context, key string, record T, old *Mirrored[T]) error {
	revision, err := m.bucket.Update(ctx, key, Record(record), old.revision)
	if err == nil {
		m.keep(key, record, revision)
	}
	return err
}

// Delete removes the record of a key, whatever it is by now.
//
// # Errors
//
// Those of Bucket.Delete.
func (m *Mirror[T]) Delete(ctx context.Context, key string) error {
	old := m.Get(key)
	if err := m.bucket.Delete(ctx, key); err != nil || old == nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[key] == old {
		delete(m.records, key)
		m.deleted[key] = old.revision
	}
	return nil
}
