package host

import (
	"context"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/wasm/vfs"
)

// Deploy makes a version of the function of that name, and the function when
// there is none, in memory alone: no restart survives it. The version gets
// LatestTag at once.
//
// # Errors
//
// *InvalidError, *ConflictError when the function is a stored one, ErrClosed.
func (h *Host) Deploy(name string, spec catalog.VersionSpec, code *vfs.Tree) (*catalog.Version, error) {
	spec = spec.WithDefaults()
	if err := catalog.ValidateName(name); err != nil {
		return nil, err
	}
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	f, err := h.transient(name)
	if err != nil {
		return nil, err
	}
	v := newVersion(f.snapshot(h), versionRecord{ID: catalog.NewID(catalog.VersionPrefix), CreatedAt: time.Now().UTC(), Spec: spec})
	v.Transient = true
	h.runner.Add(v, code, nil)
	if err := h.addVersion(context.Background(), f, v, nil); err != nil {
		h.runner.Remove(v.ID)
		return nil, err
	}
	return v, nil
}

// transient returns the function of that name, which is in no store; a new one
// when there is none.
func (h *Host) transient(name string) (*function, error) {
	h.naming.Lock()
	defer h.naming.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, fault.ErrClosed
	}
	f := h.names[name]
	if f == nil {
		f = newFunction(catalog.FunctionSpec{Name: name})
		f.transient, f.revision = true, 1
		h.functions[f.id], h.names[name] = f, f
	}
	if !f.transient && h.cfg.Store.Durable {
		return nil, fault.Conflictf("function", name, "is a stored one; choose another name")
	}
	return f, nil
}

// Retire drains and forgets the versions of a function that carry no tag.
// It blocks until their calls are done.
func (h *Host) Retire(name string) {
	f, err := h.lookup(name)
	if err != nil {
		return
	}
	for _, v := range h.obsolete(f, time.Now()) {
		// One that has got a tag meanwhile stays.
		_ = h.deleteVersion(context.Background(), f, v, stillObsolete(v))
	}
}

func stillObsolete(v *catalog.Version) func(*functionRecord) error {
	return func(r *functionRecord) error {
		if len(r.tagsOf(v.ID)) > 0 {
			return fault.Conflictf("version", v.ID, "carries tags")
		}
		return nil
	}
}

// obsolete returns the versions of f that lost their last tag before a time.
func (h *Host) obsolete(f *function, before time.Time) []*catalog.Version {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var old []*catalog.Version
	for _, e := range f.record.Versions {
		if v := f.versions[e.ID]; v != nil && !e.ObsoleteSince.IsZero() && e.ObsoleteSince.Before(before) {
			old = append(old, v)
		}
	}
	return old
}
