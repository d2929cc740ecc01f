package host

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	rtmetrics "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// TestAttacks runs functions that attack. Each file below testdata/attacks is
// one of them: the promise that it tries to break, its code, its limits, and
// what must become of it. README.md there describes the format.
//
// While an attack is on, a function of another tenant must go on answering,
// correctly and soon. After it, the attacked function must answer its next call,
// and nothing that the attack took may still be held. One attack in five is
// made, fewer under the race detector, which slows Go's part of them down; all
// of them with -attacks.all: `go tool task torture`.
func TestAttacks(t *testing.T) {
	makeAttacks(t, 0, (*attackRange).run)
}

// makeAttacks makes those of all suites whose number leaves a rest when it is divided by
// attackStride, or all.
func makeAttacks(t *testing.T, rest int, attack func(*attackRange, *testing.T, *attack)) {
	for _, suite := range attackSuites(t) {
		if suite == archiveSuite {
			continue
		}
		t.Run(suite, func(t *testing.T) {
			r := newAttackRange(t)
			for n, a := range readAttacks(t, suite) {
				if *allAttacks || n%attackStride == rest {
					t.Run(a.name, func(t *testing.T) { attack(r, t, a) })
				}
			}
			r.close(t)
		})
	}
}

var allAttacks = flag.Bool("attacks.all", false, "make every attack of TestAttacks, which takes minutes")

// attackRoot has a folder for each suite.
const attackRoot = "testdata/attacks"

// archiveSuite is the suite of TestArchiveAttacks.
const archiveSuite = "archive"

// attackSuites returns the names of the suites.
func attackSuites(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(attackRoot)
	if err != nil {
		t.Fatal(err)
	}
	var suites []string
	for _, e := range entries {
		if e.IsDir() {
			suites = append(suites, e.Name())
		}
	}
	return suites
}

// attack is one attack, as its file describes it.
type attack struct {
	name    string
	promise string
	code    fstest.MapFS
	spec    catalog.VersionSpec
	event   string
	calls   int
	archive string // of the archive suite: what is in it

	// What must become of the last call.
	answer  string   // the answer, or what it must match; "" when it must fail
	errors  []string // the error type is one of these
	message string   // part of the error's message
	within  time.Duration
	heap    int64 // bytes that the host's heap may grow by meanwhile
	kept    int64 // bytes that the heap may hold more while the instance is idle
	entries int   // log entries that a call may have; 0 means any number
	log     []string
	refused string   // of the archive suite: part of the refusal
	next    []string // error types of the call after the attack; none when it must answer
	differ  string   // whose outcomes must all differ: "calls", or those of two "versions"
}

// Defaults of an attack.
const (
	attackTimeout = 20 * time.Second
	attackMargin  = 2 * time.Second // beyond its timeout; the machine may be busy
	attackHeap    = 96 << 20
)

func readAttacks(t *testing.T, suite string) []*attack {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(attackRoot, suite, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("suite %s has no attacks: %v", suite, err)
	}
	var attacks []*attack
	for _, file := range files {
		a, err := readAttack(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		attacks = append(attacks, a)
	}
	return attacks
}

func readAttack(path string) (*attack, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	a := &attack{
		name: strings.TrimSuffix(filepath.Base(path), ".txtar"), promise: strings.TrimSpace(string(archive.Comment)),
		code: fstest.MapFS{}, spec: catalog.VersionSpec{Timeout: attackTimeout, Entrypoint: "main.handler"},
		event: `"attack"`, calls: 1, heap: attackHeap,
	}
	if a.promise == "" {
		return nil, errors.New("names no promise")
	}
	for _, name := range []string{"main.py", "defence.py"} {
		source, err := os.ReadFile(filepath.Join(attackRoot, name))
		if err != nil {
			return nil, err
		}
		a.code[name] = &fstest.MapFile{Data: source}
	}
	for _, f := range archive.Files {
		switch f.Name {
		case "limits", "want":
			for line := range strings.Lines(string(f.Data)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				if err := a.set(name, value); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
		case "archive":
			a.archive = string(f.Data)
		default:
			a.code[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	if a.answer == "" && a.errors == nil && a.refused == "" && a.differ == "" {
		return nil, errors.New("wants nothing")
	}
	if a.within == 0 {
		a.within = time.Duration(a.calls)*a.spec.Timeout + attackMargin
	}
	return a, nil
}

// set takes one line of the sections limits and want.
func (a *attack) set(name, value string) (err error) {
	switch name {
	case "memory":
		a.spec.MemoryMB, err = strconv.Atoi(value)
	case "net":
		a.spec.AllowNet = value
	case "timeout":
		a.spec.Timeout, err = time.ParseDuration(value)
	case "event":
		a.event = value
		if repeat, ok := strings.CutPrefix(value, "repeat "); ok {
			count, text, _ := strings.Cut(repeat, " ")
			var n int
			n, err = strconv.Atoi(count)
			a.event = strings.Repeat(text, n)
		}
	case "calls":
		a.calls, err = strconv.Atoi(value)
	case "env":
		name, value, _ := strings.Cut(value, "=")
		a.spec.Environment = map[string]string{name: value}
	case "answer":
		a.answer = value
	case "error":
		a.errors = strings.Split(value, " or ")
	case "message":
		a.message = value
	case "within":
		a.within, err = time.ParseDuration(value)
	case "heap":
		a.heap, err = strconv.ParseInt(value, 10, 64)
		a.heap <<= 20
	case "kept":
		a.kept, err = strconv.ParseInt(value, 10, 64)
		a.kept <<= 20
	case "entries":
		a.entries, err = strconv.Atoi(value)
	case "log":
		a.log = append(a.log, value)
	case "refused":
		a.refused = value
	case "differ":
		a.differ = value
	case "next":
		a.next = strings.Split(value, " or ")
	default:
		err = errors.New("no such setting")
	}
	return err
}

// attackRange is the host on which the attacks of a suite run, with the
// neighbour that they must not disturb.
type attackRange struct {
	*testHost
	before  holdings
	secret  string
	logs    *attackLog
	world   attackWorld
	answers atomic.Int64 // of the neighbour
}

// attackLog counts the entries of calls and keeps the first few.
type attackLog struct {
	mu     sync.Mutex     // guards all below
	counts map[string]int // by request
	texts  map[string]string
}

const keptLog = 64 << 10 // bytes of a call's log

func (l *attackLog) add(e logs.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[e.RequestID]++
	text := l.texts[e.RequestID]
	if len(text) < keptLog || e.Level == logs.LevelWarn {
		l.texts[e.RequestID] = text + fmt.Sprintf("%s %.1000s %.1000s\n", e.Level, e.Message, e.Payload)
	}
}

const neighbourSource = `
import os, socket
SECRET = os.environ["SECRET"]
with open("/tmp/secret", "w") as f:
    f.write(SECRET)
kept = []
def handler(event, context):
    if not kept: # what others might find
        host, port = os.environ["WEB"].split(":")
        kept.extend([*socket.socketpair(), socket.create_connection((host, int(port)))])
    kept[2].getpeername()
    print(SECRET)
    with open("/tmp/secret") as f:
        assert f.read() == SECRET and os.listdir("/tmp") == ["secret"]
    return [event, sum(range(event % 1000)), len(SECRET)]
`

// newAttackRange starts a host with a neighbour that has a secret.
func newAttackRange(t *testing.T) *attackRange {
	r := &attackRange{secret: "neighbour-" + catalog.NewID(catalog.FunctionPrefix), world: newAttackWorld(t)}
	r.before = held(t)
	r.logs = &attackLog{counts: map[string]int{}, texts: map[string]string{}}
	ceiling, err := egress.ParsePolicy("public,localhost")
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(Config{Engines: testEngines, Logs: r.logs.add, Log: slog.New(slog.DiscardHandler), NetCeiling: ceiling})
	if err != nil {
		t.Fatal(err)
	}
	r.testHost = &testHost{Host: h, t: t}
	v := r.deploy("neighbour", neighbourSource, catalog.VersionSpec{
		Timeout: time.Minute, Environment: map[string]string{"SECRET": r.secret, "WEB": r.world["WEB"]}, MaxInstances: 2, AllowNet: r.world["WEB"],
	})
	v.Tenant = "neighbour"
	r.askNeighbour(t)
	return r
}

// askNeighbour calls the neighbour once.
func (r *attackRange) askNeighbour(t *testing.T) {
	n := r.answers.Add(1)
	m := n % 1000
	want := fmt.Sprintf("[%d, %d, %d]", n, m*(m-1)/2, len(r.secret))
	start := time.Now()
	if got, err := r.raw("neighbour", fmt.Sprint(n)); err != nil || got != want {
		t.Errorf("the neighbour: got %s, %v, want %s", got, err, want)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the neighbour waited %v for its answer", took)
	}
}

// run makes an attack and looks at what it did.
func (r *attackRange) run(t *testing.T, a *attack) {
	r.t = t
	a.spec.AllowNet, a.spec.Environment = r.world.in(a.spec.AllowNet), maps.Clone(a.spec.Environment)
	if a.spec.Environment == nil {
		a.spec.Environment = map[string]string{}
	}
	maps.Copy(a.spec.Environment, r.world)
	v := r.deployFiles("attacker", a.code, a.spec)
	v.Tenant = "attacker"

	runtime.GC()
	before := heapSize()
	var got string
	var err error
	var outcomes []string
	took, grown := r.watch(t, a.heap, func() {
		for n := range a.calls {
			if n > 0 && a.differ == "versions" {
				_ = r.Catalog().Retire(t.Context(), access.Operator, "attacker")
				r.deployFiles("attacker", a.code, a.spec).Tenant = "attacker"
			}
			got, err = r.raw("attacker", a.event)
			outcomes = append(outcomes, fmt.Sprint(got, err))
			_, ok := errors.AsType[*fault.FunctionError](err)
			if err != nil && !ok {
				t.Errorf("the attack made the platform fail: %v", err)
			}
		}
	})

	a.judge(t, got, err)
	slices.Sort(outcomes)
	if distinct := slices.Compact(slices.Clone(outcomes)); a.differ != "" && len(distinct) < len(outcomes) {
		t.Errorf("the outcomes of calls: got %q, want no two alike", outcomes)
	}
	checkUse(t, a, took, grown, a.heap)
	r.checkLog(t, a, got, err)
	r.checkNextCall(t, a)
	r.askNeighbour(t)
	runtime.GC()
	if kept := heapSize() - before; a.kept > 0 && kept > a.kept {
		t.Errorf("the idle instance keeps %d MiB of the host's heap, want at most %d", kept>>20, a.kept>>20)
	}
	r.checkDrained(t)
	_ = r.Catalog().Retire(t.Context(), access.Operator, "attacker")
	if t.Failed() {
		t.Logf("promise: %s\ntook %v, heap %d MiB", a.promise, took, grown>>20)
	}
}

// judge compares what became of the attack with what must.
func (a *attack) judge(t *testing.T, got string, err error) {
	switch fe, _ := errors.AsType[*fault.FunctionError](err); {
	case a.answer != "" && (err != nil || got != a.answer):
		t.Errorf("the attack: got %.2000s, %.2000v, want %s", got, err, a.answer)
	case a.answer != "" || a.errors == nil && err == nil: // and the latter differ
	case fe == nil || !slices.Contains(a.errors, fe.Type):
		t.Errorf("the attack: got %.2000s, %.2000v, want an error %v", got, err, a.errors)
	case !strings.Contains(fe.Message, a.message):
		t.Errorf("the attack: got message %.2000q, want one with %q", fe.Message, a.message)
	}
}

// checkLog looks for too much of a log, and for what is not the attacker's.
func (r *attackRange) checkLog(t *testing.T, a *attack, got string, err error) {
	r.logs.mu.Lock()
	defer r.logs.mu.Unlock()
	v, _ := r.Resolve(access.Operator, "attacker", "")
	all := fmt.Sprint(got, err)
	for id, text := range r.logs.texts {
		if !strings.Contains(text, v.ID) {
			continue // the neighbour's
		}
		if n := r.logs.counts[id]; a.entries > 0 && n > a.entries {
			t.Errorf("the attack wrote %d log entries, want at most %d", n, a.entries)
		}
		all += text
	}
	if strings.Contains(all, r.secret) {
		t.Error("the attack has learnt the neighbour's secret")
	}
	for _, part := range a.log {
		if !strings.Contains(all, part) {
			t.Errorf("log: got %.4000s, want something with %q", all, part)
		}
	}
	clear(r.logs.texts)
	clear(r.logs.counts)
}

// checkNextCall wants the attacked function to be there for its next caller.
func (r *attackRange) checkNextCall(t *testing.T, a *attack) {
	got, err := r.raw("attacker", `"well"`)
	switch fe, ok := errors.AsType[*fault.FunctionError](err); {
	case len(a.next) == 0 && (err != nil || got != `"well"`):
		t.Errorf("the call after the attack: got %.2000s, %.2000v, want %q", got, err, "well")
	case len(a.next) > 0 && (!ok || !slices.Contains(a.next, fe.Type)):
		t.Errorf("the call after the attack: got %.2000s, %.2000v, want an error %v", got, err, a.next)
	}
}

// checkDrained closes all instances and wants nothing to be left of them.
func (r *attackRange) checkDrained(t *testing.T) {
	roomtest.Until(t, "all memory is given back", func() bool {
		r.reclaim()
		return r.ledger.Total(quota.Memory) == 0
	})
}

// close ends the host and compares what the process holds with what it held.
func (r *attackRange) close(t *testing.T) {
	r.Host.Close()
	var after holdings
	for range 100 {
		if after = held(t); after.goroutines <= r.before.goroutines {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if after.goroutines > r.before.goroutines || after.files > r.before.files {
		t.Errorf("left behind: %+v, before: %+v", after, r.before)
	}
}

// heapSize returns the bytes of objects in the heap, garbage included.
func heapSize() int64 {
	s := []rtmetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	rtmetrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// watch makes an attack while a neighbour is asked all the time, and returns how long it
// took and by how much the heap grew. Garbage does not count where it would make the
// difference to a limit: how much there is depends on the whole process.
func (r *attackRange) watch(t *testing.T, limit int64, attack func()) (took time.Duration, grown int64) {
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				r.askNeighbour(t)
			}
		}
	})
	runtime.GC()
	peak, before := int64(0), heapSize()
	others.Go(func() {
		for {
			now := heapSize()
			if now > before+limit && now < before+2*limit {
				runtime.GC()
				now = min(now, heapSize())
			}
			peak = max(peak, now)
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	start := time.Now()
	attack()
	took = time.Since(start)
	close(stop)
	others.Wait()
	return took, peak - before
}

// checkUse checks how long an attack took, and by how much the heap grew.
func checkUse(t *testing.T, a *attack, took time.Duration, grown, heap int64) {
	t.Helper()
	if took > a.within {
		t.Errorf("the attack took %v, want at most %v", took, a.within)
	}
	if grown > heap {
		t.Errorf("the attack made the host's heap grow by %d MiB, want at most %d", grown>>20, heap>>20)
	}
}
