package placement

import "time"

const (
	// Lease is how long a member counts as there after it was last heard.
	Lease = 3 * time.Second
	// Beat is how often members are to be heard.
	Beat = 500 * time.Millisecond
	// MaxDeaf is how long those who hear nothing at all, not even themselves, keep
	// to whom they knew.
	MaxDeaf = 30 * time.Second
)

// Registry knows who is a member. For one goroutine.
type Registry struct {
	self  string
	heard map[string]time.Time
	nodes map[string]Member
	born  time.Time
}

// NewRegistry returns a registry of the node with the id self, which has heard nobody.
func NewRegistry(self string, now time.Time) *Registry {
	return &Registry{self: self, heard: map[string]time.Time{}, nodes: map[string]Member{}, born: now}
}

// Heard records that a member has been heard, and reports whether the members have changed.
func (r *Registry) Heard(m Member, now time.Time) (changed bool) {
	was, there := r.nodes[m.ID]
	r.heard[m.ID], r.nodes[m.ID] = now, m
	return !there || was != m
}

// Left records that a member has said goodbye, and reports whether the members have changed.
func (r *Registry) Left(id string) (changed bool) {
	_, changed = r.nodes[id]
	delete(r.nodes, id)
	delete(r.heard, id)
	return changed
}

// Expire drops the members whose lease has ended, and returns their ids. A node that does
// not hear even itself is cut off, and knows nothing of the others: it keeps to what
// it knew for MaxDeaf, as long as it may serve without its store.
func (r *Registry) Expire(now time.Time) (gone []string) {
	lease := Lease
	own, ok := r.heard[r.self]
	if !ok {
		own = r.born
	}
	if now.Sub(own) > Lease {
		lease = MaxDeaf
	}
	for id, heard := range r.heard {
		if now.Sub(heard) > lease {
			r.Left(id)
			gone = append(gone, id)
		}
	}
	return gone
}

// Table returns the members that can be homes.
func (r *Registry) Table() *Table {
	members := make([]Member, 0, len(r.nodes))
	for _, m := range r.nodes {
		if !m.Draining {
			members = append(members, m)
		}
	}
	return NewTable(members)
}
