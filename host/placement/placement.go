// Package placement decides on which nodes of a cluster a function's calls are to be
// processed, so that they find it warm there.
//
// # Vocabulary
//
//   - Member: a node that takes calls, with its capacity.
//   - Table: the members at one moment. It never changes.
//   - Home: a function has up to Homes of them: the members that a rendezvous hash of
//     the function's id and theirs puts first, each in proportion to its capacity. When a
//     member comes or goes, only the functions that it has, or had, move.
//   - Route: the nodes that a call is offered to, in order, before it is taken where
//     it has arrived.
//   - Registry: who is a member, by what has been heard of them and when.
//
// Nothing here knows clocks, networks or goroutines: time and members come in as values,
// so that a simulation runs the code that nodes run.
package placement

import (
	"cmp"
	"hash/fnv"
	"io"
	"math"
	"slices"
)

const (
	// Homes is how many homes a function has, if there are as many members. All calls go
	// to the first while it can take them: the others are where they go next.
	Homes = 3
	// Slack is how much a member may always have to do, for each processor, before it counts
	// as overloaded: a function that moves costs a cold start. Package simulation shows
	// what less or more would do.
	Slack = 4
	// overload is by how much a member's load may exceed its share of all load.
	overload = 1.25
)

// Member is a node that takes calls.
type Member struct {
	ID       string // the same after a restart, so that functions stay where their images are
	Capacity int    // processors; less than 1 counts as 1
	Draining bool   // it is to be no function's home
}

// State is what is known of a member when a call comes in.
type State struct {
	Load int  // what computes, or waits for a processor
	Away bool // it did not answer lately
}

// Table is the members at one moment. Safe for concurrent use.
type Table struct {
	members  []Member
	hashes   []uint64
	capacity int // of all together
}

// NewTable returns a table of members, which it sorts by id. Their ids must differ.
func NewTable(members []Member) *Table {
	t := &Table{members: slices.Clone(members)}
	slices.SortFunc(t.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for i := range t.members {
		m := &t.members[i]
		m.Capacity = max(m.Capacity, 1)
		t.hashes = append(t.hashes, hash(m.ID))
		t.capacity += m.Capacity
	}
	return t
}

// Members returns the members by id. The caller must not change them.
func (t *Table) Members() []Member { return t.members }

// Index returns the position of a member in Members, or -1.
func (t *Table) Index(id string) int {
	i, ok := slices.BinarySearchFunc(t.members, id, func(m Member, id string) int { return cmp.Compare(m.ID, id) })
	if !ok {
		return -1
	}
	return i
}

// ranked is a member with its score for a key.
type ranked struct {
	index int
	score float64
}

// Homes returns the homes of a function, the first one first, as positions in Members.
func (t *Table) Homes(function string) []int {
	var best [Homes]ranked
	n, key := 0, hash(function)
	for i, m := range t.members {
		r := ranked{i, score(key, t.hashes[i], m.Capacity)}
		at := n
		for at > 0 && best[at-1].score < r.score {
			at--
		}
		if at == Homes {
			continue
		}
		n = min(n+1, Homes)
		copy(best[at+1:n], best[at:n-1])
		best[at] = r
	}
	homes := make([]int, n)
	for i := range homes {
		homes[i] = best[i].index
	}
	return homes
}

// Ranked returns all members, those that are, or would next be, a function's homes first, as
// positions in Members.
func (t *Table) Ranked(function string) []int {
	key := hash(function)
	all := make([]ranked, len(t.members))
	for i, m := range t.members {
		all[i] = ranked{i, score(key, t.hashes[i], m.Capacity)}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	order := make([]int, len(all))
	for i, r := range all {
		order[i] = r.index
	}
	return order
}

// Route returns the members that a call of a function is to be offered to, in order, as
// positions in Members, when it has arrived at the member at self. If none of them takes
// it, it is taken where it has arrived. state is asked only for what matters.
func (t *Table) Route(function string, self int, state func(i int) State) []int {
	homes := t.Homes(function)
	route := homes[:0]
	for _, home := range homes {
		now := state(home)
		if now.Away && home != self || t.Overloaded(home, now.Load, state) {
			continue
		}
		if home == self {
			return route
		}
		route = append(route, home)
	}
	return route
}

// Overloaded reports whether a member with so much to do has more than its share of all that
// members have to do. Who sends calls knows that a little late; the member itself knows best.
func (t *Table) Overloaded(i, load int, state func(i int) State) bool {
	capacity := t.members[i].Capacity
	if load < Slack*capacity {
		return false
	}
	total := 0
	for other := range t.members {
		total += state(other).Load
	}
	share := float64(total) * float64(capacity) / float64(t.capacity)
	return float64(load) >= math.Ceil(overload*share)
}

// score is the weighted rendezvous hash: of members with these scores, one with twice
// the capacity comes first for twice as many keys.
func score(key, member uint64, capacity int) float64 {
	u := (float64(mix(key^member)>>11) + 0.5) / (1 << 53) // within (0, 1)
	return -float64(capacity) / math.Log(u)
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, text) // never fails
	return mix(h.Sum64())
}

// mix spreads each bit over all bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
