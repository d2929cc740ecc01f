package store

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// memBucket is a Bucket in memory.
type memBucket struct {
	*memory

	mu       sync.Mutex // guards all below; nothing blocks under it
	entries  map[string]Entry
	last     uint64 // revision
	watchers map[*memWatcher]bool
}

func newMemBucket(m *memory) *memBucket {
	return &memBucket{memory: m, entries: map[string]Entry{}, watchers: map[*memWatcher]bool{}}
}

// entryBytes is the approximate overhead of an entry.
const entryBytes = 256

func entrySize(e Entry) int64 { return entryBytes + int64(len(e.Key)+len(e.Value)) }

func (*memBucket) Damage() error { return nil }

func (b *memBucket) Get(_ context.Context, key string) (Entry, error) {
	if err := b.open(); err != nil {
		return Entry{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[key]
	if !ok {
		return Entry{}, ErrNotFound
	}
	return e, nil
}

func (b *memBucket) Create(_ context.Context, key string, value []byte) (uint64, error) {
	return b.set(key, value, func(_ Entry, there bool) bool { return !there })
}

func (b *memBucket) Update(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return b.set(key, value, func(e Entry, there bool) bool { return there && e.Revision == revision })
}

func (b *memBucket) Put(_ context.Context, key string, value []byte) error {
	_, err := b.set(key, value, func(Entry, bool) bool { return true })
	return err
}

// set sets the value of a key if wanted accepts the old one.
func (b *memBucket) set(key string, value []byte, wanted func(old Entry, there bool) bool) (revision uint64, err error) {
	if err := b.open(); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, there := b.entries[key]
	if !wanted(old, there) {
		return 0, ErrRevision
	}
	e := Entry{Key: key, Value: bytes.Clone(value), Revision: b.last + 1, Created: time.Now()}
	need := entrySize(e)
	if there {
		need -= entrySize(old)
	}
	if err := b.room.reserve(need); err != nil {
		return 0, err
	}
	b.last++
	b.entries[key] = e
	b.tell(e)
	return e.Revision, nil
}

func (b *memBucket) Delete(_ context.Context, key string) error {
	if err := b.open(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, there := b.entries[key]; there {
		b.remove(old)
	}
	return nil
}

func (b *memBucket) DeleteRevision(_ context.Context, key string, revision uint64) error {
	if err := b.open(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, there := b.entries[key]
	if !there || old.Revision != revision {
		return ErrRevision
	}
	b.remove(old)
	return nil
}

// remove removes an entry. The caller holds the mutex.
func (b *memBucket) remove(old Entry) {
	_ = b.room.reserve(-entrySize(old)) // giving back never fails
	delete(b.entries, old.Key)
	b.last++
	b.tell(Entry{Key: old.Key, Revision: b.last, Created: time.Now(), Deleted: true})
}

func (b *memBucket) All(context.Context) ([]Entry, error) {
	if err := b.open(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return inOrder(b.entries), nil
}

// inOrder returns entries in order of revision.
func inOrder(entries map[string]Entry) []Entry {
	return slices.SortedFunc(maps.Values(entries), func(x, y Entry) int { return cmp.Compare(x.Revision, y.Revision) })
}

// memWatcher watches a bucket.
type memWatcher struct {
	// news are changes not yet passed on, by key: a slow watcher costs no more
	// than an entry per key.
	news map[string]Entry // guarded by the bucket's mutex
	wake chan struct{}    // of capacity 1: there is news
}

// tell records a change for all watchers. The caller holds the mutex.
func (b *memBucket) tell(e Entry) {
	for w := range b.watchers {
		w.news[e.Key] = e
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (b *memBucket) Watch(_ context.Context, each func(Entry), present func()) (stop func(), err error) {
	if err := b.open(); err != nil {
		return nil, err
	}
	w := &memWatcher{news: map[string]Entry{}, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	there := inOrder(b.entries)
	b.watchers[w] = true
	b.mu.Unlock()
	for _, e := range there {
		each(e)
	}
	present()
	var following sync.WaitGroup
	stopped := make(chan struct{})
	following.Go(func() {
		defer b.leave(w)
		for {
			select {
			case <-w.wake:
			case <-stopped:
				return
			case <-b.ended:
				return
			}
			for _, e := range b.drain(w) {
				each(e)
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stopped)
		following.Wait()
	}), nil
}

// drain returns a watcher's news, in order.
func (b *memBucket) drain(w *memWatcher) []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := inOrder(w.news)
	clear(w.news)
	return news
}

func (b *memBucket) leave(w *memWatcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watchers, w)
}
