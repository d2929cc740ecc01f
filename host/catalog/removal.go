package catalog

import (
	"context"
	"maps"
	"slices"

	"vivarium/host/fault"
)

// removal is what goes on when a function is deleted.
type removal struct {
	done chan struct{}
	err  error // once done
}

// remove drains a function that is being deleted and forgets it.
func (r *records) remove(f *function) *removal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.removal != nil {
		return f.removal
	}
	removal := &removal{done: make(chan struct{})}
	if r.closed { // the next start will go on with it
		removal.err = fault.ErrClosed
		close(removal.done)
		return removal
	}
	f.removal = removal
	info, versions := f.info(), slices.Collect(maps.Values(f.versions))
	r.drains.Go(func() {
		defer close(removal.done)
		for _, v := range versions {
			r.cfg.Runner.Remove(v.ID)
		}
		removal.err = r.erase(info, versions)
		r.mu.Lock()
		if removal.err != nil {
			f.removal = nil // who deletes it again tries again, and so does the next start
		} else {
			r.forget(f)
			if !f.vanished && !f.transient {
				r.gone[f.id] = true
			}
		}
		r.mu.Unlock()
		r.removeCodes(f, versions)
	})
	return removal
}

// erase removes a function that is drained from the store, its record last.
func (r *records) erase(f FunctionInfo, versions []*Version) error {
	ctx := context.Background()
	if err := r.cfg.Drop(ctx, f); err != nil || f.Transient {
		return err
	}
	for _, v := range versions {
		if err := r.store.Versions.Delete(ctx, v.ID); err != nil {
			return err
		}
	}
	if err := r.store.Functions.Delete(ctx, f.ID); err != nil {
		return err
	}
	r.naming.release(f.Tenant, f.Name, f.ID)
	return nil
}

// vanish forgets a function that another process has deleted.
func (r *records) vanish(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.gone, id)
	f := r.functions[id]
	if f == nil || r.closed {
		return
	}
	if f.removal != nil { // this process is at it as well, and goes on draining
		f.vanished = true
		r.forget(f)
		return
	}
	for _, v := range f.versions {
		r.drains.Go(func() { r.cfg.Runner.Remove(v.ID) })
	}
	r.forget(f)
	r.cfg.Forget(f.info())
}

// eraseVersion removes the record, and the code unless other versions have it
// too, of a version that its function no longer lists. What fails here the next
// start does.
func (r *records) eraseVersion(f *function, v *Version) {
	if f.transient {
		return
	}
	if err := r.store.Versions.Delete(context.Background(), v.ID); err != nil {
		r.log.Warn("version's record not removed", "function", f.id, "version", v.ID, "error", err)
		return
	}
	r.removeCodes(f, []*Version{v})
}

// removeCodes removes archives that no version has any more. Where other
// processes could be about to refer to them, that is left to collect.
func (r *records) removeCodes(f *function, versions []*Version) {
	if !r.store.Exclusive || f.transient {
		return
	}
	r.collecting.Lock()
	defer r.collecting.Unlock()
	for _, v := range versions {
		if v.SHA256 == "" || r.hasCode(v.SHA256) {
			continue
		}
		if err := r.store.Code.Delete(context.Background(), v.SHA256); err != nil {
			r.log.Warn("version's code not removed", "function", f.id, "version", v.ID, "error", err)
		}
	}
}
