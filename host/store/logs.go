package store

import (
	"context"
	"time"
)

// Logs holds a log for each function: batches of bytes, bounded in age and, all
// logs together, in size. Safe for concurrent use.
type Logs interface {
	// Append adds a batch to a function's log. It blocks until the batch is
	// stored. When there is no room, old batches give way.
	//
	// # Errors
	//
	// ErrUnavailable.
	Append(ctx context.Context, functionID string, batch []byte) error

	// Read passes on the batches of a function's log that were stored since a
	// time, oldest first; they are not to be changed. With follow it goes on with
	// those that come, and so blocks until ctx ends, each returns an error or the
	// store is closed; a log that is deleted meanwhile begins anew.
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

	// Delete removes a function's log; one that is not there is no error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, functionID string) error

	// Sizes tells how many batches of each function's log there are, and how many
	// bytes a batch takes on average.
	//
	// # Errors
	//
	// ErrUnavailable.
	Sizes(ctx context.Context) (batches map[string]uint64, average int64, err error)

	// Capacity returns how many bytes all logs together may take.
	Capacity() int64
}
