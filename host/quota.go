package host

import (
	"time"

	"vivarium/host/quota"
)

// The names that package quota has for what its users here and in package web
// speak of most.
type (
	// Quota is a thing of which a tenant may have only so much.
	Quota = quota.Quota
	// Quotas are a number for each Quota.
	Quotas = quota.Amounts
	// QuotaError says that a tenant has all that it may have of something.
	QuotaError = quota.Error
)

// What there are quotas for.
const (
	QuotaFunctions  = quota.Functions
	QuotaVersions   = quota.Versions
	QuotaCodeBytes  = quota.CodeBytes
	QuotaImageBytes = quota.ImageBytes
	QuotaInstances  = quota.Instances
	QuotaMemory     = quota.Memory
	QuotaCalls      = quota.Calls
	QuotaTimers     = quota.Timers
	QuotaAsyncCalls = quota.AsyncCalls
	QuotaAsyncBytes = quota.AsyncBytes
	QuotaLogBytes   = quota.LogBytes
	QuotaLogStreams = quota.LogStreams
	QuotaCount      = quota.Count
)

// QuotaOf returns the quota of that name.
func QuotaOf(name string) (q Quota, ok bool) { return quota.Of(name) }

// instanceMemory is what an instance costs besides what it grows by: the pages
// it makes its own in ordinary calls, and what the host keeps for it. In bytes.
const instanceMemory = 2 << 20

// newLedger makes the ledger of a host.
func (h *Host) newLedger() *quota.Ledger {
	defaults := h.cfg.Quotas.Or(quota.Defaults())
	if defaults[QuotaMemory] == 0 {
		defaults[QuotaMemory] = h.cfg.MaxMemory / 4 * 3
	}
	l := quota.New(quota.Config{
		Defaults: defaults, Reclaim: h.reclaim,
		Machine: Quotas{QuotaMemory: h.cfg.MaxMemory, QuotaImageBytes: h.cfg.MaxImageDisk},
	})
	l.SetOwn(tryTenant, Quotas{QuotaMemory: h.cfg.MaxMemory / tryMemoryShare})
	return l
}

// Reserve takes n of a kind for a tenant, before it is held, and returns what
// gives it back. Idle instances leave to make room: the tenant's own when its
// quota is used up. It blocks while they are closed.
//
// # Errors
//
// *QuotaError, ErrExhausted.
func (h *Host) Reserve(tenant string, k quota.Kind, n int64) (release func(), err error) {
	return h.ledger.Reserve(tenant, k, n)
}

// ownMemory takes memory for one of a tenant's instances, or gives it back when
// delta is negative. It is called while a guest waits.
//
// # Errors
//
// Those of Reserve.
func (h *Host) ownMemory(tenant string, delta int64) error {
	if delta > 0 {
		return h.ledger.Take(tenant, quota.OwnMemory, delta)
	}
	h.ledger.Give(tenant, quota.OwnMemory, -delta)
	return nil
}

// reserveInstance takes what one more instance of a tenant costs.
//
// # Errors
//
// Those of Reserve.
func (h *Host) reserveInstance(tenant string) error {
	if err := h.ledger.Take(tenant, quota.Instance, 1); err != nil {
		return err
	}
	if err := h.ledger.Take(tenant, quota.InstanceMemory, instanceMemory); err != nil {
		h.ledger.Give(tenant, quota.Instance, 1)
		return err
	}
	return nil
}

// releaseInstance gives back what reserveInstance took.
func (h *Host) releaseInstance(tenant string) {
	h.ledger.Give(tenant, quota.InstanceMemory, instanceMemory)
	h.ledger.Give(tenant, quota.Instance, 1)
}

// reclaim makes room in the ledger, see quota.Config.
func (h *Host) reclaim(tenant string, q Quota, own bool) bool {
	switch {
	case q == QuotaImageBytes:
		return h.evictImage(tenant, own)
	case q != QuotaMemory && q != QuotaInstances:
		return false
	case own:
		return h.evictOwn(tenant)
	}
	return h.evictFor(tenant)
}

// evictOwn closes the instance of a tenant that has been idle longest, and says
// if there was one.
func (h *Host) evictOwn(tenant string) bool {
	return h.evict(func(other string) (int64, bool) { return 0, other == tenant })
}

// evictFor closes an idle instance so that a tenant gets memory, and says if
// there was one that it may have: its own, or of somebody who has more than an
// equal share of all memory. Who has most loses first; of that tenant's
// instances, the one that has been idle longest.
func (h *Host) evictFor(tenant string) bool {
	used := h.ledger.Users(QuotaMemory) // the tenant's has what it asks for already
	share := h.ledger.Machine(QuotaMemory) / int64(max(len(used), 1))
	return h.evict(func(other string) (int64, bool) { return used[other], other == tenant || used[other] > share })
}

// evict forgets code that is not in use, or else closes an idle instance, of one
// of the tenants that from allows: of the one for which it returns most, the
// instance that has been idle longest.
func (h *Host) evict(from func(tenant string) (weight int64, ok bool)) bool {
	for {
		var (
			victim *pool
			oldest time.Time
			most   int64
		)
		for _, p := range h.pools() {
			weight, ok := from(p.v.Tenant)
			if !ok {
				continue
			}
			if _, live, _ := p.stats(); live == 0 && p.v.code.drop() {
				return true
			}
			at, idle := p.oldest()
			if idle && (victim == nil || weight > most || weight == most && at.Before(oldest)) {
				victim, oldest, most = p, at, weight
			}
		}
		if victim == nil {
			return false
		}
		if victim.evictOldest() {
			return true
		}
	}
}
