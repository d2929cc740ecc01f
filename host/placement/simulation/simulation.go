// Package simulation predicts what a cluster does that no machine at hand could hold: it
// runs the code that places calls and counts limits, with pretended nodes, calls and time.
//
// A node is its processors, which take jobs in order, and instances, which a call needs one
// of. What is told between nodes arrives with each beat. Of the network it knows that who is
// dead refuses connections; nothing is slow or lost on its way.
package simulation

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"vivarium/host/placement"
	"vivarium/host/quota"
)

// Config is what to simulate. Zero values are as they are, unless a default is named.
type Config struct {
	Nodes, Processors int // processors of each node
	Functions         int
	Tenants           int           // that have the functions, in turn; 0 means 1
	TenantCalls       int64         // quota of each; 0 means none
	Skew              float64       // exponent of a Zipf distribution of calls over functions; 1 or less: all alike
	Hot               float64       // share of calls that one more function gets
	Calls             int           // altogether
	Rate              float64       // per second
	CPU, Wait         time.Duration // of a call, on average: computing and waiting for something else
	Image, Instance   time.Duration // computing for a node's first instance of a function, and for others
	Copy              time.Duration // for the first one, when another node has the image; 0: as Image
	Idle              time.Duration // how long an instance stays; 0 means 10 minutes
	Instances         int           // of a function on a node; 0 means 10
	Homeless          bool          // each call is processed where it arrives
	Kills             []Kill
	Seed              uint64
}

// Kill is a node that dies, and perhaps comes back, without instances and images.
type Kill struct {
	Node     int
	At, Back time.Duration // Back 0: never
}

// Result is what has come of it.
type Result struct {
	Calls, Served, Refused int
	Lost                   int // were at a node that died
	Forwarded, Passed      int // sent to another node; offers that a dead one did not take
	ColdStarts             int
	Images, Copies         int           // that nodes have made, and copied from others
	P50, P99               time.Duration // of calls served
	Busiest                float64       // computing of the node that had most, as a multiple of the mean
	CPU                    time.Duration // of all nodes
	Most                   int64         // most calls that a tenant had at once
}

func (r Result) String() string {
	return fmt.Sprintf("%d calls: %d served, %d refused, %d lost, %d forwarded, %d passed; %d cold starts, %d images, %d copies; p50 %.1f ms, p99 %.1f ms; "+
		"busiest node %.2f times the mean; %.0f s of CPU", r.Calls, r.Served, r.Refused, r.Lost, r.Forwarded, r.Passed, r.ColdStarts, r.Images, r.Copies,
		float64(r.P50)/1e6, float64(r.P99)/1e6, r.Busiest, r.CPU.Seconds())
}

// forwardTime is what sending a call on costs, as measured.
const forwardTime = 150 * time.Microsecond

// awayTime is how long a node that refused is passed over.
const awayTime = time.Second

// Run simulates. The same configuration has the same result.
func Run(cfg Config) Result {
	cfg.Tenants, cfg.Instances = max(cfg.Tenants, 1), cmp.Or(cfg.Instances, 10)
	cfg.Idle = cmp.Or(cfg.Idle, 10*time.Minute)
	w := newWorld(cfg)
	for len(w.events) > 0 && w.ended < cfg.Calls {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	return w.result()
}

// event is something that happens.
type event struct {
	at    time.Duration
	order int // of those at the same time
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// world is all nodes, and what they know of each other.
type world struct {
	cfg      Config
	random   *rand.Rand
	popular  *rand.Zipf // nil: all functions alike
	now      time.Duration
	events   events
	order    int
	nodes    []*node
	registry *placement.Registry
	table    *placement.Table
	position []int // of nodes by position in the table
	arrived  int
	ended    int
	out      Result
	took     []time.Duration
	tenants  map[string]int64 // calls that they have now
	has      map[int]int      // nodes that have a function's image
}

// node is a pretended one.
type node struct {
	id      string
	w       *world
	life    int // which one; a dead node's events are of an earlier life
	dead    bool
	calls   int
	known   []int // what it knows of others' load, by node
	busy    int
	jobs    []job
	cpu     time.Duration
	pools   map[int]*pool
	ledger  *quota.Ledger
	sent    []int           // calls that others have of this node's, by node
	had     []int           // the same when they told last
	away    []time.Duration // until when, by node
	pending map[*call]bool
}

type job struct {
	cpu  time.Duration
	then func()
}

// pool has the instances of a function on a node.
type pool struct {
	live    int
	idle    []time.Duration // since when, oldest first
	waiting []*call
}

type call struct {
	function int
	tenant   string
	at       time.Duration
	done     func(served bool)
}

func newWorld(cfg Config) *world {
	w := &world{
		cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 1)), tenants: map[string]int64{}, has: map[int]int{},
		registry: placement.NewRegistry("node-0", time.Unix(0, 0)),
	}
	if cfg.Skew > 1 {
		w.popular = rand.NewZipf(w.random, cfg.Skew, 1, uint64(cfg.Functions-1))
	}
	for i := range cfg.Nodes {
		n := &node{
			id: fmt.Sprintf("node-%d", i), w: w, sent: make([]int, cfg.Nodes), known: make([]int, cfg.Nodes),
			had: make([]int, cfg.Nodes), away: make([]time.Duration, cfg.Nodes),
		}
		n.start()
		w.nodes = append(w.nodes, n)
	}
	for _, kill := range cfg.Kills {
		n := w.nodes[kill.Node]
		w.at(kill.At, n.die)
		if kill.Back > 0 {
			w.at(kill.Back, n.start)
		}
	}
	w.beat()
	w.arrive()
	return w
}

func (w *world) at(at time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{at, w.order, do})
}

func (n *node) start() {
	n.dead, n.calls, n.busy, n.jobs = false, 0, 0, nil
	n.pools, n.pending = map[int]*pool{}, map[*call]bool{}
	n.ledger = quota.New(quota.Config{Defaults: quota.Amounts{quota.Calls: cmp.Or(n.w.cfg.TenantCalls, -1)}})
}

func (n *node) die() {
	n.dead = true
	n.life++
	for function := range n.pools {
		n.w.has[function]--
	}
	for c := range n.pending {
		n.w.tenants[c.tenant]--
		n.w.out.Lost++
		c.done(false)
	}
	n.pending = nil
}

// beat lets nodes hear of each other.
func (w *world) beat() {
	clock := time.Unix(0, 0).Add(w.now)
	changed := w.table == nil
	elsewhere := map[string]quota.Amounts{}
	for _, n := range w.nodes {
		if n.dead {
			continue
		}
		changed = w.registry.Heard(placement.Member{ID: n.id, Capacity: w.cfg.Processors}, clock) || changed
		for _, other := range w.nodes {
			other.learn(w.numberOf(n.id), n.load())
		}
		for tenant, use := range n.ledger.Shared() {
			sum := elsewhere[tenant]
			sum[quota.Calls] += use[quota.Calls]
			elsewhere[tenant] = sum
		}
	}
	if w.cfg.TenantCalls > 0 {
		w.share(elsewhere)
	}
	if len(w.registry.Expire(clock)) > 0 || changed {
		w.table = w.registry.Table()
		w.position = make([]int, len(w.nodes))
		for i, n := range w.nodes {
			w.position[i] = w.table.Index(n.id)
		}
	}
	w.at(w.now+placement.Beat, w.beat)
}

// share tells each node what the others have.
func (w *world) share(all map[string]quota.Amounts) {
	for _, n := range w.nodes {
		others := make(map[string]quota.Amounts, len(all))
		own := n.ledger.Shared()
		for tenant, use := range all {
			if !n.dead {
				use[quota.Calls] -= own[tenant][quota.Calls]
			}
			others[tenant] = use
		}
		n.ledger.SetElsewhere(others)
	}
}

// arrive has the next call arrive at some node that is alive.
func (w *world) arrive() {
	if w.arrived == w.cfg.Calls {
		return
	}
	w.arrived++
	function := w.random.IntN(w.cfg.Functions)
	if w.popular != nil {
		function = int(w.popular.Uint64())
	}
	if w.cfg.Hot > 0 && w.random.Float64() < w.cfg.Hot {
		function = w.cfg.Functions
	}
	at := w.random.IntN(len(w.nodes))
	for w.nodes[at].dead { // a balancer in front knows that
		at = (at + 1) % len(w.nodes)
	}
	w.nodes[at].receive(at, &call{function: function, tenant: fmt.Sprint("tenant", function%w.cfg.Tenants), at: w.now})
	w.at(w.now+w.exponential(time.Duration(float64(time.Second)/w.cfg.Rate)), w.arrive)
}

func (w *world) exponential(mean time.Duration) time.Duration {
	return time.Duration(-math.Log(1-w.random.Float64()) * float64(mean))
}

// receive takes a call that has arrived at this node.
func (n *node) receive(self int, c *call) {
	w := n.w
	c.done = func(bool) { w.ended++ }
	if !w.cfg.Homeless {
		indexes := w.table.Members()
		for _, i := range w.table.Route(fmt.Sprint("function", c.function), w.position[self], func(i int) placement.State {
			to := w.numberOf(indexes[i].ID)
			return placement.State{Load: n.loadOf(to), Away: n.away[to] > w.now}
		}) {
			to := w.numberOf(indexes[i].ID)
			if w.nodes[to].dead {
				w.out.Passed++
				n.away[to] = w.now + awayTime
				continue
			}
			if w.nodes[to].full() {
				w.out.Passed++
				n.learn(to, w.nodes[to].load())
				continue
			}
			w.out.Forwarded++
			n.sent[to]++
			c.done = func(bool) {
				w.ended++
				n.sent[to]--
				n.learn(to, w.nodes[to].load())
			}
			w.nodes[to].process(c, forwardTime)
			return
		}
	}
	n.process(c, 0)
}

// load is what wants a processor.
func (n *node) load() int { return n.busy + len(n.jobs) }

// learn takes over what another node tells of its load.
func (n *node) learn(of, load int) { n.known[of], n.had[of] = load, n.sent[of] }

// loadOf returns what is known of another node's load, with what it was sent since.
func (n *node) loadOf(of int) int { return n.known[of] + max(n.sent[of]-n.had[of], 0) }

// full reports whether the node passes calls that others send.
func (n *node) full() bool {
	members := n.w.table.Members()
	self := n.w.table.Index(n.id)
	return self >= 0 && n.w.table.Overloaded(self, n.load(), func(i int) placement.State {
		if i == self {
			return placement.State{Load: n.load()}
		}
		return placement.State{Load: n.loadOf(n.w.numberOf(members[i].ID))}
	})
}

// numberOf returns the number in a node's id.
func (w *world) numberOf(id string) (n int) {
	for _, digit := range []byte(id[len("node-"):]) {
		n = 10*n + int(digit-'0')
	}
	return n
}

// process lets the node process a call, on which so much is spent already.
func (n *node) process(c *call, spent time.Duration) {
	c.at -= spent
	if n.ledger.Take(c.tenant, quota.Call, 1) != nil {
		n.w.out.Refused++
		c.done(false)
		return
	}
	n.w.tenants[c.tenant]++
	n.w.out.Most = max(n.w.out.Most, n.w.tenants[c.tenant])
	n.calls++
	n.pending[c] = true
	p := n.pools[c.function]
	if p == nil {
		p = &pool{}
		n.pools[c.function] = p
		p.live++
		n.w.out.ColdStarts++
		n.run(c, p, n.image(c.function))
		return
	}
	for len(p.idle) > 0 && p.idle[0] < n.w.now-n.w.cfg.Idle {
		p.idle = p.idle[1:]
		p.live--
	}
	switch {
	case len(p.idle) > 0:
		p.idle = p.idle[:len(p.idle)-1]
		n.run(c, p, 0)
	case p.live < n.w.cfg.Instances:
		p.live++
		n.w.out.ColdStarts++
		n.run(c, p, n.w.cfg.Instance)
	default:
		p.waiting = append(p.waiting, c)
	}
}

// image returns what getting a function's image costs.
func (n *node) image(function int) time.Duration {
	n.w.has[function]++
	if n.w.has[function] > 1 && n.w.cfg.Copy > 0 {
		n.w.out.Copies++
		return n.w.cfg.Copy
	}
	n.w.out.Images++
	return n.w.cfg.Image
}

// run lets an instance process a call, after it was started.
func (n *node) run(c *call, p *pool, starting time.Duration) {
	wait := n.w.exponential(n.w.cfg.Wait)
	n.compute(starting+n.w.exponential(n.w.cfg.CPU), func() {
		n.later(wait, func() { n.end(c, p) })
	})
}

func (n *node) end(c *call, p *pool) {
	w := n.w
	delete(n.pending, c)
	n.calls--
	n.ledger.Give(c.tenant, quota.Call, 1)
	w.tenants[c.tenant]--
	w.out.Served++
	w.took = append(w.took, w.now-c.at)
	c.done(true)
	if len(p.waiting) > 0 {
		next := p.waiting[0]
		p.waiting = p.waiting[1:]
		n.run(next, p, 0)
		return
	}
	p.idle = append(p.idle, w.now)
}

// later does something unless the node is dead by then.
func (n *node) later(after time.Duration, do func()) {
	life := n.life
	n.w.at(n.w.now+after, func() {
		if n.life == life {
			do()
		}
	})
}

// compute occupies a processor.
func (n *node) compute(cpu time.Duration, then func()) {
	if n.busy == n.w.cfg.Processors {
		n.jobs = append(n.jobs, job{cpu, then})
		return
	}
	n.busy++
	n.cpu += cpu
	n.later(cpu, func() {
		n.busy--
		then()
		if len(n.jobs) > 0 && n.busy < n.w.cfg.Processors {
			next := n.jobs[0]
			n.jobs = n.jobs[1:]
			n.compute(next.cpu, next.then)
		}
	})
}

func (w *world) result() Result {
	r := w.out
	r.Calls = w.ended
	most := time.Duration(0)
	for _, n := range w.nodes {
		r.CPU += n.cpu
		most = max(most, n.cpu)
	}
	if r.CPU > 0 {
		r.Busiest = float64(most) / (float64(r.CPU) / float64(len(w.nodes)))
	}
	if slices.Sort(w.took); len(w.took) > 0 {
		r.P50, r.P99 = w.took[len(w.took)/2], w.took[len(w.took)*99/100]
	}
	return r
}
