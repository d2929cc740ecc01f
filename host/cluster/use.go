package cluster

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"vivarium/host/placement"
	"vivarium/host/quota"
)

// Limits of the whole cluster are kept without a counter that all calls go through: each node
// tells the others what it has, and subtracts from the limits what they said last. A call of a
// function is counted at its home, so as long as that takes all of them its limits are exact.
// What is off is what the others have begun since they last told, for placement.Beat at most:
// where several nodes get their first calls of a tenant at once, each of them may admit as
// many as the tenant may have. A node that dies counts until its lease ends.

// others returns what all other nodes have together.
func (c *Cluster) others() Use {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := Use{Tenants: map[string]quota.Amounts{}, Versions: map[string][2]int{}}
	for address, p := range c.peers {
		if address != c.cfg.Address {
			all.add(p.current().Use)
		}
	}
	return all
}

func (u *Use) add(more Use) {
	for tenant, amounts := range more.Tenants {
		sum := u.Tenants[tenant]
		for q, n := range amounts {
			sum[q] += max(n, 0)
		}
		u.Tenants[tenant] = sum
	}
	for id, n := range more.Versions {
		sum := u.Versions[id]
		u.Versions[id] = [2]int{sum[0] + max(n[0], 0), sum[1] + max(n[1], 0)}
	}
}

// trim keeps to maxUse: of what there is less of, a limit is the further away.
func (u *Use) trim() {
	trim(u.Tenants, func(a quota.Amounts) int { return int(a[quota.Calls]) })
	trim(u.Versions, func(n [2]int) int { return n[0] + n[1] })
}

func trim[V any](all map[string]V, size func(V) int) {
	if len(all) <= maxUse {
		return
	}
	largest := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Compare(size(all[b]), size(all[a])) })
	for _, key := range largest[maxUse:] {
		delete(all, key)
	}
}

// home reports whether this node is the first home of a function. While it is alone, it is
// that of all; but at its start it waits for what the others say.
func (c *Cluster) home(function string) bool {
	if time.Since(c.started) < 2*placement.Beat {
		return false
	}
	v := c.view.Load()
	homes := v.table.Homes(function)
	return len(homes) == 0 || homes[0] == v.self
}
