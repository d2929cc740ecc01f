package host

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// TenantQuotas is what a tenant may have and has.
type TenantQuotas struct {
	Tenant   string
	Limits   Quotas // negative: no limit
	Use      Quotas
	Exceeded Quotas // how often something was refused in this process
}

// admissions are versions that are being made: nobody lists them yet, and their
// tenants' quotas have a place for them.
type admissions struct {
	mu       sync.Mutex // guards versions; held while those that there are are counted
	versions map[string]*catalog.Version
}

// admit makes sure that a tenant may have one more version, v. The caller calls
// the function it returns when v is listed, or never will be.
//
// # Errors
//
// *QuotaError.
func (h *Host) admit(v *catalog.Version) (done func(), err error) {
	a := &h.admissions
	a.mu.Lock()
	defer a.mu.Unlock()
	use := h.kept(v.Tenant)[v.Tenant]
	h.mu.RLock()
	for id, other := range a.versions {
		if other.Tenant == v.Tenant && h.versions[id] == nil {
			use[QuotaVersions]++
			use[QuotaCodeBytes] += other.ImageSize
		}
	}
	h.mu.RUnlock()
	if err := h.ledger.Check(v.Tenant, QuotaVersions, use[QuotaVersions], 1); err != nil {
		return nil, err
	}
	if err := h.ledger.Check(v.Tenant, QuotaCodeBytes, use[QuotaCodeBytes], v.ImageSize); err != nil {
		return nil, err
	}
	a.versions[v.ID] = v
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.versions, v.ID)
	}, nil
}

// fitsKept says if a tenant may have one more of what kept counts. The caller
// sees to it that nobody else of this host adds one meanwhile.
func (h *Host) fitsKept(tenant string, q Quota) error {
	return h.ledger.Check(tenant, q, h.kept(tenant)[tenant][q], 1)
}

// kept counts what is there until somebody deletes it: functions, versions, code
// and timers of a tenant, or of all when tenant is empty.
func (h *Host) kept(tenant string) map[string]Quotas {
	use := map[string]Quotas{}
	h.mu.RLock()
	for _, f := range h.functions {
		owner := f.record.Tenant
		if tenant != "" && owner != tenant {
			continue
		}
		u := use[owner]
		u[QuotaFunctions]++
		for _, v := range f.versions {
			u[QuotaVersions]++
			u[QuotaCodeBytes] += v.ImageSize
		}
		use[owner] = u
	}
	h.mu.RUnlock()
	for owner, n := range h.events.Timers() {
		if tenant == "" || owner == tenant {
			u := use[owner]
			u[QuotaTimers] = n
			use[owner] = u
		}
	}
	return use
}

// Tenants tells of all tenants that have something or whose quotas are special,
// by name. Queued calls are not counted: that takes the store.
func (h *Host) Tenants() []TenantQuotas {
	use, states := h.kept(""), h.ledger.States()
	for tenant := range use {
		if _, ok := states[tenant]; !ok {
			states[tenant] = h.ledger.State(tenant)
		}
	}
	all := []TenantQuotas{}
	for _, tenant := range slices.Sorted(maps.Keys(states)) {
		all = append(all, h.tenantQuotas(tenant, states[tenant], use[tenant]))
	}
	return all
}

// tenantQuotas puts together what the ledger knows and what is counted
// elsewhere.
func (h *Host) tenantQuotas(tenant string, s quota.State, kept Quotas) TenantQuotas {
	t := TenantQuotas{Tenant: tenant, Limits: s.Limits, Use: s.Use, Exceeded: s.Exceeded}
	for q, n := range kept {
		t.Use[q] += n
	}
	t.Use[QuotaLogBytes] = h.book.Kept(tenant)
	return t
}

// QuotasOf tells what a tenant may have and has.
//
// # Errors
//
// *InvalidError, ErrUnavailable.
func (h *Host) QuotasOf(ctx context.Context, tenant string) (TenantQuotas, error) {
	if err := catalog.ValidateTenant("tenant", tenant); err != nil {
		return TenantQuotas{}, err
	}
	t := h.tenantQuotas(tenant, h.ledger.State(tenant), h.kept(tenant)[tenant])
	queued, err := h.events.Queued(ctx, tenant)
	t.Use[QuotaAsyncCalls], t.Use[QuotaAsyncBytes] = queued.Items, queued.Bytes
	return t, err
}

// SetQuotas changes a tenant's limits: 0 means the default, a negative number no
// limit; those that are not named stay. So does what the tenant has beyond them.
//
// # Errors
//
// *InvalidError, ErrUnavailable, ErrClosed.
func (h *Host) SetQuotas(ctx context.Context, tenant string, changes map[Quota]int64) error {
	if err := catalog.ValidateTenant("tenant", tenant); err != nil {
		return err
	}
	if h.running.Err() != nil {
		return fault.ErrClosed
	}
	h.naming.Lock() // two changes at once would lose one
	defer h.naming.Unlock()
	limits := h.ledger.Own(tenant)
	for q, n := range changes {
		limits[q] = n
	}
	if limits == (Quotas{}) {
		if err := h.cfg.Store.Quotas.Delete(ctx, tenant); err != nil {
			return err
		}
	} else if err := h.cfg.Store.Quotas.Put(ctx, tenant, encodeRecord(limits)); err != nil {
		return err
	}
	h.ledger.SetOwn(tenant, limits)
	return nil
}

// watchQuotas takes over the limits in the store, and their changes.
func (h *Host) watchQuotas(ctx context.Context) (stop func(), err error) {
	stop, err = h.cfg.Store.Quotas.Watch(ctx, func(e store.Entry) {
		var limits Quotas
		if !e.Deleted {
			if err := json.Unmarshal(e.Value, &limits); err != nil {
				// They may have been lower than the defaults.
				h.log.Error("quotas of a tenant can't be read; it may have nothing", "tenant", e.Key, "err", err,
					"cure", "set them anew with: vivarium tenant quota "+e.Key)
				for q := range limits {
					limits[q] = 1 // 0 would be the default
				}
			}
		}
		h.ledger.SetOwn(e.Key, limits)
	}, func() {})
	return stop, err
}
