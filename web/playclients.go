package web

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxPlayClients is how many clients are remembered. Forgotten ones start over;
// what all of them use together is bounded elsewhere.
const maxPlayClients = 4096

// maxPlayTotal bounds the requests in progress, each of which may have some
// megabytes in memory. Most of them run or wait, which the host bounds further.
const maxPlayTotal = 100

// playClients bounds what each client may request. Safe for concurrent use.
type playClients struct {
	rate   rate.Limit
	burst  int
	atOnce int

	mu     sync.Mutex // guards all below
	total  int        // requests in progress, of all clients
	known  map[netip.Prefix]*list.Element
	recent *list.List // of *playClient, most recent first
}

// playClient is one client.
type playClient struct {
	network netip.Prefix
	limiter *rate.Limiter
	running int
}

func newPlayClients(perSecond float64, burst, atOnce int) *playClients {
	return &playClients{
		rate: rate.Limit(perSecond), burst: burst, atOnce: atOnce, known: map[netip.Prefix]*list.Element{}, recent: list.New(),
	}
}

// enter admits a request of a client; leave ends it.
//
// # Errors
//
// *rateError.
func (c *playClients) enter(remoteAddress string) (leave func(), err error) {
	network := clientNetwork(remoteAddress)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= maxPlayTotal {
		return nil, &rateError{"the playground is full; wait a little", time.Second}
	}
	client := c.find(network)
	if client.running >= c.atOnce {
		return nil, &rateError{fmt.Sprintf("%d of your snippets are running; wait for one to end", client.running), time.Second}
	}
	now := time.Now()
	turn := client.limiter.ReserveN(now, 1)
	if wait := turn.DelayFrom(now); wait > 0 {
		turn.CancelAt(now)
		return nil, &rateError{fmt.Sprintf("at most %v snippets per second; wait a little", float64(c.rate)), wait}
	}
	client.running++
	c.total++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		client.running--
		c.total--
	}, nil
}

// find returns a client. The caller holds mu.
func (c *playClients) find(network netip.Prefix) *playClient {
	if e, ok := c.known[network]; ok {
		c.recent.MoveToFront(e)
		return e.Value.(*playClient)
	}
	if c.recent.Len() >= maxPlayClients {
		delete(c.known, c.recent.Remove(c.recent.Back()).(*playClient).network)
	}
	client := &playClient{network: network, limiter: rate.NewLimiter(c.rate, c.burst)}
	c.known[network] = c.recent.PushFront(client)
	return client
}
