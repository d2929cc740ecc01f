package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// CreateFunction makes a function without versions.
//
// # Errors
//
// *InvalidError, *ConflictError when the name is taken, *QuotaError,
// ErrUnavailable, ErrClosed.
func (h *Host) CreateFunction(ctx context.Context, spec catalog.FunctionSpec) (catalog.FunctionInfo, error) {
	if err := spec.Validate(); err != nil {
		return catalog.FunctionInfo{}, err
	}
	h.naming.Lock()
	defer h.naming.Unlock()
	f := newFunction(spec)
	if err := h.fitsKept(f.record.Tenant, QuotaFunctions); err != nil {
		return catalog.FunctionInfo{}, err
	}
	if err := h.claimName(ctx, f.record.Tenant, spec.Name, f.id); err != nil {
		return catalog.FunctionInfo{}, err
	}
	revision, err := h.persistNew(ctx, &f.record)
	if err != nil {
		h.releaseName(f.record.Tenant, spec.Name, f.id)
		return catalog.FunctionInfo{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return catalog.FunctionInfo{}, fault.ErrClosed
	}
	return h.install(f.record, revision, nil).info(), nil
}

func newFunction(spec catalog.FunctionSpec) *function {
	if spec.Tenant == "" {
		spec.Tenant = catalog.DefaultTenant
	}
	id := catalog.NewID(catalog.FunctionPrefix)
	return &function{
		id: id,
		record: functionRecord{
			ID: id, Name: spec.Name, Description: spec.Description, Labels: cloneMap(spec.Labels),
			Tenant: spec.Tenant, LogGroupID: catalog.NewID(catalog.LogGroupPrefix), Status: catalog.StatusActive,
			CreatedAt: time.Now().UTC(),
			Tags:      map[string]string{},
		},
		versions: map[string]*catalog.Version{},
	}
}

// UpdateFunction changes what describes a function. No version comes of it.
//
// # Errors
//
// *NotFoundError, *InvalidError, *ConflictError, ErrUnavailable.
func (h *Host) UpdateFunction(ctx context.Context, idOrName string, u catalog.FunctionUpdate) (catalog.FunctionInfo, error) {
	f, err := h.lookup(idOrName)
	if err != nil {
		return catalog.FunctionInfo{}, err
	}
	if err := u.Validate(); err != nil {
		return catalog.FunctionInfo{}, err
	}
	h.naming.Lock()
	defer h.naming.Unlock()
	before := f.snapshot(h)
	old, tenant := before.Name, before.Tenant
	renamed := u.Name != nil && *u.Name != old
	if renamed {
		if err := h.claimName(ctx, tenant, *u.Name, f.id); err != nil {
			return catalog.FunctionInfo{}, err
		}
	}
	err = h.change(ctx, f, func(r *functionRecord) error {
		if u.Name != nil {
			old, r.Name = r.Name, *u.Name
		}
		if u.Description != nil {
			r.Description = *u.Description
		}
		if u.Labels != nil {
			r.Labels = cloneMap(u.Labels)
		}
		if u.Public != nil {
			r.Public = *u.Public
		}
		return nil
	})
	if renamed {
		if err == nil {
			h.releaseName(tenant, old, f.id)
		} else if !errors.Is(err, fault.ErrUnavailable) { // else nobody knows which name it has
			h.releaseName(tenant, *u.Name, f.id)
		}
	}
	if err != nil {
		return catalog.FunctionInfo{}, err
	}
	return h.GetFunction(f.id)
}

// snapshot returns the function's record as it is now; it is not to be changed.
func (f *function) snapshot(h *Host) functionRecord {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return f.record
}

// lookup returns the function of that id or name.
func (h *Host) lookup(idOrName string) (*function, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.find(idOrName)
	if f == nil {
		return nil, &fault.NotFoundError{Function: idOrName}
	}
	return f, nil
}

// DeleteFunction refuses further calls of a function, waits for those in
// progress, and removes it with its versions. When ctx ends first, the removal
// goes on without the caller.
//
// # Errors
//
// *NotFoundError, ErrUnavailable, or ctx's.
func (h *Host) DeleteFunction(ctx context.Context, idOrName string) error {
	f, err := h.lookup(idOrName)
	if err != nil {
		return err
	}
	err = h.change(ctx, f, func(r *functionRecord) error {
		r.Status = catalog.StatusDeleting
		return nil
	})
	var conflict *fault.ConflictError
	if err != nil && !errors.As(err, &conflict) { // a conflict: it is being deleted already
		return err
	}
	r := h.remove(f)
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// removal is what goes on when a function is deleted.
type removal struct {
	done chan struct{}
	err  error // once done
}

// remove drains a function that is being deleted and forgets it.
func (h *Host) remove(f *function) *removal {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.removal != nil {
		return f.removal
	}
	r := &removal{done: make(chan struct{})}
	if h.closed { // the next start will go on with it
		r.err = fault.ErrClosed
		close(r.done)
		return r
	}
	f.removal = r
	versions := slices.Collect(maps.Values(f.versions))
	h.drains.Go(func() {
		defer close(r.done)
		for _, v := range versions {
			h.runner.Remove(v.ID)
		}
		r.err = h.persistRemoval(f, versions)
		h.mu.Lock()
		if r.err != nil {
			f.removal = nil // who deletes it again tries again, and so does the next start
		} else {
			h.forget(f)
			if !f.vanished && !f.transient {
				h.gone[f.id] = true
			}
		}
		h.mu.Unlock()
	})
	return r
}

// forget takes a function, whose pools are closed, out of the tables. The
// caller holds the mutex.
func (h *Host) forget(f *function) {
	delete(h.functions, f.id)
	if name := f.record.reference(); h.names[name] == f {
		delete(h.names, name)
	}
	for id := range f.versions {
		delete(h.versions, id)
	}
}
