package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vivarium/host/store"
	"vivarium/host/store/storetest"
)

// clusterSize is how many nodes and how many NATS servers a cluster has.
const clusterSize = 3

// clustered is a cluster: what runs, and what the balancer in front of it knows.
type clustered struct {
	d       *driver
	servers []*child
	nodes   []*node
	next    atomic.Int64
	revoked revoked
	earlier string   // program that nodes begin with; empty for that of the options
	images  []string // of each node, since its last start
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
	name    string
	down    atomic.Bool  // the balancer sends it nothing
	since   atomic.Int64 // when it last came back, Unix time, ns
	cables  []*storetest.Cable
	between string // where the other nodes reach it
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

// start starts the servers, and the nodes.
func (c *clustered) start(ctx context.Context) error {
	d := c.d
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
		n := &node{name: fmt.Sprint("node ", i+1), child: &child{role: roleProgram, program: cmp.Or(c.earlier, d.options.program)}}
		c.nodes = append(c.nodes, n)
		var urls []string
		for k := range clusterSize {
			cable, err := storetest.LayCable(at(k), nil)
			if err != nil {
				return err
			}
			n.cables, urls = append(n.cables, cable), append(urls, "nats://"+cable.Address())
		}
		n.between = at(2*clusterSize + i)
		var others []string
		for k := range clusterSize {
			if k != i {
				others = append(others, ports[2*clusterSize+k])
			}
		}
		n.args = []string{"serve", "--listen", at(3*clusterSize + i), "--max-memory", fmt.Sprint(d.memoryMB / clusterSize),
			"--cache-dir", d.cache, "--allow-net=" + d.peer.address, "--nats", strings.Join(urls, ","),
			"--nats-replicas", fmt.Sprint(clusterSize), "--node-listen", n.between, "--node-ports", strings.Join(others, ",")}
		if err := n.startPatiently(ctx); err != nil {
			return err
		}
	}
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
	if c.d.duration >= longForm {
		outage = store.DefaultMaxStale + outage/2
	}
	secret, revoke := c.keyFor(ctx, n)
	c.takeOut(n, func() {
		for _, cable := range n.cables {
			cable.Cut(true)
		}
	})
	bound := time.Now().Add(store.DefaultMaxStale)
	revoke(ctx)
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { c.watchCut(watching, n, secret, bound) })
	pause(ctx, outage)
	if status, err := c.ready(ctx, n); err == nil && status == http.StatusOK && time.Now().After(bound) {
		c.d.ledger.breach("nodes that are cut off are not ready", "%s is, after %v", n.name, outage)
	}
	for _, cable := range n.cables {
		cable.Cut(false)
	}
	err := c.await(ctx, n)
	stop()
	watch.Wait()
	c.tryCut(ctx, n, secret, time.Time{}) // it is well again, so it knows
	return err
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
	var status int
	var err error
	for end := time.Now().Add(recoverLimit); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		if status, err = c.ready(ctx, n); err == nil && status == http.StatusOK {
			pause(ctx, 2*time.Second) // as a balancer that asks from time to time
			n.back()
			return nil
		}
	}
	return fmt.Errorf("%s is not ready after %v: status %d, %v", n.name, recoverLimit, status, err)
}

// ready returns the status of a node's answer to the question whether it is ready.
func (c *clustered) ready(ctx context.Context, n *node) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.base()+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	response, err := c.d.http.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// deployed waits until all nodes know the functions: calls do not say what they build on.
func (*clustered) deployed(ctx context.Context) { pause(ctx, time.Second) }

// rested has nothing to do: resources are not judged.
func (*clustered) rested(context.Context) {}

// queues has all calls fail, since a node that is killed takes the last lines of logs with it.
func (c *clustered) queues(int) (*function, time.Duration) {
	return c.d.queue.fails, 50 * time.Millisecond
}

func (c *clustered) beside(ctx context.Context) { c.keepRevoking(ctx) }

func (c *clustered) finish(ctx context.Context) error {
	c.countImages(ctx)
	c.judgeCuts()
	return nil
}

func (c *clustered) lastWords() string {
	var words strings.Builder
	for _, n := range c.nodes {
		if p := n.process.Load(); p != nil {
			fmt.Fprintf(&words, "%s:\n%s\n", n.name, p.stderr.text())
		}
	}
	return words.String()
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
