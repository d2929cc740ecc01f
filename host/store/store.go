// Package store keeps what hosts must not forget: functions, their code, their
// logs and their queued calls. It knows bytes and keys, not what they mean.
//
// A Store consists of parts, each of which is an interface:
//
//   - Bucket: keys and values. A value is updated only if nobody has changed it since
//     it was read.
//   - Code: archives, named by their SHA-256.
//   - Logs: a log of batches per function, bounded in age and size. The history of calls
//     is kept in the same way.
//   - Queue: calls that wait to be made, in a line for each function; each is handed
//     out until it is reported done.
//   - Letters: dead letters, which are calls that could not be made.
//   - Operations: what became of changes.
//   - Notices: what processes tell each other, kept nowhere.
//
// There are two implementations, and both keep all that the interfaces promise.
//
// Open keeps the store in NATS JetStream. The server runs inside this process
// and listens on no port, unless the URL of another one is given; otherwise the
// two do not differ. What a method has confirmed is on disk (for the server in
// this process; others answer for themselves). Of several servers one may fail, or
// stand still: what is asked of them is asked again until the others have taken over,
// within fifteen seconds and the caller's deadline, and has been done once when it
// is answered. Code may take two seconds more for each MiB. What must not be missed or out
// of date is asked of the server that decides on it, since the others learn of changes later;
// and processes tell each other of changes, since none of the servers says that it is late in
// doing so (news.go). Archives are checked
// against their names when they are read, and a bucket that has lost records
// reports it (DamageError): missing records are not the same as deleted ones.
// After the disk was full, the server in this process recovers by itself;
// others must be restarted.
//
// Memory keeps the store in the memory of this process.
package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"vivarium/host/fault"
)

// Errors for callers to branch on.
var (
	// ErrNotFound means that there is no such key or object.
	ErrNotFound = errors.New("store: not found")
	// ErrRevision means that a value is not, or no longer, what the caller
	// expected.
	ErrRevision error = failure("store: changed concurrently")
	// ErrUnavailable means that the store did not answer, or has no room. A
	// change may or may not have happened.
	ErrUnavailable error = failure("store: unavailable")
	// ErrCorrupt means that an archive does not match its name.
	ErrCorrupt = errors.New("store: code is damaged")
)

// failure is an error that callers who know nothing of stores see as
// fault.ErrUnavailable.
type failure string

func (e failure) Error() string { return string(e) }

// Kind returns fault.Unavailable.
func (e failure) Kind() fault.Kind { return fault.Unavailable }

// Is reports whether target is fault.ErrUnavailable.
func (e failure) Is(target error) bool { return target == fault.ErrUnavailable }

// Store is an open store. Safe for concurrent use.
type Store struct {
	Functions Bucket // by id
	Versions  Bucket // by id
	Names     Bucket // function ids by name; TENANT/NAME outside of the default tenant
	Timers    Bucket // by name, likewise
	Keys      Bucket // by id
	Quotas    Bucket // by tenant
	Secrets   Bucket // by name, as timers
	Accounts  Bucket // by id

	Code       Code
	Logs       Logs
	Calls      Logs // the history of calls
	Queue      Queue
	Letters    Letters
	Operations Operations
	Notices    Notices

	// Exclusive means that no other process uses the store, so leftovers in it
	// are not about to be needed.
	Exclusive bool
	// Durable means that the store survives the process.
	Durable bool

	backend backend
	epoch   string // see Revision; empty if Exclusive
}

// backend is what a store's parts share.
type backend interface {
	ready(ctx context.Context) error
	fresh() error
	close()
}

// bucket is a bucket of a store.
type bucket struct {
	name string
	into *Bucket
}

// buckets returns a store's buckets and their fields.
func (s *Store) buckets() []bucket {
	return []bucket{
		{"functions", &s.Functions}, {"versions", &s.Versions}, {"names", &s.Names},
		{"timers", &s.Timers}, {"keys", &s.Keys}, {"quotas", &s.Quotas}, {"secrets", &s.Secrets},
		{"accounts", &s.Accounts},
	}
}

// Ready returns an error unless the store answers, and is known as it is.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error { return cmp.Or(s.Fresh(), s.backend.ready(ctx)) }

// Damage returns what the buckets are known to lack, a *DamageError for each that lacks something,
// or nil. It does not block.
func (s *Store) Damage() error {
	var found []error
	for _, b := range s.buckets() {
		found = append(found, (*b.into).Damage())
	}
	return errors.Join(found...)
}

// Fresh returns an error if the store has not answered for longer than
// Config.MaxStale: what others have changed meanwhile, such as a key that they have
// deleted, is not known. It does not block.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Fresh() error { return s.backend.fresh() }

// Close ends watches, follows, the connection, the server in this process, and
// the lock. From then on all errors are ErrUnavailable. It is idempotent.
func (s *Store) Close() { s.backend.close() }

// Record encodes a record for a bucket. Records are plain data, which always encodes.
func Record(r any) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return b
}

// unavailable wraps an error of the server's.
func unavailable(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
