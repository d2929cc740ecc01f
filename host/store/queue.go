package store

import (
	"context"
	"time"
)

// Queue holds calls that wait to be made, in a line for each function. Safe for
// concurrent use.
type Queue interface {
	// Add appends an item to its line, unless one with the same ID came within
	// the last minutes. The item is stored when Add returns.
	//
	// # Errors
	//
	// ErrUnavailable, also if the queue is full.
	Add(ctx context.Context, i Item) error

	// Take hands out the next items of a line, at most n. It does not wait: if
	// there are none it returns none. An item comes again, here or in another
	// process, unless Done is called, or Working from time to time.
	//
	// # Errors
	//
	// ErrUnavailable.
	Take(ctx context.Context, l Line, n int) ([]Item, error)

	// Drop removes a function's items, both waiting and in progress. Whoever is
	// working on one may still call Done.
	//
	// # Errors
	//
	// ErrUnavailable.
	Drop(ctx context.Context, functionID string) error

	// Len returns how many items are in the queue, waiting or in progress.
	//
	// # Errors
	//
	// ErrUnavailable.
	Len(ctx context.Context) (uint64, error)

	// Lines returns how many items each line has, including those in progress.
	//
	// # Errors
	//
	// ErrUnavailable.
	Lines(ctx context.Context) (map[Line]uint64, error)

	// Sizes returns what the queue holds, by function.
	//
	// # Errors
	//
	// ErrUnavailable.
	Sizes(ctx context.Context) (map[string]Queued, error)

	// Capacity returns how many bytes the queue may occupy. Items occupy more
	// than their bodies.
	Capacity() int64
}

const (
	// ackWait is how long after the last sign of progress an item is handed out
	// again.
	ackWait = 30 * time.Second
	// WorkingEvery is how often Working should be called.
	WorkingEvery = ackWait / 3
	// duplicateWindow is how long an item's ID is remembered.
	duplicateWindow = 2 * time.Minute
)

// Line identifies what waits for one function: its calls, or the ticks of its
// timers. Each line is consumed independently, so that none waits for another.
type Line struct {
	FunctionID string
	Timer      bool
}

// Queued is what the queue holds for a function, waiting or in progress.
type Queued struct {
	Items int64
	Bytes int64 // of their bodies, approximately: other processes' are not always known
}

// Item is a queued call, or a dead letter: the function to call, the body, and
// notes of the caller's own.
type Item struct {
	// ID identifies duplicates: an item whose ID came within the last minutes
	// is dropped. Empty means unique.
	ID         string
	FunctionID string
	Notes      map[string]string // from a store: not nil, and the caller's own
	Body       []byte            // from a store: must not be modified
	Timer      bool              // a timer's tick, which waits in the line of ticks

	// Sequence is the item's place in the queue, or among dead letters.
	Sequence uint64
	// Stored is when the item was stored.
	Stored time.Time

	given delivery // nil unless handed out by Take
}

// delivery is the queue's side of an item in progress.
type delivery interface {
	done(ctx context.Context) error
	later(after time.Duration)
	working()
}

// Line returns the line that the item waits in.
func (i *Item) Line() Line { return Line{i.FunctionID, i.Timer} }

// Done removes an item that Take handed out from the queue. When it returns
// nil, the removal is stored.
//
// # Errors
//
// ErrUnavailable; the item may then come again.
func (i Item) Done(ctx context.Context) error { return i.given.done(ctx) }

// Later returns the item to the queue, to come again after a while.
func (i Item) Later(after time.Duration) { i.given.later(after) }

// Working reports progress on the item.
func (i Item) Working() { i.given.working() }
