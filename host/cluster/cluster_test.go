package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

// join makes a node in the cluster of a store.
func join(t *testing.T, s *store.Store, address string, change func(*Config)) *Cluster {
	t.Helper()
	cfg := Config{Notices: s.Notices, Address: address, Capacity: 2}
	if change != nil {
		change(&cfg)
	}
	c, err := Join(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// busy is the load of a node that has so much to do.
type busy int

func (b busy) Holds() Holds                   { return Holds{Load: int(b)} }
func (busy) Share(Use, func(string) bool) Use { return Use{} }

func testStore(t *testing.T) *store.Store {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	return s
}

// addresses returns which nodes one knows, in order.
func addresses(c *Cluster) (all []string) {
	for _, n := range c.Nodes() {
		all = append(all, n.Address)
	}
	slices.Sort(all)
	return all
}

func mustKnow(t *testing.T, c *Cluster, want ...string) {
	t.Helper()
	roomtest.Until(t, fmt.Sprintf("%s knows %v", c.Address(), want), func() bool { return slices.Equal(addresses(c), want) })
}

// routes returns how many of many functions are one's own, and how many have their first
// home at each other node.
func routes(c *Cluster) (own int, others map[string]int) {
	others = map[string]int{}
	for i := range 300 {
		if route := c.Route(fmt.Sprint("function", i)); len(route) == 0 {
			own++
		} else {
			others[route[0].Address()]++
		}
	}
	return own, others
}

func TestCluster_NodesComeAndGo(t *testing.T) {
	s := testStore(t)
	a := join(t, s, "a:1", nil)
	mustKnow(t, a, "a:1")
	if own, _ := routes(a); own != 300 {
		t.Errorf("a node that is alone has %d of 300 functions", own)
	}
	b := join(t, s, "b:1", nil)
	c := join(t, s, "c:1", nil)
	for _, n := range []*Cluster{a, b, c} {
		mustKnow(t, n, "a:1", "b:1", "c:1")
		if own, others := routes(n); own < 60 || own > 140 || len(others) != 2 {
			t.Errorf("%s has %d of 300 functions, the others %v", n.Address(), own, others)
		}
	}
	c.Leave()
	mustKnow(t, a, "a:1", "b:1")
	if own, others := routes(a); own+others["b:1"] != 300 {
		t.Errorf("who has left has calls sent to it: %v", others)
	}
	// One that says no goodbye is gone when its lease ends.
	close(b.end)
	b.beating.Wait()
	b.end = make(chan struct{}) // for Leave
	mustKnow(t, a, "a:1")
}

func TestCluster_WhoDrainsIsNoHome(t *testing.T) {
	s := testStore(t)
	a, b := join(t, s, "a:1", nil), join(t, s, "b:1", nil)
	mustKnow(t, a, "a:1", "b:1")
	b.SetDraining(true)
	roomtest.Until(t, "nothing is sent to who drains", func() bool { own, _ := routes(a); return own == 300 })
	roomtest.Until(t, "who drains sends everything on", func() bool { own, _ := routes(b); return own == 0 })
	if !slices.ContainsFunc(a.Nodes(), func(n Node) bool { return n.Address == "b:1" && n.Draining }) {
		t.Errorf("nobody knows that b drains: %v", a.Nodes())
	}
	b.SetDraining(false)
	roomtest.Until(t, "b has its functions again", func() bool { own, _ := routes(b); return own > 0 })
}

// Any node can have any other one drained.
func TestCluster_DrainsOthers(t *testing.T) {
	s := testStore(t)
	a, b := join(t, s, "a:1", nil), join(t, s, "b:1", nil)
	mustKnow(t, a, "a:1", "b:1")
	mustKnow(t, b, "a:1", "b:1")
	for _, draining := range []bool{true, true, false} {
		if err := a.Drain(t.Context(), "b:1", draining); err != nil {
			t.Fatal(err)
		}
		if own, _ := routes(a); (own == 300) != draining {
			t.Errorf("b drains: %v; a has %d of 300 functions", draining, own)
		}
	}
	if err := a.Drain(t.Context(), "c:1", true); fault.Of(err) != fault.NotFound {
		t.Errorf("a node that there is not: %v", err)
	}
	// One that hears nothing any more.
	b.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := a.Drain(ctx, "b:1", true); fault.Of(err) != fault.Unavailable {
		t.Errorf("a node that does not hear: %v", err)
	}
}

func TestCluster_WhoHasTooMuchIsSpared(t *testing.T) {
	s := testStore(t)
	a := join(t, s, "a:1", nil)
	b := join(t, s, "b:1", func(c *Config) { c.Load = busy(1000) })
	mustKnow(t, a, "a:1", "b:1")
	roomtest.Until(t, "a takes all itself", func() bool { own, _ := routes(a); return own == 300 })
	roomtest.Until(t, "b sends all on", func() bool { own, _ := routes(b); return own == 0 })
	if !b.Full() || a.Full() {
		t.Errorf("a is full: %v, b is full: %v", a.Full(), b.Full())
	}
	// What it says of itself with an answer counts at once, and what is sent to it since.
	p := a.known("b:1")
	p.Learn(0)
	if own, others := routes(a); own == 300 || others["b:1"] == 0 {
		t.Errorf("nothing is sent to who has nothing to do: %v", others)
	}
	for range 1000 {
		defer p.Send()()
	}
	if own, _ := routes(a); own != 300 {
		t.Error("what was sent does not count")
	}
}

// What is no node's notice, or an old one, changes nothing.
func TestCluster_HearsNoNonsense(t *testing.T) {
	s := testStore(t)
	a := join(t, s, "a:1", nil)
	b := join(t, s, "b:1", nil)
	mustKnow(t, a, "a:1", "b:1")
	old := Node{Address: "b:1", Pin: make([]byte, 32), Capacity: 5, Started: time.Now().Add(-time.Hour)}
	gone := old
	gone.Leaving = true
	short := Node{Address: "c:1", Pin: []byte{1}, Started: time.Now()}
	for _, notice := range [][]byte{
		nil, []byte("{"), []byte("[]"), []byte("{}"), []byte(`{"address":1}`), store.Record(short), store.Record(old), store.Record(gone),
		[]byte(`{"address":"d:1","pin":"` + strings.Repeat("A", maxNotice) + `"}`),
	} {
		if err := s.Notices.Tell(notice); err != nil {
			t.Fatal(err)
		}
	}
	// Notices are heard in order, so that all the others have been heard when this one has.
	join(t, s, "e:1", nil)
	mustKnow(t, a, "a:1", "b:1", "e:1")
	if pin := Pin(a.known("b:1").current().Pin); pin != b.pin {
		t.Error("an earlier process took the place of a later one")
	}
}

func TestJoin_RefusesAddressesThatNobodyReaches(t *testing.T) {
	for _, address := range []string{"", "a", "a:", ":1", "a:0", "a:x", "a:99999", "0.0.0.0:1", "[::]:1"} {
		if _, err := Join(Config{Notices: testStore(t).Notices, Address: address}); err == nil || !strings.Contains(err.Error(), "HOST:PORT") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// Both ends of a connection are sure of the other one.
func TestCluster_BothEndsAreNodes(t *testing.T) {
	s := testStore(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	a, b := join(t, s, address, nil), join(t, s, "b:1", nil)
	mustKnow(t, a, address, "b:1")
	mustKnow(t, b, address, "b:1")
	defer l.Close()
	serve := tls.NewListener(l, a.ServerTLS())
	go func() {
		for {
			conn, err := serve.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("hello"))
			_ = conn.Close()
		}
	}()
	read := func(by *Cluster) (string, error) {
		conn, err := by.Dial(context.Background(), "tcp", address)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		text, err := io.ReadAll(conn)
		return string(text), err
	}
	if got, err := read(b); got != "hello" || err != nil {
		t.Errorf("a node: %q, %v", got, err)
	}
	// A stranger who knows where the node is, and believes whatever it hears.
	other := testStore(t)
	stranger := join(t, other, "c:1", nil)
	if _, err := read(stranger); !errors.Is(err, errStranger) {
		t.Errorf("a node of another cluster: %v", err)
	}
	if err := other.Notices.Tell(store.Record(*a.known(address).current())); err != nil {
		t.Fatal(err)
	}
	mustKnow(t, stranger, address, "c:1")
	if got, err := read(stranger); err == nil {
		t.Errorf("a node of another cluster got %q", got)
	}
	// Somebody else at the address of a node.
	imposter := *a.known(address).current()
	imposter.Pin, imposter.Started = make([]byte, 32), time.Now()
	if err := other.Notices.Tell(store.Record(imposter)); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "the stranger expects another one", func() bool { return Pin(stranger.known(address).current().Pin) == Pin{} })
	if _, err := read(stranger); !errors.Is(err, errStranger) {
		t.Errorf("somebody else at a node's address: %v", err)
	}
}

// A node can leave when its store has gone: nobody is told, and nothing else fails.
func TestLeave_WithoutTheStore(t *testing.T) {
	s := store.Memory(store.Config{})
	c := join(t, s, "10.0.0.1:7400", nil)
	s.Close()
	if err := c.tell(true); err == nil {
		t.Fatal("the others were told")
	}
	c.Leave()
}
