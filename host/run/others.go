package run

import (
	"vivarium/host/catalog"
)

// Others is what other nodes of a cluster have of a version.
type Others struct {
	Busy    int  `json:"busy,omitempty"`    // instances that process a call, or are being made
	Waiting int  `json:"waiting,omitempty"` // calls
	Ready   bool `json:"-"`                 // one of them has the instances that are kept ready
}

// leave returns what others leave of a version's limits to this node. That is a place for one
// call at least, so that no call waits for news of other nodes: on n of them there may be n-1
// instances more than the limit says.
func (o Others) leave(l catalog.Limits) catalog.Limits {
	if o.Ready {
		l.Ready = 0
	}
	l.Instances = max(l.Instances-o.Busy, 1)
	if l.Requests > 0 {
		l.Requests = max(l.Requests-o.Busy-o.Waiting, 1)
	}
	return l
}

// Share tells the runner what other nodes have of versions, and returns what this one has of
// those that are in use. Home says whether this node is a function's first home: it is the one
// that keeps instances ready. It is not called where none are to be.
func (r *Runner) Share(others map[string]Others, home func(functionID string) bool) (own map[string]Others) {
	r.home.Store(&home)
	own = map[string]Others{}
	var beyond []*instance
	r.mu.RLock()
	for id, v := range r.versions {
		o := others[id]
		busy, waiting, ready := v.pool.use()
		o.Ready = ready && r.readyElsewhere(v)
		if busy+waiting > 0 {
			own[id] = Others{Busy: busy, Waiting: waiting}
		}
		fill, idle := v.pool.setOthers(o)
		beyond = append(beyond, idle...)
		if fill {
			r.fillSoon(v)
		}
	}
	r.mu.RUnlock()
	for _, in := range beyond {
		in.pool.discardLater(in)
	}
	return own
}

// readyElsewhere reports whether another node keeps a version's instances ready.
func (r *Runner) readyElsewhere(v *live) bool {
	home := r.home.Load()
	return home != nil && !(*home)(v.FunctionID)
}

// use returns how many instances are busy and how many calls wait, and whether the version
// keeps instances ready anywhere.
func (p *pool) use() (busy, waiting int, ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live - len(p.idle), len(p.waiting), p.asked.Ready > 0
}

// setOthers tells the pool what others have, and reports whether instances have to be made
// ready. It returns idle ones that the pool may no longer have, for the caller to discard.
func (p *pool) setOthers(o Others) (fill bool, beyond []*instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.others == o {
		return false, nil
	}
	p.others = o
	fill = p.limit()
	for len(p.idle) > 0 && p.live-len(beyond) > p.limits.Instances {
		beyond = append(beyond, p.removeIdle(0))
	}
	return fill, beyond
}
