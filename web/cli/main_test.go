package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	pythonwasi "vivarium/python-wasi"
)

// shared is a program that serves the examples and testdata/functions. TestMain
// starts it once, for all tests that need no flags of their own.
var shared *program

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if os.Getenv(childVariable) != "" {
		return runChild()
	}
	if _, err := pythonwasi.Lean.Module(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: these tests run functions, and", err)
		return 1
	}
	var err error
	// A generous timeout, since test machines may be busy.
	shared, err = start("serve", "--listen", "127.0.0.1:0", "--timeout", "60s",
		"--functions", "../../examples", "--functions", "testdata/functions")
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		return 1
	}
	code := m.Run()
	if exit := shared.stop(); exit != ExitOK {
		fmt.Fprintf(os.Stderr, "FAIL: serve ended with exit code %d\n%s\n", exit, shared.stderr.String())
		return 1
	}
	return code
}

// program is this program, running.
type program struct {
	url    string // http://ADDRESS
	ready  []string
	stderr *lockedBuffer
	cancel context.CancelFunc
	done   chan int // the exit code
	once   sync.Once
	code   int
}

// start runs a command that serves and waits until it does.
func start(args ...string) (*program, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{stderr: &lockedBuffer{}, cancel: cancel, done: make(chan int, 1)}
	out, stdout := io.Pipe()
	go func() {
		p.done <- Run(ctx, args, strings.NewReader(""), stdout, p.stderr)
		_ = stdout.Close()
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, fmt.Errorf("%s: exit code %d: %s", args[0], <-p.done, p.stderr.String())
	}
	p.ready = append(p.ready, lines.Text())
	_, address, ok := strings.Cut(lines.Text(), "http://")
	if !ok {
		return nil, fmt.Errorf("%s: its first line has no address: %s", args[0], lines.Text())
	}
	address, _, _ = strings.Cut(address, "/")
	p.url = "http://" + address
	go func() {
		for lines.Scan() { // otherwise the program would wait for a reader
		}
	}()
	return p, nil
}

// startFor is start for one test, at whose end the program is stopped.
func startFor(t *testing.T, args ...string) *program {
	t.Helper()
	p, err := start(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if code := p.stop(); code != ExitOK {
			t.Errorf("exit code %d\n%s", code, p.stderr.String())
		}
	})
	return p
}

// stop stops the program, as SIGTERM does, and returns its exit code.
func (p *program) stop() int {
	p.once.Do(func() {
		p.cancel()
		p.code = <-p.done
	})
	return p.code
}

// execute runs a command that ends by itself.
func execute(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Run(context.Background(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// lockedBuffer is a buffer that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// eventually waits until check returns "", and fails with its last result.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if last = check(); last == "" {
			return
		}
	}
	t.Fatal(last)
}

// writeFiles writes a folder of files and returns its path.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		writeFile(t, dir+"/"+name, text)
	}
	return dir
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
