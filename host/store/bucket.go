package store

import (
	"context"
	"time"
)

// Bucket holds values by key. Safe for concurrent use.
type Bucket interface {
	// Get returns the value of a key, as it is after all changes that anybody has been
	// told are made.
	//
	// # Errors
	//
	// ErrNotFound, ErrUnavailable.
	Get(ctx context.Context, key string) (Entry, error)

	// Create sets the value of a key that has none, and returns its revision.
	//
	// # Errors
	//
	// ErrRevision if the key has a value, ErrUnavailable.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)

	// Update replaces a value if its revision is still the given one, and
	// returns the new revision.
	//
	// # Errors
	//
	// ErrRevision, ErrUnavailable.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)

	// Put sets the value of a key unconditionally.
	//
	// # Errors
	//
	// ErrUnavailable.
	Put(ctx context.Context, key string, value []byte) error

	// Delete removes a key. A missing key is not an error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, key string) error

	// DeleteRevision removes a key if the revision of its value is still the given
	// one.
	//
	// # Errors
	//
	// ErrRevision, ErrUnavailable.
	DeleteRevision(ctx context.Context, key string, revision uint64) error

	// All returns all keys with their values.
	//
	// # Errors
	//
	// ErrUnavailable.
	All(ctx context.Context) ([]Entry, error)

	// Watch calls each for all existing keys, in order of revision unless the
	// bucket is damaged, then calls present, and returns; from then on another
	// goroutine calls each for every change, also in order. Of several changes
	// to one key while each is running, only the last may be passed on. Of Keys the
	// deletion of a key may come before its turn, and then once more. The returned
	// function ends the watch and waits until each is not running.
	//
	// # Errors
	//
	// ErrUnavailable.
	Watch(ctx context.Context, each func(Entry), present func()) (stop func(), err error)

	// Damage returns a *DamageError if the bucket is known to lack something it
	// should have, or nil. It is most reliable after Watch or All.
	Damage() error
}

// Entry is a key with its value.
type Entry struct {
	Key      string
	Value    []byte // must not be modified
	Revision uint64 // grows with each change in the bucket
	Created  time.Time
	Deleted  bool // the key was deleted
}
