package events

import (
	"context"
	"sync"
	"time"

	"vivarium/host/store"
)

// letters keeps the dead letters of one tenant from pushing out another's: when
// there is no room, who has most loses the oldest.
type letters struct {
	e *Events

	mu   sync.Mutex // guards all below; held while the store is asked
	kept map[string]map[string][]letterSize
	at   time.Time // when kept was read from the store; zero for never
}

// letterSize is what a dead letter takes in the store.
type letterSize struct {
	sequence uint64
	bytes    int64
}

// letterAge is how long it may be that the store's dead letters were looked at:
// some expire, and others bury, too.
const letterAge = 10 * time.Minute

// bury adds a dead letter.
func (l *letters) bury(ctx context.Context, i store.Item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	tenant, need := l.e.functions.TenantOf(i.FunctionID), store.LetterSize(i)
	if err := l.makeRoom(ctx, tenant, need); err != nil {
		return err
	}
	sequence, err := l.e.store.Letters.Add(ctx, i)
	if err == nil && !l.at.IsZero() {
		l.add(tenant, i.FunctionID, letterSize{sequence, need})
	}
	return err
}

func (l *letters) add(tenant, functionID string, s letterSize) {
	if l.kept[tenant] == nil {
		l.kept[tenant] = map[string][]letterSize{}
	}
	l.kept[tenant][functionID] = append(l.kept[tenant][functionID], s)
}

// makeRoom makes room for a letter of a tenant's. The caller holds the mutex.
func (l *letters) makeRoom(ctx context.Context, tenant string, need int64) error {
	use, capacity, err := l.e.store.Letters.Use(ctx)
	if err != nil {
		return err
	}
	excess := use + need - capacity/16*15
	if capacity < 0 || excess <= 0 {
		return nil
	}
	if time.Since(l.at) > letterAge {
		l.kept = map[string]map[string][]letterSize{}
		err := l.e.store.Letters.Sizes(ctx, func(functionID string, sequence uint64, bytes int64) {
			l.add(l.e.functions.TenantOf(functionID), functionID, letterSize{sequence, bytes})
		})
		if err != nil {
			return err
		}
		l.at = time.Now()
	}
	for excess > 0 {
		most := l.most(tenant, need)
		functionID, last, freed := l.oldest(most, max(excess, min(capacity/16, sum(l.kept[most])/4)))
		if freed == 0 {
			return nil // the store makes room by itself
		}
		if err := l.e.store.Letters.Drop(ctx, functionID, last); err != nil {
			return err
		}
		excess -= freed
	}
	return nil
}

// most returns the tenant that has most, with what one of them is to get.
func (l *letters) most(tenant string, more int64) (most string) {
	most, size := tenant, sum(l.kept[tenant])+more
	for other, functions := range l.kept {
		if n := sum(functions); n > size {
			most, size = other, n
		}
	}
	return most
}

func sum(functions map[string][]letterSize) (n int64) {
	for _, all := range functions {
		for _, s := range all {
			n += s.bytes
		}
	}
	return n
}

// oldest forgets the oldest letters of the function that has most of a tenant's,
// until that frees so many bytes, and returns the last of them.
func (l *letters) oldest(tenant string, bytes int64) (functionID string, last uint64, freed int64) {
	size := int64(-1)
	for id, all := range l.kept[tenant] {
		if n := sum(map[string][]letterSize{id: all}); n > size {
			functionID, size = id, n
		}
	}
	all := l.kept[tenant][functionID]
	n := 0
	for n < len(all) && freed < bytes {
		last, freed = all[n].sequence, freed+all[n].bytes
		n++
	}
	if n == len(all) {
		delete(l.kept[tenant], functionID)
	} else {
		l.kept[tenant][functionID] = all[n:]
	}
	return functionID, last, freed
}
