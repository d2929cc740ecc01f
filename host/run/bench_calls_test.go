package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// hostCalls are functions that have the host work for them, in calls that are as
// long as can be.
var hostCalls = map[string]struct {
	memoryMB int
	source   string // what it does again and again, after the first lines
}{
	"empty-lines":  {256, "B = b'\\n' * 100_000_000\n---\nos.write(1, B)"},
	"long-lines":   {256, "L = json.dumps({'message': 'm', **{f'k{i}': i for i in range(3800)}}).encode()[:65000] + b'\\n'\nB = L * 240\n---\nos.write(1, B)"},
	"short-lines":  {256, "B = b'{\"message\":\"\",\"a\":1}\\n' * 800_000\n---\nos.write(1, B)"},
	"write-file":   {384, "B = bytearray(200_000_000)\nF = os.open('/tmp/f', os.O_RDWR | os.O_CREAT)\n---\nos.pwrite(F, B, 0)\nos.ftruncate(F, 0)"},
	"read-file":    {384, "B = bytearray(200_000_000)\nF = open('/tmp/f', 'w+b', 0)\nF.truncate(len(B))\n---\nF.seek(0)\nF.readinto(B)"},
	"random":       {512, "---\nos.urandom(200_000_000)"},
	"list-folder":  {128, "for n in range(9000): open(f'/tmp/{n}', 'w').close()\n---\nos.listdir('/tmp')"},
	"hand-over":    {256, "import _vivarium\nB = bytes(16 << 20)\n---\n_vivarium.respond(0, B)"},
	"grow-and-cut": {128, "F = os.open('/tmp/f', os.O_RDWR | os.O_CREAT)\n---\nos.ftruncate(F, 500_000_000)\nos.ftruncate(F, 0)"},
}

// hostCallSource returns a module whose handler prepares itself in its first call
// and makes host calls without end in all others.
func hostCallSource(source string) string {
	prepare, again, _ := strings.Cut(source, "---\n")
	indent := func(text, by string) string { return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by) }
	return "import os, sys, json\nsys.path.insert(0, '/function/runtime')\nready = False\ndef handler(event, context):\n" +
		"    global ready, B, F, L, _vivarium\n    if not ready:\n        ready = True\n" + indent(prepare+"\npass", "        ") +
		"\n        return\n    while True:\n" + indent(again, "        ") + "\n"
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

// BenchmarkHostCalls measures what long host calls do to others, beside what
// loops do to them, and how much is computed for such a call after its deadline.
func BenchmarkHostCalls(b *testing.B) {
	h := newTestHost(b, testConfig{})
	const timeout = 700 * time.Millisecond
	callers := 2 * runtime.GOMAXPROCS(0)
	h.deploy("light", smallModule, catalog.VersionSpec{})
	deploy := func(name, source string, memoryMB int) {
		for kind, timeout := range map[string]time.Duration{"late-": timeout, "long-": time.Hour} {
			h.deploy(kind+name, source, catalog.VersionSpec{MemoryMB: memoryMB, Timeout: timeout, MaxInstances: callers}).Tenant = "calling"
		}
	}
	deploy("loop", "def handler(event, context):\n    while event: pass\n", 128)
	for name, c := range hostCalls {
		deploy(name, hostCallSource(c.source), c.memoryMB)
	}
	h.must(b, "light")

	overshoot := func(name string) time.Duration {
		if _, err := h.raw("late-"+name, "0"); err != nil {
			b.Fatal(name, err)
		}
		at := make(chan time.Duration, 1)
		time.AfterFunc(timeout, func() { at <- processorTime(b) })
		_, err := h.raw("late-"+name, "1")
		end := processorTime(b)
		if fe, ok := errors.AsType[*fault.FunctionError](err); !ok || !fe.TimedOut {
			b.Fatal(name, err)
		}
		return end - <-at
	}
	beside := func(name string) float64 {
		ctx, stop := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				_, _ = h.rawContext(ctx, "long-"+name, "0")
				_, _ = h.rawContext(ctx, "long-"+name, "1")
			})
		}
		time.Sleep(500 * time.Millisecond)
		var calls timings
		for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(2 * time.Millisecond) {
			calls.time(func() { h.must(b, "light") })
		}
		stop()
		wg.Wait()
		return calls.quantile(0.99)
	}
	for b.Loop() {
		var late time.Duration
		worst := 0.0
		for name := range hostCalls {
			over, ratio := overshoot(name), beside(name)/beside("loop")
			b.Logf("%s: %v computed after the deadline; a neighbour's p99 is %.2f times that beside loops", name, over, ratio)
			late, worst = max(late, over), max(worst, ratio)
		}
		b.ReportMetric(float64(late)/1e6, "late-cpu-ms")
		b.ReportMetric(worst, "times-loops")
	}
}
