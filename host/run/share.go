package run

import (
	"container/heap"
	"time"
)

// share is what one competitor for computing time has had: a call, a function
// (the sum of its calls), a tenant (the sum of its functions), or the root (all).
// It competes while a call in it computes or waits.
type share struct {
	parent  *share        // nil for the root
	virtual time.Duration // computing time, counted from that of its competitors when it came
	arrived uint64        // since when it waits; decides between equals
	place   [slots]int    // its index in each of the parent's queues, -1 where it is in none

	competing queue         // the parts that compete
	waiting   queue         // those of them in which a call waits
	most      time.Duration // the highest virtual time of a part so far

	// Of a tenant and the root, whose parts have names and are remembered when
	// they leave.
	name  string // among the parent's parts
	parts map[string]*share
	idle  queue // parts that do not compete

	granted chan struct{} // of a call: takes one grant
}

const (
	slotCompeting = iota
	slotWaiting
	slotIdle
	slots
)

func newShare(parent *share, name string) *share {
	return &share{
		parent: parent, name: name, place: [slots]int{-1, -1, -1},
		competing: queue{slot: slotCompeting}, waiting: queue{slot: slotWaiting}, idle: queue{slot: slotIdle},
	}
}

// part returns the part of that name, a new one where none is remembered.
func (s *share) part(name string) *share {
	p, ok := s.parts[name]
	if !ok {
		p = newShare(s, name)
		if s.parts == nil {
			s.parts = map[string]*share{}
		}
		s.parts[name] = p
	}
	return p
}

// join makes the call s, and what it belongs to, compete. A newcomer starts where
// the least served of its competitors stands: it comes next, but has no claim to
// time before.
func (s *share) join() {
	for ; s.parent != nil && s.place[slotCompeting] < 0; s = s.parent {
		if s.place[slotIdle] >= 0 {
			heap.Remove(&s.parent.idle, s.place[slotIdle])
		}
		s.virtual = max(s.virtual, s.parent.least())
		heap.Push(&s.parent.competing, s)
	}
}

// leave ends what join began.
func (s *share) leave() {
	for ; s.parent != nil && s.competing.Len() == 0; s = s.parent {
		heap.Remove(&s.parent.competing, s.place[slotCompeting])
		if s.parent.parts != nil {
			heap.Push(&s.parent.idle, s)
			s.parent.forget()
		}
	}
}

// charge counts used for the call s and what it belongs to.
func (s *share) charge(used time.Duration) {
	for ; s.parent != nil; s = s.parent {
		s.virtual += used
		s.parent.most = max(s.parent.most, s.virtual)
		heap.Fix(&s.parent.competing, s.place[slotCompeting])
		if s.place[slotWaiting] >= 0 {
			heap.Fix(&s.parent.waiting, s.place[slotWaiting])
		}
	}
}

// wait puts the call s, which has joined, in the queue.
func (s *share) wait(now uint64) {
	for ; s.parent != nil && s.place[slotWaiting] < 0; s = s.parent {
		s.arrived = now
		heap.Push(&s.parent.waiting, s)
	}
}

// proceed takes the call s out of the queue. What it belongs to goes behind its
// equals, if other calls wait there.
func (s *share) proceed(now uint64) {
	for ; s.parent != nil; s = s.parent {
		if s.waiting.Len() == 0 {
			heap.Remove(&s.parent.waiting, s.place[slotWaiting])
			continue
		}
		s.arrived = now
		heap.Fix(&s.parent.waiting, s.place[slotWaiting])
	}
}

// first returns the waiting call that comes first in s, or nil.
func (s *share) first() *share {
	if s.waiting.Len() == 0 {
		return nil
	}
	for s.waiting.Len() > 0 {
		s = s.waiting.shares[0]
	}
	return s
}

// before reports whether the call s comes before another one.
func (s *share) before(other *share) bool {
	for s.parent != other.parent {
		s, other = s.parent, other.parent
	}
	return s.virtual < other.virtual
}

// least returns where a newcomer among the parts of s starts: with none to
// compete with, where all that have gone are even.
func (s *share) least() time.Duration {
	if s.competing.Len() == 0 {
		return s.most
	}
	return s.competing.shares[0].virtual
}

// maxIdleShares bounds how many idle parts are remembered.
const maxIdleShares = 1024

// forget drops the idle parts whose virtual time says nothing any more: they would
// start where newcomers do.
func (s *share) forget() {
	for s.idle.Len() > 0 {
		p := s.idle.shares[0]
		if p.virtual > s.least() && s.idle.Len() <= maxIdleShares {
			return
		}
		heap.Pop(&s.idle)
		delete(s.parts, p.name)
	}
}

// queue is a heap of parts, the least served one first. It implements
// heap.Interface.
type queue struct {
	shares []*share
	slot   int // of share.place
}

func (q *queue) Len() int { return len(q.shares) }

func (q *queue) Less(i, j int) bool {
	a, b := q.shares[i], q.shares[j]
	if a.virtual != b.virtual {
		return a.virtual < b.virtual
	}
	return a.arrived < b.arrived
}

func (q *queue) Swap(i, j int) {
	q.shares[i], q.shares[j] = q.shares[j], q.shares[i]
	q.shares[i].place[q.slot], q.shares[j].place[q.slot] = i, j
}

func (q *queue) Push(x any) {
	s := x.(*share)
	s.place[q.slot] = len(q.shares)
	q.shares = append(q.shares, s)
}

func (q *queue) Pop() any {
	last := len(q.shares) - 1
	s := q.shares[last]
	q.shares[last] = nil
	q.shares = q.shares[:last]
	s.place[q.slot] = -1
	return s
}
