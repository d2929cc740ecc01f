package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startLimit is how long a child may take to report where it listens.
const startLimit = 2 * time.Minute

// diskSize is far more than a soak stores, because the store requires gigabytes
// of room to start. Only what is used takes memory.
const diskSize = 8 << 30

// process is a child that serves.
type process struct {
	cmd     *exec.Cmd
	address string
	stderr  *tail
	exited  chan struct{} // closed when it has ended
	err     error         // how it ended; valid after exited is closed
}

// startProcess starts a child and waits for its first line, which ends with the
// address that it listens on.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, stderr: &tail{}, exited: make(chan struct{})}
	endWithParent(cmd)
	// A terminal's signal for us must not reach the children: we end them in
	// order.
	cmd.SysProcAttr.Setpgid = true
	cmd.Stderr = p.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	first := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			first <- lines.Text()
		}
		_, _ = io.Copy(io.Discard, out) // otherwise it would wait for a reader
		p.err = cmd.Wait()
		close(p.exited)
	}()
	select {
	case line := <-first:
		p.address = line[strings.LastIndexAny(line, " /")+1:]
		return p, nil
	case <-p.exited:
	case <-time.After(startLimit):
		p.kill()
	}
	return nil, fmt.Errorf("%s did not start: %v\n%s", filepath.Base(cmd.Path), p.err, p.stderr.text())
}

// signal sends a signal, if the process is there.
func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends the process at once.
func (p *process) kill() {
	p.signal(os.Kill)
	<-p.exited
}

// end asks the process to end and waits until it has.
func (p *process) end(limit time.Duration) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return p.err
	case <-time.After(limit):
		p.kill()
		return fmt.Errorf("it has not ended after %v", limit)
	}
}

// resident returns the process's resident memory in bytes, or 0 if unknown.
func (p *process) resident() int64 {
	var pages, resident int64
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/statm")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(statm), &pages, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// computed returns the process's CPU time, or 0 if unknown.
func (p *process) computed() time.Duration {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	// The program's name, in parentheses, may contain anything. The times are
	// the 12th and 13th field after it, in hundredths of a second.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if err != nil || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// tail keeps the end of a process's complaints, without functions' logs. Safe
// for concurrent use.
type tail struct {
	mu      sync.Mutex // guards all below
	partial []byte     // unfinished line
	b       []byte
	ours    int // lines that report a fault of the program's own
}

const tailBytes = 16 << 10

// faultLine matches lines that report a fault of the program's own.
var faultLine = regexp.MustCompile(`^(time=\S+ level=ERROR msg="request not served"|panic: |fatal error: )`)

// logLine matches lines logged by functions.
var logLine = regexp.MustCompile(`^[a-z/]+-[a-z/-]+: `)

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partial = append(t.partial, p...)
	for {
		line, rest, whole := bytes.Cut(t.partial, []byte("\n"))
		if !whole {
			break
		}
		if faultLine.Match(line) {
			t.ours++
		}
		if !logLine.Match(line) {
			t.b = append(append(t.b, line...), '\n')
		}
		t.partial = rest
	}
	t.partial = append([]byte(nil), t.partial...)
	if len(t.b) > 2*tailBytes {
		t.b = append([]byte(nil), t.b[len(t.b)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

func (t *tail) faults() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ours
}

// runStore is a NATS server: its arguments are a folder and an address.
func runStore(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 2 {
		return errors.New("store: a folder and an address are needed")
	}
	host, port, err := net.SplitHostPort(args[1])
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	if number == 0 {
		number = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		Host: host, Port: number, NoSigs: true, MaxPayload: 8 << 20,
		JetStream: true, StoreDir: args[0], JetStreamMaxStore: 2 * diskSize,
		SyncAlways: true, SyncInterval: time.Minute, // what is confirmed survives
	})
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(startLimit) {
		return errors.New("store: the server did not start")
	}
	fmt.Fprintln(stdout, "listening on", s.Addr())
	<-ctx.Done()
	return nil
}
