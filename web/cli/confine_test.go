package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A child is this test binary, run as the program itself: what it gives up
// would be gone for all tests. Once it serves, it tries what it should not be
// able to do, as injected machine code could.
const (
	childVariable = "VIVARIUM_TEST_CHILD" // set in a child
	targetsOf     = "VIVARIUM_TEST_TARGETS"
)

// targets are what a child tries to reach.
type targets struct {
	outside string // a folder that is none of its business, with a file named secret
	inside  string // the folder of a store, or of a function
	address string // of a listening server
	refuser string // the measure that prevents connecting to it
}

func (g targets) String() string {
	return strings.Join([]string{g.outside, g.inside, g.address, g.refuser}, "\n")
}

// runChild is the child's main function.
func runChild() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if os.Args[1] == followCommand || os.Args[1] == brokerCommand { // it serves nothing, and its output is for the program
		return Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	out, stdout := io.Pipe()
	var tried sync.WaitGroup
	tried.Go(func() {
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if text := os.Getenv(targetsOf); n == 0 && text != "" {
				f := strings.Split(text, "\n")
				for _, a := range attempts(targets{f[0], f[1], f[2], f[3]}) {
					fmt.Printf("tried %s: %v\n", a.name, worst(a.do))
				}
			}
			fmt.Println(lines.Text())
		}
	})
	code := Main(ctx, os.Args[1:], os.Stdin, stdout, os.Stderr)
	_ = stdout.Close()
	tried.Wait()
	return code
}

// worst tries the same on several threads, each of which has its own rights,
// and returns "denied" only if all are denied.
func worst(do func() error) string {
	results := make(chan string, 8)
	var together sync.WaitGroup
	together.Add(cap(results))
	for range cap(results) {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			together.Done()
			together.Wait() // so that there are as many threads
			err := do()
			for _, denied := range []error{syscall.EACCES, syscall.EPERM, syscall.EXDEV} { // the last means: not from there to here
				if errors.Is(err, denied) {
					results <- "denied"
					return
				}
			}
			results <- fmt.Sprintf("NOT DENIED (%v)", err)
		}()
	}
	for range cap(results) {
		if result := <-results; result != "denied" {
			return result
		}
	}
	return "denied"
}

type attempt struct {
	name string
	by   string // the measure that denies it
	do   func() error
}

// attempts are what must be denied.
func attempts(g targets) []attempt {

	read := func(path string) func() error {
		return func() error {
			_, err := os.ReadFile(path)
			return err
		}
	}
	dial := func(network, address string) func() error {
		return func() error {
			c, err := net.DialTimeout(network, address, 10*time.Second)
			if err == nil {
				_ = c.Close()
			}
			return err
		}
	}
	return []attempt{
		{"reading /etc/passwd", "landlock", read("/etc/passwd")},
		{"reading it by way of /proc", "landlock", read("/proc/self/root/etc/passwd")},
		{"reading another process's state", "landlock", read(fmt.Sprintf("/proc/%d/status", os.Getppid()))},
		{"reading a file outside", "landlock", read(g.outside + "/secret")},
		{"reading it by way of ..", "landlock", read(g.inside + "/../" + filepath.Base(g.outside) + "/secret")},
		{"listing a folder outside", "landlock", func() error { _, err := os.ReadDir(g.outside); return err }},
		{"writing a file outside", "landlock", func() error { return os.WriteFile(g.outside+"/new", nil, 0o600) }},
		{"removing a file outside", "landlock", func() error { return os.Remove(g.outside + "/secret") }},
		{"moving a file in", "landlock", func() error { return os.Rename(g.outside+"/secret", g.inside+"/secret") }},
		{"linking a file in", "landlock", func() error { return os.Link(g.outside+"/secret", g.inside+"/secret") }},
		{"making a symbolic link", "landlock", func() error { return os.Symlink("/", g.inside+"/link") }},
		{"changing the mode of a file outside", "seccomp", func() error { return os.Chmod(g.outside+"/secret", 0o777) }},
		{"signalling another process", "landlock scopes", func() error { return syscall.Kill(os.Getppid(), 0) }},
		{"starting a program", "seccomp", func() error { return exec.Command("/bin/true").Run() }},
		{"a thread becoming root", "seccomp", func() error {
			_, _, e := syscall.RawSyscall(syscall.SYS_SETUID, 0, 0, 0)
			return e
		}},
		{"listening", "seccomp", func() error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err == nil {
				_ = l.Close()
			}
			return err
		}},
		{"connecting over TCP", g.refuser, dial("tcp", g.address)},
		{"connecting to a service of the system", "seccomp", dial("unix", "/var/run/none")},
	}
}

// child runs a command in a process of its own.
func child(t *testing.T, g targets, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	if g != (targets{}) {
		cmd.Env = append(cmd.Env, targetsOf+"="+g.String())
	}
	return cmd
}

// serving is a child that serves.
type serving struct {
	program          // with only the url
	tried   []string // what it has tried, with results
	cmd     *exec.Cmd
	stderr  *lockedBuffer
}

// end stops the child, and expects it to end well.
func (s *serving) end(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the child: %v\n%s", err, s.stderr)
	}
}

// serveChild starts a child and waits until it serves.
func serveChild(t *testing.T, g targets, args ...string) *serving {
	t.Helper()
	s := &serving{cmd: child(t, g, args...), stderr: &lockedBuffer{}}
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "http://"); ok {
			address, _, _ = strings.Cut(address, "/")
			s.url = "http://" + address
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return s
		}
		s.tried = append(s.tried, lines.Text())
	}
	t.Fatalf("the child does not serve: %v\n%s", s.cmd.Wait(), s.stderr)
	return nil
}

// newTargets creates targets.
func newTargets(t *testing.T, inside string) targets {
	t.Helper()
	outside := filepath.Join(filepath.Dir(inside), "outside")
	writeFile(t, outside+"/secret", "secret")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return targets{outside, inside, l.Addr().String(), "seccomp"}
}

// checkDenied fails unless everything was denied by the measures that the
// system has.
func (s *serving) checkDenied(t *testing.T, g targets) {
	t.Helper()
	for _, a := range attempts(g) {
		if !slices.Contains(measuresHere(), a.by) {
			t.Logf("%s: this system has no %s", a.name, a.by)
			continue
		}
		if want := "tried " + a.name + ": denied"; !slices.Contains(s.tried, want) {
			t.Errorf("not in what the child tried: %s\n%s", want, strings.Join(s.tried, "\n"))
		}
	}
	if got, err := os.ReadFile(g.outside + "/secret"); string(got) != "secret" {
		t.Errorf("the file outside: %q, %v", got, err)
	}
}

func TestConfine_ServeDoesItsWorkAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	g := newTargets(t, dir+"/data")
	folder := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    return {'body': 'one'}\n"})
	serve := func() *serving {
		return serveChild(t, g, "serve", "--listen", "127.0.0.1:0", "--data", g.inside)
	}
	call := func(s *serving, want string) {
		t.Helper()
		if got := get(t, &s.program, "/hello"); got.status != 200 || got.body != want {
			t.Errorf("got %d %s, want %s\n%s", got.status, got.body, want, s.stderr)
		}
	}
	s := serve()
	s.checkDenied(t, g)
	must(t, "deploy", "hello", folder, "--server", s.url, "--timeout", "60s")
	call(s, "one")
	writeFile(t, folder+"/main.py", "def handler(event, context):\n    return {'body': 'two'}\n")
	must(t, "deploy", "hello", folder, "--server", s.url, "--timeout", "60s")
	call(s, "two")
	must(t, "timer", "create", "nightly", "hello", "--cron", "@daily", "--time-zone", "Europe/Berlin", "--server", s.url)
	if got := get(t, &s.program, "/metrics"); !strings.Contains(got.body, "process_resident_memory_bytes ") && runtime.GOOS == "linux" {
		t.Error("a confined process knows nothing of itself")
	}
	s.end(t)
	if text := s.stderr.String(); strings.Contains(text, "denied") || strings.Contains(text, "not permitted") {
		t.Errorf("it needs what it has given up:\n%s", text)
	}

	s = serve()
	call(s, "two")
	lines := strings.Split(strings.TrimSpace(get(t, &s.program, "/readyz").body), "\n")
	if lines[0] != "ok" || len(lines) != 1+len(measures) {
		t.Errorf("readyz: %q", lines)
	}
	for _, m := range measures {
		if slices.Contains(measuresHere(), m) && !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, m+": on") }) {
			t.Errorf("readyz says nothing of %s: %q", m, lines)
		}
	}
	s.end(t)
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "vivarium-*", "*")); len(left) > 0 {
		t.Logf("temporary files, perhaps another program's: %v", left)
	}
}

// startNATS starts a server that has a store, and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the store does not start")
	}
	return s.ClientURL()
}

func TestConfine_ServeReachesItsStoreAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/code/hello/main.py", "def handler(event, context):\n    return {'body': 'one'}\n")
	g := newTargets(t, dir+"/code")
	g.refuser = "landlock network"
	// By name, which needs other files than an address does.
	url := strings.Replace(startNATS(t), "127.0.0.1", "localhost", 1)
	t.Cleanup(func() { _ = os.RemoveAll((&session{}).imageDir("", url, "")) }) // in the user's cache
	s := serveChild(t, g, "serve", "--listen", "127.0.0.1:0", "--nats", url, "--timeout", "60s")
	s.checkDenied(t, g)
	must(t, "deploy", "hello", dir+"/code/hello", "--server", s.url, "--timeout", "60s")
	if got := get(t, &s.program, "/hello"); got.body != "one" {
		t.Errorf("got %d %s\n%s", got.status, got.body, s.stderr)
	}
	s.end(t)
}

func TestConfine_DevReloads(t *testing.T) {
	dir := t.TempDir()
	source := func(text string) string {
		return "from part.text import text\ndef handler(event, context):\n    return {'body': text + '" + text + "'}\n"
	}
	writeFile(t, dir+"/code/main.py", source("1"))
	writeFile(t, dir+"/code/part/text.py", "text = 'a'\n")
	g := newTargets(t, dir+"/code")
	s := serveChild(t, g, "dev", "--listen", "127.0.0.1:0", "--timeout", "60s", "--name", "hello", g.inside)
	s.checkDenied(t, g)
	answers := func(want string) {
		t.Helper()
		eventually(t, func() string {
			if got := get(t, &s.program, "/hello"); got.body != want {
				return fmt.Sprintf("got %d %.200s, want %s", got.status, got.body, want)
			}
			return ""
		})
	}
	answers("a1")
	// As editors do it: a new file replaces the old one.
	writeFile(t, dir+"/new", source("2"))
	if err := os.Rename(dir+"/new", dir+"/code/main.py"); err != nil {
		t.Fatal(err)
	}
	answers("a2")
	writeFile(t, dir+"/code/part/text.py", "text = 'b'\n")
	answers("b2")
	if err := os.RemoveAll(dir + "/code"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/code/part/text.py", "text = 'c'\n")
	writeFile(t, dir+"/code/main.py", source("3"))
	answers("c3")
	s.end(t)
}

func TestConfine_RunAnswers(t *testing.T) {
	for _, flags := range [][]string{nil, {"--no-confine"}} {
		folder := writeFiles(t, map[string]string{"main.py": "def handler(event, context):\n    return {'body': 'done'}\n"})
		out, err := child(t, targets{}, append([]string{"run", "--timeout", "60s", folder}, flags...)...).Output()
		if err != nil || strings.TrimSpace(string(out)) != "done" {
			t.Errorf("%v: %s, %v", flags, out, err)
		}
	}
}

// A process shared with others is left as it is.
func TestRun_ConfinesNothing(t *testing.T) {
	got := get(t, shared, "/readyz")
	for _, m := range measures {
		if !strings.Contains(got.body, m+": off: ") {
			t.Errorf("%s is not off: %s", m, got.body)
		}
	}
	if _, err := os.ReadFile("/etc/passwd"); err != nil {
		t.Error(err)
	}
}

func TestNATSPorts(t *testing.T) {
	for urls, want := range map[string][]uint16{
		"": nil, "nats://a": {4222}, "a:4223": {4223}, "tls://u:p@a:1,nats://b:2": {1, 2}, "wss://a": {443}, "[::1]:5": {5}, " a , b:7 ": {4222, 7},
	} {
		if got, err := natsPorts(urls); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", urls, got, err, want)
		}
	}
	if _, err := natsPorts("nats://a:99999"); err == nil {
		t.Error("99999 is taken for a port")
	}
}
