package web

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/logs"
	"vivarium/host/run"
	"vivarium/host/store"
)

// crowded are three nodes with a queue full of two tenants' calls, which all fail and are to be
// tried a hundred times more, and a third tenant's function, which nothing waits for yet.
type crowded struct {
	nodes []*testNode
	quiet string // the third tenant's function
	ran   chan time.Time
}

// crowd queues so many calls of each of the two tenants before there is a node.
func crowd(t testing.TB, calls int) *crowded {
	t.Helper()
	nats := startNATS(t).ClientURL()
	c := &crowded{ran: make(chan time.Time, 1024)}
	hear := func(h *host.Config, _ *Config) {
		h.Logs = func(e logs.Entry) {
			if e.FunctionID == c.quiet && e.Message == "ran" {
				c.ran <- time.Now()
			}
		}
	}
	maker := startNode(t, nats, nil)
	failing := catalog.AsyncConfig{Retries: 100}
	var noisy []string
	for _, tenant := range []string{"noisy-1", "noisy-2"} {
		noisy = append(noisy, maker.make(t, tenant, "def handler(event, context): raise ValueError(event)\n", failing))
	}
	c.quiet = maker.make(t, "quiet", "def handler(event, context): print('ran')\n", catalog.AsyncConfig{})
	maker.stop()
	s, err := store.Open(t.Context(), store.Config{URL: nats})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	next := make(chan store.Item)
	var queuing sync.WaitGroup
	for range 8 {
		queuing.Go(func() {
			for i := range next {
				if err := s.Queue.Add(t.Context(), i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range calls {
		for _, id := range noisy {
			next <- store.Item{FunctionID: id, Body: []byte("{}"), Notes: map[string]string{}}
		}
	}
	close(next)
	queuing.Wait()
	for range 3 {
		c.nodes = append(c.nodes, startNode(t, nats, hear))
	}
	mustKnow(t, c.nodes)
	until(t, "calls are made", func() bool { return c.made() > 0 })
	return c
}

// make makes a function of a tenant.
func (n *testNode) make(t testing.TB, tenant, code string, async catalog.AsyncConfig) (id string) {
	t.Helper()
	functions := n.host.Catalog()
	f, err := functions.CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "fun", Tenant: tenant})
	if err != nil {
		t.Fatal(err)
	}
	spec := catalog.VersionSpec{Entrypoint: "main.handler", Async: &async}
	if _, err := functions.CreateVersion(t.Context(), access.Operator, f.ID, spec, zipped(t, code), nil); err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// made returns how many calls the nodes have made.
func (c *crowded) made() (calls int64) {
	for _, n := range c.nodes {
		calls += n.host.Stats().Calls
	}
	return calls
}

// call queues a call of the third tenant's function at one of the nodes, and returns when it
// was acknowledged.
func (c *crowded) call(t testing.TB, node int) time.Time {
	t.Helper()
	inv := run.Invocation{Function: c.quiet, Body: []byte("{}")}
	if _, err := c.nodes[node].host.InvokeAsync(t.Context(), access.Operator, inv); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// Whoever queues little is served before those who have queued much are done: in one line for
// all, three calls would come after them.
func TestCluster_QueuedCallsOfOneTenantHoldUpNoOther(t *testing.T) {
	const calls = 2000
	c := crowd(t, calls)
	for i := range c.nodes {
		c.call(t, i)
		<-c.ran
	}
	if made := c.made(); made >= 2*calls {
		t.Errorf("three calls had to wait for all of two others' %d, of which %d attempts were made", 2*calls, made)
	}
}

// BenchmarkCluster_Queue measures how long a call and a tick wait beside ten thousand failing
// calls of each of two other tenants, from the acknowledgement, or the minute, until the handler
// runs.
func BenchmarkCluster_Queue(b *testing.B) {
	c := crowd(b, 10_000)
	b.ResetTimer()
	var sum, longest time.Duration
	calls := 0
	for b.Loop() {
		for i := range c.nodes {
			queued := c.call(b, i)
			waited := max((<-c.ran).Sub(queued), 0)
			sum, longest, calls = sum+waited, max(longest, waited), calls+1
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(sum.Microseconds())/1e3/float64(calls), "ms/call")
	b.ReportMetric(float64(longest.Microseconds())/1e3, "ms-longest")
	for i := range 3 {
		name := fmt.Sprint("tick-", i)
		if _, err := c.nodes[i].host.Events().CreateTimer(b.Context(), access.Operator, events.TimerSpec{
			Name: name, Function: c.quiet, Cron: "* * ? * * *",
		}); err != nil {
			b.Fatal(err)
		}
	}
	late := time.Duration(0)
	for range 3 {
		at := <-c.ran
		late = max(late, at.Sub(at.Truncate(time.Minute)))
	}
	b.ReportMetric(float64(late.Microseconds())/1e3, "ms-tick")
	b.ReportMetric(float64(c.made()), "others")
}
