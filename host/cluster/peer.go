package cluster

import (
	"sync/atomic"
	"time"
)

// Peer is another node, as this one knows it. Safe for concurrent use.
type Peer struct {
	node      atomic.Pointer[Node] // what it said last
	known     atomic.Int64         // its load, as it was told last
	sent      atomic.Int64         // calls of this node's that it has now
	had       atomic.Int64         // the same when its load was told
	answered  atomic.Int64         // when it last took or passed a call, Unix time, ns
	awayUntil atomic.Int64         // likewise; 0 if it is not away
}

func (p *Peer) current() *Node { return p.node.Load() }

// Address returns where the node is reached, HOST:PORT.
func (p *Peer) Address() string { return p.current().Address }

// load returns what the node has to do: what was told, and what this node has sent it since.
func (p *Peer) load() int { return int(p.known.Load() + max(p.sent.Load()-p.had.Load(), 0)) }

// Learn takes over what the node tells of its load.
func (p *Peer) Learn(load int) {
	p.known.Store(int64(max(load, 0)))
	p.had.Store(p.sent.Load())
}

// Send counts a call that is sent to the node; end counts it as over.
func (p *Peer) Send() (end func()) {
	p.sent.Add(1)
	return func() { p.sent.Add(-1) }
}

// Away has the node passed over for a while, since it did not answer what was asked at a
// time; unless it has answered something else since, and so is only slow.
func (p *Peer) Away(asked time.Time) {
	if p.answered.Load() < asked.UnixNano() {
		p.awayUntil.Store(time.Now().Add(awayTime).UnixNano())
	}
}

// Back notes that the node has answered.
func (p *Peer) Back() {
	p.answered.Store(time.Now().UnixNano())
	if p.awayUntil.Load() != 0 {
		p.awayUntil.Store(0)
	}
}
