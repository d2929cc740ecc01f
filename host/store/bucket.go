package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long it is remembered that a key was deleted, for those who
// watch.
const markerTTL = time.Hour

// Bucket holds values by key. Safe for concurrent use.
type Bucket struct {
	name string
	kv   jetstream.KeyValue
}

// Entry is a key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64 // grows with each change in the bucket
	Created  time.Time
	Deleted  bool // the key is no more
}

func (s *Store) openBucket(ctx context.Context, name string, cfg Config) (*Bucket, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	kv, err := s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: prefix + name, Replicas: cfg.Replicas, Storage: jetstream.FileStorage, LimitMarkerTTL: markerTTL,
	})
	if err != nil {
		return nil, unavailable(name, err)
	}
	return &Bucket{name, kv}, nil
}

// Get returns the value of a key.
//
// # Errors
//
// ErrNotFound, ErrUnavailable.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	e, err := b.kv.Get(ctx, key)
	if err != nil {
		return Entry{}, b.fault(err)
	}
	return entry(e), nil
}

// Create gives a value to a key that has none, and returns its revision.
//
// # Errors
//
// ErrRevision when it has one, ErrUnavailable.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	revision, err := b.kv.Create(ctx, key, value)
	return revision, b.fault(err)
}

// Update changes a value whose revision is still the given one, and returns the
// new one.
//
// # Errors
//
// ErrRevision, ErrUnavailable.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	revision, err := b.kv.Update(ctx, key, value, revision)
	return revision, b.fault(err)
}

// Put gives a key a value, whatever it had.
//
// # Errors
//
// ErrUnavailable.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	_, err := b.kv.Put(ctx, key, value)
	return b.fault(err)
}

// Delete removes a key; one that is not there is no error.
//
// # Errors
//
// ErrUnavailable.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return b.fault(b.kv.Purge(ctx, key, jetstream.PurgeTTL(markerTTL)))
}

// Watch calls each for all keys that are there, in order of revision, calls
// then present, and returns; from then on another goroutine calls each for
// every change. The function that it returns ends that, and waits until each is
// not running.
//
// # Errors
//
// ErrUnavailable.
func (b *Bucket) Watch(ctx context.Context, each func(Entry), present func()) (stop func(), err error) {
	w, err := b.kv.WatchAll(context.WithoutCancel(ctx))
	if err != nil {
		return nil, b.fault(err)
	}
	timeout := time.NewTimer(opTimeout)
	defer timeout.Stop()
	for {
		var e jetstream.KeyValueEntry
		select {
		case e = <-w.Updates():
		case <-ctx.Done():
			_ = w.Stop()
			return nil, b.fault(ctx.Err())
		case <-timeout.C:
			_ = w.Stop()
			return nil, b.fault(errors.New("no answer"))
		}
		if e == nil {
			break
		}
		timeout.Reset(opTimeout)
		each(entry(e))
	}
	present()
	var following sync.WaitGroup
	ended := make(chan struct{})
	following.Go(func() {
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
		_ = w.Stop() // the connection may be gone already
		following.Wait()
	}), nil
}

// All returns all keys with their values.
//
// # Errors
//
// ErrUnavailable.
func (b *Bucket) All(ctx context.Context) ([]Entry, error) {
	var all []Entry
	complete := false
	stop, err := b.Watch(ctx, func(e Entry) {
		if !complete && !e.Deleted {
			all = append(all, e)
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

// wrongLastSequence are the codes for a value that has changed.
var wrongLastSequence = []jetstream.ErrorCode{jetstream.JSErrCodeStreamWrongLastSequence, 10164}

func (b *Bucket) fault(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return ErrNotFound
	case errors.Is(err, jetstream.ErrKeyExists):
		return ErrRevision
	case errors.As(err, &api):
		for _, code := range wrongLastSequence {
			if api.ErrorCode == code {
				return ErrRevision
			}
		}
	}
	return unavailable(b.name, err)
}
