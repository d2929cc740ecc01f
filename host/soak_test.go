package host

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/egress/egresstest"
	"vivarium/host/fault"
	"vivarium/host/quota"
)

var (
	soakCalls     = flag.Int("soak.calls", 3000, "calls that TestSoak makes")
	soakInstances = flag.Int("soak.instances", 300, "instances that TestSoak uses up, at least")
)

// holdings is what a process holds of the system.
type holdings struct{ goroutines, mappings, files int }

func held(t *testing.T) holdings {
	t.Helper()
	runtime.GC()
	h := holdings{goroutines: runtime.NumGoroutine()}
	if maps, err := os.ReadFile("/proc/self/maps"); err == nil {
		h.mappings = bytes.Count(maps, []byte("\n"))
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		h.files = len(fds)
	}
	return h
}

// TestSoak makes many calls, good and bad, on many instances, and then looks
// for what is left of them. `go tool task soak:leaks` runs the long form.
func TestSoak(t *testing.T) {
	_, hangUp := egresstest.Echo(t) // Go itself opens files when a process first talks
	hangUp()
	before := held(t)
	start := time.Now()
	perInstance := max(*soakCalls / *soakInstances / 2, 1)
	reach, err := egress.ParsePolicy("localhost")
	if err != nil {
		t.Fatal(err)
	}
	peer, hangUp := egresstest.Echo(t)
	h, err := New(Config{Engines: testEngines, MaxCalls: perInstance, MaxMemory: 512 << 20, NetCeiling: reach})
	if err != nil {
		t.Fatal(err)
	}
	th := &testHost{Host: h, t: t}
	const source = `
import os, socket, sys, json, threading
kept, connections = [], []
def handler(event, context):
    kept.append(bytes(1000))
    host, port = os.environ["PEER"].split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(b"x")
    assert connection.recv(1) == b"x"
    if event % 100 == 5: connections.append(connection) # the instance's end closes it
    else: connection.close()
    if event % 50 == 1: raise ValueError("soak")
    if event % 200 == 2: sys.exit(1)
    if event % 100 == 3: print("x" * 10000)
    if event % 100 == 4: open("/tmp/%d" % event, "w").write("x" * 100000)
    if event % 100 == 5: threading.Thread(target=threading.Event().wait).start() # it dies waiting, with the instance
    return event
`
	const functions = 5
	for n := range functions {
		th.deploy(fmt.Sprintf("soak-%d", n), source, catalog.VersionSpec{
			MaxInstances: 4, Timeout: time.Minute, AllowNet: peer.String(), Environment: map[string]string{"PEER": peer.String()},
		})
		_, _ = th.raw(fmt.Sprintf("soak-%d", n), "0")
	}
	base := held(t)
	rss := residentMemory()
	var made, wrong atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for {
				n := made.Add(1)
				if n > int64(*soakCalls) {
					return
				}
				got, err := th.raw(fmt.Sprintf("soak-%d", (int(n)+g)%functions), fmt.Sprint(n))
				fe, ok := errors.AsType[*fault.FunctionError](err)
				failed := ok && (fe.Type == "ValueError" && n%50 == 1 || fe.Type == "SystemExit" && n%200 == 2)
				if got != fmt.Sprint(n) && !failed {
					wrong.Add(1)
					t.Errorf("call %d: %s, %v", n, got, err)
				}
			}
		})
	}
	wg.Wait()
	cold := h.Stats().ColdStarts
	if cold < int64(*soakInstances) {
		t.Errorf("%d instances were used, want at least %d", cold, *soakInstances)
	}
	grown := residentMemory() - rss
	during := held(t)
	if used := h.ledger.Total(quota.Memory); used > 512<<20 {
		t.Errorf("budget: %d MiB used of 512", used>>20)
	}
	h.Close()
	if used := h.ledger.Total(quota.Memory); used != 0 {
		t.Errorf("budget: %d bytes used by nobody", used)
	}
	hangUp()
	if n := h.ledger.Held(quota.Connection); n != 0 {
		t.Errorf("%d connections are used by nobody", n)
	}
	after := held(t)
	t.Logf("%d calls on %d instances in %v, %d wrong; resident memory %+d MiB; goroutines, mappings, files: "+
		"%v before, %v warm, %v after the load, %v after Close",
		*soakCalls, cold, time.Since(start).Round(time.Millisecond), wrong.Load(), grown>>20, before, base, during, after)
	if after.goroutines > before.goroutines || after.files > before.files {
		t.Errorf("left behind: %+v, before: %+v", after, before)
	}
	if after.mappings > before.mappings+100 { // Go's heap has mappings of its own
		t.Errorf("left behind: %d mappings, before: %d", after.mappings, before.mappings)
	}
	if grown > 200<<20 {
		t.Errorf("resident memory has grown by %d MiB", grown>>20)
	}
}

// residentMemory returns the bytes of this process that are in memory, or 0
// where the system does not tell.
func residentMemory() int64 {
	var pages, resident int64
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(statm), &pages, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
