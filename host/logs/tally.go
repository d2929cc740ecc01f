package logs

import "context"

// tally tracks how much of each log the store has, so that one tenant's log
// does not displace another's: the store only bounds all logs together. It
// learns of other processes' entries only at the start. The goroutine that
// stores entries changes it, under the journal's mutex.
type tally struct {
	tenants map[string]map[string]*storedLog // by function
	all     int64                            // bytes
}

// storedLog is what the store has of a function's log.
type storedLog struct {
	batches []storedBatch // oldest first
	size    int64
	lines   int
}

// storedBatch is what the store has of a batch.
type storedBatch struct{ size, lines int32 }

// batchBytes is the store's overhead per batch.
const batchBytes = 64

func (t *tally) add(tenant, functionID string, size int64, lines int) {
	if t.tenants[tenant] == nil {
		t.tenants[tenant] = map[string]*storedLog{}
	}
	l := t.tenants[tenant][functionID]
	if l == nil {
		l = &storedLog{}
		t.tenants[tenant][functionID] = l
	}
	l.batches = append(l.batches, storedBatch{int32(size), int32(lines)})
	l.size += size
	l.lines += lines
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
		excess -= int64(longest.batches[drop].size)
		drop++
	}
	return Owner{Tenant: tenant, Function: functionID}, len(longest.batches) - drop, true
}

// over returns, if a log has half as many lines again as it is to have at least, or more
// bytes than it may have, how many of its newest batches to keep: those with that many
// lines, and with three quarters of the bytes. No bound is 0.
func (t *tally) over(o Owner, lines int, bytes int64) (keep int, ok bool) {
	l := t.tenants[o.Tenant][o.Function]
	if l == nil || (lines == 0 || l.lines < lines+lines/2) && (bytes == 0 || l.size <= bytes) {
		return 0, false
	}
	left, size := l.lines, l.size
	for keep = len(l.batches); keep > 0; keep-- {
		oldest := l.batches[len(l.batches)-keep]
		left, size = left-int(oldest.lines), size-int64(oldest.size)
		if (lines == 0 || left < lines) && (bytes == 0 || size+int64(oldest.size) <= bytes/4*3) {
			break
		}
	}
	return keep, keep < len(l.batches)
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
	for _, b := range l.batches[:len(l.batches)-keep] {
		l.size -= int64(b.size)
		t.all -= int64(b.size)
		l.lines -= int(b.lines)
	}
	// A copy: the old array would grow with all that has ever been stored.
	l.batches = append([]storedBatch(nil), l.batches[len(l.batches)-keep:]...)
}

// Load takes stock of the store's logs.
//
// # Errors
//
// fault.ErrUnavailable.
func (j *Journal) Load(ctx context.Context, tenantOf func(functionID string) string) error {
	batches, average, err := j.store.Sizes(ctx)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, n := range batches {
		if tenant := tenantOf(id); tenant != "" {
			// The store only tells the average size, which errs for single logs but
			// not for their sum.
			for range n {
				j.tally.add(tenant, id, average, 1)
			}
		}
	}
	return nil
}

// Kept returns the bytes that the store has of a tenant's logs.
func (j *Journal) Kept(tenant string) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tally.size(tenant)
}

// Drop removes the log of a function that is being deleted. Of a transient function's
// nothing is stored, and newer entries displace the others.
//
// # Errors
//
// fault.ErrUnavailable.
func (j *Journal) Drop(ctx context.Context, o Owner) error {
	if o.Transient {
		return nil
	}
	if err := j.store.Delete(ctx, o.Function); err != nil {
		return err
	}
	j.Forget(o.Tenant, o.Function)
	return nil
}

// Forget forgets the log of a function that another process has deleted.
func (j *Journal) Forget(tenant, functionID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tally.forget(tenant, functionID)
}

// trim removes the oldest entries of a tenant that exceeds its quota, and, when
// the store is almost full, of the tenant with the largest logs: the store
// itself would remove the oldest of all, or the longest.
func (j *Journal) trim(tenant string) {
	// The rest is room for what other goroutines and processes store meanwhile.
	capacity := j.store.Capacity() / 16 * 15
	limit := j.ledger.Limit(tenant, j.cfg.Quota)
	if limit < 0 {
		limit = capacity
	}
	for {
		j.mu.Lock()
		o, keep, ok := j.tally.surplus(tenant, limit, capacity)
		j.mu.Unlock()
		if !ok || !j.cut(o, keep) {
			return
		}
	}
}

// trimOf removes the oldest entries of a function that exceeds the bounds of one.
func (j *Journal) trimOf(o Owner) {
	j.mu.Lock()
	keep, ok := j.tally.over(o, j.cfg.LinesOf, j.cfg.BytesOf)
	j.mu.Unlock()
	if ok {
		j.cut(o, keep)
	}
}

// cut removes all but the newest batches of a log. If the store is unavailable, it is
// tried again with the next batch.
func (j *Journal) cut(o Owner, keep int) (ok bool) {
	if j.store.Trim(context.Background(), o.Function, keep) != nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tally.tenants[o.Tenant][o.Function] != nil { // else the function was deleted meanwhile
		j.tally.trim(o.Tenant, o.Function, keep)
	}
	return true
}
