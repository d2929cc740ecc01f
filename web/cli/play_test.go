package cli

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// runSnippet runs a snippet on a program.
func runSnippet(t *testing.T, p *program, origin string) *reply {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.url+"/play/v1/run",
		strings.NewReader(`{"files": {"main.py": "def handler(event, context): return {'body': 'played'}"}}`))
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
