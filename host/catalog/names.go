package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"vivarium/host/fault"
	"vivarium/host/store"
)

// claimAge is after how long a name whose function does not exist is free
// again, where other processes could be about to make that function.
const claimAge = time.Minute

// naming keeps the claims to functions' names in the store, by reference. Their key is
// unique there, which makes the names unique among several processes.
type naming struct {
	store *store.Store
	table *table
	// mu is held while a function gets a name: from looking if it is free to taking it. It
	// may block for as long as the store does.
	mu sync.Mutex
}

// claim makes sure that no other function of the tenant has or gets that name. A claim
// that the function has already is made again, so that nobody else can release it who has
// seen the old one. The caller holds the mutex.
func (n *naming) claim(ctx context.Context, tenant, name, id string) error {
	if name == "" {
		return nil
	}
	taken := fault.Conflictf("function", name, "exists already; choose another name")
	name = Reference(tenant, name)
	for {
		n.table.mu.RLock()
		f := n.table.names[name]
		n.table.mu.RUnlock()
		if f != nil && f.id != id {
			return taken
		}
		_, err := n.store.Names.Create(ctx, name, []byte(id))
		if !errors.Is(err, store.ErrRevision) {
			return err
		}
		e, err := n.store.Names.Get(ctx, name)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return taken // and free again, at this very moment
		case err != nil:
			return err
		case string(e.Value) == id:
		case !n.store.Exclusive && time.Since(e.Created) < claimAge:
			return taken
		case n.table.doubtful: // whose it is may be there and can't be read
			return taken
		}
		// It is this function's, or nobody's: an attempt to make one was cut off.
		if _, err = n.store.Names.Update(ctx, name, []byte(id), e.Revision); !errors.Is(err, store.ErrRevision) {
			return err
		}
	}
}

// release frees a name that a function had, or was to have, unless the function has it:
// another process may have given it back. What fails here costs nothing but a record,
// see claim.
func (n *naming) release(tenant, name, id string) {
	if name == "" {
		return
	}
	ctx, key := context.Background(), Reference(tenant, name)
	claim, err := n.store.Names.Get(ctx, key)
	if err != nil || string(claim.Value) != id {
		return
	}
	e, err := n.store.Functions.Get(ctx, id) // after the claim, which whoever gives it the name makes again
	if err == nil {
		var record functionRecord
		if json.Unmarshal(e.Value, &record) != nil || record.Name == name {
			return
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return
	}
	_ = n.store.Names.DeleteRevision(ctx, key, claim.Revision)
}

// collect frees names of that age that no function has, and claims those that
// functions have.
func (n *naming) collect(ctx context.Context, age time.Duration) error {
	claims, err := n.store.Names.All(ctx)
	if err != nil {
		return err
	}
	n.table.mu.RLock()
	unclaimed := map[string]string{} // ids by name: they used to be claimed without the tenant
	for name, f := range n.table.names {
		unclaimed[name] = f.id
	}
	n.table.mu.RUnlock()
	for _, e := range claims {
		used := unclaimed[e.Key] == string(e.Value)
		delete(unclaimed, e.Key)
		if !used && time.Since(e.Created) >= age {
			if err := n.store.Names.Delete(ctx, e.Key); err != nil {
				return err
			}
		}
	}
	for name, id := range unclaimed {
		if _, err := n.store.Names.Create(ctx, name, []byte(id)); err != nil && !errors.Is(err, store.ErrRevision) {
			return err
		}
	}
	return nil
}
