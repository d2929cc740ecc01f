package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/wasm"
)

const counter = `
n = 0
def handler(event, context):
    global n
    n += 1
    return n
`

func TestInvoke_GlobalsPersistOnOneInstance(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("counter", counter, catalog.VersionSpec{})
	for n := 1; n <= 3; n++ {
		h.want("counter", "", fmt.Sprint(n))
	}
}

func TestInvoke_ConcurrentCallsGetInstancesOfTheirOwn(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("sleeper", `
import time
n = 0
def handler(event, context):
    global n
    n += 1
    time.sleep(0.3)
    return n
`, catalog.VersionSpec{MaxInstances: 4})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { h.want("sleeper", "", "1") })
	}
	wg.Wait()
	v := h.versions["sleeper"]
	if idle, live, _ := h.instances(v); idle != 4 || live != 4 {
		t.Errorf("got %d idle of %d instances, want 4 of 4", idle, live)
	}
}

func TestInvoke_WaitsAtTheLimitAndRefusesAFullQueue(t *testing.T) {
	h := newTestHost(t, testConfig{MaxQueue: 2})
	v := h.deploy("slow", `
import time
def handler(event, context):
    time.sleep(event)
    return "done"
`, catalog.VersionSpec{MaxInstances: 1, Timeout: 20 * time.Second})
	h.want("slow", "0", `"done"`)
	var done sync.WaitGroup
	for range 3 { // one runs, two wait
		done.Go(func() { h.want("slow", "0.5", `"done"`) })
	}
	roomtest.Until(t, "two calls wait", func() bool { _, _, waiting := h.instances(v); return waiting == 2 })
	if _, err := h.raw("slow", "0"); !errors.Is(err, fault.ErrBusy) {
		t.Errorf("queue is full: got %v, want %v", err, fault.ErrBusy)
	}
	done.Wait()
	if len(h.log("Code: 429")) != 1 {
		t.Errorf("the refused call is not in the log: %q", h.log("ERROR"))
	}
	h.want("slow", "0", `"done"`)
}

func TestInvoke_RefusesAWaitThatPassesTheDeadline(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("slow", "import time\ndef handler(e, c):\n    time.sleep(e)\n", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Second})
	h.want("slow", "0", "null")
	var wg sync.WaitGroup
	wg.Go(func() { h.want("slow", "0.8", "null") })
	roomtest.Until(t, "the instance is busy", func() bool { idle, _, _ := h.instances(h.versions["slow"]); return idle == 0 })
	_, err := h.Invoke(t.Context(), h.versions["slow"], Invocation{RequestID: "r", Raw: true, Body: []byte("0"),
		Received: time.Now().Add(-900 * time.Millisecond)})
	if !errors.Is(err, fault.ErrBusy) {
		t.Errorf("got %v, want %v", err, fault.ErrBusy)
	}
	wg.Wait()
}

// After each of these faults, the next call to the same function works.
func TestInvoke_FaultsAreTheFunctionsAndLoseNothing(t *testing.T) {
	const source = `
import os, sys, time
def handler(event, context):
    match event:
        case "raise": raise KeyError("schlüssel")
        case "loop":
            while True: pass
        case "sleep": time.sleep(3600)
        case "recurse":
            def f(n): return f(n + 1)
            return f(0)
        case "exit": sys.exit(3)
        case "_exit": os._exit(4)
        case "abort": os.abort()
        case "memory": return len(bytearray(1 << 30))
        case "unserializable": return {1, 2}
        case "print":
            for _ in range(2_000): print("x" * 1023)
        case "catch":
            try: bytearray(1 << 30)
            except MemoryError: return "caught"
    return "fine"
`
	h := newTestHost(t, testConfig{})
	h.deploy("faulty", source, catalog.VersionSpec{Timeout: 2 * time.Second})
	for _, c := range []struct{ event, errorType, message string }{
		{"raise", "KeyError", "'schlüssel'"},
		{"loop", "ExecutionTimeout", "Execution timeout exceeded: 2000 ms"},
		{"sleep", "ExecutionTimeout", "Execution timeout exceeded: 2000 ms"},
		{"recurse", "RecursionError", "maximum recursion depth exceeded"},
		{"exit", "SystemExit", "3"},
		{"_exit", "RuntimeExit", "4"},
		{"abort", "RuntimeExit", ""},
		{"memory", "MemoryError", ""},
		{"unserializable", "TypeError", "not JSON serializable"},
	} {
		fe := h.wantFault("faulty", `"`+c.event+`"`, c.errorType)
		if !strings.Contains(fe.Message, c.message) {
			t.Errorf("%s: message %q, want it to have %q", c.event, fe.Message, c.message)
		}
		h.want("faulty", `"ok"`, `"fine"`)
	}
	h.want("faulty", `"catch"`, `"caught"`)
	h.want("faulty", `"print"`, `"fine"`)
	if n := len(h.log("xxxx")); n != 2_000 {
		t.Errorf("%d lines in the log, want 2000", n)
	}
}

func TestInvoke_ReportsALoadErrorOnEachCall(t *testing.T) {
	h := newTestHost(t, testConfig{})
	for name, c := range map[string]struct {
		files      fstest.MapFS
		entrypoint string
		errorType  string
	}{
		"no-module":     {fstest.MapFS{}, "main.handler", "ModuleNotFoundError"},
		"no-handler":    {fstest.MapFS{"main.py": {Data: []byte("x = 1\n")}}, "main.handler", "HandlerNotFound"},
		"no-callable":   {fstest.MapFS{"main.py": {Data: []byte("handler = 1\n")}}, "main.handler", "HandlerNotFound"},
		"no-dot":        {fstest.MapFS{"main.py": {Data: []byte("x = 1\n")}}, "main", "HandlerNotFound"},
		"syntax":        {fstest.MapFS{"main.py": {Data: []byte("def handler(\n")}}, "main.handler", "SyntaxError"},
		"import-raises": {fstest.MapFS{"main.py": {Data: []byte("1 / 0\n")}}, "main.handler", "ZeroDivisionError"},
	} {
		h.deployFiles(name, c.files, catalog.VersionSpec{Entrypoint: c.entrypoint})
		for range 2 {
			h.wantFault(name, "", c.errorType)
		}
	}
	h.deploy("import-loops", "while True: pass\n", catalog.VersionSpec{Timeout: 300 * time.Millisecond})
	h.wantFault("import-loops", "", "ExecutionTimeout")
}

func TestInvoke_EndsWhenTheCallerGoes(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("slow", "import time\ndef handler(e, c):\n    time.sleep(e)\n", catalog.VersionSpec{Timeout: time.Minute})
	h.want("slow", "0", "null")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := h.rawContext(ctx, "slow", "60"); !errors.Is(err, fault.ErrCancelled) {
		t.Errorf("got %v, want %v", err, fault.ErrCancelled)
	}
	if len(h.log("Code: 499 Message: Request cancelled")) != 1 {
		t.Errorf("log: %q", h.log("ERROR"))
	}
	h.want("slow", "0", "null")
}

func TestDeploy_NewVersionServesNewCallsOldOneDrains(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("fun", "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'old'\n", catalog.VersionSpec{})
	h.want("fun", "0", `"old"`)
	var wg sync.WaitGroup
	wg.Go(func() { h.want("fun", "0.5", `"old"`) })
	v := h.versions["fun"]
	roomtest.Until(t, "the instance is busy", func() bool { idle, _, _ := h.instances(v); return idle == 0 })
	h.deploy("fun", "def handler(e, c):\n    return 'new'\n", catalog.VersionSpec{})
	h.want("fun", "0", `"new"`)
	h.Retire()
	if _, live, _ := h.instances(v); live != 0 {
		t.Errorf("%d instances of the old version live after Retire", live)
	}
	wg.Wait()
	if _, err := h.Invoke(t.Context(), v, Invocation{Raw: true, Received: time.Now()}); err != ErrRetired {
		t.Errorf("a call of the old version: got %v, want ErrRetired", err)
	}
}

// What an import drew or read, each instance must have drawn or read itself.
func TestImage_FreezesAnImportOnlyWhenThatIsSafe(t *testing.T) {
	h := newTestHost(t, testConfig{MaxCalls: 1}) // each call on an instance of its own
	for name, c := range map[string]struct{ source, why string }{
		"pure":      {"import re, decimal, dataclasses, uuid, random\nX = 1\n", ""},
		"urandom":   {"import os\nX = os.urandom(4).hex()\n", "drew randomness"},
		"random":    {"import random\nX = random.random()\n", "random"},
		"generator": {"import random\nX = random.Random().random()\n", "random"},
		"many":      {"import random\nR = [random.Random() for _ in range(65)]\nX = R[64].random()\n", "drew randomness"},
		"uuid":      {"import uuid\nX = str(uuid.uuid4())\n", "drew randomness"},
		"clock":     {"import time\nX = time.time()\n", "read the wall clock"},
		"monotonic": {"import time\nX = time.monotonic_ns()\n", "read the monotonic clock"},
		"stopwatch": {"import time\nX = time.perf_counter_ns()\n", "read the monotonic clock"},
		"cpu-clock": {"import time\nX = time.process_time_ns()\n", "read its CPU time"},
		"sqlite": {"import sqlite3\nX = sqlite3.connect(':memory:').execute('select random()').fetchone()[0]\n",
			"drew randomness"},
		"database":   {"import sqlite3\nD = sqlite3.connect(':memory:')\nX = D.execute('select 1').fetchone()[0]\n", ""},
		"datetime":   {"import datetime\nX = str(datetime.datetime.now())\n", "read the wall clock"},
		"tmp-date":   {"import os\nX = int(os.stat('/tmp').st_mtime < 1e9)\n", ""},
		"writes":     {"open('/tmp/x', 'w').write('x')\nX = 1\n", "wrote a file"},
		"leaves":     {"X = 1\nf = open('/function/code/main.py')\n", "left a file open"},
		"sleeps":     {"import time\ntime.sleep(0.01)\nX = 1\n", "slept"},
		"turned-off": {"X = 1\n", "turned off"},
	} {
		v := h.deploy("freeze-"+name, c.source+"def handler(event, context): return X\n", catalog.VersionSpec{NoFreeze: name == "turned-off"})
		one, err := h.raw("freeze-"+name, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		two, err := h.raw("freeze-"+name, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if drawn := one != "1"; drawn == (one == two) {
			t.Errorf("%s: two instances computed %s and %s", name, one, two)
		}
		image, _, err := h.version(v.ID).pool.image.get(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		said := len(h.log("Version: "+v.ID+" Each instance imports the module itself")) == 1
		if want := c.why != "" && name != "turned-off"; said != want {
			t.Errorf("%s: the log says why: %v, want %v", name, said, want)
		}
		if loaded := c.why == ""; image.Loaded != loaded || !strings.Contains(strings.Join(image.Why, ", "), c.why) {
			t.Errorf("%s: loaded %v because %q, want %v because %q", name, image.Loaded, image.Why, loaded, c.why)
		}
	}
}

func TestImage_InstancesDrawRandomnessOfTheirOwn(t *testing.T) {
	h := newTestHost(t, testConfig{MaxCalls: 1})
	h.deploy("dice", `
import email.generator, email.utils, os, random, secrets, sqlite3, tempfile, uuid
own = random.Random()
db = sqlite3.connect(":memory:")
db.execute("create table big(id integer primary key)")
db.execute("insert into big values (9223372036854775807)")  # the next row's number is drawn
def handler(event, context):
    row = db.execute("insert into big default values").lastrowid
    return [
        random.random(), own.random(), random.Random().random(), secrets.token_hex(8), os.urandom(8).hex(),
        str(uuid.uuid4()), str(uuid.uuid1()), uuid.getnode(), next(tempfile._get_candidate_names()),
        os.path.basename(tempfile.mkdtemp()), email.utils.make_msgid(), email.generator._make_boundary(),
        row, db.execute("select random()").fetchone()[0], db.execute("select hex(randomblob(8))").fetchone()[0],
    ]
`, catalog.VersionSpec{})
	seen := map[string]bool{}
	for range 5 {
		got, err := h.raw("dice", "")
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(strings.Trim(got, "[]"), ", ") {
			if seen[part] {
				t.Errorf("%s was drawn twice", part)
			}
			seen[part] = true
		}
	}
	h.deploy("hash", "def handler(event, context): return hash('x')\n", catalog.VersionSpec{})
	h.deploy("hash2", "def handler(event, context): return hash('x')\n", catalog.VersionSpec{})
	one, _ := h.raw("hash", "")
	again, _ := h.raw("hash", "")
	two, _ := h.raw("hash2", "")
	if one != again || one == two {
		t.Errorf("string hashes: %s and %s in one version, %s in another; want two alike and one not", one, again, two)
	}
}

func TestImage_OutputOfAFrozenImportIsLoggedPerInstance(t *testing.T) {
	h := newTestHost(t, testConfig{MaxCalls: 1})
	h.deploy("chatty", "print('importing')\ndef handler(event, context): return 1\n", catalog.VersionSpec{})
	h.want("chatty", "", "1")
	h.want("chatty", "", "1")
	if n := len(h.log("importing")); n != 2 {
		t.Errorf("logged %d times in two cold calls, want 2", n)
	}
}

func TestImage_IsReopenedAndRebuiltWhenDamaged(t *testing.T) {
	dir := t.TempDir()
	h := newTestHost(t, testConfig{ImageDir: dir})
	v := h.deploy("counter", counter, catalog.VersionSpec{})
	h.want("counter", "", "1")
	path := filepath.Join(dir, v.ID+".image")
	engine, err := testEngines.engine(t.Context(), v.Runtime)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []bool{false, true} {
		if damage {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.maker.openImage(engine, path, h.version(v.ID)); errors.Is(err, wasm.ErrImage) != damage {
			t.Errorf("damaged %v: open gives %v", damage, err)
		}
		image, err := h.maker.buildImage(t.Context(), h.version(v.ID))
		if err != nil || !image.Loaded {
			t.Fatalf("damaged %v: %+v, %v", damage, image, err)
		}
		_ = image.Close()
		if again, err := h.maker.openImage(engine, path, h.version(v.ID)); err != nil {
			t.Errorf("damaged %v: after building: %v", damage, err)
		} else {
			_ = again.Close()
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("image file: %v, %v, want mode 0600", info.Mode(), err)
	}
}

func TestImage_IsNotKeptWhereThereIsNoRoom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing") // a full disk can't be had here
	h := newTestHost(t, testConfig{ImageDir: dir})
	h.deploy("counter", counter, catalog.VersionSpec{})
	h.want("counter", "", "1")
}

func TestPool_KeepsInstancesReady(t *testing.T) {
	h := newTestHost(t, testConfig{IdleTimeout: 50 * time.Millisecond})
	for name, source := range map[string]string{"pure": counter, "impure": "import os\nX = os.urandom(1)\n" + counter} {
		v := h.deploy("ready-"+name, source, catalog.VersionSpec{MinInstances: 2})
		roomtest.Until(t, "two instances are ready", func() bool { idle, _, _ := h.instances(v); return idle == 2 })
		time.Sleep(100 * time.Millisecond) // longer than idle instances stay
		roomtest.Until(t, "two instances are still ready", func() bool { idle, _, _ := h.instances(v); return idle == 2 })
		h.want("ready-"+name, "", "1")
	}
}

func TestBudget_EvictsIdleInstancesThenRefuses(t *testing.T) {
	h := newTestHost(t, testConfig{MaxMemory: 3 * firstInstance})
	for n := range 4 {
		h.deploy(fmt.Sprintf("counter-%d", n), counter, catalog.VersionSpec{})
	}
	for n := range 4 { // the fourth needs the first one's place
		h.want(fmt.Sprintf("counter-%d", n), "", "1")
	}
	h.want("counter-3", "", "2")
	h.want("counter-0", "", "1") // has gone in between

	h.deploy("greedy", "def handler(event, context):\n    return len(bytearray(64 << 20))\n", catalog.VersionSpec{})
	h.wantFault("greedy", "", "MemoryError")
	if used := h.room.ledger.Total(quota.Memory); used > 3*firstInstance {
		t.Errorf("budget: %d bytes used of %d", used, 3*firstInstance)
	}
	h.reclaim()
	if used := h.room.ledger.Total(quota.Memory); used != 0 {
		t.Errorf("budget: %d bytes used by nobody", used)
	}
}

// TestHost_Hammer calls well-behaved and faulty functions from many goroutines
// while versions come and go. Each answer must be the right one.
func TestHost_Hammer(t *testing.T) {
	h := newTestHost(t, testConfig{MaxMemory: 256 << 20, IdleTimeout: 20 * time.Millisecond, MaxCalls: 7})
	const source = `
import sys
def handler(event, context):
    if event % 10 == 3: raise ValueError(event)
    if event % 10 == 7: sys.exit(event)
    return event
`
	for n := range 3 {
		h.deploy(fmt.Sprintf("fun-%d", n), source, catalog.VersionSpec{MaxInstances: 3, Timeout: time.Minute})
	}
	var wg sync.WaitGroup
	var busy atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			for n := range 40 {
				name, event := fmt.Sprintf("fun-%d", (g+n)%3), g*1000+n
				got, err := h.raw(name, fmt.Sprint(event))
				switch fe, ok := errors.AsType[*fault.FunctionError](err); {
				case errors.Is(err, fault.ErrBusy):
					busy.Add(1)
				case event%10 == 3:
					if !ok || fe.Type != "ValueError" || fe.Message != fmt.Sprint(event) {
						t.Errorf("event %d: got %s, %v", event, got, err)
					}
				case event%10 == 7:
					if !ok || fe.Type != "SystemExit" {
						t.Errorf("event %d: got %s, %v", event, got, err)
					}
				case err != nil || got != fmt.Sprint(event):
					t.Errorf("event %d: got %s, %v", event, got, err)
				}
			}
		})
	}
	for n := range 5 {
		time.Sleep(50 * time.Millisecond)
		name := fmt.Sprintf("fun-%d", n%3)
		h.deploy(name, source, catalog.VersionSpec{MaxInstances: 3, Timeout: time.Minute})
		h.Retire()
	}
	wg.Wait()
	t.Logf("%d of 320 calls were refused", busy.Load())
}
