package cli

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// answering returns the code of a handler that returns a text.
func answering(text string) string {
	return fmt.Sprintf("def handler(event, context):\n    return {'body': %q}\n", text)
}

func TestDev_ReloadsOnSave(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": answering("one")})
	p := startFor(t, "dev", dir, "--name", "hello", "--listen", "127.0.0.1:0", "--env", "COLOUR=blue;green=1")
	if !strings.HasSuffix(p.ready[0], "/hello") {
		t.Errorf("the ready line has no URL of the function: %s", p.ready[0])
	}
	becomes := func(status int, want string) {
		t.Helper()
		eventually(t, func() string {
			if got := get(t, p, "/hello"); got.status != status || !strings.Contains(got.body, want) {
				return fmt.Sprintf("got %d %s, want %d %s", got.status, got.body, status, want)
			}
			return ""
		})
	}
	becomes(200, "one")

	writeFile(t, dir+"/main.py", answering("two"))
	becomes(200, "two")

	// A broken save is served as its error until it is fixed.
	writeFile(t, dir+"/main.py", "def handler(event, context)\n")
	becomes(502, "SyntaxError")
	writeFile(t, dir+"/main.py", "import os\nfrom parts.text import TEXT\n\ndef handler(event, context):\n"+
		"    return {'body': TEXT + os.environ['COLOUR']}\n")
	becomes(502, "ModuleNotFoundError")

	// A folder created later is watched as well.
	writeFile(t, dir+"/parts/text.py", "TEXT = 'three '\n")
	becomes(200, "three blue;green=1")
	writeFile(t, dir+"/parts/text.py", "TEXT = 'four '\n")
	becomes(200, "four blue")
}

// The next call after a save has the new code, however soon it comes.
func TestDev_TheNextCallHasWhatWasSaved(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": answering("0")})
	single := writeFiles(t, map[string]string{"hello.py": answering("0")}) + "/hello.py"
	for path, file := range map[string]string{dir: dir + "/main.py", single: single} {
		p := startFor(t, "dev", path, "--name", "hello", "--listen", "127.0.0.1:0", "--timeout", "60s")
		for n := range 10 {
			want := fmt.Sprint(n)
			if n%2 == 0 {
				writeFile(t, file, answering(want))
			} else { // as most editors do it
				writeFile(t, file+"~", answering(want))
				if err := os.Rename(file+"~", file); err != nil {
					t.Fatal(err)
				}
			}
			if got := get(t, p, "/hello"); got.body != want {
				t.Errorf("%s: got %d %s, want %s", path, got.status, got.body, want)
			}
		}
		p.stop()
	}
}

func TestDev_WatchesASingleFile(t *testing.T) {
	dir := writeFiles(t, map[string]string{"hello.py": answering("one")})
	p := startFor(t, "dev", dir+"/hello.py", "--listen", "127.0.0.1:0")
	if got := get(t, p, "/hello"); got.body != "one" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	writeFile(t, dir+"/hello.py", answering("two"))
	eventually(t, func() string {
		if got := get(t, p, "/hello"); got.body != "two" {
			return "got " + got.body
		}
		return ""
	})
}

// Tools that rebuild a folder replace it.
func TestDev_FollowsAFolderThatIsReplaced(t *testing.T) {
	top := writeFiles(t, map[string]string{"hello/main.py": answering("one"), "next/main.py": answering("three")})
	dir := top + "/hello"
	p := startFor(t, "dev", dir, "--listen", "127.0.0.1:0")
	becomes := func(want string) {
		t.Helper()
		eventually(t, func() string {
			if got := get(t, p, "/hello"); got.body != want {
				return fmt.Sprintf("got %d %s, want %s", got.status, got.body, want)
			}
			return ""
		})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	becomes("one")
	must(os.RemoveAll(dir))
	writeFile(t, dir+"/main.py", answering("two"))
	becomes("two")
	must(os.Rename(dir, top+"/away"))
	must(os.Rename(top+"/next", dir))
	becomes("three")
	// It comes back unchanged, and a later save is noticed.
	must(os.RemoveAll(dir))
	must(os.Rename(top+"/away", dir))
	becomes("two")
	writeFile(t, dir+"/main.py", answering("four"))
	becomes("four")
}

func TestDev_RefusesABadName(t *testing.T) {
	code, _, stderr := execute("", "dev", "../../examples/api", "--name", "No", "--listen", "127.0.0.1:0")
	if code != ExitFailure || !strings.Contains(stderr, "name:") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestDev_SendsASampleEventAfterEachSave(t *testing.T) {
	handler := func(word string) string {
		return "def handler(event, context):\n    return ['" + word + "', event['messages'][0]['event_metadata']['event_type']]\n"
	}
	dir := writeFiles(t, map[string]string{"main.py": handler("one")})
	p := startFor(t, "dev", dir, "--name", "hello", "--listen", "127.0.0.1:0", "--event-sample", "timer")
	for _, word := range []string{"one", "two"} {
		writeFile(t, dir+"/main.py", handler(word))
		want := `event timer: status 200: ["` + word + `", "yandex.cloud.events.serverless.triggers.TimerMessage"]`
		eventually(t, func() string {
			if got := p.stderr.String(); !strings.Contains(got, want) {
				return "got " + got
			}
			return ""
		})
	}
	code, _, stderr := execute("", "dev", dir, "--listen", "127.0.0.1:0", "--event-sample", "nothing")
	if code != ExitFailure || !strings.Contains(stderr, "no such event") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestDev_SendsAnEventOfAFile(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    return event['order'] * 2\n", "event.json": `{"order": 21}`})
	p := startFor(t, "dev", dir, "--name", "hello", "--listen", "127.0.0.1:0", "--event", dir+"/event.json")
	eventually(t, says(p, "event.json: status 200: 42"))
	writeFile(t, dir+"/broken.json", "{")
	for file, want := range map[string]string{"broken.json": "is not JSON", "none.json": "no such file"} {
		code, _, stderr := execute("", "dev", dir, "--listen", "127.0.0.1:0", "--event", dir+"/"+file)
		if code != ExitFailure || !strings.Contains(stderr, "--event") || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d: %s", file, code, stderr)
		}
	}
}

// The console is there, and what it asks, for browsers on this machine alone.
func TestDev_HasTheConsole(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.py": answering("one")})
	p := startFor(t, "dev", dir, "--name", "hello", "--listen", "127.0.0.1:0")
	if got := get(t, p, "/console/"); got.status != http.StatusOK || !strings.Contains(got.header.Get("Content-Type"), "text/html") {
		t.Errorf("the console: %d", got.status)
	}
	t.Setenv("VIVARIUM_SERVER", p.url)
	if list := must(t, "function", "list"); !strings.Contains(list, "hello") {
		t.Errorf("the functions: %s", list)
	}
	r, err := http.NewRequest(http.MethodGet, p.url+"/functions/v1/functions", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "elsewhere.example"
	if got := do(t, r); got.status != http.StatusMisdirectedRequest {
		t.Errorf("under a name of others: %d %s", got.status, got.body)
	}
	open := startFor(t, "dev", dir, "--name", "hello", "--listen", "0.0.0.0:0", "--insecure")
	for _, path := range []string{"/console/", "/functions/v1/functions", "/play/v1/run"} {
		if got := get(t, open, path); got.status < 400 {
			t.Errorf("for whoever reaches it: %s: %d", path, got.status)
		}
	}
}
