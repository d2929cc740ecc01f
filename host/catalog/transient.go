package catalog

import (
	"context"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/wasm/vfs"
)

// DeployTransient makes a version of the function of that name, and the function when
// there is none, in memory alone: no restart survives it. The version gets
// LatestTag at once.
//
// # Errors
//
// *fault.NotFoundError for who acts for no tenant, or for a secret, *fault.InvalidError,
// *fault.ConflictError when the function is a stored one, fault.ErrClosed.
func (c *Catalog) DeployTransient(p access.Principal, name string, spec VersionSpec, code *vfs.Tree) (*Version, error) {
	if err := p.Allow("DeployTransient"); err != nil {
		return nil, err
	}
	if !p.ActsFor(p.Home()) {
		return nil, &fault.NotFoundError{Thing: "folder", Name: p.Tenant}
	}
	spec = spec.WithDefaults()
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	r := c.records
	var err error
	if spec.Secrets, err = pin(r.cfg.Secrets, p.Home(), spec); err != nil {
		return nil, err
	}
	f, record, err := r.makeTransient(p.Home(), name)
	if err != nil {
		return nil, err
	}
	v := newVersion(record, versionRecord{ID: NewID(VersionPrefix), CreatedAt: time.Now().UTC(), Spec: spec})
	v.Transient = true
	r.cfg.Runner.Add(v, code, nil)
	if err := r.addVersion(context.Background(), f, v, nil); err != nil {
		r.cfg.Runner.Remove(v.ID)
		return nil, err
	}
	return v, nil
}

// makeTransient returns the function of that name, which is in no store; a new one
// when there is none.
func (r *records) makeTransient(tenant, name string) (*function, functionRecord, error) {
	r.naming.mu.Lock()
	defer r.naming.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, functionRecord{}, fault.ErrClosed
	}
	f := r.names[Reference(tenant, name)]
	if f == nil {
		record := newRecord(FunctionSpec{Name: name, Tenant: tenant})
		f = &function{id: record.ID, record: record, revision: 1, transient: true, versions: map[string]*Version{}}
		r.functions[f.id], r.names[record.reference()] = f, f
	}
	if !f.transient && r.store.Durable {
		return nil, functionRecord{}, fault.Conflictf("function", name, "is a stored one; choose another name")
	}
	return f, f.record, nil
}

// Retire drains and forgets the versions of a function that carry no tag. It blocks
// until their calls are done.
//
// # Errors
//
// *fault.NotFoundError.
func (c *Catalog) Retire(ctx context.Context, p access.Principal, function string) error {
	f, _, err := c.records.function(p, "Retire", function)
	if err != nil {
		return err
	}
	c.records.retire(ctx, f, time.Now())
	return nil
}
