package store

import "context"

// Letters holds dead letters: calls that could not be made. They expire. Safe
// for concurrent use.
type Letters interface {
	// Add adds a dead letter, unless it is there already, and returns its
	// sequence. If there is no room, the oldest ones are dropped: see Use.
	//
	// # Errors
	//
	// ErrUnavailable.
	Add(ctx context.Context, i Item) (sequence uint64, err error)

	// Get returns one dead letter.
	//
	// # Errors
	//
	// ErrNotFound, ErrUnavailable.
	Get(ctx context.Context, sequence uint64) (Item, error)

	// List passes dead letters to each, oldest first, until it returns false:
	// those of the given functions (all if none are given) with a sequence
	// greater than after.
	//
	// # Errors
	//
	// ErrUnavailable, ctx's.
	List(ctx context.Context, functionIDs []string, after uint64, each func(Item) (more bool)) error

	// Delete removes a dead letter. A missing one is not an error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, sequence uint64) error

	// Drop removes a function's dead letters up to the sequence last.
	//
	// # Errors
	//
	// ErrUnavailable.
	Drop(ctx context.Context, functionID string, last uint64) error

	// Sizes passes the approximate size of each dead letter to each, oldest
	// first.
	//
	// # Errors
	//
	// ErrUnavailable, ctx's.
	Sizes(ctx context.Context, each func(functionID string, sequence uint64, bytes int64)) error

	// Use returns how many bytes dead letters occupy, and how many they may.
	//
	// # Errors
	//
	// ErrUnavailable.
	Use(ctx context.Context) (bytes, capacity int64, err error)
}

// letterBytes is the overhead of a dead letter.
const letterBytes = 512

// LetterSize returns the approximate size of a dead letter, in bytes.
func LetterSize(i Item) int64 { return int64(len(i.Body)) + letterBytes }
