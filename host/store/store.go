// Package store keeps what hosts must not forget: functions, their code, their
// logs and the calls that are queued. It knows bytes and keys, not what they
// mean.
//
// A Store is made of parts, each of which is an interface:
//
//   - Bucket: keys and values. A value changes only if nobody has changed it
//     since it was read.
//   - Code: archives, named by their SHA-256.
//   - Logs: a log of batches per function, bounded in age and size.
//   - Queue: calls that wait to be made, in a line for each function; each is
//     given out until somebody says that it is done.
//   - Letters: dead letters, which are calls that nobody could make.
//
// Two stores have them, and keep all that the interfaces promise.
//
// Open keeps them in NATS JetStream. The server runs inside this process and
// listens on no port, unless the URL of another one is given; from there on
// nothing differs. What a method has confirmed is on the disk (of the server in
// this process; another one answers for itself). Each request to the server takes
// ten seconds at most, and a second more for each MiB of code. Archives are
// checked against their names when they are read, and a bucket that has lost
// records says so (DamageError): records that are missing are something else than
// records that were deleted. When the disk was full and has room again, the server
// in this process goes on by itself; another one has to be started again.
//
// Memory keeps them in the memory of this process, for as long as that runs.
package store

import (
	"context"
	"errors"
	"fmt"

	"vivarium/host/fault"
)

// Errors for callers to branch on.
var (
	// ErrNotFound says that there is no such key or object.
	ErrNotFound = errors.New("store: not found")
	// ErrRevision says that a value is not, or no longer, what the caller takes
	// it for.
	ErrRevision error = failure("store: changed by somebody else")
	// ErrUnavailable says that the store gave no answer, or has no room. A
	// change may or may not have happened.
	ErrUnavailable error = failure("store: unavailable")
	// ErrCorrupt says that code is not what its name says.
	ErrCorrupt = errors.New("store: code is damaged")
)

// failure is an error that is fault.ErrUnavailable to all who know nothing of stores.
type failure string

func (e failure) Error() string { return string(e) }

// Kind returns fault.Unavailable.
func (e failure) Kind() fault.Kind { return fault.Unavailable }

// Is reports whether target is the error of that kind.
func (e failure) Is(target error) bool { return target == fault.ErrUnavailable }

// Store is an open store. Safe for concurrent use.
type Store struct {
	Functions Bucket // by id
	Versions  Bucket // by id
	Names     Bucket // function ids by name; TENANT/NAME outside of the default tenant
	Timers    Bucket // by name, in the same way
	Keys      Bucket // by id
	Quotas    Bucket // by tenant

	Code    Code
	Logs    Logs
	Queue   Queue
	Letters Letters

	// Exclusive says that no other process uses the store, so what is left over
	// in it nobody is about to need.
	Exclusive bool
	// Durable says that the store survives the process.
	Durable bool

	backend backend
}

// backend is what a store's parts have in common.
type backend interface {
	ready(ctx context.Context) error
	close()
}

// bucket is a bucket of a store.
type bucket struct {
	name string
	into *Bucket
}

// buckets returns where the buckets of a store belong.
func (s *Store) buckets() []bucket {
	return []bucket{
		{"functions", &s.Functions}, {"versions", &s.Versions}, {"names", &s.Names},
		{"timers", &s.Timers}, {"keys", &s.Keys}, {"quotas", &s.Quotas},
	}
}

// Ready says if the store answers.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error { return s.backend.ready(ctx) }

// Close ends those who watch and follow, the connection, the server in this
// process, and the lock. From then on all errors are ErrUnavailable. It is
// idempotent.
func (s *Store) Close() { s.backend.close() }

// unavailable wraps an error of the server's about a thing.
func unavailable(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
