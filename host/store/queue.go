package store

import (
	"context"
	"time"
)

// Queue holds calls that wait to be made, in a line for each function. Safe for
// concurrent use.
type Queue interface {
	// Add puts an item at the end of its line, unless one of the same ID came
	// within the last minutes. It is stored when Add returns.
	//
	// # Errors
	//
	// ErrUnavailable, also when the queue is full.
	Add(ctx context.Context, i Item) error

	// Take gives out the items of a line that come next, at most n, and none when
	// there is none: it does not wait for one. An item comes again, here or in
	// another process, unless Done is called, or Working from time to time.
	//
	// # Errors
	//
	// ErrUnavailable.
	Take(ctx context.Context, l Line, n int) ([]Item, error)

	// Drop removes what waits for a function or is being worked on. Whoever has
	// some of that may be done with it all the same.
	//
	// # Errors
	//
	// ErrUnavailable.
	Drop(ctx context.Context, functionID string) error

	// Len is how many items wait in the queue or are being worked on.
	//
	// # Errors
	//
	// ErrUnavailable.
	Len(ctx context.Context) (uint64, error)

	// Lines tells how many items each line has, those that are given out included.
	//
	// # Errors
	//
	// ErrUnavailable.
	Lines(ctx context.Context) (map[Line]uint64, error)

	// Sizes tells what there is in the queue, by function.
	//
	// # Errors
	//
	// ErrUnavailable.
	Sizes(ctx context.Context) (map[string]Queued, error)

	// Capacity returns how many bytes the queue may take. Items take more than
	// their bodies.
	Capacity() int64
}

const (
	// ackWait is after how long an item is given out again that nobody has
	// reported on. Those that are being worked on are reported on more often.
	ackWait = 30 * time.Second
	// WorkingEvery is how often Working should be called.
	WorkingEvery = ackWait / 3
	// duplicateWindow is how long an item is known by its ID.
	duplicateWindow = 2 * time.Minute
)

// Line is what waits for one function: its calls, or the ticks of its timers.
// Each line is given out by itself, so that none waits for another one.
type Line struct {
	FunctionID string
	Timer      bool
}

// Queued is what waits in the queue for a function or is being worked on.
type Queued struct {
	Items int64
	Bytes int64 // of their bodies, about: other processes' are not always known
}

// Item is a queued call, or a dead letter: who is to be called, with what, and
// notes of the caller's own.
type Item struct {
	// ID makes two items the same: within minutes the second is dropped. Empty
	// means that it is like no other.
	ID         string
	FunctionID string
	Notes      map[string]string // of what a store gives out: not nil, and the caller's own
	Body       []byte            // of what a store gives out: not to be changed
	Timer      bool              // it is a timer's tick, and waits in the line of those

	// Sequence is the item's place in the queue, or among dead letters.
	Sequence uint64
	// Stored is when it came to be.
	Stored time.Time

	given delivery // nil unless Take gave it out
}

// delivery is what the queue knows of an item that it has given out.
type delivery interface {
	done(ctx context.Context) error
	later(after time.Duration)
	working()
}

// Line returns where the item waits.
func (i *Item) Line() Line { return Line{i.FunctionID, i.Timer} }

// Done removes an item that Take gave out from the queue. When it returns nil,
// that is stored.
//
// # Errors
//
// ErrUnavailable; the item may then come again.
func (i Item) Done(ctx context.Context) error { return i.given.done(ctx) }

// Later gives the item back, to come again after a while.
func (i Item) Later(after time.Duration) { i.given.later(after) }

// Working says that the item is being worked on.
func (i Item) Working() { i.given.working() }
