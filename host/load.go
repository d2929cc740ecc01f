package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// collectAge is how old something must be that nothing refers to, before it is
// taken away, where other processes could be about to refer to it.
const collectAge = time.Hour

// load makes the functions that the store has, and listens for changes that
// other processes make until unwatch is called. No code is read: that comes with the
// first call.
func (h *Host) load(ctx context.Context) (unwatch func(), err error) {
	entries, err := h.cfg.Store.Versions.All(ctx)
	if err != nil {
		return nil, err
	}
	versions := make(map[string]versionRecord, len(entries))
	created := make(map[string]time.Time, len(entries))
	for _, e := range entries {
		var r versionRecord
		if err := json.Unmarshal(e.Value, &r); err != nil || r.ID != e.Key {
			h.doubt("the record of version "+e.Key+" can't be read", err)
			continue
		}
		versions[e.Key], created[e.Key] = r, e.Created
	}
	loading := true
	unwatch, err = h.cfg.Store.Functions.Watch(ctx, func(e store.Entry) {
		known := versions
		if !loading {
			known = nil
		}
		if err := h.apply(h.running, e, known, nil); err != nil {
			if loading {
				h.doubt("function "+e.Key+" is not there", err)
			} else if h.running.Err() == nil {
				h.log.Error("change of a function not taken over", "function", e.Key, "err", err)
			}
		}
	}, func() { loading = false })
	if err != nil {
		return nil, err
	}
	for _, b := range []store.Bucket{h.cfg.Store.Functions, h.cfg.Store.Versions, h.cfg.Store.Names} {
		if err := b.Damage(); err != nil {
			h.doubt("the store is damaged", err)
		}
	}
	if h.doubtful {
		h.log.Error("nothing is cleaned up: what seems to be left over may belong to what can't be read")
		return unwatch, nil
	}
	if err := h.collect(ctx, versions, created); err != nil {
		// What is left over does no harm.
		h.log.Warn("leftovers not removed", "err", err)
	}
	return unwatch, nil
}

// doubt notes that the store does not tell all of what there is. Nothing may be
// taken away then for the reason that nobody refers to it.
func (h *Host) doubt(what string, err error) {
	h.doubtful = true
	h.log.Error("store: "+what, "err", err)
}

// apply takes over a function's record from the store. Versions that the host
// does not know yet are those in known, or else read. An entry that was read out
// of turn names the function that it is about: when that has been deleted since,
// the entry is old news.
func (h *Host) apply(ctx context.Context, e store.Entry, known map[string]versionRecord, about *function) error {
	if e.Deleted {
		h.vanish(e.Key)
		return nil
	}
	var r functionRecord
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return fmt.Errorf("host: record of function %s: %w", e.Key, err)
	}
	if r.Tags == nil {
		r.Tags = map[string]string{}
	}
	h.mu.RLock()
	gone := h.gone[r.ID]
	h.mu.RUnlock()
	if gone {
		return nil
	}
	made, err := h.makeMissing(ctx, &r, e.Revision, known)
	if err != nil {
		return err
	}
	h.mu.Lock()
	if h.gone[r.ID] || about != nil && h.functions[r.ID] != about { // meanwhile
		h.mu.Unlock()
		h.discard(made)
		return nil
	}
	f := h.install(r, e.Revision, made)
	h.mu.Unlock()
	if r.Status == catalog.StatusDeleting {
		h.remove(f)
	}
	return nil
}

// makeMissing makes the versions that a record lists and the host does not know.
func (h *Host) makeMissing(
	ctx context.Context, r *functionRecord, revision uint64, known map[string]versionRecord,
) (made []*catalog.Version, err error) {
	h.mu.RLock()
	var missing []string
	if f := h.functions[r.ID]; f == nil || revision > f.revision {
		for _, entry := range r.Versions {
			if h.versions[entry.ID] == nil {
				missing = append(missing, entry.ID)
			}
		}
	}
	h.mu.RUnlock()
	for _, id := range missing {
		record, ok := known[id]
		if !ok {
			e, err := h.cfg.Store.Versions.Get(ctx, id)
			if err == nil {
				err = json.Unmarshal(e.Value, &record)
			}
			switch {
			case err == nil:
			case known != nil && r.Status != catalog.StatusDeleting: // a function goes on with what is left
				h.doubt("version "+id+" is not there", err)
				continue
			case errors.Is(err, store.ErrNotFound):
				continue // deleted since: news of that follow
			default:
				return nil, fmt.Errorf("host: record of version %s: %w", id, err)
			}
		}
		v := newVersion(*r, record)
		h.runner.Add(v, nil, nil)
		made = append(made, v)
	}
	return made, nil
}

// discard takes back versions that were made and belong to nothing after all.
func (h *Host) discard(made []*catalog.Version) {
	for _, v := range made {
		h.runner.Remove(v.ID)
	}
}

// vanish forgets a function that another process has deleted.
func (h *Host) vanish(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.gone, id)
	f := h.functions[id]
	if f == nil || h.closed {
		return
	}
	if f.removal != nil { // it is this host's own doing
		f.vanished = true
		return
	}
	for _, v := range f.versions {
		h.drains.Go(func() { h.runner.Remove(v.ID) })
	}
	h.forget(f)
	h.book.Forget(f.record.Tenant, f.id)
}

// collect removes what attempts that were cut off have left in the store, and
// images of versions that are no more. A version goes only when the function that
// it was made for is there and does not list it.
func (h *Host) collect(ctx context.Context, versions map[string]versionRecord, created map[string]time.Time) error {
	h.collecting.Lock()
	defer h.collecting.Unlock()
	s := h.cfg.Store
	age := collectAge
	if s.Exclusive {
		age = 0
	}
	h.mu.RLock()
	listed, codes, leftover := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for id, v := range h.versions {
		listed[id], codes[v.SHA256] = true, true
	}
	for id, r := range versions {
		switch {
		case listed[id]:
		case h.functions[r.FunctionID] != nil && time.Since(created[id]) >= age:
			leftover[id] = true
		default:
			listed[id], codes[r.SHA256] = true, true
			if h.functions[r.FunctionID] == nil {
				h.log.Warn("version of an unknown function is kept", "version", id, "function", r.FunctionID)
			}
		}
	}
	h.mu.RUnlock()
	for id := range leftover {
		if err := s.Versions.Delete(ctx, id); err != nil {
			return err
		}
	}
	names, err := s.Names.All(ctx)
	if err != nil {
		return err
	}
	claimed := map[string]bool{}
	for _, e := range names {
		claimed[e.Key] = true
		h.mu.RLock()
		f := h.functions[string(e.Value)]
		used := f != nil && f.record.reference() == e.Key
		h.mu.RUnlock()
		if !used && time.Since(e.Created) >= age {
			if err := s.Names.Delete(ctx, e.Key); err != nil {
				return err
			}
		}
	}
	// Names used to be claimed without the tenant.
	for _, f := range h.Functions() {
		if name := catalog.Reference(f.Tenant, f.Name); name != "" && !claimed[name] {
			if _, err := s.Names.Create(ctx, name, []byte(f.ID)); err != nil && !errors.Is(err, store.ErrRevision) {
				return err
			}
		}
	}
	if _, err := s.Code.Collect(ctx, age, codes); err != nil {
		return err
	}
	if err := h.runner.CollectImages(listed); err != nil {
		return err
	}
	h.runner.CountImages()
	return nil
}

// Ready says if the host could take a call and a change now.
//
// # Errors
//
// ErrClosed, ErrUnavailable.
func (h *Host) Ready(ctx context.Context) error {
	h.mu.RLock()
	closed := h.closed
	h.mu.RUnlock()
	if closed {
		return fault.ErrClosed
	}
	return h.cfg.Store.Ready(ctx)
}
