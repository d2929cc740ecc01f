package run

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/roomtest"
	"vivarium/wasm"
)

// The benchmarks report medians and percentiles of single calls, each beside
// a reference taken in turns with it, since a machine's speed drifts. `go tool
// task bench` runs them and prints the table.

// timings are durations of one kind of operation.
type timings []time.Duration

func (t *timings) time(f func()) {
	start := time.Now()
	f()
	*t = append(*t, time.Since(start))
}

// quantile returns the duration that a share q of all do not exceed, in
// milliseconds.
func (t timings) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(t))
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]) / 1e6
}

// report reports the median and the 99th percentile under a name.
func (t timings) report(b *testing.B, name string) {
	b.ReportMetric(t.quantile(0.5), name+"p50-ms")
	b.ReportMetric(t.quantile(0.99), name+"p99-ms")
}

// nativePython returns the path of the machine's own Python: of the interpreter,
// not of a script that looks for it.
func nativePython(b *testing.B) string {
	path, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(path))
}

const smallModule = `
import json
def handler(event, context):
    return {'statusCode': 200, 'body': json.dumps({'got': event})}
`

const twentyImports = `
import argparse, bisect, calendar, configparser, copy, csv, dataclasses, decimal, difflib, enum, fractions, hashlib
import heapq, html, pprint, re, shlex, statistics, string, textwrap, urllib.parse, uuid, zipfile
` + smallModule

// coldCalls measures calls that each need an instance of their own, with some
// time between them, as there is between the cold calls of a real day.
func coldCalls(b *testing.B, h *testHost, name string, reference bool) {
	h.must(b, name)
	var calls, native timings
	python := nativePython(b)
	for b.Loop() {
		calls.time(func() { h.must(b, name) })
		if reference {
			native.time(func() {
				if err := exec.Command(python, "-I", "-S", "-c", "pass").Run(); err != nil {
					b.Fatal(err)
				}
			})
		}
		time.Sleep(3 * time.Millisecond)
	}
	calls.report(b, "")
	if reference {
		b.ReportMetric(native.quantile(0.5), "python-p50-ms")
		b.ReportMetric(calls.quantile(0.5)/native.quantile(0.5), "of-python")
	}
}

// must calls a function and fails the benchmark when that fails.
func (h *testHost) must(b *testing.B, name string) {
	if _, err := h.raw(name, `{"n":1}`); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkColdStart(b *testing.B) {
	h := newTestHost(b, testConfig{MaxCalls: 1})
	h.deploy("importing", smallModule, catalog.VersionSpec{NoFreeze: true})
	h.deploy("frozen", smallModule, catalog.VersionSpec{})
	h.deploy("frozen-20-imports", twentyImports, catalog.VersionSpec{})
	b.Run("Importing", func(b *testing.B) { coldCalls(b, h, "importing", true) })
	b.Run("Frozen", func(b *testing.B) { coldCalls(b, h, "frozen", true) })
	b.Run("Frozen20Imports", func(b *testing.B) { coldCalls(b, h, "frozen-20-imports", true) })
	b.Run("BackToBack", func(b *testing.B) {
		h.must(b, "frozen")
		var calls timings
		for b.Loop() {
			calls.time(func() { h.must(b, "frozen") })
		}
		calls.report(b, "")
	})
}

func BenchmarkWarmCall(b *testing.B) {
	h := newTestHost(b, testConfig{})
	h.deploy("warm", smallModule, catalog.VersionSpec{})
	h.must(b, "warm")
	var calls timings
	for b.Loop() {
		calls.time(func() { h.must(b, "warm") })
	}
	calls.report(b, "")
}

// BenchmarkDeploy measures from the deploy of a small function to its first
// answer.
func BenchmarkDeploy(b *testing.B) {
	h := newTestHost(b, testConfig{})
	var calls timings
	for b.Loop() {
		calls.time(func() {
			h.deploy("fresh", smallModule, catalog.VersionSpec{})
			h.must(b, "fresh")
		})
		time.Sleep(400 * time.Millisecond) // the next interpreter boots meanwhile
		h.Retire()
	}
	calls.report(b, "")
}

// privateMemory returns the bytes that this process shares with nobody.
func privateMemory(b *testing.B) int64 {
	runtime.GC()
	rollup, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		b.Skip("this system does not tell a process's private memory")
	}
	var total int64
	for line := range bytes.Lines(rollup) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && bytes.HasPrefix(fields[0], []byte("Private_")) {
			kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += kib << 10
		}
	}
	return total
}

// BenchmarkIdleInstances measures what a thousand live instances cost after a
// few calls each.
func BenchmarkIdleInstances(b *testing.B) {
	const instances, calls = 1000, 3
	for b.Loop() {
		h := newTestHost(b, testConfig{})
		v := h.deploy("many", smallModule, catalog.VersionSpec{MaxInstances: instances})
		h.must(b, "many")
		before := privateMemory(b)
		held := make([]*instance, 0, instances)
		for range instances {
			in, err := h.version(v.ID).pool.acquire(b.Context(), time.Now().Add(time.Minute))
			if err != nil {
				b.Fatal(err)
			}
			held = append(held, in)
			for range calls {
				c := &call{r: h.Runner, v: h.version(v.ID), result: &Result{Version: v},
					log:      logs.NewCall(v.LogSource(""), func(logs.Entry) {}),
					deadline: time.Now().Add(time.Minute), inv: Invocation{RequestID: "r", Raw: true, Body: []byte("1")}}
				if err := c.serve(b.Context(), in); err != nil {
					b.Fatal(err)
				}
				in.calls++
			}
		}
		b.ReportMetric(float64(privateMemory(b)-before)/instances/(1<<20), "MiB/instance")
		for _, in := range held {
			h.version(v.ID).pool.release(in)
		}
		h.Close()
	}
}

// hogs are functions that compute, or sleep, without end.
var hogs = map[string]string{
	"python-loop": "def handler(e, c):\n    while True: pass\n",
	"bignum":      "def handler(e, c):\n    x = 3 ** 20000\n    while True: y = x * x\n",
	"regex":       "import re\ndef handler(e, c):\n    while True: re.match(r'(a|a)*b', 'a' * 40)\n",
	"sleep":       "import time\ndef handler(e, c):\n    time.sleep(3600)\n",
	"sorted":      "def handler(e, c):\n    x = list(range(300000, 0, -1))\n    while True: sorted(x, key=lambda v: v % 1000)\n",
	"replace":     "def handler(e, c):\n    x = 'ab' * 5000000\n    while True: x.replace('a', 'ccc')\n",
	"json":        "import json\ndef handler(e, c):\n    x = [[i] for i in range(50000)]\n    while True: json.loads(json.dumps(x))\n",
	"random":      "import os\ndef handler(e, c):\n    while True: os.urandom(8 << 20)\n",
}

// BenchmarkDeadlineOvershoot runs all hogs at once and measures how late they
// are stopped.
func BenchmarkDeadlineOvershoot(b *testing.B) {
	h := newTestHost(b, testConfig{})
	const timeout = 500 * time.Millisecond
	for name, source := range hogs {
		h.deploy("hog-"+name, source, catalog.VersionSpec{Timeout: timeout})
		_, _ = h.raw("hog-"+name, "") // builds the image
	}
	var mu sync.Mutex
	var late timings
	for b.Loop() {
		var wg sync.WaitGroup
		for name := range hogs {
			wg.Go(func() {
				start := time.Now()
				_, err := h.raw("hog-"+name, "")
				took := time.Since(start)
				if fe, ok := errors.AsType[*fault.FunctionError](err); !ok || !fe.TimedOut {
					b.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				late = append(late, took-timeout)
			})
		}
		wg.Wait()
	}
	late.report(b, "")
	b.ReportMetric(late.quantile(1), "max-ms")
}

// BenchmarkNeighbour measures a light function while another tenant spins on
// every processor, and the same alone.
func BenchmarkNeighbour(b *testing.B) {
	h := newTestHost(b, testConfig{})
	h.deploy("light", smallModule, catalog.VersionSpec{})
	spin := h.deploy("spinner", hogs["python-loop"], catalog.VersionSpec{Timeout: time.Hour, MaxInstances: 100})
	spin.Tenant = "spinning"
	h.must(b, "light")
	var alone timings
	for range 200 {
		alone.time(func() { h.must(b, "light") })
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() { _, _ = h.rawContext(ctx, "spinner", "") })
	}
	roomtest.Until(b, "all hogs compete", func() bool { return h.scheduler.competitors() == 2*runtime.GOMAXPROCS(0) })
	var beside timings
	for b.Loop() {
		beside.time(func() { h.must(b, "light") })
		time.Sleep(2 * time.Millisecond)
	}
	stop()
	wg.Wait()
	alone.report(b, "alone-")
	beside.report(b, "")
}

// computing are programs that only compute; each runs for some 50 ms.
var computing = map[string]string{
	"fib": "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\ndef run(): return fib(21)\n",
	"nbody": `
def run():
    bodies = [[float(i), i * 0.5, i * 0.25, 0.1, 0.2, 0.3, 1.0 + i] for i in range(5)]
    for _ in range(600):
        for i, a in enumerate(bodies):
            for b in bodies[i + 1:]:
                dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
                mag = 0.01 / ((dx * dx + dy * dy + dz * dz + 0.01) ** 1.5)
                a[3] -= dx * b[6] * mag; a[4] -= dy * b[6] * mag; a[5] -= dz * b[6] * mag
                b[3] += dx * a[6] * mag; b[4] += dy * a[6] * mag; b[5] += dz * a[6] * mag
        for a in bodies:
            a[0] += 0.01 * a[3]; a[1] += 0.01 * a[4]; a[2] += 0.01 * a[5]
    return int(bodies[0][0] * 1000)
`,
	"dicts": `
def run():
    d = {}
    for i in range(60000):
        k = 'k%d' % (i % 5000)
        d[k] = d.get(k, 0) + i
    return len(d)
`,
	"json": `
import json
def run():
    x = [{'id': i, 'name': 'n%d' % i, 'tags': ['a', 'b'], 'v': i / 3} for i in range(1500)]
    for _ in range(3): y = json.loads(json.dumps(x))
    return len(y)
`,
	"sort": `
def run():
    x = [(i * 7919) % 100003 for i in range(40000)]
    return sorted(x)[5] + len(sorted(x, key=lambda v: -v))
`,
	"text": `
import re
def run():
    s = ' '.join('word%d' % (i % 997) for i in range(20000))
    return len(re.findall(r'd(\d+)', s)) + len(s.upper().split()) + s.count('9')
`,
}

// BenchmarkCompute compares the guest as it runs here with one that is not
// interruptible at all, and with one that is by wazero's own means.
func BenchmarkCompute(b *testing.B) {
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	kinds := []string{"", "free", "wazero"}
	hosts := map[string]*testHost{}
	for _, kind := range kinds {
		var cfg testConfig
		if kind != "" {
			cfg.Engines, err = NewEngines(b.Context(), "", wasm.Config{
				CacheDir: filepath.Join(cache, "vivarium", "wasm"), Uninterruptible: kind == "free", CloseOnDone: kind == "wazero",
			})
			if err != nil {
				b.Fatal(err)
			}
			defer cfg.Engines.Close(b.Context())
		}
		h := newTestHost(b, cfg)
		for name, source := range computing {
			h.deploy("compute-"+name, source+"def handler(e, c): return run()\n", catalog.VersionSpec{Timeout: time.Minute})
			h.must(b, "compute-"+name)
		}
		hosts[kind] = h
	}
	for name := range computing {
		b.Run(name, func(b *testing.B) {
			took := map[string]*timings{}
			for _, kind := range kinds {
				took[kind] = &timings{}
			}
			for b.Loop() {
				for _, kind := range kinds {
					took[kind].time(func() { hosts[kind].must(b, "compute-"+name) })
				}
			}
			ours := took[""].quantile(0.5)
			b.ReportMetric(ours, "p50-ms")
			b.ReportMetric(took["free"].quantile(0.5)/ours, "of-uninterruptible")
			b.ReportMetric(took["wazero"].quantile(0.5)/ours, "times-wazero")
		})
	}
}
