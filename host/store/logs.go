package store

import (
	"context"
	"time"
)

// MaxReadAhead is how many bytes of batches a reader of a log holds, at most. It is
// twice what a batch may have.
const MaxReadAhead = 2 << 20

// Logs holds a log for each function: batches of bytes, bounded in age and, all
// logs together, in size. Safe for concurrent use.
type Logs interface {
	// Append adds a batch to a function's log. It blocks until the batch is
	// stored. If there is no room, old batches are dropped.
	//
	// # Errors
	//
	// ErrUnavailable.
	Append(ctx context.Context, functionID string, batch []byte) error

	// Read passes the batches of a function's log stored since a time to each,
	// oldest first; they must not be modified. With follow it continues with
	// new batches, and so blocks until ctx ends, each returns an error or the
	// store is closed; a log that is deleted meanwhile starts over.
	//
	// # Errors
	//
	// What each returns; ctx's; ErrUnavailable.
	Read(ctx context.Context, functionID string, since time.Time, follow bool, each func(batch []byte) error) error

	// Trim removes all but the newest batches of a function's log.
	//
	// # Errors
	//
	// ErrUnavailable.
	Trim(ctx context.Context, functionID string, keep int) error

	// Delete removes a function's log. A missing one is not an error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, functionID string) error

	// Sizes returns how many batches each function's log has, and the average
	// size of a batch in bytes.
	//
	// # Errors
	//
	// ErrUnavailable.
	Sizes(ctx context.Context) (batches map[string]uint64, average int64, err error)

	// Capacity returns how many bytes all logs together may occupy.
	Capacity() int64
}
