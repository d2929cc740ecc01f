package host

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"vivarium/host/access"
	"vivarium/host/accounts"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/secrets"
	"vivarium/host/store"
)

// TenantQuotas is what a tenant may have and has.
type TenantQuotas struct {
	Tenant    string
	Ceiling   *egress.Policy // what its functions may reach at most, besides the server's own bound
	Limits    quota.Amounts  // negative: no limit
	Use       quota.Amounts  // what all nodes have in common, and what this one has
	Elsewhere quota.Amounts  // what other nodes have that counts here
	Exceeded  quota.Amounts  // how often something was refused in this process
}

// Tenants puts together what tenants may have, and what they have in the ledger, the
// catalog and the store. Safe for concurrent use.
type Tenants struct {
	store    store.Bucket
	ledger   *quota.Ledger
	ceilings *egress.Ceilings
	catalog  *catalog.Catalog
	events   *events.Events
	book     *logs.Book
	history  *history.History
	secrets  *secrets.Vault
	accounts *accounts.Register
	log      *slog.Logger
	unwatch  func() // ends the news from the store

	changing sync.Mutex // held while limits change: two changes at once would lose one
}

// All tells of all tenants that have something or whose quotas or ceiling are
// special, by name; of the playground, too, if it has something. Queued calls are
// not counted: that takes the store.
func (t *Tenants) All(p access.Principal) ([]TenantQuotas, error) {
	if err := p.Allow("Tenants"); err != nil {
		return nil, err
	}
	use, err := t.catalog.Use(p)
	if err != nil {
		return nil, err
	}
	states, counts := t.ledger.States(), t.counts()
	bounded := slices.DeleteFunc(t.ceilings.Tenants(), func(tenant string) bool { // the playground always is
		return catalog.ValidateTenant("tenant", tenant) != nil
	})
	having := append(slices.Collect(maps.Keys(use)), bounded...)
	for _, count := range counts {
		having = slices.AppendSeq(having, maps.Keys(count))
	}
	for _, tenant := range having {
		if _, ok := states[tenant]; !ok {
			states[tenant] = t.ledger.State(tenant)
		}
	}
	all := []TenantQuotas{}
	for _, tenant := range slices.Sorted(maps.Keys(states)) {
		all = append(all, t.sum(tenant, states[tenant], use[tenant], counts))
	}
	return all, nil
}

// counts returns how much tenants have of what is kept as records.
func (t *Tenants) counts() map[quota.Quota]map[string]int64 {
	return map[quota.Quota]map[string]int64{
		quota.Timers: t.events.TimerCounts(), quota.Secrets: t.secrets.Counts(), quota.ServiceAccounts: t.accounts.Counts(),
	}
}

// sum puts together what the ledger knows and what is counted elsewhere.
func (t *Tenants) sum(tenant string, s quota.State, kept quota.Amounts, counts map[quota.Quota]map[string]int64) TenantQuotas {
	of := TenantQuotas{Tenant: tenant, Ceiling: t.ceilings.Of(tenant), Limits: s.Limits, Use: s.Use, Exceeded: s.Exceeded}
	for q, n := range kept {
		of.Use[q] += n
	}
	for q, count := range counts {
		of.Use[q] = count[tenant]
	}
	of.Use[quota.LogBytes] = t.book.Kept(tenant)
	of.Use[quota.CallBytes] = t.history.Kept(tenant)
	of.Elsewhere = t.ledger.Elsewhere(tenant)
	return of
}

// Quotas tells what a tenant may have and has; the caller's own when none is named.
//
// # Errors
//
// *fault.NotFoundError for a tenant that the caller does not act for,
// *fault.InvalidError, fault.ErrUnavailable.
func (t *Tenants) Quotas(ctx context.Context, p access.Principal, tenant string) (TenantQuotas, error) {
	if err := p.Allow("Quotas"); err != nil {
		return TenantQuotas{}, err
	}
	if tenant = cmp.Or(tenant, p.Home()); !p.ActsFor(tenant) {
		return TenantQuotas{}, &fault.NotFoundError{Thing: "folder", Name: tenant}
	}
	if err := catalog.ValidateTenant("tenant", tenant); err != nil {
		return TenantQuotas{}, err
	}
	use, err := t.catalog.Use(p)
	if err != nil {
		return TenantQuotas{}, err
	}
	of := t.sum(tenant, t.ledger.State(tenant), use[tenant], t.counts())
	queued, err := t.events.Queued(ctx, tenant)
	of.Use[quota.AsyncCalls], of.Use[quota.AsyncBytes] = queued.Items, queued.Bytes
	return of, err
}

// SetQuotas changes a tenant's limits: 0 means the default, a negative number no
// limit; those that are not named stay. So does what the tenant has beyond them.
// It is for those who act for all tenants: nobody sets limits for himself.
//
// # Errors
//
// *fault.InvalidError, fault.ErrUnavailable.
func (t *Tenants) SetQuotas(ctx context.Context, p access.Principal, tenant string, changes map[quota.Quota]int64) error {
	if err := p.Allow("SetQuotas"); err != nil {
		return err
	}
	if err := catalog.ValidateTenant("tenant", tenant); err != nil {
		return err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	limits := t.ledger.Own(tenant)
	for q, n := range changes {
		limits[q] = n
	}
	if limits == (quota.Amounts{}) {
		if err := t.store.Delete(ctx, tenant); err != nil {
			return err
		}
	} else if err := t.store.Put(ctx, tenant, store.Record(limits)); err != nil {
		return err
	}
	t.ledger.SetOwn(tenant, limits)
	return nil
}

// ceilingKey is before the name of a tenant in the key of its ceiling.
const ceilingKey = "net/"

// SetCeiling bounds what a tenant's functions may reach, whatever their versions ask
// for, from now on: also those that are running. The text is one for
// egress.ParseCeiling. It is for those who act for all tenants.
//
// # Errors
//
// *fault.InvalidError, fault.ErrUnavailable.
func (t *Tenants) SetCeiling(ctx context.Context, p access.Principal, tenant, text string) error {
	if err := p.Allow("SetCeiling"); err != nil {
		return err
	}
	if err := catalog.ValidateTenant("tenant", tenant); err != nil {
		return err
	}
	ceiling, err := catalog.ParseCeiling(text)
	if err != nil {
		return err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	if text == egress.Unbounded {
		err = t.store.Delete(ctx, ceilingKey+tenant)
	} else {
		err = t.store.Put(ctx, ceilingKey+tenant, store.Record(text))
	}
	if err == nil {
		t.ceilings.Set(tenant, ceiling)
	}
	return err
}

// watch takes over the limits and ceilings in the store, and their changes.
func (t *Tenants) watch(ctx context.Context) error {
	stop, err := t.store.Watch(ctx, func(e store.Entry) {
		if tenant, ok := strings.CutPrefix(e.Key, ceilingKey); ok {
			t.applyCeiling(tenant, e)
		} else {
			t.applyLimits(e)
		}
	}, func() {})
	if err != nil {
		return err
	}
	t.unwatch = stop
	if err := t.store.Damage(); err != nil {
		t.log.Error("store: quotas are lost; set those that are missing again", "error", err)
	}
	return nil
}

func (t *Tenants) applyLimits(e store.Entry) {
	var limits quota.Amounts
	if !e.Deleted {
		if err := json.Unmarshal(e.Value, &limits); err != nil {
			// They may have been lower than the defaults.
			t.log.Error("quotas of a tenant can't be read; it may have nothing", "tenant", e.Key, "error", err,
				"cure", "set them again with: vivarium tenant quota "+e.Key)
			for q := range limits {
				limits[q] = 1 // 0 would be the default
			}
		}
	}
	t.ledger.SetOwn(e.Key, limits)
}

func (t *Tenants) applyCeiling(tenant string, e store.Entry) {
	text := egress.Unbounded
	var ceiling *egress.Policy
	var err error
	if !e.Deleted {
		err = json.Unmarshal(e.Value, &text)
	}
	if err == nil {
		ceiling, err = egress.ParseCeiling(text)
	}
	if err != nil {
		t.log.Error("what a tenant may reach can't be read; it may reach nothing", "tenant", tenant, "error", err,
			"cure", "set it again with: vivarium tenant quota "+tenant+" --allow-net=RULES")
	}
	t.ceilings.Set(tenant, ceiling)
}
