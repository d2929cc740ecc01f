package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/cluster"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/web/api"
	"vivarium/web/manage"
)

// startManaged starts nodes of one cluster that serve the management API.
func startManaged(t *testing.T, count int) []*testNode {
	t.Helper()
	nats := startNATS(t).ClientURL()
	var nodes []*testNode
	for range count {
		n := startNode(t, nats, func(_ *host.Config, c *Config) { c.Management = nil })
		// The host is there only when the node is.
		n.server.config.Figures = n.host.Runner().Figures
		n.server.config.Management = api.New(api.Config{
			Host: n.host, Desk: manage.New(n.host), Cluster: n.cluster, Elsewhere: NewPeers(n.cluster),
		})
		for _, path := range managed {
			n.server.echo.Any(path+"/*", echo.WrapHandler(n.server.config.Management))
		}
		nodes = append(nodes, n)
	}
	mustKnow(t, nodes)
	return nodes
}

// ask decodes what a node's management API answers.
func (n *testNode) ask(t *testing.T, path string, into any) {
	t.Helper()
	answer, err := http.Get(n.url + api.BasePath + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(text, into) != nil {
		t.Fatalf("%s: %d %s, %v", path, answer.StatusCode, text, err)
	}
}

// Whichever node is asked tells what became of a function's calls on all of them.
func TestCluster_FiguresAreOfAllNodes(t *testing.T) {
	nodes := startManaged(t, 3)
	id := create(t, nodes, "telling", telling, catalog.VersionSpec{})
	create(t, nodes, "quiet", telling, catalog.VersionSpec{})
	for i, n := range nodes {
		// Past the server each node is a home.
		for range i + 1 {
			inv := run.Invocation{Function: "telling", Raw: true, RequestID: uuid.NewString(), Body: []byte("{}"), Received: time.Now()}
			if _, err := n.host.Invoke(t.Context(), access.Operator, inv); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range nodes {
		var one api.FunctionFigures
		n.ask(t, "/functions/telling:figures", &one)
		if one.FunctionID != id || one.Calls != 6 || one.Idle+one.Busy < 3 || one.P50MS <= 0 || one.SilentNodes != 0 {
			t.Errorf("got %d calls, %d instances, p50 %v, %d silent nodes", one.Calls, one.Idle+one.Busy, one.P50MS, one.SilentNodes)
		}
		points := 0
		for _, p := range one.Points {
			points += p.Calls
		}
		if points != 6 {
			t.Errorf("the points have %d calls", points)
		}
		var all api.ListFiguresResponse
		n.ask(t, "/functions:figures", &all)
		if len(all.Functions) != 2 || all.Functions[0].Calls != 0 || all.Functions[1].Calls != 6 {
			t.Errorf("the list has %+v", all.Functions)
		}
	}
	// A node that is there and says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mute, err := cluster.Join(cluster.Config{Notices: nodes[0].store.Notices, Address: l.Addr().String(), Capacity: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	until(t, "the mute node is known", func() bool { return len(nodes[0].cluster.Nodes()) == 4 })
	var one api.FunctionFigures
	nodes[0].ask(t, "/functions/telling:figures", &one)
	if one.Calls != 6 || one.SilentNodes != 1 || !slices.Equal(one.Silent, []string{l.Addr().String()}) {
		t.Errorf("with a mute node: %d calls, %d silent nodes %v", one.Calls, one.SilentNodes, one.Silent)
	}
}

// What is shown of a quota that holds for all nodes is what all of them have.
func TestCluster_QuotasShownAreOfAllNodes(t *testing.T) {
	nodes := startManaged(t, 2)
	release, err := nodes[0].host.Ledger().Reserve(access.DefaultTenant, quota.Call, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for i, n := range nodes {
		until(t, fmt.Sprintf("node %d shows the call", i), func() bool {
			var of api.TenantQuotas
			n.ask(t, "/quotas", &of)
			return slices.ContainsFunc(of.Quotas, func(s api.QuotaState) bool { return s.Name == "calls" && s.Use == 1 })
		})
	}
}
