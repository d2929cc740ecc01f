package catalog

import (
	"sync"

	"vivarium/host/access"
	"vivarium/host/quota"
)

// Use returns what tenants within the caller's reach have of what the catalog counts:
// functions, versions and bytes of code. Tenants that have nothing are left out.
func (c *Catalog) Use(p access.Principal) (map[string]quota.Amounts, error) {
	if err := p.Allow("Use"); err != nil {
		return nil, err
	}
	t := &c.records.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	use := map[string]quota.Amounts{}
	for _, f := range t.functions {
		if p.ActsFor(f.record.Tenant) {
			use[f.record.Tenant] = f.addTo(use[f.record.Tenant])
		}
	}
	return use, nil
}

// use returns what one tenant has. The caller holds the mutex.
func (t *table) use(tenant string) (use quota.Amounts) {
	for _, f := range t.functions {
		if f.record.Tenant == tenant {
			use = f.addTo(use)
		}
	}
	return use
}

// addTo adds what f has to what its tenant has. The caller holds the mutex.
func (f *function) addTo(use quota.Amounts) quota.Amounts {
	use[quota.Functions]++
	for _, v := range f.versions {
		use[quota.Versions]++
		use[quota.CodeBytes] += v.ArchiveSize
	}
	return use
}

// admissions are versions that are being made: nobody lists them yet, and their
// tenants' quotas have a place for them.
type admissions struct {
	mu       sync.Mutex // guards versions; held while those that there are are counted
	versions map[string]*Version
}

// admit makes sure that a tenant may have one more version, v. The caller calls
// the function it returns when v is listed, or never will be.
//
// # Errors
//
// *quota.Error.
func (r *records) admit(v *Version) (done func(), err error) {
	a := &r.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	r.mu.RLock()
	use := r.use(v.Tenant)
	for id, other := range a.versions {
		if other.Tenant == v.Tenant && r.versions[id] == nil {
			use[quota.Versions]++
			use[quota.CodeBytes] += other.ArchiveSize
		}
	}
	r.mu.RUnlock()
	if err := r.cfg.Ledger.Check(v.Tenant, quota.Versions, use[quota.Versions], 1); err != nil {
		return nil, err
	}
	if err := r.cfg.Ledger.Check(v.Tenant, quota.CodeBytes, use[quota.CodeBytes], v.ArchiveSize); err != nil {
		return nil, err
	}
	a.versions[v.ID] = v
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.versions, v.ID)
	}, nil
}
