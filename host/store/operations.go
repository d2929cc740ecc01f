package store

import (
	"context"
	"time"
)

// Bounds of operations.
const (
	// maxOperations is how many operations of a tenant are kept, unless all tenants
	// together have more than there is room for.
	maxOperations = 1000
	// operationAge is how long an operation is kept at most.
	operationAge   = 3 * 24 * time.Hour
	operationShare = 4 // of which their bytes are Config.CallBytes
	// trimInterval is how many operations of a tenant one process adds before it removes those
	// beyond maxOperations.
	trimInterval = 64
)

// Operations has what became of changes, for those who ask for it later: the last thousand of
// each tenant, for three days. Safe for concurrent use.
type Operations interface {
	// Put keeps an operation, in place of what it was before. If there is no room, the oldest
	// ones are dropped.
	//
	// # Errors
	//
	// ErrUnavailable.
	Put(ctx context.Context, o Operation) error

	// Get returns an operation as it was put last, anywhere.
	//
	// # Errors
	//
	// ErrNotFound, ErrUnavailable.
	Get(ctx context.Context, id string) (Operation, error)

	// About returns a tenant's operations on something, oldest first.
	//
	// # Errors
	//
	// ErrUnavailable.
	About(ctx context.Context, tenant, about string) ([]Operation, error)
}

// Operation is what is known of a change. ID, Tenant and About consist of letters, digits, - and _.
type Operation struct {
	ID     string
	Tenant string    // whose it is; * is those who act for all
	About  string    // the id of what was changed; may be empty
	Value  []byte    // must not be modified
	Stored time.Time // when it was put last
}
