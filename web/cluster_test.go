package web

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats-server/v2/server"
	dto "github.com/prometheus/client_model/go"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/cluster"
	"vivarium/host/placement/simulation"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/store"
	"vivarium/web/api"
	"vivarium/web/manage"
)

// startNATS starts a server that several nodes can use.
func startNATS(t testing.TB) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

// testNode is a node of a cluster: a host, a server, and its listeners.
type testNode struct {
	t       testing.TB
	store   *store.Store
	host    *host.Host
	cluster *cluster.Cluster
	server  *Server
	url     string // for callers
	kill    func() // ends it, without a goodbye
	stop    func() // ends it as serve does
}

// startNode starts a node. change may change its configuration.
func startNode(t testing.TB, nats string, change func(*host.Config, *Config)) *testNode {
	t.Helper()
	engines, err := realEngines()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{URL: nats})
	if err != nil {
		t.Fatal(err)
	}
	n := &testNode{t: t, store: s}
	hostConfig := host.Config{Engines: engines, Store: s, Clustered: true}
	config := Config{DrainTimeout: 5 * time.Second, acceptTime: time.Minute}
	if change != nil {
		change(&hostConfig, &config)
	}
	if n.host, err = host.New(hostConfig); err != nil {
		t.Fatal(err)
	}
	between, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.cluster, err = cluster.Join(cluster.Config{
		Notices: s.Notices, Address: between.Addr().String(), Capacity: 2, Load: n.host.Node(),
	})
	if err != nil {
		t.Fatal(err)
	}
	config.Cluster, config.Revisions = n.cluster, s
	peers := NewPeers(n.cluster)
	peers.pause = time.Minute
	config.Images = n.host.Runner().ShareImages(peers.Image)
	n.server, n.url = New(config, n.host), "http://"+front.Addr().String()
	ctx, end := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = n.server.Serve(ctx, front) })
	serving.Go(func() { _ = n.server.ServeNodes(ctx, between) })
	finish := sync.OnceFunc(func() {
		end()
		serving.Wait()
		n.cluster.Close()
		n.host.Close()
		n.store.Close()
	})
	n.stop = func() { n.cluster.Leave(); finish() }
	n.kill = finish
	t.Cleanup(n.stop)
	return n
}

// startNodes starts nodes of one cluster, which know each other.
func startNodes(t testing.TB, count int) []*testNode {
	t.Helper()
	nats := startNATS(t).ClientURL()
	var nodes []*testNode
	for range count {
		nodes = append(nodes, startNode(t, nats, nil))
	}
	mustKnow(t, nodes)
	return nodes
}

// mustKnow waits until nodes know each other, and nobody else.
func mustKnow(t testing.TB, nodes []*testNode) {
	t.Helper()
	until(t, "the nodes know each other", func() bool {
		return !slices.ContainsFunc(nodes, func(n *testNode) bool { return len(n.cluster.Nodes()) != len(nodes) })
	})
}

// until waits until something holds; for benchmarks too.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		roomtest.Until(t, what, holds)
		return
	}
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(what)
}

// zipped returns an archive with a main.py.
func zipped(t testing.TB, code string) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, err := w.Create("main.py")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, code); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// create makes a function of one file, and waits until all nodes know it.
func create(t testing.TB, nodes []*testNode, name, code string, spec catalog.VersionSpec) (id string) {
	t.Helper()
	archive := zipped(t, code)
	ctx, c := t.Context(), nodes[0].host.Catalog()
	info, err := c.CreateFunction(ctx, access.Operator, catalog.FunctionSpec{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	spec.Entrypoint = "main.handler"
	if _, err := c.CreateVersion(ctx, access.Operator, info.ID, spec, archive, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		until(t, "all nodes know "+name, func() bool {
			_, err := n.host.Resolve(access.Operator, name, "")
			return err == nil
		})
	}
	return info.ID
}

// homeOf returns the node that is a function's first home, and the others.
func homeOf(nodes []*testNode, function string) (home *testNode, others []*testNode) {
	for _, n := range nodes {
		if len(n.cluster.Route(function)) == 0 {
			home = n
		} else {
			others = append(others, n)
		}
	}
	return home, others
}

// twoNodes starts two nodes with a function, and returns its home and the other one.
func twoNodes(t *testing.T, name string) (home *testNode, others []*testNode) {
	t.Helper()
	nodes := startNodes(t, 2)
	return homeOf(nodes, create(t, nodes, name, telling, catalog.VersionSpec{}))
}

// telling returns what it is called with, and how often the instance has been called.
const telling = `
import json
n = 0
def handler(event, context):
    global n
    n += 1
    return {'statusCode': 201, 'headers': {'X-Made': 'yes'}, 'body': json.dumps({'n': n, 'event': event, 'id': context.request_id})}
`

// told is what telling returns.
type told struct {
	N     int
	ID    string
	Event map[string]any
}

func tell(t testing.TB, n *testNode, path string, change func(*http.Request)) (*http.Response, told) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, n.url+path, strings.NewReader(`{"some":"body"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var all told
	if err := json.Unmarshal(body, &all); err != nil && answer.StatusCode < 300 {
		t.Fatalf("%s: %v", body, err)
	}
	return answer, all
}

// Wherever a call arrives, its function's home processes it, with all that the handler and
// the caller would see without a cluster.
func TestCluster_CallsAreProcessedAtHome(t *testing.T) {
	nodes := startNodes(t, 3)
	id := create(t, nodes, "telling", telling, catalog.VersionSpec{})
	home, others := homeOf(nodes, id)
	if home == nil || len(others) != 2 {
		t.Fatalf("the function has %d homes that are the first", 3-len(others))
	}
	call := func(n *testNode) (*http.Response, told) {
		return tell(t, n, "/telling?a=1&b=%ff&b=2", func(r *http.Request) {
			r.Header.Set("X-Request-Id", "3b1f8d1e-4d0a-4e0a-9c0e-2f2f1b9d6c11")
			r.Header.Set("X-Forwarded-For", "192.0.2.7")
			r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			r.Header["User-Agent"] = []string{"test"}
			r.Host = "functions.example"
		})
	}
	plain, want := call(home)
	for i, n := range others {
		answer, got := call(n)
		if got.N != want.N+1+i {
			t.Errorf("call %d was the instance's number %d", i, got.N)
		}
		for _, all := range []map[string]any{got.Event, want.Event} { // what no two calls have in common
			context := all["requestContext"].(map[string]any)
			delete(context, "requestTime")
			delete(context, "requestTimeEpoch")
			for _, headers := range []string{"headers", "multiValueHeaders"} {
				delete(all[headers].(map[string]any), "X-Real-Remote-Address")
			}
		}
		if a, b := fmt.Sprint(got.Event), fmt.Sprint(want.Event); a != b {
			t.Errorf("the event of a call that was sent on:\n%s\nwant\n%s", a, b)
		}
		if got.ID != "3b1f8d1e-4d0a-4e0a-9c0e-2f2f1b9d6c11" {
			t.Errorf("the request id is %s", got.ID)
		}
		for name, values := range plain.Header {
			if name != "Date" && name != "Content-Length" && !slices.Equal(values, answer.Header[name]) {
				t.Errorf("%s is %q, want %q", name, answer.Header[name], values)
			}
		}
		if len(answer.Header) != len(plain.Header) || answer.StatusCode != plain.StatusCode {
			t.Errorf("got %d %v, want %d %v", answer.StatusCode, answer.Header, plain.StatusCode, plain.Header)
		}
		if started := n.host.Stats().ColdStarts; started != 0 {
			t.Errorf("a node that is not the home has started %d instances", started)
		}
	}
}

// echoing answers with the body and the method it was called with, and one header for each.
const echoing = `
import base64
def handler(event, context):
    body = base64.b64decode(event['body']) if event['isBase64Encoded'] else event['body'].encode()
    lengths = event['headers'].get('Content-Length', 'none')
    return {'statusCode': int(event['queryStringParameters'].get('status', 200)), 'isBase64Encoded': True,
            'headers': {'X-Method': event['httpMethod'], 'X-Length': lengths},
            'body': base64.b64encode(body).decode()}
`

// Bodies of every kind come through, and answers without one.
func TestCluster_BodiesComeThrough(t *testing.T) {
	nodes := startNodes(t, 2)
	home, others := homeOf(nodes, create(t, nodes, "echoing", echoing, catalog.VersionSpec{}))
	large := make([]byte, 2_500_000)
	for i := range large {
		large[i] = byte(i * i >> 3)
	}
	for _, c := range []struct {
		method, query string
		body          []byte
		chunked       bool
	}{
		{"GET", "", nil, false}, {"HEAD", "", nil, false}, {"HEAD", "", []byte("x"), false}, {"POST", "", nil, false}, {"DELETE", "?status=204", nil, false},
		{"PUT", "", []byte("abc"), false}, {"PATCH", "", []byte("abc"), true}, {"POST", "", large, false}, {"POST", "", large, true},
		{"OPTIONS", "?status=304", nil, false}, {"POST", "?status=205", []byte("abc"), false}, {"POST", "?status=500", []byte("abc"), false},
		{"POST", "?integration=raw", []byte("abc"), false}, {"POST", "?tag=none", []byte("abc"), false}, {"POST", "", append(large, large...), false},
	} {
		t.Run(fmt.Sprintf("%s %s of %d bytes", c.method, c.query, len(c.body)), func(t *testing.T) {
			ask := func(n *testNode) (*http.Response, []byte) {
				var body io.Reader = bytes.NewReader(c.body)
				if c.chunked {
					body = struct{ io.Reader }{body}
				}
				r, err := http.NewRequest(c.method, n.url+"/echoing"+c.query, body)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				got, err := io.ReadAll(answer.Body)
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"Date", "X-Request-Id", "X-Server-Trace-Id"} { // no two calls have them in common
					answer.Header.Del(name)
				}
				return answer, got
			}
			want, wantBody := ask(home)
			got, gotBody := ask(others[0])
			if got.StatusCode != want.StatusCode || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) || !bytes.Equal(gotBody, wantBody) ||
				got.ContentLength != want.ContentLength {
				t.Errorf("got %d %v %d and %d bytes, want %d %v %d and %d", got.StatusCode, got.Header, got.ContentLength, len(gotBody),
					want.StatusCode, want.Header, want.ContentLength, len(wantBody))
			}
		})
	}
	if started := others[0].host.Stats().ColdStarts; started != 0 {
		t.Errorf("a node that is not the home has started %d instances", started)
	}
}

// A caller can't make up what nodes tell each other.
func TestCluster_FactsOfCallersCountForNothing(t *testing.T) {
	nodes := startNodes(t, 2)
	home, others := homeOf(nodes, create(t, nodes, "telling", telling, catalog.VersionSpec{}))
	const made = "3b1f8d1e-4d0a-4e0a-9c0e-2f2f1b9d6c11"
	for _, n := range []*testNode{home, others[0]} {
		answer, got := tell(t, n, "/telling", func(r *http.Request) {
			r.Header.Set(headerFacts, `{"version":1,"method":"PUT","uri":"L2Vsc2U=","requestId":"`+made+`","client":"192.0.2.1:1"}`)
			r.Header.Set(headerPassed, "1")
		})
		if answer.StatusCode != 201 || got.ID == made || got.Event["httpMethod"] != "POST" || strings.Contains(fmt.Sprint(got.Event), "192.0.2.1:1 ") {
			t.Errorf("got %d %v", answer.StatusCode, got)
		}
	}
	if started := others[0].host.Stats().ColdStarts; started != 0 {
		t.Error("a caller has decided where its call is processed")
	}
}

// Only nodes get in where nodes talk, and only as long as they are nodes.
func TestCluster_StrangersGetNothing(t *testing.T) {
	home, others := twoNodes(t, "telling")
	nodes := []*testNode{others[0], home}
	stranger, err := cluster.Join(cluster.Config{Notices: store.Memory(store.Config{}).Notices, Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	asNode := nodes[1].cluster.ServerTLS()
	asStranger := stranger.ServerTLS()
	ask := func(config *tls.Config) (int, error) {
		config = config.Clone()
		config.InsecureSkipVerify, config.VerifyConnection = true, nil
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		defer client.CloseIdleConnections()
		r, err := http.NewRequest(http.MethodPost, "https://"+nodes[0].cluster.Address()+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(headerFacts, `{"version":1,"method":"GET","uri":"L3RlbGxpbmc=","requestId":"3b1f8d1e-4d0a-4e0a-9c0e-2f2f1b9d6c11",`+
			`"principal":{"Tenant":"*","Role":"admin"}}`)
		answer, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer answer.Body.Close()
		return answer.StatusCode, nil
	}
	if status, err := ask(asNode); status != 201 || err != nil {
		t.Errorf("a node: %d %v", status, err)
	}
	if here, there := nodes[0].host.Stats().ColdStarts, nodes[1].host.Stats().ColdStarts; here != 1 || there != 0 {
		t.Errorf("a call that was sent here, though it has its home elsewhere, was processed here %d times and there %d times", here, there)
	}
	for who, config := range map[string]*tls.Config{"nobody": {}, "a stranger": asStranger} {
		if status, err := ask(config); err == nil {
			t.Errorf("%s got an answer: %d", who, status)
		}
	}
	// What strangers send before they are known for that is bounded.
	unended := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, make([]byte, 16<<10-4)...) // the first record of a ClientHello
	strangers := nodes[0].server.strangers
	for n := 0; ; n++ {
		if _, refused := strangers.stats(); refused > 0 {
			break
		}
		if held, _ := strangers.stats(); held > maxHeadsOfClient || n > 1000 {
			t.Fatalf("a stranger holds %d bytes on %d connections", held, n)
		}
		_, _ = dialFrom(t, "127.0.0.2", nodes[0].cluster.Address()).Write(unended)
	}
	if status, err := ask(asNode); status != 201 || err != nil {
		t.Errorf("a node beside strangers: %d %v", status, err)
	}
	// A connection that is open stays so, but is worth nothing.
	config := asNode.Clone()
	config.InsecureSkipVerify, config.VerifyConnection = true, nil
	open, err := tls.Dial("tcp", nodes[0].cluster.Address(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	nodes[1].cluster.Leave()
	mustKnow(t, nodes[:1])
	if status, err := ask(asNode); err == nil {
		t.Errorf("who has left got an answer: %d", status)
	}
	fmt.Fprintf(open, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	got, err := io.ReadAll(open)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 403 ") {
		t.Errorf("who has left, on an open connection: %.100q, %v", got, err)
	}
}

// Nodes that are gone, or stand still, cost a call nothing but milliseconds.
func TestCluster_WhoIsGoneIsPassedOver(t *testing.T) {
	nats := startNATS(t).ClientURL()
	var nodes []*testNode
	for range 2 {
		nodes = append(nodes, startNode(t, nats, func(_ *host.Config, c *Config) { c.acceptTime = acceptTime }))
	}
	mustKnow(t, nodes)
	var ids []string
	for i := range 8 {
		ids = append(ids, create(t, nodes, fmt.Sprint("telling", i), telling, catalog.VersionSpec{}))
	}
	// Still is where connections are accepted and nothing is ever said.
	still, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer still.Close()
	for _, address := range []string{still.Addr().String(), "127.0.0.1:1"} { // the latter refuses
		node := cluster.Node{Address: address, Pin: make([]byte, 32), Capacity: 1000, Started: time.Now()}
		stop := make(chan struct{})
		var telling sync.WaitGroup
		telling.Go(func() {
			for {
				_ = nodes[0].store.Notices.Tell(store.Record(node))
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
		defer telling.Wait()
		defer close(stop)
	}
	until(t, "nodes know those who are gone", func() bool { return len(nodes[0].cluster.Nodes()) == 4 && len(nodes[1].cluster.Nodes()) == 4 })
	sentOn := 0
	for i, id := range ids {
		for _, n := range nodes {
			sentOn += len(n.cluster.Route(id))
			if answer, got := tell(t, n, fmt.Sprint("/telling", i), nil); answer.StatusCode != 201 || got.N == 0 {
				t.Errorf("%s: %d %v", id, answer.StatusCode, got)
			}
		}
	}
	if sentOn == 0 {
		t.Error("no function has its home at those who are gone")
	}
}

// When its home goes down in the middle of a call, the caller learns that, and the call
// is not made again.
func TestCluster_ACallThatIsLostIsNotMadeAgain(t *testing.T) {
	nats := startNATS(t).ClientURL()
	var nodes []*testNode
	for range 2 {
		nodes = append(nodes, startNode(t, nats, func(_ *host.Config, c *Config) { c.DrainTimeout = 10 * time.Millisecond }))
	}
	mustKnow(t, nodes)
	id := create(t, nodes, "sleeping", "import time\ndef handler(event, context):\n    print('began')\n    time.sleep(20)\n",
		catalog.VersionSpec{Timeout: 30 * time.Second})
	home, others := homeOf(nodes, id)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		answer, _ := tell(t, others[0], "/sleeping", nil)
		if answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got %d", answer.StatusCode)
		}
	}()
	until(t, "the home has the call", func() bool { return home.host.Stats().Busy == 1 })
	home.kill()
	<-answered
	if started := others[0].host.Stats().ColdStarts; started != 0 {
		t.Error("the call was made again")
	}
	// The next one is taken where it arrives.
	go func() { _, _ = http.Get(others[0].url + "/sleeping") }()
	until(t, "the other node has the next call", func() bool { return others[0].host.Stats().Busy == 1 })
}

// A caller who leaves ends the call at home.
func TestCluster_ACallerWhoLeavesEndsTheCall(t *testing.T) {
	nodes := startNodes(t, 2)
	id := create(t, nodes, "sleeping", "import time\ndef handler(event, context):\n    time.sleep(600)\n", catalog.VersionSpec{Timeout: 10 * time.Minute})
	home, others := homeOf(nodes, id)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, others[0].url+"/sleeping", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			t.Errorf("got %d", answer.StatusCode)
		}
	}()
	until(t, "the home has the call", func() bool { return home.host.Stats().Busy == 1 })
	leave()
	<-left
	until(t, "the call has ended", func() bool { return home.host.Stats().Busy == 0 && others[0].host.Node().Holds().Calls == 0 })
}

// What the simulation predicts of three nodes is what three nodes do: a function is started
// once, not once on each of them.
func TestCluster_DoesAsPredicted(t *testing.T) {
	const functions, calls = 60, 360
	predicted := simulation.Run(simulation.Config{
		Nodes: 3, Processors: 2, Functions: functions, Calls: calls, Rate: 50, CPU: time.Millisecond,
		Image: 180 * time.Millisecond, Instance: 5 * time.Millisecond, Seed: 1,
	})
	nodes := startNodes(t, 3)
	createMany(t, nodes, functions)
	cold := callInTurn(t, nodes, functions, calls)
	t.Logf("%d cold starts; predicted: %v", cold, predicted)
	if cold > 80 || predicted.ColdStarts > 80 || math.Abs(float64(cold)-float64(predicted.ColdStarts)) > 20 {
		t.Errorf("%d calls of %d functions made %d cold starts; %d were predicted", calls, functions, cold, predicted.ColdStarts)
	}
}

// createMany makes functions telling0, telling1 and so on.
func createMany(t testing.TB, nodes []*testNode, functions int) {
	t.Helper()
	for i := range functions {
		create(t, nodes, fmt.Sprint("telling", i), telling, catalog.VersionSpec{})
	}
}

// callInTurn calls these functions, four at a time, at each of the nodes in turn, and returns how
// many cold starts that took.
func callInTurn(t testing.TB, nodes []*testNode, functions, calls int) (cold int64) {
	t.Helper()
	started := func() (n int64) {
		for _, node := range nodes {
			n += node.host.Stats().ColdStarts
		}
		return n
	}
	before := started()
	order := rand.New(rand.NewPCG(1, 1)).Perm(calls)
	var calling sync.WaitGroup
	next := make(chan int)
	for range 4 {
		calling.Go(func() {
			for i := range next {
				if answer, _ := tell(t, nodes[i%len(nodes)], fmt.Sprint("/telling", order[i]%functions), nil); answer.StatusCode != 201 {
					t.Errorf("call %d: %d", i, answer.StatusCode)
				}
			}
		})
	}
	for i := range calls {
		next <- i
	}
	close(next)
	calling.Wait()
	return started() - before
}

// Nodes that are stopped, one after the other, fail no call that arrives elsewhere.
func TestCluster_StoppingANodeFailsNoCall(t *testing.T) {
	nats := startNATS(t).ClientURL()
	var nodes []*testNode
	for range 3 {
		nodes = append(nodes, startNode(t, nats, nil))
	}
	mustKnow(t, nodes)
	const functions = 6
	for i := range functions {
		create(t, nodes, fmt.Sprint("telling", i), telling, catalog.VersionSpec{})
	}
	stop := make(chan struct{})
	var calling sync.WaitGroup
	var made atomic.Int64
	for worker := range 4 {
		calling.Go(func() {
			for i := worker; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if answer, got := tell(t, nodes[0], fmt.Sprint("/telling", i%functions), nil); answer.StatusCode != 201 || got.N == 0 {
					t.Errorf("%d %v", answer.StatusCode, got)
				}
				made.Add(1)
			}
		})
	}
	enough := func() {
		from := made.Load()
		until(t, "calls go on", func() bool { return made.Load() > from+200 })
	}
	enough()
	for i := 1; i < 3; i++ {
		nodes[i].stop()
		enough()
		nodes[i] = startNode(t, nats, nil)
		mustKnow(t, nodes)
		enough()
	}
	close(stop)
	calling.Wait()
	if families, err := nodes[0].server.Gather(); err != nil || !slices.ContainsFunc(families, func(f *dto.MetricFamily) bool {
		return f.GetName() == "vivarium_nodes" && f.GetMetric()[0].GetGauge().GetValue()+f.GetMetric()[1].GetGauge().GetValue() == 3
	}) {
		t.Errorf("the nodes are not counted: %v", err)
	}
}

// A node that does not know what the sender of a call knows does not process it.
func TestCluster_WhoIsBehindPassesACall(t *testing.T) {
	home, others := twoNodes(t, "telling")
	config := others[0].cluster.ServerTLS()
	config.InsecureSkipVerify, config.VerifyConnection = true, nil
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	known := home.store.FunctionsRevision()
	parts := strings.Split(known, "-")
	parts[2] = "zzzzzz"
	for revision, passed := range map[string]bool{known: false, strings.Join(parts, "-"): true} {
		before := home.host.Stats().Calls
		r, err := http.NewRequest(http.MethodPost, "https://"+home.cluster.Address()+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(headerFacts, `{"version":1,"method":"GET","uri":"L3RlbGxpbmc=","requestId":"3b1f8d1e-4d0a-4e0a-9c0e-2f2f1b9d6c11",`+
			`"principal":{"Tenant":"*","Role":"admin"},"revision":"`+revision+`"}`)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.Header.Get(headerPassed) != ""; got != passed || (home.host.Stats().Calls == before) != passed {
			t.Errorf("%s: %d, passed: %v, %d calls", revision, answer.StatusCode, got, home.host.Stats().Calls-before)
		}
	}
}

// BenchmarkCluster measures a warm call that arrives at its function's home, or elsewhere.
func BenchmarkCluster(b *testing.B) {
	nodes := startNodes(b, 2)
	home, others := homeOf(nodes, create(b, nodes, "bench", `
import json
def handler(event, context):
    return {'statusCode': 200, 'body': json.dumps({'got': event['body']})}
`, catalog.VersionSpec{}))
	for name, n := range map[string]*testNode{"at-home": home, "forwarded": others[0]} {
		b.Run(name, func(b *testing.B) { benchCalls(b, n.url+"/bench") })
	}
}

// Limits hold for all nodes together.
func TestCluster_LimitsAreThoseOfAllNodes(t *testing.T) {
	nodes := startNodes(t, 3)
	id := create(t, nodes, "sleeping", "import time\ndef handler(event, context):\n    time.sleep(600)\n", catalog.VersionSpec{Timeout: 10 * time.Minute})
	if err := nodes[0].host.Tenants().SetQuotas(t.Context(), access.Operator, "default", map[quota.Quota]int64{quota.Calls: 4}); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		until(t, "all know the quota", func() bool { return n.host.Ledger().Limit("default", quota.Calls) == 4 })
	}
	ctx, leave := context.WithCancel(t.Context())
	var calling sync.WaitGroup
	defer calling.Wait()
	defer leave()
	refused := make(chan int, 12)
	for i := range 12 {
		calling.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, nodes[i%3].url+"/sleeping", http.NoBody)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return // it was admitted, and ends with the test
			}
			answer.Body.Close()
			refused <- answer.StatusCode
		})
	}
	for range 8 {
		if status := <-refused; status != http.StatusTooManyRequests {
			t.Errorf("a call beyond the quota: %d", status)
		}
	}
	busy := 0
	for _, n := range nodes {
		busy += n.host.Stats().Busy
	}
	if busy != 4 || len(refused) > 0 {
		t.Errorf("%d calls are in progress, want 4", busy)
	}
	// Another function's home knows of them.
	home, _ := homeOf(nodes, id)
	for i := 0; ; i++ {
		name := fmt.Sprint("another", i)
		other := create(t, nodes, name, telling, catalog.VersionSpec{})
		if at, _ := homeOf(nodes, other); at != home {
			until(t, "a call of another function is refused", func() bool {
				answer, _ := tell(t, at, "/"+name, nil)
				return answer.StatusCode == http.StatusTooManyRequests
			})
			return
		}
	}
}

// Instances that are kept ready are kept once, and again when their node is gone.
func TestCluster_InstancesAreKeptReadyOnce(t *testing.T) {
	nodes := startNodes(t, 3)
	id := create(t, nodes, "telling", telling, catalog.VersionSpec{})
	policy := catalog.ScalingPolicy{Tag: catalog.LatestTag, ProvisionedInstances: 2}
	if err := nodes[0].host.Catalog().SetScalingPolicy(t.Context(), access.Operator, id, policy); err != nil {
		t.Fatal(err)
	}
	home, others := homeOf(nodes, id)
	until(t, "the home has what is kept ready", func() bool { return home.host.Stats().Idle == 2 })
	home.stop()
	home, others = homeOf(others, id)
	until(t, "the next home has it", func() bool { return home.host.Stats().Idle == 2 })
	if idle := others[0].host.Stats().Idle; idle != 0 {
		t.Errorf("a node that is not the home keeps %d instances", idle)
	}
}

// Who has changed something sees that on each node that is told of it.
func TestCluster_ReadsItsWrites(t *testing.T) {
	nats := startNATS(t).ClientURL()
	var nodes []*testNode
	for range 2 {
		nodes = append(nodes, startNode(t, nats, func(_ *host.Config, c *Config) { c.Management = nil }))
	}
	for _, n := range nodes { // the host is there only when the node is
		n.server.config.Management = api.New(api.Config{Host: n.host, Desk: manage.New(n.host)})
		for _, path := range managed {
			n.server.echo.Any(path+"/*", echo.WrapHandler(n.server.config.Management))
		}
	}
	mustKnow(t, nodes)
	revision := ""
	ask := func(n *testNode, method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, n.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if revision != "" {
			r.Header.Set(headerRevision, revision)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if told := answer.Header.Get(headerRevision); told != "" {
			revision = told
		}
		return answer.StatusCode, string(text)
	}
	for i := range 40 {
		name := fmt.Sprint("function", i)
		if status, text := ask(nodes[i%2], "POST", "/functions/v1/functions", `{"name":"`+name+`"}`); status != 200 {
			t.Fatalf("create: %d %s", status, text)
		}
		if status, text := ask(nodes[1-i%2], "GET", "/functions/v1/functions/"+name, ""); status != 200 {
			t.Errorf("get of %s at the other node: %d %s", name, status, text)
		}
		if status, text := ask(nodes[1-i%2], "DELETE", "/functions/v1/functions/"+name, ""); status != 200 {
			t.Errorf("delete: %d %s", status, text)
		}
		if status, text := ask(nodes[i%2], "GET", "/functions/v1/functions/"+name, ""); status != 404 {
			t.Errorf("get of %s, which was deleted at the other node: %d %s", name, status, text)
		}
	}
	// What a node does not come to know in time it says.
	parts := strings.Split(revision, "-")
	parts[2] = "zzzzzz"
	revision = strings.Join(parts, "-")
	if status, text := ask(nodes[0], "GET", "/functions/v1/functions", ""); status != 503 || !strings.Contains(text, "try again") {
		t.Errorf("got %d %s", status, text)
	}
	for _, wrong := range []string{"x", strings.Repeat("1-", 1000)} {
		revision = wrong
		if status, text := ask(nodes[0], "GET", "/functions/v1/functions", ""); status != 400 || !strings.Contains(text, "revision") {
			t.Errorf("%.20q: %d %s", wrong, status, text)
		}
	}
}

// A call that reaches a node which knows a version is processed by that version, though its
// home may not have heard of it yet.
func TestCluster_CallsMeetWhatTheirNodeKnows(t *testing.T) {
	nodes := startNodes(t, 3)
	id := create(t, nodes, "answering", telling, catalog.VersionSpec{})
	home, others := homeOf(nodes, id)
	for i := range 15 {
		n := others[i%2]
		versions, err := n.host.Catalog().CreateVersion(t.Context(), access.Operator, id, catalog.VersionSpec{Entrypoint: "main.handler"},
			zipped(t, fmt.Sprintf("def handler(event, context):\n    return {'body': '%d'}\n", i)), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.Get(n.url + "/answering")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(text) != fmt.Sprint(i) || answer.Header.Get(headerVersionID) != versions.ID {
			t.Errorf("call %d: %d %s", i, answer.StatusCode, text)
		}
	}
	if home.host.Stats().ColdStarts == 0 {
		t.Error("the home has processed none of them")
	}
}
