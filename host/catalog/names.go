package catalog

import (
	"context"
	"errors"
	"time"

	"vivarium/host/fault"
	"vivarium/host/store"
)

// claimAge is after how long a name whose function does not exist is free
// again, where other processes could be about to make that function.
const claimAge = time.Minute

// claimName makes sure that no other function of the tenant has or gets that
// name. The caller holds naming.
func (r *records) claimName(ctx context.Context, tenant, name, id string) error {
	if name == "" {
		return nil
	}
	taken := fault.Conflictf("function", name, "exists already; choose another name")
	name = Reference(tenant, name)
	r.mu.RLock()
	f := r.names[name]
	r.mu.RUnlock()
	if f != nil && f.id != id {
		return taken
	}
	names := r.store.Names
	_, err := names.Create(ctx, name, []byte(id))
	if !errors.Is(err, store.ErrRevision) {
		return err
	}
	e, err := names.Get(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return taken // and free again, at this very moment
	case err != nil:
		return err
	case string(e.Value) == id:
		return nil
	case !r.store.Exclusive && time.Since(e.Created) < claimAge:
		return taken
	case r.doubtful: // whose it is may be there and can't be read
		return taken
	}
	// No function has the name: an attempt to make one was cut off.
	if _, err := names.Update(ctx, name, []byte(id), e.Revision); errors.Is(err, store.ErrRevision) {
		return taken
	} else if err != nil {
		return err
	}
	return nil
}

// releaseName frees a name that a function had, or was to have. What fails here
// costs nothing but a record, see claimName.
func (r *records) releaseName(tenant, name, id string) {
	if name == "" {
		return
	}
	ctx, name := context.Background(), Reference(tenant, name)
	if e, err := r.store.Names.Get(ctx, name); err == nil && string(e.Value) == id {
		_ = r.store.Names.Delete(ctx, name)
	}
}
