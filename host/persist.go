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

// A version becomes visible in three steps: its code is stored, then its
// record, then its function's record lists it. What ends between two steps
// leaves something that nothing refers to, which collect takes away. Deleting
// goes the other way round.

// claimAge is after how long a name whose function does not exist is free
// again, where other processes could be about to make that function.
const claimAge = time.Minute

// claimName makes sure that no other function of the tenant has or gets that
// name. The caller holds naming.
func (h *Host) claimName(ctx context.Context, tenant, name, id string) error {
	if name == "" {
		return nil
	}
	taken := fault.Conflictf("function", name, "exists already; choose another name")
	name = catalog.Reference(tenant, name)
	h.mu.RLock()
	f := h.names[name]
	h.mu.RUnlock()
	if f != nil && f.id != id {
		return taken
	}
	s := h.cfg.Store
	_, err := s.Names.Create(ctx, name, []byte(id))
	if !errors.Is(err, store.ErrRevision) {
		return err
	}
	e, err := s.Names.Get(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return taken // and free again, at this very moment
	case err != nil:
		return err
	case string(e.Value) == id:
		return nil
	case !s.Exclusive && time.Since(e.Created) < claimAge:
		return taken
	case h.doubtful: // whose it is may be there and can't be read
		return taken
	}
	// No function has the name: an attempt to make one was cut off.
	if _, err := s.Names.Update(ctx, name, []byte(id), e.Revision); errors.Is(err, store.ErrRevision) {
		return taken
	} else if err != nil {
		return err
	}
	return nil
}

// releaseName frees a name that a function had, or was to have. What fails here
// costs nothing but a record, see claimName.
func (h *Host) releaseName(tenant, name, id string) {
	if s := h.cfg.Store; name != "" {
		ctx, name := context.Background(), catalog.Reference(tenant, name)
		if e, err := s.Names.Get(ctx, name); err == nil && string(e.Value) == id {
			_ = s.Names.Delete(ctx, name)
		}
	}
}

// persistNew stores the record of a new function and returns its revision.
func (h *Host) persistNew(ctx context.Context, r *functionRecord) (uint64, error) {
	revision, err := h.cfg.Store.Functions.Create(ctx, r.ID, encodeRecord(r))
	return revision, err
}

// persist stores a record in place of the one of the given revision, and
// returns the new one. When somebody else has changed it meanwhile, the host
// takes that over, and again says so.
func (h *Host) persist(ctx context.Context, f *function, r *functionRecord, old uint64) (
	revision uint64, again bool, err error,
) {
	if f.transient {
		return old + 1, false, nil
	}
	revision, err = h.cfg.Store.Functions.Update(ctx, r.ID, encodeRecord(r), old)
	if !errors.Is(err, store.ErrRevision) {
		return revision, false, err
	}
	e, err := h.cfg.Store.Functions.Get(ctx, r.ID)
	if errors.Is(err, store.ErrNotFound) {
		return 0, false, &fault.NotFoundError{Function: r.ID}
	}
	if err != nil {
		return 0, false, err
	}
	return 0, true, h.apply(ctx, e, nil, f)
}

// persistVersion stores a version's code and then its record. Nothing refers
// to them yet.
func (h *Host) persistVersion(ctx context.Context, v *catalog.Version, archive []byte) error {
	s := h.cfg.Store
	if _, err := s.Code.Put(ctx, archive); err != nil {
		return err
	}
	_, err := s.Versions.Create(ctx, v.ID, encodeRecord(versionRecord{
		ID: v.ID, FunctionID: v.FunctionID, CreatedAt: v.CreatedAt, Spec: v.VersionSpec, SHA256: v.SHA256, Size: v.ImageSize,
	}))
	return err
}

// persistVersionRemoval removes the record, and the code unless other versions
// have it too, of a version that its function no longer lists. What fails here
// the next start does.
func (h *Host) persistVersionRemoval(f *function, v *catalog.Version) {
	s := h.cfg.Store
	if f.transient {
		return
	}
	ctx := context.Background()
	if err := s.Versions.Delete(ctx, v.ID); err != nil {
		h.log.Warn("version's record not removed", "function", f.id, "version", v.ID, "err", err)
		return
	}
	if err := h.removeCode(ctx, v.SHA256); err != nil {
		h.log.Warn("version's code not removed", "function", f.id, "version", v.ID, "err", err)
	}
}

// removeCode removes an archive that no version has any more. Where other
// processes could be about to refer to it, that is left to collect.
func (h *Host) removeCode(ctx context.Context, name string) error {
	if !h.cfg.Store.Exclusive {
		return nil
	}
	h.collecting.Lock()
	defer h.collecting.Unlock()
	h.mu.RLock()
	for _, v := range h.versions {
		if v.SHA256 == name {
			h.mu.RUnlock()
			return nil
		}
	}
	h.mu.RUnlock()
	return h.cfg.Store.Code.Delete(ctx, name)
}

// persistRemoval removes a function that is drained from the store.
func (h *Host) persistRemoval(f *function, versions []*catalog.Version) error {
	s := h.cfg.Store
	ctx := context.Background()
	if f.transient {
		return h.events.DropTimers(ctx, f.id)
	}
	record := f.snapshot(h)
	if err := h.events.DropTimers(ctx, f.id); err != nil {
		return err
	}
	for _, v := range versions {
		if err := s.Versions.Delete(ctx, v.ID); err != nil {
			return err
		}
	}
	if err := s.Queue.Drop(ctx, f.id); err != nil {
		return err
	}
	if err := s.Logs.Delete(ctx, f.id); err != nil {
		return err
	}
	h.book.Forget(f.snapshot(h).Tenant, f.id)
	if err := s.Functions.Delete(ctx, f.id); err != nil {
		return err
	}
	h.releaseName(record.Tenant, record.Name, f.id)
	h.mu.Lock()
	for _, v := range versions {
		delete(h.versions, v.ID)
	}
	h.mu.Unlock()
	for _, v := range versions {
		if err := h.removeCode(ctx, v.SHA256); err != nil {
			h.log.Warn("version's code not removed", "function", f.id, "version", v.ID, "err", err)
		}
	}
	return nil
}

// archive returns what a version was made from; nil when that was no archive.
func (h *Host) archive(ctx context.Context, v *catalog.Version) ([]byte, error) {
	if v.SHA256 == "" {
		return nil, nil
	}
	b, err := h.cfg.Store.Code.Get(ctx, v.SHA256)
	if err != nil {
		return nil, fmt.Errorf("version %s: code: %w", v.ID, err)
	}
	return b, nil
}

func encodeRecord(r any) []byte {
	b, err := json.Marshal(r)
	if err != nil { // records are plain data
		panic(err)
	}
	return b
}
