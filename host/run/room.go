package run

import (
	"container/list"
	"sync"

	"vivarium/host/quota"
)

// instanceMemory is what an instance costs besides what it grows by: the pages
// it makes its own in ordinary calls, and what the host keeps for it. In bytes.
const instanceMemory = 2 << 20

// shelf has things that may be let go of, by tenant, longest unused first. The zero
// value is empty. Safe for concurrent use.
type shelf[T comparable] struct {
	mu      sync.Mutex // guards the members; nothing blocks under it
	tenants map[string]*list.List
	places  map[T]shelved
}

// shelved is where a thing is.
type shelved struct {
	tenant string
	place  *list.Element
}

// put adds a thing, or makes it the one that was used last.
func (s *shelf[T]) put(tenant string, thing T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places == nil {
		s.tenants, s.places = map[string]*list.List{}, map[T]shelved{}
	}
	if at, ok := s.places[thing]; ok {
		s.tenants[at.tenant].MoveToBack(at.place)
		return
	}
	if s.tenants[tenant] == nil {
		s.tenants[tenant] = list.New()
	}
	s.places[thing] = shelved{tenant, s.tenants[tenant].PushBack(thing)}
}

// remove takes a thing away, if it is there.
func (s *shelf[T]) remove(thing T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.places[thing]
	if !ok {
		return
	}
	delete(s.places, thing)
	things := s.tenants[at.tenant]
	if things.Remove(at.place); things.Len() == 0 {
		delete(s.tenants, at.tenant)
	}
}

// oldest returns the longest unused thing of the tenant for which weight returns
// most, of those that it allows.
func (s *shelf[T]) oldest(weight func(tenant string) (n int64, ok bool)) (thing T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Tenants are scanned, unlike their things: what they have changes with every call,
	// so an index of that would cost more than it saves.
	tenant, most := "", int64(0)
	for other := range s.tenants {
		if n, allowed := weight(other); allowed && (!ok || n > most) {
			tenant, most, ok = other, n, true
		}
	}
	if ok {
		thing = s.tenants[tenant].Front().Value.(T)
	}
	return thing, ok
}

// Reclaim lets go of something of no immediate use so that a tenant gets more of what
// a quota bounds, and reports whether there was anything. With own, it must be the
// tenant's. Otherwise it is the tenant's or of somebody who has more than an equal
// share: who has most loses first, and of that tenant's the longest unused.
func (r *Runner) Reclaim(tenant string, q quota.Quota, own bool) bool {
	return r.room.reclaim(tenant, q, own)
}

// room is what instances, code and images take, and which of them may be let go
// of. Safe for concurrent use.
type room struct {
	ledger *quota.Ledger

	// By tenant, longest unused first.
	idle   shelf[*instance] // instances without a call
	spares shelf[*live]     // versions that have code in memory and no instance
	images shelf[*live]     // versions that have an image on disk and no instance
	// sessions are those that run no snippet. There is no getting them back, so they go
	// last, and only for another tenant than their own, if that has more than its share.
	sessions   shelf[*session]
	endSession func(*session)
}

// reclaim lets go of one thing, so that a tenant gets what its quota or the machine
// lacks, and reports whether there was any. With own, only the tenant's things count:
// its own quota is used up, and others have no part in that.
func (r *room) reclaim(tenant string, q quota.Quota, own bool) bool {
	weight := r.weigh(tenant, q, own)
	switch q {
	case quota.ImageBytes:
		return r.evictImage(weight) || own && r.evictInstance(weight) // an image is in use as long as it has instances
	case quota.Memory, quota.Instances:
		return q == quota.Memory && r.evictCode(weight) || r.evictInstance(weight) || !own && r.evictSession(tenant, weight)
	}
	return false
}

// weigh returns whose things may be let go of to make room for a tenant, and how much
// each has of what a quota bounds.
func (r *room) weigh(tenant string, q quota.Quota, own bool) func(other string) (int64, bool) {
	if own {
		return func(other string) (int64, bool) { return 0, other == tenant }
	}
	used := r.ledger.Users(q) // the tenant's has what it asks for already
	share := r.ledger.Machine(q) / int64(max(len(used), 1))
	if q == quota.ImageBytes {
		share = 0 // images are made again
	}
	return func(other string) (int64, bool) { return used[other], other == tenant || used[other] > share }
}

// evictInstance closes an idle instance.
func (r *room) evictInstance(weight func(tenant string) (int64, bool)) bool {
	for {
		in, ok := r.idle.oldest(weight)
		if !ok {
			return false
		}
		if in.pool.remove(in) { // else a call was faster
			in.pool.discard(in)
			return true
		}
	}
}

// evictSession ends a session of another tenant than the one that asks.
func (r *room) evictSession(asks string, weight func(tenant string) (int64, bool)) bool {
	n, ok := r.sessions.oldest(func(other string) (int64, bool) {
		held, allowed := weight(other)
		return held, allowed && other != asks
	})
	if ok {
		r.endSession(n)
	}
	return ok
}

// evictCode forgets code that no instance uses.
func (r *room) evictCode(weight func(tenant string) (int64, bool)) bool {
	for {
		v, ok := r.spares.oldest(weight)
		if !ok {
			return false
		}
		r.spares.remove(v) // it is there again when it has lost its last instance
		if v.code.drop() {
			return true
		}
	}
}

// evictImage removes an image that no instance uses.
func (r *room) evictImage(weight func(tenant string) (int64, bool)) bool {
	for {
		v, ok := r.images.oldest(weight)
		if !ok {
			return false
		}
		r.images.remove(v)
		if freed := v.pool.image.drop(); freed > 0 {
			r.ledger.Give(v.Tenant, quota.ImageFile, freed)
			return true
		}
	}
}

// used says that a version has got its first instance: its code and its image are
// not to be let go of.
func (r *room) used(v *live) {
	r.spares.remove(v)
	r.images.remove(v)
}

// unused says that a version has no instance any more.
func (r *room) unused(v *live) {
	r.spares.put(v.Tenant, v)
	r.images.put(v.Tenant, v)
}

// ownMemory takes memory for one of a tenant's instances, or gives it back when
// delta is negative. It is called while a guest waits.
//
// # Errors
//
// *quota.Error, fault.ErrExhausted.
func (r *room) ownMemory(tenant string, delta int64) error {
	if delta > 0 {
		return r.ledger.Take(tenant, quota.OwnMemory, delta)
	}
	r.ledger.Give(tenant, quota.OwnMemory, -delta)
	return nil
}

// reserveInstance takes what one more instance of a tenant costs.
//
// # Errors
//
// *quota.Error, fault.ErrExhausted.
func (r *room) reserveInstance(tenant string) error {
	if err := r.ledger.Take(tenant, quota.Instance, 1); err != nil {
		return err
	}
	if err := r.ledger.Take(tenant, quota.InstanceMemory, instanceMemory); err != nil {
		r.ledger.Give(tenant, quota.Instance, 1)
		return err
	}
	return nil
}

// releaseInstance gives back what reserveInstance took.
func (r *room) releaseInstance(tenant string) {
	r.ledger.Give(tenant, quota.InstanceMemory, instanceMemory)
	r.ledger.Give(tenant, quota.Instance, 1)
}

// reserveSession takes what one more session of a tenant costs.
//
// # Errors
//
// *quota.Error, fault.ErrExhausted.
func (r *room) reserveSession(tenant string) error {
	if err := r.ledger.Take(tenant, quota.Session, 1); err != nil {
		return err
	}
	err := r.reserveInstance(tenant)
	if err != nil {
		r.ledger.Give(tenant, quota.Session, 1)
	}
	return err
}

// releaseSession gives back what reserveSession took.
func (r *room) releaseSession(tenant string) {
	r.releaseInstance(tenant)
	r.ledger.Give(tenant, quota.Session, 1)
}
