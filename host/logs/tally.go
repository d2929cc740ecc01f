package logs

import (
	"context"

	"vivarium/host/quota"
)

// tally tracks how much of each log the store has, so that one tenant's log
// does not displace another's: the store only bounds all logs together. It
// learns of other processes' entries only at the start. The goroutine that
// stores entries changes it, under the book's mutex.
type tally struct {
	tenants map[string]map[string]*storedLog // by function
	all     int64                            // bytes
}

// storedLog is what the store has of a function's log.
type storedLog struct {
	batches []int32 // sizes in bytes, oldest first
	size    int64
}

// batchBytes is the store's overhead per batch.
const batchBytes = 64

func (t *tally) add(tenant, functionID string, size int64) {
	if t.tenants[tenant] == nil {
		t.tenants[tenant] = map[string]*storedLog{}
	}
	l := t.tenants[tenant][functionID]
	if l == nil {
		l = &storedLog{}
		t.tenants[tenant][functionID] = l
	}
	l.batches = append(l.batches, int32(size))
	l.size += size
	t.all += size
}

// size returns the bytes of a tenant's logs.
func (t *tally) size(tenant string) (n int64) {
	for _, l := range t.tenants[tenant] {
		n += l.size
	}
	return n
}

// most returns the tenant with the largest logs.
func (t *tally) most() (tenant string) {
	size := int64(-1)
	for other := range t.tenants {
		if n := t.size(other); n > size {
			tenant, size = other, n
		}
	}
	return tenant
}

// surplus returns, if a tenant exceeds limit, its longest log and how many of
// its newest batches to keep to be a quarter below. Otherwise, if all tenants
// together exceed capacity, it does so for the one with the largest logs.
func (t *tally) surplus(tenant string, limit, capacity int64) (o Owner, keep int, ok bool) {
	total := t.size(tenant)
	if total <= limit {
		if t.all <= capacity {
			return Owner{}, 0, false
		}
		// It keeps to its own limit, but is the one that leaves the others least.
		tenant = t.most()
		total = t.size(tenant)
		limit = total - 1
	}
	var longest *storedLog
	functionID := ""
	for id, l := range t.tenants[tenant] {
		if longest == nil || l.size > longest.size {
			functionID, longest = id, l
		}
	}
	// Dropping a quarter at a time makes trims rare: each is a change in the store.
	excess, drop := total-limit/4*3, 0
	for excess > 0 && drop < len(longest.batches) {
		excess -= int64(longest.batches[drop])
		drop++
	}
	return Owner{Tenant: tenant, Function: functionID}, len(longest.batches) - drop, true
}

// forget forgets a log.
func (t *tally) forget(tenant, functionID string) {
	if l := t.tenants[tenant][functionID]; l != nil {
		t.all -= l.size
		delete(t.tenants[tenant], functionID)
	}
	if len(t.tenants[tenant]) == 0 {
		delete(t.tenants, tenant)
	}
}

// trim forgets all but the newest keep batches of a log.
func (t *tally) trim(tenant, functionID string, keep int) {
	l := t.tenants[tenant][functionID]
	for _, size := range l.batches[:len(l.batches)-keep] {
		l.size -= int64(size)
		t.all -= int64(size)
	}
	// A copy: the old array would grow with all that has ever been stored.
	l.batches = append([]int32(nil), l.batches[len(l.batches)-keep:]...)
}

// Load takes stock of the store's logs.
//
// # Errors
//
// fault.ErrUnavailable.
func (b *Book) Load(ctx context.Context, tenantOf func(functionID string) string) error {
	batches, average, err := b.store.Logs.Sizes(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, n := range batches {
		if tenant := tenantOf(id); tenant != "" {
			// The store only tells the average size, which errs for single logs but
			// not for their sum.
			for range n {
				b.tally.add(tenant, id, average)
			}
		}
	}
	return nil
}

// Kept returns the bytes that the store has of a tenant's logs.
func (b *Book) Kept(tenant string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally.size(tenant)
}

// Drop removes the log of a function that is being deleted. Of a transient function's
// nothing is stored, and newer entries displace the others.
//
// # Errors
//
// fault.ErrUnavailable.
func (b *Book) Drop(ctx context.Context, o Owner) error {
	if o.Transient {
		return nil
	}
	if err := b.store.Logs.Delete(ctx, o.Function); err != nil {
		return err
	}
	b.Forget(o.Tenant, o.Function)
	return nil
}

// Forget forgets the log of a function that another process has deleted.
func (b *Book) Forget(tenant, functionID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tally.forget(tenant, functionID)
}

// trim removes the oldest entries of a tenant that exceeds its quota, and, when
// the store is almost full, of the tenant with the largest logs: the store
// itself would remove the oldest of all, or the longest.
func (b *Book) trim(tenant string) {
	// The rest is room for what other goroutines and processes store meanwhile.
	capacity := b.store.Logs.Capacity() / 16 * 15
	limit := b.ledger.Limit(tenant, quota.LogBytes)
	if limit < 0 {
		limit = capacity
	}
	for {
		b.mu.Lock()
		o, keep, ok := b.tally.surplus(tenant, limit, capacity)
		b.mu.Unlock()
		if !ok || b.store.Logs.Trim(context.Background(), o.Function, keep) != nil {
			return // retried with the next batch if the store was unavailable
		}
		b.mu.Lock()
		if b.tally.tenants[o.Tenant][o.Function] != nil { // else the function was deleted meanwhile
			b.tally.trim(o.Tenant, o.Function, keep)
		}
		b.mu.Unlock()
	}
}
