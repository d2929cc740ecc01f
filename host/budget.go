package host

import (
	"sync/atomic"
	"time"
)

// instanceMemory is what an instance costs besides what it grows by: the pages
// it makes its own in ordinary calls, and what the host keeps for it. In bytes.
const instanceMemory = 2 << 20

// budget bounds the private memory of all instances together.
type budget struct {
	limit int64 // bytes; 0 means no bound
	used  atomic.Int64
}

// take takes bytes from the budget and says if they were there.
func (b *budget) take(n int64) bool {
	for {
		used := b.used.Load()
		if b.limit > 0 && used+n > b.limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// reserve takes memory for a tenant, in bytes, from its quota and from the
// budget, or gives it back when delta is negative. Idle instances leave to make
// room: the tenant's own for its quota. It is called while a guest waits for its
// memory to grow.
//
// # Errors
//
// *QuotaError, ErrBusy when the machine has no more.
func (h *Host) reserve(tenant string, delta int64) error {
	if delta <= 0 {
		h.budget.used.Add(delta)
		h.ledger.give(tenant, QuotaMemory, -delta)
		return nil
	}
	for !h.ledger.take(tenant, QuotaMemory, delta) {
		if !h.evictOwn(tenant) {
			return h.ledger.refuse(tenant, QuotaMemory)
		}
	}
	for !h.budget.take(delta) {
		if !h.evictFor(tenant) {
			h.ledger.give(tenant, QuotaMemory, delta)
			return ErrBusy
		}
	}
	return nil
}

// reserveInstance takes what one more instance of a tenant costs.
//
// # Errors
//
// Those of reserve.
func (h *Host) reserveInstance(tenant string) error {
	for !h.ledger.take(tenant, QuotaInstances, 1) {
		if !h.evictOwn(tenant) {
			return h.ledger.refuse(tenant, QuotaInstances)
		}
	}
	if err := h.reserve(tenant, instanceMemory); err != nil {
		h.ledger.give(tenant, QuotaInstances, 1)
		return err
	}
	return nil
}

// releaseInstance gives back what reserveInstance took.
func (h *Host) releaseInstance(tenant string) {
	h.ledger.give(tenant, QuotaInstances, 1)
	_ = h.reserve(tenant, -instanceMemory) // giving back does not fail
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
	used := h.ledger.memory() // the tenant's has what it asks for already
	share := h.budget.limit / int64(max(len(used), 1))
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
