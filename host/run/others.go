package run

import "vivarium/host/catalog"

// others is what other nodes of a cluster have of a version.
type others struct {
	busy    int  // instances that process a call, or are being made
	waiting int  // calls
	ready   bool // one of them has the instances that are kept ready
}

// leave returns what others leave of a version's limits to this node. That is a place for one
// call at least, so that no call waits for news of other nodes: on n of them there may be n-1
// instances more than the limit says.
func (o others) leave(l catalog.Limits) catalog.Limits {
	if o.ready {
		l.Ready = 0
	}
	l.Instances = max(l.Instances-o.busy, 1)
	if l.Requests > 0 {
		l.Requests = max(l.Requests-o.busy-o.waiting, 1)
	}
	return l
}

// Share tells the runner what other nodes of a cluster have of versions, by id: instances that
// process a call, and calls that wait. It returns what this node has. Home says whether this
// node is a function's first home, which is the one that keeps instances ready. It is not
// called where none are to be.
func (r *Runner) Share(elsewhere map[string][2]int, home func(functionID string) bool) (own map[string][2]int) {
	r.home.Store(&home)
	own = map[string][2]int{}
	var beyond []*instance
	r.mu.RLock()
	for id, v := range r.versions {
		if idle, live, waiting := v.pool.stats(); live-idle+waiting > 0 {
			own[id] = [2]int{live - idle, waiting}
		}
		fill, idle := v.pool.limit(func(p *pool) {
			p.others = others{elsewhere[id][0], elsewhere[id][1], v.readyElsewhere(p.asked)}
		})
		beyond = append(beyond, idle...)
		if fill {
			v.fillSoon()
		}
	}
	r.mu.RUnlock()
	for _, in := range beyond {
		in.pool.discardLater(in)
	}
	return own
}

// Demand returns how many guests compute, or would if there were more processors.
func (r *Runner) Demand() int { return r.scheduler.demand() }

// readyElsewhere reports whether another node keeps the instances ready that limits ask for.
func (v *live) readyElsewhere(l catalog.Limits) bool {
	home := v.pool.r.home.Load()
	return l.Ready > 0 && home != nil && !(*home)(v.FunctionID)
}

// fillSoon has the instances made that the version keeps ready. It does not block.
func (v *live) fillSoon() {
	select {
	case v.pool.r.fills <- v:
	default: // the next round of tidying will see to it
	}
}
