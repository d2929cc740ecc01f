package cli

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// runSnippet runs a snippet on a program.
func runSnippet(t *testing.T, p *program, origin string) *reply {
	t.Helper()
	return play(t, p, origin, `{"files": {"main.py": "def handler(event, context): return {'body': 'played'}"}}`)
}

// play sends a request to run a snippet.
func play(t *testing.T, p *program, origin, body string) *reply {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.url+"/play/v1/run", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if origin != "" {
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	return do(t, r)
}

func TestServe_Playground(t *testing.T) {
	const origin = "https://docs.example.com"
	if r := runSnippet(t, shared, ""); r.status != http.StatusOK || !strings.Contains(r.body, `"body":"played"`) {
		t.Errorf("on loopback: got %d %s", r.status, r.body)
	}
	if r := runSnippet(t, shared, origin); r.status != http.StatusForbidden {
		t.Errorf("for another origin: got %d %s, want 403", r.status, r.body)
	}
	off := startFor(t, "serve", "--listen", "127.0.0.1:0", "--functions", "../../examples", "--no-playground")
	if r := runSnippet(t, off, ""); r.status != http.StatusNotFound {
		t.Errorf("with --no-playground: got %d %s, want 404", r.status, r.body)
	}
	alone := startFor(t, "serve", "--listen", "127.0.0.1:0", "--playground", "--play-origin", origin)
	if r := runSnippet(t, alone, origin); r.status != http.StatusOK || r.header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("with --play-origin: got %d %v %s", r.status, r.header, r.body)
	}
	for want, args := range map[string][]string{
		"add --playground": {"--functions", "../../examples", "--no-playground", "--play-origin", origin},
		"must be like":     {"--functions", "../../examples", "--play-origin", "docs.example.com"},
	} {
		code, _, stderr := execute("", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
		if code != ExitFailure || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d and %s, want %d and %q", args, code, stderr, ExitFailure, want)
		}
	}
}

// A snippet reaches what it asks for, within what the playground may, within what the
// server may.
func TestServe_PlaygroundsNetwork(t *testing.T) {
	var addresses [2]string
	for n := range addresses {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "reached") }))
		t.Cleanup(server.Close)
		addresses[n] = server.Listener.Addr().String()
	}
	p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--playground", "--allow-net="+addresses[0], "--allow-net=192.0.2.1", "--play-allow-net=localhost")
	const ask = `{"files": {"main.py": "import http.client\n\ndef handler(event, context):\n` +
		`    try:\n        c = http.client.HTTPConnection('%s', timeout=5)\n        c.request('GET', '/')\n` +
		`        return {'body': c.getresponse().read().decode()}\n    except OSError as error:\n        return {'body': str(error)}\n"}, "allowNet": %q, "timeoutMS": 10000}`
	for _, c := range []struct{ to, allow, want string }{
		{addresses[0], "", "the function has no network"},
		{addresses[0], "localhost", `"body":"reached"`},
		{addresses[0], addresses[1], "must be named"},
		{addresses[1], "localhost", "this server does not allow it"},
		{"192.0.2.1:80", "192.0.2.1", "the playground does not allow it"},
	} {
		if r := play(t, p, "", fmt.Sprintf(ask, c.to, c.allow)); r.status != http.StatusOK || !strings.Contains(r.body, c.want) {
			t.Errorf("%s, allowed %q: got %d %s, want %q", c.to, c.allow, r.status, r.body, c.want)
		}
	}
	if r := play(t, p, "", fmt.Sprintf(ask, addresses[0], "a b")); r.status != http.StatusBadRequest || !strings.Contains(r.body, "allow_net") {
		t.Errorf("rules that are none: got %d %s", r.status, r.body)
	}
}

func TestPlayFlags_OffBeyondThisMachine(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "::": false, "192.0.2.1": false} {
		var f playFlags
		if got := f.on(&net.TCPAddr{IP: net.ParseIP(address)}); got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
		for _, given := range []bool{true, false} {
			f.Playground = &given
			if got := f.on(&net.TCPAddr{IP: net.ParseIP(address)}); got != given {
				t.Errorf("%s, told %v: got %v", address, given, got)
			}
		}
	}
}
