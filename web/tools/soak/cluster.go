package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vivarium/host/store/storetest"
	"vivarium/web/api"
)

// clusterSize is how many nodes and how many NATS servers a cluster has.
const clusterSize = 3

// revokedTime is how long after the answer to its deletion a key may be accepted by nodes that
// are connected.
const revokedTime = 2 * time.Second

// clustered is a cluster: what runs, and what the balancer in front of it knows.
type clustered struct {
	d       *driver
	servers []*child
	nodes   []*node
	next    atomic.Int64

	mu     sync.Mutex    // guards below
	slow   time.Duration // the longest that a revoked key was accepted
	keys   int           // revoked
	checks int           // of revoked keys at nodes
}

// child is a NATS server, or a node, which is started again with the same arguments.
type child struct {
	role, program string
	args          []string
	process       atomic.Pointer[process]
}

// node is a node of the cluster, with a cable to each NATS server.
type node struct {
	*child
	name   string
	down   atomic.Bool  // the balancer sends it nothing
	since  atomic.Int64 // when it last came back, Unix time, ns
	cables []*storetest.Cable
}

func (c *child) start(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // it is stopped in order
	cmd, err := again(ctx, c.role, c.args...)
	if c.program != "" {
		cmd, err = exec.CommandContext(ctx, c.program, c.args...), nil
	}
	if err != nil {
		return err
	}
	p, err := startProcess(cmd)
	if err == nil {
		c.process.Store(p)
	}
	return err
}

// startCluster starts the servers, and the nodes.
func (d *driver) startCluster(ctx context.Context) error {
	c := &clustered{d: d}
	d.cluster = c
	ports, err := storetest.Ports(4 * clusterSize)
	if err != nil {
		return err
	}
	at := func(i int) string { return "127.0.0.1:" + ports[i] }
	for i := range clusterSize {
		args := []string{filepath.Join(d.dir, fmt.Sprint("nats", i)), at(i), at(clusterSize + i)}
		for k := range clusterSize {
			if k != i {
				args = append(args, at(clusterSize+k))
			}
		}
		s := &child{role: roleServers, args: args}
		c.servers = append(c.servers, s)
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	for i := range clusterSize {
		n := &node{name: fmt.Sprint("node ", i+1), child: &child{role: roleProgram, program: d.options.program}}
		c.nodes = append(c.nodes, n)
		var urls []string
		for k := range clusterSize {
			cable, err := storetest.LayCable(at(k), nil)
			if err != nil {
				return err
			}
			n.cables, urls = append(n.cables, cable), append(urls, "nats://"+cable.Address())
		}
		own := 2*clusterSize + i
		var others []string
		for k := range clusterSize {
			if k != i {
				others = append(others, ports[2*clusterSize+k])
			}
		}
		n.args = []string{"serve", "--listen", at(3*clusterSize + i), "--max-memory", fmt.Sprint(d.memoryMB / clusterSize),
			"--cache-dir", d.cache, "--allow-net=" + d.peer.address, "--nats", strings.Join(urls, ","),
			"--nats-replicas", fmt.Sprint(clusterSize), "--node-listen", at(own), "--node-ports", strings.Join(others, ",")}
		if err := n.startPatiently(ctx); err != nil {
			return err
		}
	}
	d.program.Store(c.nodes[0].process.Load())
	return nil
}

// startPatiently starts a node as soon as the servers have a leader.
func (n *node) startPatiently(ctx context.Context) (err error) {
	for end := time.Now().Add(recoverLimit); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, time.Second) {
		if err = n.start(ctx); err == nil {
			n.back()
			return nil
		}
	}
	return err
}

func (n *node) back() {
	n.since.Store(time.Now().UnixNano())
	n.down.Store(false)
}

func (n *node) base() string { return "http://" + n.process.Load().address }

// base returns the base URL of a node that the balancer takes for well, each in turn.
func (c *clustered) base() string {
	for range c.nodes {
		n := c.nodes[int(c.next.Add(1))%len(c.nodes)]
		if !n.down.Load() {
			return n.base()
		}
	}
	return c.nodes[0].base()
}

// hurt has one of the servers, and one of the nodes, fail in each way, in turns.
func (c *clustered) hurt(ctx context.Context) error {
	faults := []struct {
		name string
		hurt func(ctx context.Context, i int, outage time.Duration) error
	}{
		{"a NATS server is killed", c.killServer}, {"a node is killed", c.killNode},
		{"a NATS server stands still", c.freezeServer}, {"a node stands still", c.freezeNode},
		{"a node is cut off", c.cutNode}, {"a node is stopped", c.stopNode},
	}
	share := max(min(c.d.duration/time.Duration(len(faults)+1), 24*time.Second), 8*time.Second)
	c.d.ledger.begin("load")
	pause(ctx, share/2)
	end := time.Now().Add(c.d.duration - share)
	for i := 0; ctx.Err() == nil && (i < len(faults) || time.Now().Before(end)); i++ {
		fault := faults[i%len(faults)]
		c.d.ledger.begin(fault.name)
		if err := fault.hurt(ctx, (i+i/len(faults))%clusterSize, share/2); err != nil {
			return fmt.Errorf("%s: %w", fault.name, err)
		}
		c.d.ledger.begin("load after it")
		pause(ctx, share/2)
	}
	return nil
}

func (c *clustered) killServer(ctx context.Context, i int, outage time.Duration) error {
	defer c.d.ledger.hinder(withoutServer)()
	c.servers[i].process.Load().kill()
	pause(ctx, outage)
	return c.servers[i].start(ctx)
}

func (c *clustered) freezeServer(ctx context.Context, i int, outage time.Duration) error {
	defer c.d.ledger.hinder(withoutServer)()
	c.servers[i].process.Load().signal(syscall.SIGSTOP)
	pause(ctx, outage)
	c.servers[i].process.Load().signal(syscall.SIGCONT)
	return nil
}

// takeOut takes a node out of the balancer, and has a fault that is over at once. Calls
// that had begun until then may fail.
func (c *clustered) takeOut(n *node, fault func()) {
	over := c.d.ledger.hinder(withoutProgram)
	defer over()
	n.down.Store(true)
	fault()
}

func (c *clustered) killNode(ctx context.Context, i int, outage time.Duration) error {
	n := c.nodes[i]
	c.takeOut(n, func() { n.process.Load().kill() })
	pause(ctx, outage)
	return n.startPatiently(ctx)
}

func (c *clustered) freezeNode(ctx context.Context, i int, outage time.Duration) error {
	n := c.nodes[i]
	c.takeOut(n, func() { n.process.Load().signal(syscall.SIGSTOP) })
	pause(ctx, outage)
	n.process.Load().signal(syscall.SIGCONT)
	return c.await(ctx, n)
}

func (c *clustered) cutNode(ctx context.Context, i int, outage time.Duration) error {
	n := c.nodes[i]
	c.takeOut(n, func() {
		for _, cable := range n.cables {
			cable.Cut(true)
		}
	})
	pause(ctx, outage)
	for _, cable := range n.cables {
		cable.Cut(false)
	}
	return c.await(ctx, n)
}

// stopNode stops a node in order, as for an upgrade: no call may fail for it.
func (c *clustered) stopNode(ctx context.Context, i int, outage time.Duration) error {
	n := c.nodes[i]
	n.down.Store(true)
	if err := n.process.Load().end(time.Minute); err != nil {
		c.d.ledger.breach("a node ends in order", "%v\n%s", err, n.process.Load().stderr.text())
	}
	pause(ctx, outage/2)
	return n.startPatiently(ctx)
}

// await waits until a node is well, and has the balancer send it calls again.
func (c *clustered) await(ctx context.Context, n *node) error {
	var last string
	for end := time.Now().Add(recoverLimit); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		response, err := c.d.http.Get(n.base() + "/readyz")
		if err != nil {
			last = err.Error()
			continue
		}
		last = response.Status
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			pause(ctx, 2*time.Second) // as a balancer that asks from time to time
			n.back()
			return nil
		}
	}
	return fmt.Errorf("%s is not ready after %v: %s", n.name, recoverLimit, last)
}

// keepRevoking makes keys and deletes them, and notes for how long they are accepted.
func (c *clustered) keepRevoking(ctx context.Context) {
	f := c.d.neighbours[0]
	for ctx.Err() == nil {
		started := time.Now()
		if err := c.revoke(ctx, f); err != nil {
			c.d.noteChange(ctx, "keys revoked", started, err)
		}
		pause(ctx, 500*time.Millisecond)
	}
}

func (c *clustered) revoke(ctx context.Context, f *neighbour) error {
	operator := c.d.client("")
	var made api.CreateKeyResponse
	if err := operator.plain(ctx, http.MethodPost, "/keys", api.CreateKeyRequest{Tenant: f.tenant, Role: "invoker"}, &made); err != nil {
		return err
	}
	for _, n := range c.nodes {
		c.use(ctx, n, f, made.Secret)
	}
	if err := operator.manage(ctx, http.MethodDelete, "/keys/"+made.Key.ID, nil, nil); err != nil {
		return err
	}
	revoked := time.Now()
	var checking sync.WaitGroup
	for _, n := range c.nodes {
		checking.Go(func() { c.check(ctx, n, f, made.Secret, revoked) })
	}
	checking.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys++
	return nil
}

// use waits until a node accepts a key, if it is well.
func (c *clustered) use(ctx context.Context, n *node, f *neighbour, secret string) {
	for end := time.Now().Add(5 * time.Second); !n.down.Load() && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		a, err := c.ask(ctx, n, f, secret)
		if err != nil || a.status < 400 {
			return
		}
		if time.Now().After(end) && !n.down.Load() {
			c.d.ledger.breach("new keys are accepted", "%s refused one for 5 s: %d %s", n.name, a.status, a.body)
			return
		}
	}
}

// ask calls a function at a node with a key.
func (c *clustered) ask(ctx context.Context, n *node, f *neighbour, secret string) (*answer, error) {
	stranger := *f.client
	stranger.base, stranger.keys, stranger.known = n.base, map[string]string{f.tenant: secret}, nil
	header, body := f.send(nonce())
	return stranger.call(ctx, http.MethodPost, "/"+f.id+f.path, header, body)
}

// check asks a node until it does not accept a key any more.
func (c *clustered) check(ctx context.Context, n *node, f *neighbour, secret string, revoked time.Time) {
	for ctx.Err() == nil {
		asked := time.Now()
		if n.down.Load() || n.since.Load() > revoked.UnixNano() || asked.Sub(revoked) > time.Minute {
			return // it is not connected, or was not
		}
		a, err := c.ask(ctx, n, f, secret)
		if err != nil || n.down.Load() {
			return
		}
		c.mu.Lock()
		c.checks++
		accepted := a.status < 400
		if accepted {
			c.slow = max(c.slow, asked.Sub(revoked))
		}
		c.mu.Unlock()
		if !accepted {
			return
		}
		if age := asked.Sub(revoked); age > revokedTime {
			c.d.ledger.breach("revoked keys are refused", "%s accepted one %v after it was deleted", n.name, age)
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// report prints what only clusters have.
func (c *clustered) report(t io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(t, "\n%d keys were revoked; the longest that a connected node still accepted one: %v (%d checks).\n",
		c.keys, c.slow.Round(time.Millisecond), c.checks)
}

// stop ends all of it.
func (c *clustered) stop() (err error) {
	for _, n := range c.nodes {
		if p := n.process.Load(); p != nil {
			p.signal(syscall.SIGCONT)
			if e := p.end(time.Minute); e != nil {
				err = fmt.Errorf("%s: %w", n.name, e)
			}
		}
		for _, cable := range n.cables {
			cable.Close()
		}
	}
	for _, s := range c.servers {
		if p := s.process.Load(); p != nil {
			p.kill()
		}
	}
	return err
}
