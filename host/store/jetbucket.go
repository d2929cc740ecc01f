package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long deletions are remembered, for watchers.
const markerTTL = time.Hour

// jetBucket is a Bucket.
type jetBucket struct {
	name   string
	kv     jetstream.KeyValue
	stream jetstream.Stream
	marks  *marks // nil: not recorded

	// alone means that nobody else writes to the bucket, so its contents are
	// known.
	alone bool
	write sync.Mutex // held during a change if alone; may block on the store

	mu     sync.Mutex        // guards the members below; nothing blocks under it
	keys   map[string]uint64 // existing keys with their revisions; nil if unknown
	damage error
}

func (b *jetBucket) Damage() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.damage
}

func (b *jetBucket) damaged(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.damage == nil {
		e := &DamageError{Bucket: b.name, Reason: fmt.Sprintf(format, args...)}
		if b.marks != nil {
			e.Marks = b.marks.path
		}
		b.damage = e
	}
}

// state returns the bucket's last revision and its number of records, including
// those of deleted keys.
func (b *jetBucket) state(ctx context.Context) (last, records uint64, err error) {
	info, err := b.stream.Info(ctx)
	if err != nil {
		return 0, 0, err
	}
	return info.State.LastSeq, info.State.Msgs, nil
}

// judge compares what was read of a bucket at some revision with what should be
// there: all records, and as many as its mark says.
func (b *jetBucket) judge(ctx context.Context, revision, read uint64, keys map[string]uint64) {
	if b.alone {
		b.write.Lock()
		defer b.write.Unlock()
	}
	last, records, err := b.state(ctx)
	if err != nil || last != revision {
		return // changed concurrently
	}
	if read < records { // more: markers of deleted keys have expired meanwhile
		b.damaged("%d of %d records are unreadable", records-read, records)
	}
	b.mu.Lock()
	first := b.keys == nil
	if b.alone {
		b.keys = keys
	}
	b.mu.Unlock()
	if b.marks == nil || !first {
		return
	}
	k, ok, _ := b.marks.get(b.name)
	if now := markOf(last, keys); b.alone && ok && k.Revision == last && k.Keys >= 0 && k != now {
		b.damaged("only %d of %d records are unchanged", now.Keys, k.Keys)
	}
	b.note(last)
}

// note records how far the bucket has come. What was lost stays on record.
func (b *jetBucket) note(revision uint64) {
	if b.marks == nil || b.Damage() != nil {
		return
	}
	b.mu.Lock()
	k := mark{Revision: revision, Keys: -1}
	if b.keys != nil {
		k = markOf(revision, b.keys)
	}
	b.mu.Unlock()
	if old, ok, _ := b.marks.get(b.name); !ok || revision >= old.Revision {
		b.marks.set(b.name, k)
	}
}

// change changes a key, after which it exists or not, and records the change.
func (b *jetBucket) change(ctx context.Context, key string, there bool, make func(context.Context) (uint64, error)) (uint64, error) {
	if b.alone {
		b.write.Lock()
		defer b.write.Unlock()
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	revision, err := make(ctx)
	if err = b.fault(err); errors.Is(err, ErrRevision) {
		return revision, err
	}
	b.mu.Lock()
	switch {
	case b.keys == nil:
	case err != nil: // the change may have happened
		b.keys = nil
	case there:
		b.keys[key] = revision
	default:
		delete(b.keys, key)
	}
	b.mu.Unlock()
	if err == nil {
		b.note(revision)
	}
	return revision, err
}

// openBucket opens a bucket, creating it if it is missing. The marks, if any,
// tell whether it should have existed.
func (j *jet) openBucket(ctx context.Context, name string, cfg Config, marks *marks) (*jetBucket, error) {
	opening, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	kv, err := j.js.CreateOrUpdateKeyValue(opening, jetstream.KeyValueConfig{
		Bucket: prefix + name, Replicas: cfg.Replicas, Storage: jetstream.FileStorage, LimitMarkerTTL: markerTTL,
	})
	if err != nil {
		return nil, unavailable(name, err)
	}
	b := &jetBucket{name: name, kv: kv, marks: marks, alone: j.exclusive && marks != nil}
	if b.stream, err = j.js.Stream(opening, "KV_"+prefix+name); err != nil {
		return nil, unavailable(name, err)
	}
	if marks == nil {
		return b, nil
	}
	k, ok, wrong := marks.get(name)
	last := b.stream.CachedInfo().State.LastSeq
	switch {
	case wrong != nil:
		b.damaged("%v", wrong)
	case ok && last < k.Revision:
		b.damaged("the last change is number %d; it was %d", last, k.Revision)
	}
	if !b.alone {
		return b, nil
	}
	_, err = b.All(ctx) // learns the bucket's contents
	return b, err
}

func (b *jetBucket) Get(ctx context.Context, key string) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	e, err := b.kv.Get(ctx, key)
	if err != nil {
		return Entry{}, b.fault(err)
	}
	return entry(e), nil
}

func (b *jetBucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return b.change(ctx, key, true, func(ctx context.Context) (uint64, error) { return b.kv.Create(ctx, key, value) })
}

func (b *jetBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if revision == 0 { // the server would create the key
		return 0, ErrRevision
	}
	return b.change(ctx, key, true, func(ctx context.Context) (uint64, error) { return b.kv.Update(ctx, key, value, revision) })
}

func (b *jetBucket) Put(ctx context.Context, key string, value []byte) error {
	_, err := b.change(ctx, key, true, func(ctx context.Context) (uint64, error) { return b.kv.Put(ctx, key, value) })
	return err
}

func (b *jetBucket) Delete(ctx context.Context, key string) error {
	_, err := b.change(ctx, key, false, func(ctx context.Context) (uint64, error) {
		if err := b.kv.Purge(ctx, key, jetstream.PurgeTTL(markerTTL)); err != nil || !b.alone {
			return 0, err
		}
		last, _, err := b.state(ctx)
		return last, err
	})
	return err
}

func (b *jetBucket) Watch(ctx context.Context, each func(Entry), present func()) (stop func(), err error) {
	before, _, err := b.state(ctx)
	if err != nil {
		return nil, b.fault(err)
	}
	// The client keeps a goroutine until this context ends, even after Close.
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	w, err := b.kv.WatchAll(watching)
	if err != nil {
		return nil, b.fault(err)
	}
	timeout := time.NewTimer(watchPatience)
	defer timeout.Stop()
	read, keys := uint64(0), map[string]uint64{}
	take := func(e Entry) {
		read++
		if !e.Deleted {
			keys[e.Key] = e.Revision
		}
		each(e)
	}
	for ended := false; !ended; {
		select {
		case e := <-w.Updates():
			if ended = e == nil; !ended {
				timeout.Reset(watchPatience)
				take(entry(e))
			}
		case <-ctx.Done():
			_ = w.Stop()
			return nil, b.fault(ctx.Err())
		case <-timeout.C:
			// The server silently stops before a record that it can't read.
			_ = w.Stop()
			if w, err = b.kv.WatchAll(watching, jetstream.UpdatesOnly()); err != nil {
				return nil, b.fault(err)
			}
			read, keys, ended = 0, map[string]uint64{}, true
			if err := b.readEach(ctx, take); err != nil {
				_ = w.Stop()
				return nil, err
			}
		}
	}
	b.judge(ctx, before, read, keys)
	present()
	var following sync.WaitGroup
	ended := make(chan struct{})
	following.Go(func() {
		defer cancel()
		for {
			select {
			case e, ok := <-w.Updates():
				if !ok {
					return
				}
				if e != nil {
					each(entry(e))
				}
			case <-ended:
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(ended)
		_ = w.Stop() // the connection may be gone
		following.Wait()
	}), nil
}

// watchPatience is how long to wait for the server's next record before reading
// them one by one.
const watchPatience = 2 * time.Second

// readEach reads record by record, in no particular order, and skips those that
// can't be read.
func (b *jetBucket) readEach(ctx context.Context, each func(Entry)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const subject = "$KV." + prefix
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return b.fault(err)
	}
	for name := range info.State.Subjects {
		key := strings.TrimPrefix(name, subject+b.name+".")
		e, err := b.kv.Get(ctx, key)
		switch {
		case err == nil:
			each(entry(e))
		case errors.Is(err, jetstream.ErrKeyDeleted):
			each(Entry{Key: key, Deleted: true})
		case ctx.Err() != nil:
			return b.fault(ctx.Err())
		default:
			b.damaged("the record of %s is unreadable", key)
		}
	}
	return nil
}

func (b *jetBucket) All(ctx context.Context) ([]Entry, error) {
	var all []Entry
	complete, known := false, map[string]bool{}
	stop, err := b.Watch(ctx, func(e Entry) {
		if !complete && !e.Deleted && !known[e.Key] { // one may come twice
			all, known[e.Key] = append(all, e), true
		}
	}, func() { complete = true })
	if err != nil {
		return nil, err
	}
	stop()
	return all, nil
}

func entry(e jetstream.KeyValueEntry) Entry {
	return Entry{
		Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Created: e.Created(),
		Deleted: e.Operation() != jetstream.KeyValuePut,
	}
}

// wrongLastSequence are the error codes for a value that has changed.
var wrongLastSequence = []jetstream.ErrorCode{jetstream.JSErrCodeStreamWrongLastSequence, 10164}

func (b *jetBucket) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return ErrNotFound
	case errors.Is(err, jetstream.ErrKeyExists):
		return ErrRevision
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(wrongLastSequence, api.ErrorCode) {
		return ErrRevision
	}
	return unavailable(b.name, err)
}
