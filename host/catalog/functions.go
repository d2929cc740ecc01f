package catalog

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// CreateFunction makes a function without versions: the caller's tenant's, unless
// the specification names another one.
//
// # Errors
//
// *fault.NotFoundError for a tenant that the caller does not act for,
// *fault.InvalidError, *fault.ConflictError when the name is taken, *quota.Error,
// fault.ErrUnavailable, fault.ErrClosed.
func (c *Catalog) CreateFunction(ctx context.Context, p access.Principal, spec FunctionSpec) (FunctionInfo, error) {
	if err := p.Allow("CreateFunction"); err != nil {
		return FunctionInfo{}, err
	}
	spec.Tenant = cmp.Or(spec.Tenant, p.Home())
	if !p.ActsFor(spec.Tenant) {
		return FunctionInfo{}, &fault.NotFoundError{Thing: "folder", Name: spec.Tenant}
	}
	if err := spec.Validate(); err != nil {
		return FunctionInfo{}, err
	}
	r, record := c.records, newRecord(spec)
	r.naming.mu.Lock()
	defer r.naming.mu.Unlock()
	r.mu.RLock()
	use := r.use(spec.Tenant)
	r.mu.RUnlock()
	if err := r.cfg.Ledger.Check(spec.Tenant, quota.Functions, use[quota.Functions], 1); err != nil {
		return FunctionInfo{}, err
	}
	if err := r.naming.claim(ctx, spec.Tenant, spec.Name, record.ID); err != nil {
		return FunctionInfo{}, err
	}
	revision, err := r.store.Functions.Create(ctx, record.ID, store.Record(&record))
	if err != nil {
		r.naming.release(spec.Tenant, spec.Name, record.ID)
		return FunctionInfo{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return FunctionInfo{}, fault.ErrClosed
	}
	return r.install(record, revision, nil).info(), nil
}

// UpdateFunction changes what describes a function. No version comes of it.
//
// # Errors
//
// *fault.NotFoundError, *fault.InvalidError, *fault.ConflictError, fault.ErrUnavailable.
func (c *Catalog) UpdateFunction(ctx context.Context, p access.Principal, function string, u FunctionUpdate) (FunctionInfo, error) {
	r := c.records
	f, record, err := r.function(p, "UpdateFunction", function)
	if err != nil {
		return FunctionInfo{}, err
	}
	if err := u.Validate(); err != nil {
		return FunctionInfo{}, err
	}
	if u.Name == nil {
		return r.change(ctx, f, u.apply)
	}
	r.naming.mu.Lock()
	defer r.naming.mu.Unlock()
	return r.rename(ctx, f, record.Tenant, u)
}

// rename makes a change that names a function. The caller holds naming's mutex.
func (r *records) rename(ctx context.Context, f *function, tenant string, u FunctionUpdate) (FunctionInfo, error) {
	// Also the name that it seems to have: another process may have given it another one.
	if err := r.naming.claim(ctx, tenant, *u.Name, f.id); err != nil {
		return FunctionInfo{}, err
	}
	old := ""
	info, err := r.change(ctx, f, func(record *functionRecord) error {
		old = record.Name
		return u.apply(record)
	})
	if err != nil {
		if !errors.Is(err, fault.ErrUnavailable) { // else nobody knows which name it has
			r.naming.release(tenant, *u.Name, f.id)
		}
		return FunctionInfo{}, err
	}
	// Again, since until now nobody could see that it is used: another process that gave the
	// function another name may have released it.
	err = r.naming.claim(ctx, tenant, *u.Name, f.id)
	switch {
	case err == nil:
		r.naming.release(tenant, old, f.id)
		return info, nil
	case fault.Of(err) == fault.Conflict: // another function has it since
		_, undone := r.change(ctx, f, func(record *functionRecord) error {
			if record.Name == *u.Name {
				record.Name = old
			}
			return nil
		})
		err = cmp.Or(undone, err)
	}
	return FunctionInfo{}, err
}

// apply makes the change in a record.
func (u FunctionUpdate) apply(r *functionRecord) error {
	if u.Name != nil {
		r.Name = *u.Name
	}
	if u.Description != nil {
		r.Description = *u.Description
	}
	if u.Labels != nil {
		r.Labels = maps.Clone(u.Labels)
	}
	if u.Calls != nil {
		r.Calls = history.Policy{Off: u.Calls.Off, Redact: slices.Clone(u.Calls.Redact)}
	}
	return nil
}

// CallPolicy returns what is to be kept of a function's calls.
func CallPolicy(c *Catalog, functionID string) history.Policy {
	t := &c.records.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	if f := t.functions[functionID]; f != nil {
		return f.record.Calls
	}
	return history.Policy{}
}

// SetPublic says whether anybody may call a function, without a key. The role, which
// may be empty, is only kept: the cloud has had several names for the one that this takes.
//
// # Errors
//
// *fault.NotFoundError, *fault.ConflictError, fault.ErrUnavailable.
func (c *Catalog) SetPublic(ctx context.Context, p access.Principal, function string, public bool, role string) (FunctionInfo, error) {
	f, _, err := c.records.function(p, "SetPublic", function)
	if err != nil {
		return FunctionInfo{}, err
	}
	return c.records.change(ctx, f, func(r *functionRecord) error {
		r.Public, r.PublicRole = public, ""
		if public {
			r.PublicRole = role
		}
		return nil
	})
}

// DeleteFunction refuses further calls of a function, waits for those in
// progress, and removes it with its versions. When ctx ends first, the removal
// goes on without the caller.
//
// # Errors
//
// *fault.NotFoundError, fault.ErrUnavailable, or ctx's.
func (c *Catalog) DeleteFunction(ctx context.Context, p access.Principal, function string) error {
	f, _, err := c.records.function(p, "DeleteFunction", function)
	if err != nil {
		return err
	}
	_, err = c.records.change(ctx, f, func(r *functionRecord) error {
		r.Status = StatusDeleting
		return nil
	})
	if err != nil && fault.Of(err) != fault.Conflict { // a conflict: it is being deleted already
		return err
	}
	removal := c.records.remove(f)
	select {
	case <-removal.done:
		return removal.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Function describes the function that the caller means by an id or a name. Who acts
// for all tenants names those of the default tenant, and others as TENANT/NAME.
//
// # Errors
//
// *fault.NotFoundError.
func (c *Catalog) Function(p access.Principal, function string) (FunctionInfo, error) {
	if err := p.Allow("Function"); err != nil {
		return FunctionInfo{}, err
	}
	t := &c.records.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	f := t.visible(p, function)
	if f == nil {
		return FunctionInfo{}, &fault.NotFoundError{Function: function}
	}
	return f.info(), nil
}

// Functions lists the functions within the caller's reach, in order of name and id.
func (c *Catalog) Functions(p access.Principal) ([]FunctionInfo, error) {
	if err := p.Allow("Functions"); err != nil {
		return nil, err
	}
	t := &c.records.table
	t.mu.RLock()
	var all []FunctionInfo
	for _, f := range t.functions {
		if p.ActsFor(f.record.Tenant) {
			all = append(all, f.info())
		}
	}
	t.mu.RUnlock()
	slices.SortFunc(all, func(a, b FunctionInfo) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Resolve returns the version that carries a tag of the function that the caller
// means and may call: one within the caller's reach, or one that is public, by its id.
// Who is unknown may name the public ones of the default tenant, too. An empty tag
// means LatestTag.
//
// # Errors
//
// fault.ErrUnauthenticated for who is unknown, whether or not there is such a
// function; *fault.NotFoundError, also while the function is being deleted.
func (c *Catalog) Resolve(p access.Principal, function, tag string) (*Version, error) {
	if err := p.Allow("Resolve"); err != nil {
		return nil, err
	}
	t := &c.records.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	f := t.callable(p, function)
	switch {
	case f == nil && p.Anonymous():
		return nil, fault.ErrUnauthenticated
	case f == nil || f.record.Status == StatusDeleting:
		return nil, &fault.NotFoundError{Function: function}
	}
	v, ok := f.versions[f.record.Tags[cmp.Or(tag, LatestTag)]]
	if !ok {
		return nil, &fault.NotFoundError{Function: function, Tag: cmp.Or(tag, LatestTag)}
	}
	return v, nil
}
