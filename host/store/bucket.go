package store

import (
	"context"
	"time"
)

// Bucket holds values by key. Safe for concurrent use.
type Bucket interface {
	// Get returns the value of a key.
	//
	// # Errors
	//
	// ErrNotFound, ErrUnavailable.
	Get(ctx context.Context, key string) (Entry, error)

	// Create gives a value to a key that has none, and returns its revision.
	//
	// # Errors
	//
	// ErrRevision when it has one, ErrUnavailable.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)

	// Update changes a value whose revision is still the given one, and returns
	// the new one.
	//
	// # Errors
	//
	// ErrRevision, ErrUnavailable.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)

	// Put gives a key a value, whatever it had.
	//
	// # Errors
	//
	// ErrUnavailable.
	Put(ctx context.Context, key string, value []byte) error

	// Delete removes a key; one that is not there is no error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, key string) error

	// All returns all keys with their values.
	//
	// # Errors
	//
	// ErrUnavailable.
	All(ctx context.Context) ([]Entry, error)

	// Watch calls each for all keys that are there, in order of revision unless
	// the bucket is damaged, calls then present, and returns; from then on
	// another goroutine calls each for every change, in that order too. Of changes
	// of one key that come while each is running, the last may be the only one that
	// it is told of. The function that Watch returns ends that, and waits until
	// each is not running.
	//
	// # Errors
	//
	// ErrUnavailable.
	Watch(ctx context.Context, each func(Entry), present func()) (stop func(), err error)

	// Damage says if the bucket lacks what it should have: a *DamageError, or nil.
	// It is known best after Watch or All.
	Damage() error
}

// Entry is a key with its value.
type Entry struct {
	Key      string
	Value    []byte // not to be changed
	Revision uint64 // grows with each change in the bucket
	Created  time.Time
	Deleted  bool // the key is no more
}
