// Package cluster knows the nodes that share a store, and lets them trust each other.
//
// A node is a process that has called Join. It tells the others, through the store's
// notices, where it is and how much it has to do, and hears the same of them. Whoever has
// not been heard for placement.Lease is no member any more. Which of the members a call is
// for is package placement's to say.
//
// # Why are there no certificates to hand out?
//
// Each node makes a key and a certificate for itself when it starts, and announces the
// certificate's fingerprint with its address. Both ends of a connection between nodes show
// theirs, and accept exactly those of current members. So a key never leaves its process and
// is kept nowhere, nothing has to be renewed or revoked, and what a node was trusted with
// ends with its lease. Whoever can announce a node can write to the store, and could as well
// make itself a key or change a function: it gains nothing. For the same reason a secret in
// the store would be worse: it is enough to have read that once.
//
// A deployment that has its NATS servers open to others than its nodes gives itself away
// with or without this package; see the flags for credentials.
package cluster

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/placement"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// Bounds of what is heard, which others write.
const (
	maxNotice = 256 << 10 // bytes
	maxNodes  = 1000
	maxUse    = 500 // tenants, and versions, whose use is told
)

// awayTime is how long a node that did not answer is passed over without trying it again.
const awayTime = time.Second

// Node is what a node says of itself.
type Node struct {
	Address  string    `json:"address"`  // HOST:PORT where other nodes reach it; also its id
	Pin      []byte    `json:"pin"`      // fingerprint of its certificate
	Capacity int       `json:"capacity"` // processors
	Version  string    `json:"version"`  // of the program
	Started  time.Time `json:"started"`
	Draining bool      `json:"draining,omitempty"` // it is nobody's home
	Leaving  bool      `json:"leaving,omitempty"`  // this is its last notice
	Holds    Holds     `json:"holds"`
	Use      Use       `json:"use"`
}

// Holds is what a node has to do.
type Holds struct {
	Load      int   `json:"load"`      // what computes, or waits for a processor
	Calls     int   `json:"calls"`     // in progress or waiting
	Instances int   `json:"instances"` // of functions
	Memory    int64 `json:"memory"`    // bytes that these have to themselves
}

// Use is what a node has that counts against limits of the whole cluster.
type Use struct {
	Tenants  map[string]quota.Amounts `json:"tenants,omitempty"`
	Versions map[string][2]int        `json:"versions,omitempty"` // instances that process a call, and calls that wait
}

// Config tells Join who this node is.
type Config struct {
	Notices store.Notices
	// Address is where others reach this node, HOST:PORT.
	Address  string
	Capacity int // processors
	Version  string
	Load     Load
	Log      *slog.Logger // nil means slog.Default
}

// Load is what this node has to do.
type Load interface {
	// Holds returns what there is now.
	Holds() Holds
	// Share is told what the other nodes have, and whether this one is a function's first
	// home; it returns what this one has. It is called as often as others are told.
	Share(others Use, home func(function string) bool) Use
}

// noLoad is that of a node that runs nothing.
type noLoad struct{}

func (noLoad) Holds() Holds                     { return Holds{} }
func (noLoad) Share(Use, func(string) bool) Use { return Use{} }

// Cluster is this node's membership. Safe for concurrent use.
type Cluster struct {
	cfg         Config
	started     time.Time
	certificate tls.Certificate
	pin         Pin
	stop        func()         // ends listening
	beating     sync.WaitGroup // the heartbeat
	end         chan struct{}  // closed by Leave
	soon        chan struct{}  // of capacity 1: tell the others now
	left        sync.Once
	draining    atomic.Bool
	view        atomic.Pointer[view]

	mu       sync.Mutex // guards all below; nothing blocks under it
	registry *placement.Registry
	peers    map[string]*Peer // of all that have been heard and are not gone
}

// view is what is known of the members at one moment. It never changes.
type view struct {
	table *placement.Table
	peers []*Peer // by position in the table
	self  int     // -1 while this node is nobody's home
}

// Join makes this process a node, until Leave.
//
// # Errors
//
// store.ErrUnavailable; an address without a host or a port.
func Join(cfg Config) (*Cluster, error) {
	if _, err := Port(cfg.Address); err != nil {
		return nil, err
	}
	now := time.Now()
	cfg.Load = cmp.Or(cfg.Load, Load(noLoad{}))
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	c := &Cluster{
		cfg: cfg, started: now, end: make(chan struct{}), soon: make(chan struct{}, 1),
		registry: placement.NewRegistry(cfg.Address, now), peers: map[string]*Peer{},
	}
	var err error
	if c.certificate, err = newCertificate(now); err != nil {
		return nil, err
	}
	c.pin = pinOf(c.certificate.Leaf)
	c.show()
	if c.stop, err = cfg.Notices.Listen(c.hear); err != nil {
		return nil, err
	}
	if err := c.tell(false); err != nil {
		c.stop()
		return nil, err
	}
	c.beating.Go(c.beat)
	return c, nil
}

// Port returns the port of an address, which must be one where other nodes can reach this
// one: HOST:PORT.
func Port(address string) (uint16, error) {
	host, port, err := net.SplitHostPort(address)
	n, e := strconv.ParseUint(port, 10, 16)
	ip := net.ParseIP(host)
	if err != nil || e != nil || n == 0 || host == "" || ip != nil && ip.IsUnspecified() {
		return 0, fmt.Errorf("cluster: %q is not HOST:PORT as other nodes reach this one", address)
	}
	return uint16(n), nil
}

// Leave tells the others that this node is going, so that they send it no more calls. It
// still serves those that are on their way. It is idempotent.
func (c *Cluster) Leave() {
	c.left.Do(func() {
		close(c.end)
		c.beating.Wait()
		c.draining.Store(true)
		if err := c.tell(true); err != nil {
			c.cfg.Log.Warn("the other nodes were not told that this one leaves; they notice by themselves", "error", err)
		}
	})
}

// Close ends what Leave has left: nobody is trusted any more.
func (c *Cluster) Close() {
	c.Leave()
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers, c.registry = map[string]*Peer{}, placement.NewRegistry(c.cfg.Address, c.started)
	c.show()
	c.cfg.Load.Share(Use{}, func(string) bool { return true }) // nobody else has anything any more
}

// SetDraining makes this node a home of no function, or of its share again. It takes the
// calls that arrive at it, if no other node does.
func (c *Cluster) SetDraining(draining bool) {
	c.draining.Store(draining)
	c.nudge()
}

// nudge has the others told now.
func (c *Cluster) nudge() {
	select {
	case c.soon <- struct{}{}:
	default:
	}
}

// beat tells the others often that this node is there, and drops those that are not.
func (c *Cluster) beat() {
	ticker := time.NewTicker(placement.Beat)
	defer ticker.Stop()
	for {
		select {
		case <-c.end:
			return
		case <-c.soon:
		case <-ticker.C:
		}
		_ = c.tell(false) // the store says itself when it is out of reach
		c.expire(time.Now())
	}
}

// tell tells the others what this node is.
func (c *Cluster) tell(leaving bool) error {
	n := Node{
		Address: c.cfg.Address, Pin: c.pin[:], Capacity: c.cfg.Capacity, Version: c.cfg.Version, Started: c.started,
		Draining: c.draining.Load(), Leaving: leaving,
	}
	n.Holds, n.Use = c.cfg.Load.Holds(), c.cfg.Load.Share(c.others(), c.home)
	n.Use.trim()
	return c.cfg.Notices.Tell(store.Record(n))
}

// hear learns what a node says of itself.
func (c *Cluster) hear(notice []byte) {
	var n Node
	var told command
	if len(notice) <= maxNotice && json.Unmarshal(notice, &told) == nil && told.For != "" {
		if told.For == c.cfg.Address {
			c.SetDraining(told.Draining)
		}
		return
	}
	if len(notice) > maxNotice || json.Unmarshal(notice, &n) != nil || n.Address == "" || len(n.Pin) != len(Pin{}) {
		return // another version's, or not a node's
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[n.Address]
	if p != nil && p.current().Started.After(n.Started) {
		return // an earlier process at the same address
	}
	if n.Leaving {
		delete(c.peers, n.Address)
		if c.registry.Left(n.Address) {
			c.show()
		}
		return
	}
	fresh := p == nil
	if fresh {
		if len(c.peers) >= maxNodes {
			return
		}
		p = &Peer{}
		c.peers[n.Address] = p
	}
	restarted := !fresh && Pin(p.current().Pin) != Pin(n.Pin)
	p.node.Store(&n)
	p.Learn(n.Holds.Load)
	if restarted {
		p.awayUntil.Store(0)
	}
	member := placement.Member{ID: n.Address, Capacity: n.Capacity, Draining: n.Draining}
	if c.registry.Heard(member, time.Now()) || restarted {
		c.show()
	}
	if fresh && n.Address != c.cfg.Address {
		c.nudge() // it has not heard of this node
	}
}

func (c *Cluster) expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.registry.Expire(now)
	for _, id := range gone {
		delete(c.peers, id)
	}
	if len(gone) > 0 {
		c.show()
	}
}

// show makes the members known. The caller holds the mutex, or nobody else has c yet.
func (c *Cluster) show() {
	v := &view{table: c.registry.Table()}
	for _, m := range v.table.Members() {
		v.peers = append(v.peers, c.peers[m.ID])
	}
	v.self = v.table.Index(c.cfg.Address)
	c.view.Store(v)
}

// Route returns the nodes that a call of a function is to be offered to, in order. If none
// takes it, it is this node's; that is so at once when this node is the one that should have
// it. It does not block.
func (c *Cluster) Route(function string) []*Peer {
	v := c.view.Load()
	if len(v.peers) == 0 || len(v.peers) == 1 && v.self == 0 {
		return nil
	}
	now := time.Now().UnixNano()
	route := v.table.Route(function, v.self, func(i int) placement.State {
		p := v.peers[i]
		return placement.State{Load: c.loadOf(v, i), Away: p.awayUntil.Load() > now}
	})
	peers := make([]*Peer, len(route))
	for i, at := range route {
		peers[i] = v.peers[at]
	}
	return peers
}

// Others returns all other nodes, those first that are, or were or will be, a function's homes;
// nodes that drain are among them, and those that are away are not. It does not block.
func (c *Cluster) Others(function string) []*Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	members := make([]placement.Member, 0, len(c.peers))
	for address, p := range c.peers {
		if n := p.current(); address != c.cfg.Address {
			members = append(members, placement.Member{ID: address, Capacity: n.Capacity})
		}
	}
	table := placement.NewTable(members)
	now := time.Now().UnixNano()
	others := make([]*Peer, 0, len(members))
	for _, i := range table.Ranked(function) {
		if p := c.peers[table.Members()[i].ID]; p.awayUntil.Load() <= now {
			others = append(others, p)
		}
	}
	return others
}

// loadOf returns what a member has to do, as far as is known here.
func (c *Cluster) loadOf(v *view, i int) int {
	if i == v.self {
		return c.Load()
	}
	return v.peers[i].load()
}

// Load returns what this node has to do now.
func (c *Cluster) Load() int {
	return c.cfg.Load.Holds().Load
}

// Full reports whether this node has more to do than its share, and should not take what
// others send it.
func (c *Cluster) Full() bool {
	v := c.view.Load()
	return v.self >= 0 && v.table.Overloaded(v.self, c.Load(), func(i int) placement.State {
		return placement.State{Load: c.loadOf(v, i)}
	})
}

// Nodes returns all nodes that are known, in no particular order, this one among them
// once it has heard itself.
func (c *Cluster) Nodes() []Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes := make([]Node, 0, len(c.peers))
	for _, p := range c.peers {
		nodes = append(nodes, *p.current())
	}
	return nodes
}

// Address returns where other nodes reach this one.
func (c *Cluster) Address() string { return c.cfg.Address }

// known returns the peer at an address, or nil.
func (c *Cluster) known(address string) *Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peers[address]
}

// Trusts reports whether a certificate is that of a node that is known now.
func (c *Cluster) Trusts(certificate *x509.Certificate) bool {
	pin := pinOf(certificate)
	c.mu.Lock()
	defer c.mu.Unlock()
	for address, p := range c.peers {
		if address != c.cfg.Address && Pin(p.current().Pin) == pin {
			return true
		}
	}
	return false
}
