package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// measuresHere are the measures that this kernel has, including parts of
// Landlock that not every version of it has.
func measuresHere() []string {
	here := []string{"no_new_privs"}
	if abi, err := ll.LandlockGetABIVersion(); err == nil {
		errata, err := ll.LandlockGetErrata()
		if abi >= 6 && (err != nil || errata&2 == 0) {
			abi = 5 // its signals don't reach the process's own threads: not used
		}
		for since, part := range map[int]string{2: "landlock", 4: "landlock network", 6: "landlock scopes"} {
			if abi >= since {
				here = append(here, part)
			}
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if known := runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"; known && err == nil && strings.Contains(string(status), "\nSeccomp:") {
		here = append(here, "seccomp")
	}
	return here
}

// Functions reach what they may through another process: the one that runs them
// still connects to nothing.
func TestConfine_FunctionsReachWhatIsAllowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from elsewhere") }))
	defer elsewhere.Close()
	address := elsewhere.Listener.Addr().String()
	dir := t.TempDir()
	g := newTargets(t, dir+"/data")
	s := serveChild(t, g, "serve", "--listen", "127.0.0.1:0", "--data", g.inside, "--allow-net="+address)
	s.checkDenied(t, g)
	folder := writeFiles(t, map[string]string{"main.py": `
import urllib.request
def handler(event, context):
    try:
        return {"body": urllib.request.urlopen(event["headers"]["X-Url"]).read().decode()}
    except OSError as error:
        return {"body": str(error)}
`})
	must(t, "deploy", "talker", folder, "--server", s.url, "--timeout", "60s", "--allow-net="+address+",127.0.0.1:1")
	must(t, "deploy", "alone", folder, "--server", s.url, "--timeout", "60s")
	for _, c := range []struct{ function, url, want string }{
		{"talker", elsewhere.URL, "from elsewhere"},
		{"talker", "http://127.0.0.1:1/", "this server does not allow it"}, // the server's own rules
		{"alone", elsewhere.URL, "the function has no network; --allow-net=" + address},
	} {
		request, err := http.NewRequest(http.MethodGet, s.url+"/"+c.function, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Url", c.url)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if !strings.Contains(string(body), c.want) {
			t.Errorf("%s: got %s, want %s", c.function, body, c.want)
		}
	}
	if got := get(t, &s.program, "/readyz"); !strings.Contains(got.body, "broker: on: connects functions to "+address) {
		t.Errorf("readyz: %s", got.body)
	}
	s.end(t)
}
