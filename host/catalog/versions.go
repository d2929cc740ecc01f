package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// VersionInfo is a version with what may change about it.
type VersionInfo struct {
	*Version
	Status Status
	Tags   []string // by name
	// LoadError says why the code of a version that was just made does not load; nil
	// when it does, and of versions that were there already.
	LoadError *fault.FunctionError
}

// A version becomes visible in three steps: its code is stored, then its
// record, then its function's record lists it. What ends between two steps
// leaves something that nothing refers to, which collect takes away. Deleting
// goes the other way round.

// CreateVersion makes a version of a function from an archive, a zip file. It
// gets LatestTag and the given tags in the same step in which it appears; calls
// in progress finish on the version they began on. It blocks while the code is loaded,
// see Runner.Prepare.
//
// # Errors
//
// *fault.NotFoundError, also for a target of outcomes that the function's tenant does
// not have; *fault.InvalidError; *fault.FunctionError when the code does not load and
// the spec does not allow that; *fault.ConflictError when the function is being
// deleted; *quota.Error; fault.ErrCancelled; fault.ErrUnavailable; fault.ErrClosed. The
// function is then as before.
func (c *Catalog) CreateVersion(
	ctx context.Context, p access.Principal, function string, spec VersionSpec, archive []byte, tags []string,
) (VersionInfo, error) {
	f, record, err := c.records.function(p, "CreateVersion", function)
	if err != nil {
		return VersionInfo{}, err
	}
	return c.records.createVersion(ctx, f, record, spec, archive, tags)
}

// CopyVersion makes a version with the code of another one, of any function within
// the caller's reach.
//
// # Errors
//
// Those of CreateVersion.
func (c *Catalog) CopyVersion(
	ctx context.Context, p access.Principal, function string, spec VersionSpec, sourceVersionID string, tags []string,
) (VersionInfo, error) {
	f, record, err := c.records.function(p, "CopyVersion", function)
	if err != nil {
		return VersionInfo{}, err
	}
	archive, err := c.Archive(ctx, p, sourceVersionID)
	if err != nil {
		return VersionInfo{}, err
	}
	return c.records.createVersion(ctx, f, record, spec, archive, tags)
}

func (r *records) createVersion(
	ctx context.Context, f *function, record functionRecord, spec VersionSpec, archive []byte, tags []string,
) (_ VersionInfo, err error) {
	if record.Status == StatusDeleting { // as change says, but before the upload
		return VersionInfo{}, deleting(f.id)
	}
	spec = spec.WithDefaults()
	if err := cmp.Or(spec.Validate(), validateTags(tags), r.checkTargets(record.Tenant, spec.Async)); err != nil {
		return VersionInfo{}, err
	}
	if spec.Secrets, err = pin(r.cfg.Secrets, record.Tenant, spec); err != nil {
		return VersionInfo{}, err
	}
	v := newVersion(record, versionRecord{ID: NewID(VersionPrefix), CreatedAt: time.Now().UTC(), Spec: spec,
		SHA256: store.CodeName(archive), Size: int64(len(archive))})
	admitted, err := r.admit(v)
	if err != nil {
		return VersionInfo{}, err
	}
	defer admitted()
	// It is kept for the first call, which is soon.
	tree, give, err := r.cfg.Runner.Unpack(ctx, v.Tenant, archive)
	if err != nil {
		return VersionInfo{}, err
	}
	r.cfg.Runner.Add(v, tree, give)
	listed := false // by its function's record
	defer func() {
		if !listed {
			r.withdraw(v)
		}
	}()
	loadError := r.cfg.Runner.Prepare(ctx, v.ID)
	if loadError != nil && !spec.AllowBroken {
		return VersionInfo{}, loadError
	}
	if ctx.Err() != nil { // before it was known whether it loads
		return VersionInfo{}, fault.ErrCancelled
	}
	// Nothing may take the code away before the function's record lists it.
	r.collecting.RLock()
	defer r.collecting.RUnlock()
	if err := r.persistVersion(ctx, v, archive); err != nil {
		return VersionInfo{}, err
	}
	if err := r.addVersion(ctx, f, v, tags); err != nil {
		if !errors.Is(err, fault.ErrUnavailable) { // else the record may list it all the same
			_ = r.store.Versions.Delete(context.WithoutCancel(ctx), v.ID) // or the next start does it
		}
		return VersionInfo{}, err
	}
	listed = true
	info := r.describe(v)
	info.LoadError = loadError
	return info, nil
}

// pin returns the secrets of a specification as they are now.
func pin(secrets Secrets, tenant string, spec VersionSpec) ([]SecretReference, error) {
	if len(spec.Secrets) == 0 {
		return nil, nil
	}
	if secrets == nil {
		return nil, &fault.NotFoundError{Thing: "secret", Name: spec.Secrets[0].ID}
	}
	pinned, size, err := secrets.Pin(tenant, spec.Secrets)
	if err != nil {
		return nil, err
	}
	if size += environmentSize(spec.Environment); size > MaxEnvironment {
		return nil, fault.Invalidf("secrets", "with the environment, names and values have %d bytes, at most %d are allowed", size, MaxEnvironment)
	}
	return pinned, nil
}

// UsesSecret reports whether a version in a catalog refers to a version of a secret.
func UsesSecret(c *Catalog, versionID string) bool {
	t := &c.records.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, v := range t.versions {
		if slices.ContainsFunc(v.Secrets, func(r SecretReference) bool { return r.VersionID == versionID }) {
			return true
		}
	}
	return false
}

// persistVersion stores a version's code and then its record. Nothing refers
// to them yet.
func (r *records) persistVersion(ctx context.Context, v *Version, archive []byte) error {
	if _, err := r.store.Code.Put(ctx, archive); err != nil {
		return err
	}
	_, err := r.store.Versions.Create(ctx, v.ID, store.Record(versionRecord{
		ID: v.ID, FunctionID: v.FunctionID, CreatedAt: v.CreatedAt, Spec: v.VersionSpec, SHA256: v.SHA256, Size: v.ArchiveSize,
	}))
	return err
}

// addVersion lists v in its function's record and gives it its tags.
func (r *records) addVersion(ctx context.Context, f *function, v *Version, tags []string) error {
	_, err := r.change(ctx, f, func(record *functionRecord) error {
		if record.entry(v.ID) >= 0 { // an earlier attempt had reached the store
			return nil
		}
		record.Versions = append(record.Versions, versionEntry{ID: v.ID})
		now := time.Now().UTC()
		record.move(LatestTag, v.ID, now)
		for _, tag := range tags {
			record.move(tag, v.ID, now)
		}
		return record.checkTags()
	}, v)
	return err
}

// Archive returns the zip file that a version was made from. It is not to be changed.
//
// # Errors
//
// *fault.NotFoundError, also when the version was made from no archive;
// fault.ErrUnavailable.
func (c *Catalog) Archive(ctx context.Context, p access.Principal, versionID string) ([]byte, error) {
	_, v, err := c.records.version(p, "Archive", versionID)
	if err != nil {
		return nil, err
	}
	archive, err := ReadArchive(ctx, c.records.store, v)
	if err == nil && archive == nil {
		err = &fault.NotFoundError{Thing: "archive of version", Name: versionID}
	}
	return archive, err
}

// ReadArchive returns the zip file that a version was made from, for who runs it; nil
// when it was made from none. It blocks for as long as the store does.
func ReadArchive(ctx context.Context, s *store.Store, v *Version) ([]byte, error) {
	if v.SHA256 == "" {
		return nil, nil
	}
	b, err := s.Code.Get(ctx, v.SHA256)
	if err != nil {
		return nil, fmt.Errorf("version %s: code: %w", v.ID, err)
	}
	return b, nil
}

// Version returns the version of that id.
//
// # Errors
//
// *fault.NotFoundError.
func (c *Catalog) Version(p access.Principal, id string) (VersionInfo, error) {
	_, v, err := c.records.version(p, "Version", id)
	if err != nil {
		return VersionInfo{}, err
	}
	return c.records.describe(v), nil
}

// VersionByTag returns the version of a function that carries a tag; an empty tag
// means LatestTag.
//
// # Errors
//
// *fault.NotFoundError, also while the function is being deleted.
func (c *Catalog) VersionByTag(p access.Principal, function, tag string) (VersionInfo, error) {
	if err := p.Allow("VersionByTag"); err != nil {
		return VersionInfo{}, err
	}
	t := &c.records.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	f := t.visible(p, function)
	if f == nil || f.record.Status == StatusDeleting {
		return VersionInfo{}, &fault.NotFoundError{Function: function}
	}
	v, ok := f.versions[f.record.Tags[cmp.Or(tag, LatestTag)]]
	if !ok {
		return VersionInfo{}, &fault.NotFoundError{Function: function, Tag: cmp.Or(tag, LatestTag)}
	}
	return f.versionInfo(v), nil
}

// Versions lists the versions of a function, or of all functions within the caller's
// reach when of is empty, newest first.
//
// # Errors
//
// *fault.NotFoundError.
func (c *Catalog) Versions(p access.Principal, of string) ([]VersionInfo, error) {
	if err := p.Allow("Versions"); err != nil {
		return nil, err
	}
	t := &c.records.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	functions := t.functions
	if of != "" {
		f := t.visible(p, of)
		if f == nil {
			return nil, &fault.NotFoundError{Function: of}
		}
		functions = map[string]*function{f.id: f}
	}
	var all []VersionInfo
	for _, f := range functions {
		if p.ActsFor(f.record.Tenant) {
			for _, v := range f.versions {
				all = append(all, f.versionInfo(v))
			}
		}
	}
	slices.SortFunc(all, func(a, b VersionInfo) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// DeleteVersion drains and removes a version. One that carries tags goes only
// by force; LatestTag then moves to the newest of those that are left.
//
// # Errors
//
// *fault.NotFoundError, *fault.ConflictError, fault.ErrUnavailable.
func (c *Catalog) DeleteVersion(ctx context.Context, p access.Principal, id string, force bool) error {
	f, v, err := c.records.version(p, "DeleteVersion", id)
	if err != nil {
		return err
	}
	return c.records.deleteVersion(ctx, f, v, func(r *functionRecord) error {
		if tags := r.tagsOf(id); len(tags) > 0 && !force {
			return fault.Conflictf("version", id, "carries the tags %v; remove them first, or delete it by force", tags)
		}
		return nil
	})
}

func (r *records) deleteVersion(ctx context.Context, f *function, v *Version, check func(*functionRecord) error) error {
	_, err := r.change(ctx, f, func(record *functionRecord) error {
		i := record.entry(v.ID)
		if i < 0 {
			return &fault.NotFoundError{Version: v.ID}
		}
		if err := check(record); err != nil {
			return err
		}
		record.Versions = slices.Delete(record.Versions, i, i+1)
		now := time.Now().UTC()
		for _, tag := range record.tagsOf(v.ID) {
			if tag == LatestTag && len(record.Versions) > 0 {
				record.move(tag, record.Versions[len(record.Versions)-1].ID, now)
				continue
			}
			record.drop(tag, now)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.cfg.Runner.Remove(v.ID) // others do so too: this only waits
	r.eraseVersion(f, v)
	return nil
}
