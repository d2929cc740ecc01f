package cli

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Two servers of one store share the calls, in spite of all the rights they have given up. All
// that they keep has names of their own.
func TestServe_NodesOfAClusterShareCalls(t *testing.T) {
	nats := startNATS(t)
	ports := []string{freePort(t), freePort(t)}
	var nodes []*serving
	for i, port := range ports {
		url := strings.Replace(nats, "127.0.0.1", []string{"127.0.0.1", "localhost"}[i], 1) // so that each has its own images
		t.Cleanup(func() { _ = os.RemoveAll((&session{}).imageDir("", url, "nodes")) })     // in the user's cache
		s := serveChild(t, targets{}, "serve", "--listen", "127.0.0.1:0", "--nats", url, "--node-listen", "127.0.0.1:"+port,
			"--node-ports", ports[1-i], "--timeout", "60s", "--nats-prefix", "nodes")
		defer s.end(t)
		nodes = append(nodes, s)
	}
	counting := writeFiles(t, map[string]string{"main.py": "n = 0\ndef handler(event, context):\n" +
		"    global n\n    n += 1\n    return {'statusCode': 200, 'body': str(n)}\n"})
	if code, _, stderr := execute("", "deploy", "counting", counting, "--timeout", "60s", "--server", nodes[0].url); code != ExitOK {
		t.Fatal(stderr)
	}
	if code, _, stderr := execute("", "backup", "--nats", nats, t.TempDir()); code != ExitFailure || !strings.Contains(stderr, "no store") {
		t.Errorf("without the prefix there is a store: %d %s", code, stderr)
	}
	must(t, "backup", "--nats", nats, "--nats-prefix", "nodes", t.TempDir())
	// The other server is told what this one knew.
	if code, out, stderr := execute("", "function", "list", "--server", nodes[0].url); code != ExitOK || !strings.Contains(out, "counting") {
		t.Errorf("function list: %s%s", out, stderr)
	}
	if text, err := os.ReadFile(revisionFile(nodes[0].url)); err != nil || !strings.HasPrefix(string(text), "1-") {
		t.Errorf("what the server knew is kept as %q, %v", text, err)
	}
	t.Cleanup(func() { _ = os.Remove(revisionFile(nodes[0].url)) })
	eventually(t, func() string {
		for _, n := range nodes {
			if got := get(t, &n.program, "/counting"); got.status != 200 {
				return fmt.Sprintf("%d %s", got.status, got.body)
			}
		}
		return ""
	})
	// One instance counts all calls from here on.
	eventually(t, func() string {
		var counts []int
		for i := range 4 {
			var n int
			_, _ = fmt.Sscan(get(t, &nodes[i%2].program, "/counting").body, &n)
			counts = append(counts, n)
		}
		for i := range counts {
			if counts[i] != counts[0]+i {
				return fmt.Sprint("the calls were counted as ", counts)
			}
		}
		return ""
	})
	// A node that drains has no calls; any of them can be told, and says what all do.
	address := "127.0.0.1:" + ports[0]
	if out := must(t, "node", "drain", address, "--server", nodes[1].url); !strings.Contains(out, address+" drains") {
		t.Errorf("node drain printed %s", out)
	}
	out := must(t, "node", "list", "--server", nodes[0].url)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || strings.Count(out, "draining") != 1 || strings.Count(out, "ready") != 1 {
		t.Errorf("node list printed\n%s", out)
	}
	if code, _, stderr := execute("", "node", "drain", "127.0.0.1:1", "--server", nodes[0].url); code != ExitFailure || !strings.Contains(stderr, "node 127.0.0.1:1 not found") {
		t.Errorf("node drain of a node that there is not: %d, %s", code, stderr)
	}
	must(t, "node", "undrain", address, "--server", nodes[1].url)
	for _, n := range nodes {
		if line := "landlock: on"; !strings.Contains(n.stderr.String(), line) {
			t.Errorf("a node has not given up its rights: %s", n.stderr)
		}
	}
}

func TestServe_RefusesToBeANodeThatNobodyReaches(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--node-listen 127.0.0.1:0", "--nats"},
		{"--node-listen 127.0.0.1:0 --data " + t.TempDir(), "--nats"},
		{"--nats nats://127.0.0.1:1 --node-advertise a:1", "--node-listen"},
		{"--nats nats://127.0.0.1:1 --node-listen :0", "--node-advertise HOST:PORT"},
		{"--nats nats://127.0.0.1:1 --node-listen 127.0.0.1:0 --node-advertise a", "--node-advertise HOST:PORT"},
		{"--nats nats://127.0.0.1:1 --node-listen 256.0.0.1:1", "--node-listen"},
	} {
		code, _, stderr := execute("", append([]string{"serve", "--listen", "127.0.0.1:0", "--playground"}, strings.Fields(c.args)...)...)
		if code != ExitFailure || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, want %d and %q in: %s", c.args, code, ExitFailure, c.want, stderr)
		}
	}
}
