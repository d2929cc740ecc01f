package host

import (
	"context"
	"errors"
	"slices"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// VersionInfo is a version with what may change about it.
type VersionInfo struct {
	*catalog.Version
	Status catalog.Status
	Tags   []string // by name
}

// CreateVersion makes a version of a function from an archive, a zip file. It
// gets LatestTag and the given tags in the same step in which it appears; calls
// in progress finish on the version they began on.
//
// # Errors
//
// *NotFoundError, *InvalidError, *ConflictError when the function is being
// deleted, *QuotaError, ErrUnavailable, ErrClosed. The function is then as before.
func (h *Host) CreateVersion(
	ctx context.Context, function string, spec catalog.VersionSpec, archive []byte, tags []string,
) (*catalog.Version, error) {
	f, err := h.lookup(function)
	if err != nil {
		return nil, err
	}
	if f.snapshot(h).Status == catalog.StatusDeleting { // as change says, but before the upload
		return nil, fault.Conflictf("function", f.id, "is being deleted")
	}
	spec = spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if err := validateTags(tags); err != nil {
		return nil, err
	}
	v := newVersion(f.snapshot(h), versionRecord{ID: catalog.NewID(catalog.VersionPrefix), CreatedAt: time.Now().UTC(), Spec: spec,
		SHA256: store.CodeName(archive), Size: int64(len(archive))})
	admitted, err := h.admit(v)
	if err != nil {
		return nil, err
	}
	defer admitted()
	// It is kept for the first call, which is soon.
	tree, give, err := h.runner.Unpack(ctx, v.Tenant, archive)
	if err != nil {
		return nil, err
	}
	h.runner.Add(v, tree, give)
	listed := false // by its function's record, or perhaps
	defer func() {
		if !listed {
			h.runner.Remove(v.ID)
		}
	}()
	h.runner.Prepare(ctx, v.ID)
	// Nothing may take the code away before the function's record lists it.
	h.collecting.RLock()
	defer h.collecting.RUnlock()
	if err := h.persistVersion(ctx, v, archive); err != nil {
		return nil, err
	}
	if err := h.addVersion(ctx, f, v, tags); err != nil {
		listed = errors.Is(err, fault.ErrUnavailable)
		if !listed {
			_ = h.cfg.Store.Versions.Delete(context.WithoutCancel(ctx), v.ID) // or the next start does it
		}
		return nil, err
	}
	listed = true
	return h.versionOf(v), nil
}

// versionOf returns the version with the id of v: another value when news of
// it came from the store before this host had noted it.
func (h *Host) versionOf(v *catalog.Version) *catalog.Version {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if live := h.versions[v.ID]; live != nil {
		return live
	}
	return v
}

// addVersion lists v in its function's record and gives it its tags.
func (h *Host) addVersion(ctx context.Context, f *function, v *catalog.Version, tags []string) error {
	return h.change(ctx, f, func(r *functionRecord) error {
		if r.entry(v.ID) >= 0 { // an earlier attempt had reached the store
			return nil
		}
		r.Versions = append(r.Versions, versionEntry{ID: v.ID})
		now := time.Now().UTC()
		r.move(catalog.LatestTag, v.ID, now)
		for _, tag := range tags {
			r.move(tag, v.ID, now)
		}
		return r.checkTags()
	}, v)
}

// CopyVersion makes a version with the code of another one, of any function.
//
// # Errors
//
// Those of CreateVersion.
func (h *Host) CopyVersion(
	ctx context.Context, function string, spec catalog.VersionSpec, sourceVersionID string, tags []string,
) (*catalog.Version, error) {
	archive, err := h.VersionArchive(ctx, sourceVersionID)
	if err != nil {
		return nil, err
	}
	return h.CreateVersion(ctx, function, spec, archive, tags)
}

// VersionArchive returns the zip file that a version was made from.
//
// # Errors
//
// *NotFoundError, also when the version was made from no archive;
// ErrUnavailable.
func (h *Host) VersionArchive(ctx context.Context, versionID string) ([]byte, error) {
	v, err := h.GetVersion(versionID)
	if err != nil {
		return nil, err
	}
	archive, err := h.archive(ctx, v.Version)
	if err == nil && archive == nil {
		err = &fault.NotFoundError{Thing: "archive of version", Name: versionID}
	}
	return archive, err
}

// newVersion returns the version that a record of it and of its function tell of.
func newVersion(f functionRecord, r versionRecord) *catalog.Version {
	return &catalog.Version{
		ID: r.ID, FunctionID: f.ID, FunctionName: f.Name, Tenant: f.Tenant, LogGroupID: f.LogGroupID,
		CreatedAt: r.CreatedAt, VersionSpec: r.Spec.WithDefaults(),
		ImageSize: r.Size, SHA256: r.SHA256,
	}
}

// versionInfo describes v. The caller holds the mutex.
func (f *function) versionInfo(v *catalog.Version) VersionInfo {
	info := VersionInfo{Version: v, Status: catalog.StatusActive, Tags: f.record.tagsOf(v.ID)}
	switch {
	case f.record.Status == catalog.StatusDeleting:
		info.Status = catalog.StatusDeleting
	case len(info.Tags) == 0:
		info.Status = catalog.StatusObsolete
	}
	return info
}

// GetVersion returns the version of that id.
//
// # Errors
//
// *NotFoundError.
func (h *Host) GetVersion(id string) (VersionInfo, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	v, ok := h.versions[id]
	if !ok {
		return VersionInfo{}, &fault.NotFoundError{Version: id}
	}
	return h.functions[v.FunctionID].versionInfo(v), nil
}

// GetVersionByTag returns the version of a function that carries a tag.
//
// # Errors
//
// *NotFoundError.
func (h *Host) GetVersionByTag(function, tag string) (VersionInfo, error) {
	v, err := h.Resolve(function, tag)
	if err != nil {
		return VersionInfo{}, err
	}
	return h.GetVersion(v.ID)
}

// ListVersions lists the versions of a function, or of all functions of a tenant
// when function is empty, newest first, a page at a time.
//
// # Errors
//
// *NotFoundError, *InvalidError.
func (h *Host) ListVersions(tenant, function string, pageSize int, pageToken string) ([]VersionInfo, string, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var all []VersionInfo
	if function != "" {
		f := h.find(function)
		if f == nil || !within(tenant, f.record.Tenant) {
			return nil, "", &fault.NotFoundError{Function: function}
		}
		for _, v := range f.versions {
			all = append(all, f.versionInfo(v))
		}
	} else {
		for _, v := range h.versions {
			if within(tenant, v.Tenant) {
				all = append(all, h.functions[v.FunctionID].versionInfo(v))
			}
		}
	}
	// Keys that sort as strings do, the newest first.
	key := func(v VersionInfo) string {
		return time.Unix(0, 1<<62-v.CreatedAt.UnixNano()).UTC().Format("2006-01-02T15:04:05.000000000") + v.ID
	}
	slices.SortFunc(all, func(a, b VersionInfo) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return paginate(all, pageSize, pageToken, key)
}

// DeleteVersion drains and removes a version. One that carries tags goes only
// by force; LatestTag then moves to the newest of those that are left.
//
// # Errors
//
// *NotFoundError, *ConflictError, ErrUnavailable.
func (h *Host) DeleteVersion(ctx context.Context, id string, force bool) error {
	v, err := h.GetVersion(id)
	if err != nil {
		return err
	}
	f, err := h.lookup(v.FunctionID)
	if err != nil {
		return err
	}
	return h.deleteVersion(ctx, f, v.Version, func(r *functionRecord) error {
		if tags := r.tagsOf(id); len(tags) > 0 && !force {
			return fault.Conflictf("version", id, "carries the tags %v; remove them first, or delete it by force", tags)
		}
		return nil
	})
}

func (h *Host) deleteVersion(ctx context.Context, f *function, v *catalog.Version, check func(*functionRecord) error) error {
	err := h.change(ctx, f, func(r *functionRecord) error {
		i := r.entry(v.ID)
		if i < 0 {
			return &fault.NotFoundError{Version: v.ID}
		}
		if err := check(r); err != nil {
			return err
		}
		r.Versions = slices.Delete(r.Versions, i, i+1)
		now := time.Now().UTC()
		for _, tag := range r.tagsOf(v.ID) {
			if tag == catalog.LatestTag && len(r.Versions) > 0 {
				r.move(tag, r.Versions[len(r.Versions)-1].ID, now)
				continue
			}
			r.drop(tag, now)
		}
		return nil
	})
	if err != nil {
		return err
	}
	h.runner.Remove(v.ID) // others do so too: this only waits
	h.persistVersionRemoval(f, v)
	return nil
}

// versionRecord is the stored form of a version.
type versionRecord struct {
	ID         string              `json:"id"`
	FunctionID string              `json:"function_id"`
	CreatedAt  time.Time           `json:"created_at"`
	Spec       catalog.VersionSpec `json:"spec"`
	SHA256     string              `json:"sha256"`
	Size       int64               `json:"size"` // of the archive, in bytes
}
