package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vivarium/host/egress"
)

// openTerminal returns both ends of a terminal, of which what is shown can be read.
func openTerminal(t *testing.T) (user, program *os.File, shown *lockedBuffer) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown = &lockedBuffer{}
	go func() { _, _ = io.Copy(shown, user) }() // ends when both ends are closed
	t.Cleanup(func() { _ = program.Close(); _ = user.Close() })
	return user, program, shown
}

// asking is a function that fetches the address in its query.
const asking = `import urllib.request

def handler(event, context):
    with urllib.request.urlopen(event['queryStringParameters']['url']) as answer:
        return {'body': answer.read().decode()}
`

// The real program, in a process of its own that has given up its rights, asks for what a
// function is refused, and the next call has it.
func TestDev_AsksForTheNetwork(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "from outside") }))
	t.Cleanup(outside.Close)
	other := httptest.NewServer(outside.Config.Handler)
	t.Cleanup(other.Close)
	binary := filepath.Join(t.TempDir(), "vivarium")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "vivarium").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	dir := writeFiles(t, map[string]string{"hello/main.py": asking, "mine/main.py": asking,
		projectFile: "functions:\n  hello: {timeout: 60s}\n  mine: {timeout: 60s}\n"})
	user, terminal, shown := openTerminal(t)
	ctx, stop := context.WithCancel(t.Context())
	dev := exec.CommandContext(ctx, binary, "dev", dir, "--listen", "127.0.0.1:0")
	dev.Stdin, dev.Stderr = terminal, terminal
	dev.Cancel = func() error { return dev.Process.Signal(os.Interrupt) }
	stdout := &lockedBuffer{}
	dev.Stdout = stdout
	if err := dev.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		if err := dev.Wait(); err != nil && dev.ProcessState.ExitCode() != ExitOK {
			t.Errorf("%v: %s", err, shown)
		}
	}()
	p := &program{}
	eventually(t, func() string {
		_, rest, ok := strings.Cut(stdout.String(), " on http://")
		if !ok {
			return "no address: " + stdout.String() + shown.String()
		}
		address, _, _ := strings.Cut(rest, "\n")
		p.url = "http://" + address
		return ""
	})
	call := func(function string, from *httptest.Server) *reply {
		return get(t, p, "/"+function+"?url="+from.URL)
	}
	waits := func(text string) {
		t.Helper()
		eventually(t, func() string {
			if got := shown.String(); !strings.Contains(got, text) {
				return "not asked " + text + ":\n" + got
			}
			return ""
		})
	}
	question := func(function string, from *httptest.Server) string {
		return function + " wants " + strings.TrimPrefix(from.URL, "http://") + "; allow for this session? [y/N] "
	}
	if got := call("hello", outside); got.status != http.StatusBadGateway {
		t.Fatalf("before it is allowed: %d %s", got.status, got.body)
	}
	waits(question("hello", outside))
	if _, err := io.WriteString(user, "y\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if got := call("hello", outside); got.body != "from outside" {
			return fmt.Sprint("once it is allowed: ", got.status, got.body)
		}
		return ""
	})
	// What one may, another may not, and a no is one for good.
	if got := call("mine", outside); got.status != http.StatusBadGateway {
		t.Errorf("another function: %d %s", got.status, got.body)
	}
	waits(question("mine", outside))
	if _, err := io.WriteString(user, "\n"); err != nil {
		t.Fatal(err)
	}
	waits("not allowed; to allow it from the start: --allow-net=" + strings.TrimPrefix(outside.URL, "http://"))
	for range 2 {
		if got := call("mine", outside); got.status != http.StatusBadGateway {
			t.Errorf("after a no: %d %s", got.status, got.body)
		}
	}
	if got := call("hello", other); got.status != http.StatusBadGateway {
		t.Errorf("another address: %d %s", got.status, got.body)
	}
	waits(question("hello", other))
	if n := strings.Count(shown.String(), question("mine", outside)); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// What is deployed with rules of its own is bounded by what was allowed here.
	must(t, "deploy", "extra", dir+"/hello", "--allow-net="+strings.TrimPrefix(other.URL, "http://"), "--timeout=60s", "--server", p.url)
	if got := call("extra", other); got.status != http.StatusBadGateway {
		t.Errorf("what nobody has allowed: %d %s", got.status, got.body)
	}
	// A save keeps what was allowed.
	writeFile(t, dir+"/hello/main.py", asking+"# saved\n")
	if got := call("hello", outside); got.body != "from outside" {
		t.Errorf("after a save: %d %s", got.status, got.body)
	}
}

// Whoever has taken over the process that asks gets no more by it than a question.
func TestAsker(t *testing.T) {
	none, err := egress.ParsePolicy("")
	if err != nil {
		t.Fatal(err)
	}
	typed, in := io.Pipe()
	var shown lockedBuffer
	a := newAsker(none, typed, &shown)
	for _, rule := range []string{"", "a.example,b.example", "not a rule", "a\x1b[2J"} {
		if a.allow(t.Context(), rule, "hello") {
			t.Errorf("%q is allowed", rule)
		}
	}
	if got := shown.String(); got != "" {
		t.Errorf("it asks %q", got)
	}
	_ = in.Close()
	if a.allow(t.Context(), "a.example", "\x1b[2Jhello") || strings.Contains(shown.String(), "\x1b") || !strings.Contains(shown.String(), "hello wants a.example;") {
		t.Errorf("shown: %q", shown.String())
	}
	for n := range 2 * mostQuestions {
		a.allow(t.Context(), fmt.Sprintf("h%d.example", n), "hello")
	}
	if n := strings.Count(shown.String(), "[y/N]"); n != mostQuestions {
		t.Errorf("%d questions", n)
	}
}
