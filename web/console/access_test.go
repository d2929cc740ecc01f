package console_test

import (
	"net/http"
	"testing"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/cluster"
	"vivarium/host/keys"
	"vivarium/host/roomtest"
	"vivarium/host/store"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/console"

	"net/http/httptest"
)

func TestAccess_AnAdminMakesAFunctionPublicAndOthersSeeIt(t *testing.T) {
	url, h, secret := guarded(t)
	_, deployer, err := h.Keys().Create(t.Context(), access.Operator, keys.Spec{Tenant: "default", Role: access.RoleDeployer})
	if err != nil {
		t.Fatal(err)
	}
	manageAt(t, url, secret, http.MethodPost, "/functions", map[string]string{"name": "opened"})
	manageAt(t, url, secret, http.MethodPost, "/versions", map[string]any{
		"functionId": "opened", "runtime": "python312", "entrypoint": "main.handler", "content": archive(t, map[string]string{"main.py": page1}), "executionTimeout": "60s",
	})
	status := func() int {
		answer, err := http.Get(url + "/opened")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	b := signedIn(t, url, secret, "#/functions/opened")
	b.wait(`document.querySelector('.access .pill')?.innerText === 'who has a key'`)
	b.button(".access", "Make public")
	if got := status(); got != http.StatusUnauthorized {
		t.Errorf("before it is confirmed: %d", got)
	}
	b.button("dialog", "Make public")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.access .pill').innerText === 'anyone'`)
	if got := status(); got != http.StatusOK {
		t.Errorf("once it is public: %d", got)
	}
	c := signedIn(t, url, deployer, "#/functions/opened")
	c.wait(`document.querySelector('.access .pill')?.innerText === 'anyone' && document.querySelector('.who')?.innerText.includes('deployer')`)
	if got := c.text(".access button"); got != "" {
		t.Errorf("a deployer is offered %q", got)
	}
	b.button(".access", "Require a key")
	b.button("dialog", "Require a key")
	b.wait(`!document.querySelector('dialog') && document.querySelector('.access .pill').innerText === 'who has a key'`)
	if got := status(); got != http.StatusUnauthorized {
		t.Errorf("once it needs a key again: %d", got)
	}
}

// inCluster starts a server that is a node of a cluster of two, and returns its address
// and the nodes.
func inCluster(t *testing.T) (url string, nodes [2]*cluster.Cluster) {
	t.Helper()
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	h, err := host.New(host.Config{Engines: shared.engines, Store: s, Clustered: true, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	for i, address := range []string{"10.0.0.1:7000", "10.0.0.2:7000"} {
		cfg := cluster.Config{Notices: s.Notices, Address: address, Capacity: 2, Version: "v1.2.3"}
		if i == 0 {
			cfg.Load = h.Node()
		}
		if nodes[i], err = cluster.Join(cfg); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nodes[i].Close)
	}
	roomtest.Until(t, "the nodes know each other", func() bool { return len(nodes[0].Nodes()) == 2 })
	management := api.New(api.Config{Host: h, Cluster: nodes[0], Logger: quiet})
	server := httptest.NewServer(web.New(web.Config{Management: management, Console: console.Handler(), Logger: quiet}, h))
	t.Cleanup(func() { management.EndStreams(); server.Close() })
	return server.URL, nodes
}

func TestNodes_AreDrainedAndComeBack(t *testing.T) {
	url, nodes := inCluster(t)
	b := newTab(t)
	b.url = url
	b.open("#/functions")
	b.button("header nav", "Nodes")
	other := rowOf(".nodes", "10.0.0.2:7000")
	b.wait(`document.querySelectorAll('.nodes tbody tr').length === 2 && ` + other + `.innerText.includes('v1.2.3') && ` + other + `.innerText.includes('ready')`)
	drains := func() bool {
		for _, n := range nodes[0].Nodes() {
			if n.Address == "10.0.0.2:7000" {
				return n.Draining
			}
		}
		return false
	}
	b.button(".nodes", "Drain 10.0.0.2:7000")
	b.wait(`document.querySelector('dialog').innerText.includes('Other nodes take its calls')`)
	if drains() {
		t.Error("it drains before that is confirmed")
	}
	b.button("dialog", "Drain")
	b.wait(`!document.querySelector('dialog') && ` + other + `.innerText.includes('draining')`)
	if !drains() {
		t.Error("the page says so, but it does not drain")
	}
	b.button(".nodes", "Undrain 10.0.0.2:7000")
	b.button("dialog", "Undrain")
	b.wait(`!document.querySelector('dialog') && ` + other + `.innerText.includes('ready')`)
	if drains() {
		t.Error("it still drains")
	}
}

func TestNodes_AreOnlyWhereThereIsACluster(t *testing.T) {
	b := newTab(t)
	b.open("#/nodes")
	b.wait(`document.querySelector('.notice')?.innerText.includes('in no cluster')`)
	if got := eval[bool](b, `[...document.querySelectorAll('header nav a')].some((e) => e.innerText === 'Nodes')`); got {
		t.Error("the header leads to nodes that there are not")
	}
}
