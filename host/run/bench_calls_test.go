package run

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/fault"
	pythonwasi "vivarium/python-wasi"
)

// hostCalls are functions that have the host work for them, in calls that are as
// long as can be, or as many as can be.
var hostCalls = map[string]struct {
	calls    string // what the guest imports for it
	memoryMB int
	source   string // what it does again and again, after the first lines
}{
	"empty-lines": {"fd_write", 256, "B = b'\\n' * 100_000_000\n---\nos.write(1, B)"},
	"long-lines": {"fd_write", 256, "L = json.dumps({'message': 'm', **{f'k{i}': i for i in range(3800)}}).encode()[:65000] + b'\\n'\nB = L * 240\n" +
		"---\nos.write(1, B)"},
	"short-lines":  {"fd_write", 256, "B = b'{\"message\":\"\",\"a\":1}\\n' * 800_000\n---\nos.write(2, B)"},
	"open-line":    {"fd_write end_lines", 128, "B = b'x' * 1000\n---\nos.write(1, B)"},
	"write-file":   {"fd_pwrite fd_filestat_set_size", 384, "B = bytearray(200_000_000)\nF = os.open('/tmp/f', O)\n---\nos.pwrite(F, B, 0)\nos.ftruncate(F, 0)"},
	"read-file":    {"fd_read fd_seek", 384, "B = bytearray(200_000_000)\nF = open('/tmp/f', 'w+b', 0)\nF.truncate(len(B))\n---\nF.seek(0)\nF.readinto(B)"},
	"pread-file":   {"fd_pread fd_tell", 384, "F = os.open('/tmp/f', O)\nos.ftruncate(F, 200_000_000)\n---\nos.pread(F, 200_000_000, 0)\nos.lseek(F, 0, 1)"},
	"grow-and-cut": {"fd_filestat_set_size", 128, "F = os.open('/tmp/f', O)\n---\nos.ftruncate(F, 500_000_000)\nos.ftruncate(F, 0)"},
	"holes": {"fd_pwrite fd_advise fd_datasync fd_sync", 128, "F = os.open('/tmp/f', O)\n---\n" +
		"for n in range(0, 500_000_000, 65536): os.pwrite(F, b'x', n)\nos.posix_fadvise(F, 0, 0, 0)\nos.fdatasync(F)\nos.fsync(F)\nos.ftruncate(F, 0)"},
	"list-folder": {"fd_readdir path_open fd_close fd_fdstat_get fd_prestat_get fd_prestat_dir_name", 128,
		"for n in range(5000): open(f'/tmp/{n}', 'w').close()\n---\nos.listdir('/tmp')"},
	"look-at-files": {"path_filestat_get path_filestat_set_times path_chmod path_space", 256,
		"for n in range(5000): open('/tmp/' + str(n).rjust(250, 'x'), 'w').close()\n---\n" +
			"for e in os.scandir('/tmp'): e.stat(), os.chmod(e.path, 384), os.utime(e.path), os.statvfs(e.path)"},
	"open-files": {"path_open fd_close fd_filestat_get fd_filestat_set_times fd_chmod fd_fdstat_set_flags", 128, "---\n" +
		"L = [os.open(f'/tmp/{n}', O) for n in range(900)]\n" +
		"for F in L: os.fstat(F), os.utime(F), os.fchmod(F, 384), os.set_blocking(F, False), os.close(F)"},
	"deep-folders": {"path_create_directory path_rename path_remove_directory", 256, "B = '/tmp'\nfor n in range(1900):\n  B += '/d'\n  os.mkdir(B)\n---\n" +
		"for n in range(1000): os.stat(B), os.mkdir(B + '/e'), os.rename(B + '/e', B + '/f'), os.rmdir(B + '/f')"},
	"links": {"path_symlink path_readlink path_link path_unlink_file", 128,
		"open('/tmp/f', 'w').close()\nL = ['f'] + [str(n) for n in range(30)]\nfor n in range(30): os.symlink(L[n], '/tmp/' + L[n + 1])\n---\n" +
			"for n in range(1000): os.stat('/tmp/29'), os.readlink('/tmp/29'), os.symlink('x' * 4000, '/tmp/x'), os.unlink('/tmp/x'), os.link('/tmp/f', '/tmp/y'), os.unlink('/tmp/y')"},
	"random": {"random_get seed", 512, "---\nos.urandom(200_000_000)"},
	"hashes": {"digest", 256, "import hashlib\nB = bytes(100_000_000)\n---\nfor n in hashlib.sha1, hashlib.sha256, hashlib.sha512: n(B)"},
	"clocks": {"clock_time_get clock_res_get", 128, "import time, collections, itertools\n---\n" +
		"collections.deque(map(time.clock_gettime, itertools.repeat(1, 1_000_000)), 0)\ntime.process_time(), time.clock_getres(1)"},
	"short-sleeps": {"poll_oneoff thread_yield", 128, "import time\n---\nfor n in range(1000): time.sleep(0), time.sleep(1e-9), os.sched_yield()"},
	"poll-files":   {"fd_poll", 128, "import select\nB = select.poll()\nfor n in range(1000): B.register(os.open(f'/tmp/{n}', O), 5)\n---\nB.poll(0)"},
	"hand-over":    {"respond", 256, "import _vivarium\nB = bytes(16 << 20)\n---\n_vivarium.respond(0, B)"},
	"receive": {"sock_open sock_connect sock_recv", 256, "import socket\nF = socket.create_connection(PEER)\nF.sendall(b'give')\nB = bytearray(64 << 20)\n" +
		"---\ntry: F.recv_into(B, len(B), 256)\nexcept OSError: pass"},
	"send": {"sock_send", 256, "import socket\nF = socket.create_connection(PEER)\nF.sendall(b'take')\nB = bytes(64 << 20)\n" +
		"---\ntry: F.sendall(B)\nexcept OSError: pass"},
	"sockets": {"sock_shutdown sock_name sock_get_option sock_set_option", 128, "import socket\n---\nF = socket.create_connection(PEER)\n" +
		"for n in range(100): F.getsockname(), F.getpeername(), F.getsockopt(1, 7), F.setsockopt(6, 1, 1)\nF.shutdown(2)\nF.close()"},
	"names": {"sock_resolve sock_refusal", 128, "import socket\n---\ntry: socket.getaddrinfo('x' * 60 + '.example', 1)\nexcept OSError: pass"},
	"poll-sockets": {"fd_poll", 128, "import select, socket\nL = [socket.create_connection(PEER) for n in range(100)]\nB = select.poll()\n" +
		"for F in L: B.register(F, 5)\n---\nB.poll(0)"},
	"inside": {"sock_bind sock_listen sock_accept sock_pair sock_dup", 128, "import socket\n---\nF = socket.create_server(('127.0.0.1', 0))\n" +
		"for n in range(100): A = socket.create_connection(F.getsockname()), F.accept()[0].dup(), socket.socketpair()\nF.close()"},
	"threads": {"thread_start thread_locals thread_wait thread_wake", 256, "import threading\n---\n" +
		"L = [threading.Thread(target=threading.Event().wait, args=(0.001,)) for n in range(50)]\n" +
		"for F in L: F.start()\nfor F in L: F.join()"},
	"interrupt": {"thread_interrupt", 128, "import _vivarium, threading\n---\nfor n in range(1000): _vivarium.interrupt(threading.get_ident())"},
}

// outsideOfCalls are imports that are used while an interpreter starts or ends,
// not by functions.
const outsideOfCalls = "environ_get environ_sizes_get proc_exit"

// TestHostCalls_AllAreMeasured has the benchmark know of each call that there is.
func TestHostCalls_AllAreMeasured(t *testing.T) {
	known := strings.Fields(outsideOfCalls)
	for _, c := range hostCalls {
		known = append(known, strings.Fields(c.calls)...)
	}
	module, err := pythonwasi.Lean.Module()
	if err != nil {
		t.Fatal(err)
	}
	names := importsOf(t, module)
	for _, name := range names {
		if !slices.Contains(known, name) {
			t.Errorf("no entry of hostCalls makes %s", name)
		}
	}
	for _, name := range known {
		if !slices.Contains(names, name) {
			t.Errorf("the guest does not import %s", name)
		}
	}
}

// importsOf returns the names of the functions that a module imports.
func importsOf(t *testing.T, module []byte) (names []string) {
	at := module[8:] // behind the magic number and the version
	number := func() int {
		n, size := binary.Uvarint(at)
		at = at[size:]
		return int(n)
	}
	text := func() string {
		n := number()
		s := string(at[:n])
		at = at[n:]
		return s
	}
	for len(at) > 0 {
		id, size := number(), number()
		if id != 2 {
			at = at[size:]
			continue
		}
		for range number() {
			text()
			names = append(names, text())
			if kind := number(); kind != 0 {
				t.Fatalf("an import of kind %d", kind)
			}
			number()
		}
		return names
	}
	t.Fatal("no imports")
	return nil
}

// What the handlers of hostCallSource do.
const (
	prepare  = "0"
	makeThem = "1" // host calls, without end
	loop     = "2" // until the call has a fifth of a second left, and make them then
)

// hostCallSource returns a module whose handler prepares itself for host calls and makes
// them.
func hostCallSource(source string) string {
	first, again, _ := strings.Cut(source, "---\n")
	indent := func(text, by string) string { return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by) }
	return "import os, sys, json\nsys.path.insert(0, '/function/runtime')\nready, O = False, os.O_RDWR | os.O_CREAT\ndef handler(event, context):\n" +
		"    global ready, B, F, L, _vivarium, collections, hashlib, itertools, select, socket, threading, time\n    if not ready:\n        ready = True\n" + indent(first+"\npass", "        ") +
		"\n        return\n    while event == 2 and context.get_remaining_time_in_millis() > 200: pass\n" +
		"    while True:\n" + indent(again, "        ") + "\n"
}

// processorTime returns what this process has computed.
func processorTime(b *testing.B) (d time.Duration) {
	files, _ := filepath.Glob("/proc/self/task/*/schedstat")
	if len(files) == 0 {
		b.Skip("this system does not tell what a process has computed")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		d += time.Duration(n)
	}
	return d
}

// callers are functions that make host calls, or loops, and one that makes none.
type callers struct {
	*testHost
	count int // of the callers that are beside the others
}

// lateTimeout is that of calls which are made until it has passed: preparing takes long.
const lateTimeout = 4 * time.Second

func newCallers(b *testing.B, count int, server string) *callers {
	ceiling, err := egress.ParsePolicy("127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	c := &callers{newTestHost(b, testConfig{NetCeiling: ceiling, Forgetful: true}), count}
	c.deploy("light", smallModule, catalog.VersionSpec{})
	c.deployBoth("loop", "def handler(event, context):\n    while event: pass\n", 128)
	for name, call := range hostCalls {
		c.deployBoth(name, strings.ReplaceAll(hostCallSource(call.source), "PEER", server), call.memoryMB)
	}
	c.must(b, "light")
	return c
}

// deployBoth deploys a function for calls that end at their deadline and for long ones.
func (c *callers) deployBoth(name, source string, memoryMB int) {
	for kind, timeout := range map[string]time.Duration{"late-": lateTimeout, "long-": time.Hour} {
		spec := catalog.VersionSpec{MemoryMB: memoryMB, Timeout: timeout, MaxInstances: c.count, AllowNet: "127.0.0.1"}
		c.deploy(kind+name, source, spec).Tenant = "calling"
	}
}

// overshoot returns what is computed for a call after its deadline.
func (c *callers) overshoot(b *testing.B, name string) time.Duration {
	if _, err := c.raw("late-"+name, prepare); err != nil {
		b.Fatal(name, err)
	}
	at := make(chan time.Duration, 1)
	time.AfterFunc(lateTimeout, func() { at <- processorTime(b) })
	_, err := c.raw("late-"+name, loop)
	end := processorTime(b)
	if fe, ok := errors.AsType[*fault.FunctionError](err); !ok || !fe.TimedOut {
		b.Fatal(name, err)
	}
	return end - <-at
}

// beside measures calls beside the callers.
func (c *callers) beside(b *testing.B, name string, calls *timings) {
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for range c.count {
		wg.Go(func() {
			_, _ = c.rawContext(ctx, "long-"+name, prepare)
			_, _ = c.rawContext(ctx, "long-"+name, makeThem)
		})
	}
	time.Sleep(500 * time.Millisecond)
	for start := time.Now(); time.Since(start) < 700*time.Millisecond; time.Sleep(2 * time.Millisecond) {
		calls.time(func() { c.must(b, "light") })
	}
	stop()
	wg.Wait()
}

// BenchmarkHostCalls measures what each kind of host call does to others, beside
// what loops do to them, and how much is computed for it after its deadline.
func BenchmarkHostCalls(b *testing.B) {
	count := 2 * runtime.GOMAXPROCS(0)
	alone := newCallers(b, count, "")
	for _, name := range slices.Sorted(maps.Keys(hostCalls)) {
		b.Run(name, func(b *testing.B) {
			c := alone
			if strings.Contains(hostCalls[name].source, "PEER") {
				c = newCallers(b, count, startPeer(b))
			}
			var late time.Duration
			var calling, looping timings
			for b.Loop() {
				late = max(late, c.overshoot(b, name))
				for range 5 { // in turns, for the machine has its moods
					c.beside(b, name, &calling)
					c.beside(b, "loop", &looping)
				}
			}
			b.ReportMetric(float64(late)/1e6, "late-cpu-ms")
			b.ReportMetric(calling.quantile(0.99)/looping.quantile(0.99), "times-loops")
			b.ReportMetric(calling.quantile(0.99), "p99-ms")
			b.ReportMetric(calling.quantile(0.5)/looping.quantile(0.5), "p50-times-loops")
		})
	}
}
