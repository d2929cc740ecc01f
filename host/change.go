package host

import (
	"context"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// change makes a new record of a function from its present one. When somebody
// else's change comes in between, mutate is asked again, about the new state.
//
// # Errors
//
// What mutate returns; *ConflictError when the function is being deleted;
// *NotFoundError when it is gone; ErrUnavailable; ErrClosed.
func (h *Host) change(ctx context.Context, f *function, mutate func(*functionRecord) error, made ...*catalog.Version) error {
	f.write.Lock()
	defer f.write.Unlock()
	for {
		h.mu.RLock()
		r, revision, closed := f.record.clone(), f.revision, h.closed
		present := h.functions[r.ID] == f
		h.mu.RUnlock()
		switch {
		case closed:
			return fault.ErrClosed
		case !present:
			return &fault.NotFoundError{Function: r.ID}
		case r.Status == catalog.StatusDeleting:
			return fault.Conflictf("function", r.ID, "is being deleted")
		}
		if err := mutate(&r); err != nil {
			return err
		}
		r.settle(time.Now().UTC())
		revision, again, err := h.persist(ctx, f, &r, revision)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		h.mu.Lock()
		present = h.functions[r.ID] == f
		if present {
			h.install(r, revision, made)
		}
		h.mu.Unlock()
		if !present { // it was changed, and then deleted before this host heard of the former
			h.discard(made)
		}
		return nil
	}
}

// install makes a record the present state of its function, unless a newer one
// is there already. Versions that the record lists are those of made that are
// not known yet; those that it no longer lists are drained. The caller holds the
// mutex, and nothing here blocks.
func (h *Host) install(r functionRecord, revision uint64, made []*catalog.Version) *function {
	f := h.functions[r.ID]
	if f == nil {
		f = &function{id: r.ID, versions: map[string]*catalog.Version{}}
		h.functions[r.ID] = f
	} else if revision <= f.revision {
		return f
	}
	if h.closed { // nothing is made or taken down any more
		return f
	}
	if old := f.record.reference(); old != r.reference() && h.names[old] == f {
		delete(h.names, old)
	}
	f.record, f.revision = r, revision
	if r.Name != "" {
		h.names[r.reference()] = f
	}
	for _, v := range made {
		if f.versions[v.ID] == nil && r.entry(v.ID) >= 0 {
			f.versions[v.ID], h.versions[v.ID] = v, v
		}
	}
	for id, v := range f.versions {
		if r.entry(id) < 0 {
			delete(f.versions, id)
			delete(h.versions, id)
			h.drains.Go(func() { h.runner.Remove(id) })
			continue
		}
		h.runner.SetLimits(id, r.limits(v))
	}
	return f
}
