package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/cluster"
	"vivarium/host/quota"
	"vivarium/host/run"
)

// here has a node itself process a call, as a home would.
func (n *testNode) here(t testing.TB, function string) {
	t.Helper()
	inv := run.Invocation{Function: function, Raw: true, RequestID: uuid.NewString(), Body: []byte("{}"), Received: time.Now()}
	if r, err := n.host.Invoke(t.Context(), access.Operator, inv); err != nil {
		t.Errorf("%s: %s %v", function, r.Body, err)
	}
}

// images returns how many images nodes have made and copied.
func images(nodes ...*testNode) (made, copied int64) {
	for _, n := range nodes {
		s := n.host.Stats()
		made, copied = made+s.Images, copied+s.Copied
	}
	return made, copied
}

// forgetImages has a node lose all images.
func (n *testNode) forgetImages(t testing.TB) {
	t.Helper()
	until(t, "there is no image", func() bool {
		for n.host.Runner().Reclaim(access.DefaultTenant, quota.ImageBytes, true) {
		}
		return n.host.Ledger().Held(quota.ImageFile) == 0
	})
}

// An image is made by the node where the version was made, and by no other: not by homes, nor by
// a node that comes later, though the one that has it takes no more calls.
func TestCluster_ImagesAreMadeOnce(t *testing.T) {
	nats := startNATS(t).ClientURL()
	var nodes []*testNode
	for range 3 {
		nodes = append(nodes, startNode(t, nats, nil))
	}
	mustKnow(t, nodes)
	create(t, nodes, "telling", telling, catalog.VersionSpec{Timeout: time.Minute})
	create(t, nodes, "drawing", "import os\nX = os.urandom(1)\n"+telling, catalog.VersionSpec{Timeout: time.Minute}) // each instance imports it
	for i, n := range nodes {
		n.here(t, "telling")
		n.here(t, "drawing")
		if made, copied := images(nodes...); made != 2 || copied != int64(2*i) {
			t.Errorf("%d nodes have made %d images and copied %d", i+1, made, copied)
		}
	}
	for _, n := range nodes[1:] {
		n.stop()
	}
	mustKnow(t, nodes[:1])
	nodes[0].cluster.SetDraining(true)
	late := startNode(t, nats, nil)
	until(t, "the late node knows the one that drains", func() bool {
		return slices.ContainsFunc(late.cluster.Nodes(), func(n cluster.Node) bool { return n.Draining })
	})
	late.here(t, "telling")
	if made, copied := images(late); made != 0 || copied != 1 {
		t.Errorf("a node that came late has made %d images and copied %d", made, copied)
	}
}

// startMember starts a node of a cluster that answers with a handler alone.
func startMember(t *testing.T, n *testNode, handler http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Join(cluster.Config{
		Notices: n.store.Notices, Address: l.Addr().String(), Capacity: 1, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(tls.NewListener(l, c.ServerTLS())) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
		c.Close()
	})
	until(t, "the nodes know each other", func() bool { return len(n.cluster.Nodes()) == 2 && len(c.Nodes()) == 2 })
}

// Whatever another node does when it is asked for an image, calls are processed.
func TestCluster_WhoHasNoImageMakesIt(t *testing.T) {
	n := startNode(t, startNATS(t).ClientURL(), nil)
	var asked atomic.Int64
	var handler atomic.Pointer[http.HandlerFunc]
	startMember(t, n, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == imagePath {
			asked.Add(1)
		}
		(*handler.Load())(w, r)
	})
	unknown := http.HandlerFunc(http.NotFound)
	handler.Store(&unknown)
	create(t, []*testNode{n}, "telling", telling, catalog.VersionSpec{Timeout: time.Minute})
	if made, _ := images(n); made != 1 || asked.Load() != 0 {
		t.Errorf("while the version was made: %d images, others were asked %d times", made, asked.Load())
	}
	const long, short = time.Minute, 500 * time.Millisecond
	for name, c := range map[string]struct {
		pause  time.Duration // how long the node waits for the other one
		answer http.HandlerFunc
	}{
		"does not know it": {long, http.NotFound},
		"is of another version": {long, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			http.Error(w, "Bad Request: a node sends "+headerFacts+" once", http.StatusBadRequest)
		}},
		"sends elsewhere": {long, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
		}},
		"sends noise":  {long, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }},
		"hangs up":     {long, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"says nothing": {short, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"says no more": {short, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(make([]byte, 1000))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			handler.Store(&c.answer)
			peers := NewPeers(n.cluster)
			peers.pause = c.pause
			n.host.Runner().ShareImages(peers.Image)
			before := asked.Load()
			n.forgetImages(t) // as if it had been made elsewhere
			had, _ := images(n)
			n.here(t, "telling")
			if made, copied := images(n); made != had+1 || copied != 0 {
				t.Errorf("made %d images and copied %d", made-had, copied)
			}
			if c.pause == long && asked.Load() == before {
				t.Error("nobody was asked")
			}
		})
	}
}

// Images are for nodes alone, and for as many at once as a node can bear.
func TestCluster_ImagesAreForNodes(t *testing.T) {
	nodes := startNodes(t, 2)
	create(t, nodes, "telling", telling, catalog.VersionSpec{Timeout: time.Minute})
	v, err := nodes[0].host.Resolve(access.Operator, "telling", "")
	if err != nil {
		t.Fatal(err)
	}
	var key string
	nodes[1].host.Runner().ShareImages(func(_ context.Context, _ *catalog.Version, k string) (io.ReadCloser, error) {
		key = k
		return nil, fs.ErrNotExist
	})
	nodes[1].here(t, "telling")
	nodes[1].stop() // it was a node, and is none any more
	mustKnow(t, nodes[:1])
	config := nodes[1].cluster.ServerTLS()
	config.InsecureSkipVerify, config.VerifyConnection = true, nil
	for name, config := range map[string]*tls.Config{"a node that has left": config, "nobody": {InsecureSkipVerify: true}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		answer, err := client.Get("https://" + nodes[0].cluster.Address() + imagePath + "?" + imageOf + "=" + v.ID + "&" + imageKey + "=" + key)
		if err == nil {
			answer.Body.Close()
			t.Errorf("%s: status %d", name, answer.StatusCode)
		}
		client.CloseIdleConnections()
	}
	// The same question, of somebody who may ask.
	for taken := range maxCopies/2 + 1 {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, imagePath+"?"+imageOf+"="+v.ID+"&"+imageKey+"="+key, http.NoBody)
		nodes[0].server.giveImage(answer, r)
		want := http.StatusOK
		if taken == maxCopies/2 {
			want = http.StatusServiceUnavailable
		}
		if answer.Code != want {
			t.Errorf("while %d are copied: %d", taken, answer.Code)
		}
		nodes[0].server.copies.reserve(clientOf(r.RemoteAddr))
	}
}

// A tenant whose images are copied slowly does not keep others from copying theirs.
func TestPeers_CopiesOfATenantAreBounded(t *testing.T) {
	n := startNode(t, startNATS(t).ClientURL(), nil)
	asked, release := make(chan struct{}), make(chan struct{})
	startMember(t, n, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-release
		_, _ = w.Write([]byte("image"))
	})
	peers := NewPeers(n.cluster)
	peers.pause = time.Minute
	var copying sync.WaitGroup
	ask := func(tenant string) {
		copying.Go(func() {
			body, err := peers.Image(t.Context(), &catalog.Version{ID: "v", FunctionID: "f", Tenant: tenant}, "key")
			if err != nil {
				t.Errorf("%s: %v", tenant, err)
				return
			}
			if text, err := io.ReadAll(body); string(text) != "image" || err != nil {
				t.Errorf("%s: got %q, %v", tenant, text, err)
			}
			body.Close()
		})
	}
	for range maxCopies / 2 {
		ask("greedy")
		<-asked
	}
	if _, err := peers.Image(t.Context(), &catalog.Version{Tenant: "greedy"}, "key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one more: %v", err)
	}
	ask("modest")
	<-asked
	close(release)
	copying.Wait()
	if taken, _ := peers.copies.stats(); taken != 0 {
		t.Errorf("%d places stay taken", taken)
	}
}
