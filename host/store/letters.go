package store

import "context"

// Letters holds dead letters: calls that nobody could make. They expire. Safe for
// concurrent use.
type Letters interface {
	// Add adds a dead letter, unless it is there already, and returns its
	// sequence. When there is no room the oldest of all gives way: see Use.
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

	// List passes on dead letters, oldest first, until each returns false: those
	// of the given functions, or all when there are none given, that came after
	// the one of that sequence.
	//
	// # Errors
	//
	// ErrUnavailable, ctx's.
	List(ctx context.Context, functionIDs []string, after uint64, each func(Item) (more bool)) error

	// Delete removes a dead letter; one that is not there is no error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, sequence uint64) error

	// Drop removes a function's dead letters up to the one of that sequence.
	//
	// # Errors
	//
	// ErrUnavailable.
	Drop(ctx context.Context, functionID string, last uint64) error

	// Sizes passes on what each dead letter takes, about, oldest first.
	//
	// # Errors
	//
	// ErrUnavailable, ctx's.
	Sizes(ctx context.Context, each func(functionID string, sequence uint64, bytes int64)) error

	// Use returns how many bytes dead letters take, and how many they may.
	//
	// # Errors
	//
	// ErrUnavailable.
	Use(ctx context.Context) (bytes, capacity int64, err error)
}

// letterBytes is what a dead letter takes besides its body.
const letterBytes = 512

// LetterSize returns about how many bytes a dead letter takes.
func LetterSize(i Item) int64 { return int64(len(i.Body)) + letterBytes }
