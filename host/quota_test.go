package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/run"
	"vivarium/host/store"
)

// wantQuota wants an error that says which quota was used up.
func wantQuota(t *testing.T, err error, tenant string, q quota.Quota, limit int64) {
	t.Helper()
	e, ok := errors.AsType[*quota.Error](err)
	if !ok || *e != (quota.Error{Tenant: tenant, Quota: q, Limit: limit}) {
		t.Errorf("got %v, want that %s has used up %d %s", err, tenant, limit, q)
	}
}

func TestQuotas_BoundWhatIsKept(t *testing.T) {
	h := newTestHost(t, Config{
		Store: keptStore(t), Quotas: quota.Amounts{quota.Functions: 3, quota.Versions: 5, quota.Timers: 2},
	})
	archive := archiveOf(t, `def handler(e, c): return 1`)
	made := hammer(12, func(n int) error {
		_, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: fmt.Sprint("kept-", n), Tenant: "kept"})
		return err
	})
	wantQuota(t, made.err, "kept", quota.Functions, 3)
	functions := h.functions()
	if made.ok != 3 || len(functions) != 3 {
		t.Fatalf("%d functions were made, %d are there, want 3", made.ok, len(functions))
	}
	made = hammer(12, func(n int) error {
		_, err := h.Catalog().CreateVersion(t.Context(), access.Operator, functions[n%3].ID,
			catalog.VersionSpec{Entrypoint: "main.handler"}, archive, nil)
		return err
	})
	wantQuota(t, made.err, "kept", quota.Versions, 5)
	if made.ok != 5 || h.Stats().Versions != 5 {
		t.Errorf("%d versions were made, %d are there, want 5", made.ok, h.Stats().Versions)
	}
	made = hammer(6, func(n int) error {
		spec := events.TimerSpec{Name: fmt.Sprint("kept-", n), Function: functions[n%3].ID, Cron: "@yearly"}
		_, err := h.events.CreateTimer(t.Context(), access.Operator, spec)
		return err
	})
	wantQuota(t, made.err, "kept", quota.Timers, 2)
	if made.ok != 2 {
		t.Errorf("%d timers were made, want 2", made.ok)
	}
	if _, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "another", Tenant: "another"}); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	of, err := h.Tenants().Quotas(t.Context(), access.Operator, "kept")
	if err != nil || of.Use[quota.Functions] != 3 || of.Use[quota.Versions] != 5 || of.Use[quota.Timers] != 2 ||
		of.Use[quota.CodeBytes] != 5*int64(len(archive)) || of.Exceeded[quota.Functions] != 9 {
		t.Errorf("got %+v, %v", of, err)
	}
	// What goes makes room.
	if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, functions[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "in-its-place", Tenant: "kept"}); err != nil {
		t.Errorf("after one was deleted: %v", err)
	}
	// And so does a limit of the tenant's own.
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "kept",
		map[quota.Quota]int64{quota.Functions: 4, quota.CodeBytes: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "the-fourth", Tenant: "kept"}); err != nil {
		t.Errorf("with a higher limit: %v", err)
	}
	_, err = h.Catalog().CreateVersion(t.Context(), access.Operator, "kept/the-fourth", catalog.VersionSpec{Entrypoint: "main.handler"}, archive, nil)
	wantQuota(t, err, "kept", quota.CodeBytes, 1)
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "No Name", nil); err == nil {
		t.Error("quotas of a tenant that can't be")
	}
}

// outcome is what became of a hammer's calls.
type outcome struct {
	mu  sync.Mutex // guards all below
	ok  int
	err error // the last one
}

// hammer makes calls at once.
func hammer(calls int, call func(n int) error) *outcome {
	var all sync.WaitGroup
	o := &outcome{}
	for n := range calls {
		all.Go(func() {
			err := call(n)
			o.mu.Lock()
			defer o.mu.Unlock()
			if err == nil {
				o.ok++
			} else {
				o.err = err
			}
		})
	}
	all.Wait()
	return o
}

func TestQuotas_AreKeptInTheStore(t *testing.T) {
	s := keptStore(t)
	h := newTestHost(t, Config{Store: s})
	for _, q := range []quota.Quota{quota.Functions, quota.Timers} { // one change keeps the other
		if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "ours", map[quota.Quota]int64{q: 1}); err != nil {
			t.Fatal(err)
		}
	}
	// Another host over the same store learns of it, and of later changes.
	other := newTestHost(t, Config{Store: s})
	if _, err := other.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "first", Tenant: "ours"}); err != nil {
		t.Fatal(err)
	}
	_, err := other.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "second", Tenant: "ours"})
	wantQuota(t, err, "ours", quota.Functions, 1)
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "ours", map[quota.Quota]int64{quota.Functions: 0}); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "the other host knows the limit", func() bool { return other.ledger.Limit("ours", quota.Functions) == 1000 })
	if n := other.ledger.Limit("ours", quota.Timers); n != 1 {
		t.Errorf("the other limit is now %d", n)
	}
}

func TestQuotas_BoundQueuedCalls(t *testing.T) {
	h := newTestHost(t, Config{Store: keptStore(t), Quotas: quota.Amounts{quota.AsyncCalls: 4}})
	f, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "queued"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Catalog().CreateVersion(t.Context(), access.Operator, f.ID, catalog.VersionSpec{
		Entrypoint: "main.handler", MaxInstances: 1, Timeout: time.Minute, Async: &catalog.AsyncConfig{},
	}, archiveOf(t, "import time\ndef handler(e, c): time.sleep(0.3)"), nil)
	if err != nil {
		t.Fatal(err)
	}
	made := hammer(12, func(int) error {
		_, err := h.InvokeAsync(t.Context(), access.Operator, run.Invocation{Function: f.ID})
		return err
	})
	wantQuota(t, made.err, "default", quota.AsyncCalls, 4)
	if made.ok == 0 || made.ok > 4 {
		t.Errorf("%d calls were queued, want at most 4", made.ok)
	}
	roomtest.Until(t, "all calls are counted", func() bool {
		of, err := h.Tenants().Quotas(t.Context(), access.Operator, "default")
		return err == nil && of.Use[quota.AsyncCalls] == 0
	})
	if _, err := h.InvokeAsync(t.Context(), access.Operator, run.Invocation{Function: f.ID}); err != nil {
		t.Errorf("when they are made: %v", err)
	}
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "default", map[quota.Quota]int64{quota.AsyncBytes: 2500}); err != nil {
		t.Fatal(err)
	}
	made = hammer(4, func(int) error {
		_, err := h.InvokeAsync(t.Context(), access.Operator, run.Invocation{Function: f.ID, Body: make([]byte, 1000)})
		return err
	})
	wantQuota(t, made.err, "default", quota.AsyncBytes, 2500)
	if made.ok == 0 || made.ok > 2 {
		t.Errorf("%d calls were queued, want at most 2", made.ok)
	}
	roomtest.Until(t, "no call is left", func() bool {
		of, err := h.Tenants().Quotas(t.Context(), access.Operator, "default")
		return err == nil && of.Use[quota.AsyncBytes] == 0
	})
}

const sleeper = `
import time
def handler(event, context):
    kept = bytearray(event.get("bytes", 0))
    for n in range(0, len(kept), 4096): kept[n] = 1
    time.sleep(event.get("seconds", 0))
    if event.get("raise"): raise ValueError
    if event.get("exit"): import os; os._exit(1)
    return len(kept)
`

// TestQuotas_AreGivenBackOnEveryPath makes calls that end in every way, of
// tenants that have too little of everything, and wants nobody to have anything
// in the end, nor more than it may have meanwhile.
func TestQuotas_AreGivenBackOnEveryPath(t *testing.T) {
	limits := quota.Amounts{quota.Calls: 6, quota.Instances: 3, quota.Memory: 3 * firstInstance}
	h := newTestHost(t, Config{Quotas: limits, MaxMemory: 5 * firstInstance})
	for n := range 3 {
		v := h.deploy(fmt.Sprint("tenant-", n), sleeper, catalog.VersionSpec{MaxInstances: 5, Timeout: 200 * time.Millisecond})
		v.Tenant = fmt.Sprint("tenant-", n%2)
	}
	events := []string{`{}`, `{"raise": 1}`, `{"exit": 1}`, `{"seconds": 5}`, `{"bytes": 9000000}`, `{"bytes": 90000000}`, `{"seconds": 0.01}`}
	stop := make(chan struct{})
	var watching, all sync.WaitGroup
	watching.Go(func() {
		for {
			for _, of := range h.allTenants() {
				for q := range quota.Count {
					if limit := of.Limits[q]; limits[q] > 0 && of.Use[q] > limit {
						t.Errorf("%s has %d %s of %d", of.Tenant, of.Use[q], q, limit)
					}
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	var busy, answered atomic.Int64
	for g := range 16 {
		all.Go(func() {
			for n := range 12 {
				ctx := t.Context()
				if (n+g)%5 == 0 { // the caller leaves
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 10*time.Millisecond)
					defer cancel()
				}
				_, err := h.rawContext(ctx, fmt.Sprint("tenant-", (n+g)%3), events[(n*7+g)%len(events)])
				_, full := errors.AsType[*quota.Error](err)
				_, failed := errors.AsType[*fault.FunctionError](err)
				switch {
				case full || errors.Is(err, fault.ErrBusy) || errors.Is(err, fault.ErrExhausted):
					busy.Add(1)
				case err == nil || failed:
					answered.Add(1)
				case !errors.Is(err, fault.ErrCancelled):
					t.Errorf("got %v", err)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	watching.Wait()
	if busy.Load() == 0 || answered.Load() == 0 {
		t.Errorf("%d calls were refused, %d answered; the test wants both", busy.Load(), answered.Load())
	}
	roomtest.Until(t, "all memory is given back", func() bool {
		h.reclaim()
		for _, of := range h.allTenants() {
			if of.Use[quota.Calls] != 0 || of.Use[quota.Instances] != 0 || of.Use[quota.Memory] != 0 {
				return false
			}
		}
		return h.ledger.Total(quota.Memory) == 0
	})
}

func TestQuotas_ACallBeyondIsRefusedAndLogged(t *testing.T) {
	h := newTestHost(t, Config{Quotas: quota.Amounts{quota.Calls: 1}})
	h.deploy("one-call", sleeper, catalog.VersionSpec{Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := h.rawContext(ctx, "one-call", `{"seconds": 50}`)
		ended <- err
	}()
	roomtest.Until(t, "the first call is in progress", func() bool { return h.Stats().Busy == 1 })
	r, err := h.Invoke(t.Context(), access.Operator, run.Invocation{Function: "one-call",
		RequestID: uuid.NewString(), Received: time.Now(), Raw: true})
	wantQuota(t, err, "default", quota.Calls, 1)
	if r == nil || r.Version == nil {
		t.Error("the result of a refused call has no version")
	}
	if got := h.log("Code: 429 Message: No node can serve the request: Concurrent requests quota 1 exceeded"); len(got) != 1 {
		t.Errorf("log: got %q", got)
	}
	cancel()
	if err := <-ended; err != fault.ErrCancelled {
		t.Errorf("got %v", err)
	}
	h.want("one-call", `{}`, "0")
}

// TestQuotas_ATenantEvictsItsOwn wants a tenant at its quota of instances to
// lose an idle instance of its own, and nobody else to lose one.
func TestQuotas_ATenantEvictsItsOwn(t *testing.T) {
	h := newTestHost(t, Config{Quotas: quota.Amounts{quota.Instances: 2}})
	for _, name := range []string{"mine-a", "mine-b", "mine-c", "theirs"} {
		v := h.deploy(name, sleeper, catalog.VersionSpec{})
		v.Tenant = name[:4]
	}
	for _, name := range []string{"theirs", "mine-a", "mine-b", "mine-c"} {
		h.want(name, `{}`, "0")
	}
	if got, want := h.idle(), "mine-a 0, mine-b 1, mine-c 1, theirs 1"; got != want {
		t.Errorf("idle instances: got %s, want %s", got, want)
	}
	if of, err := h.Tenants().Quotas(t.Context(), access.Operator, "mine"); err != nil || of.Use[quota.Instances] != 2 {
		t.Errorf("got %+v, %v", of, err)
	}
}

// firstInstance is a little more than what the first instance of an ordinary
// version costs, with the pages of its image, in bytes.
const firstInstance = 29 << 19

// idle tells how many idle instances functions have.
func (h *testHost) idle() string {
	var all []string
	for _, f := range h.functions() {
		n, _, _ := h.instances(f.Latest)
		all = append(all, fmt.Sprintf("%s %d", f.Name, n))
	}
	return strings.Join(all, ", ")
}

// TestQuotas_WhoHasMostMakesRoom fills the machine with the idle instances of a
// greedy tenant. Others get theirs at its expense, and it does not get those
// back at theirs.
func TestQuotas_WhoHasMostMakesRoom(t *testing.T) {
	h := newTestHost(t, Config{MaxMemory: 6 * firstInstance, Quotas: quota.Amounts{quota.Memory: -1}})
	deploy := func(name string) {
		v := h.deploy(name, sleeper, catalog.VersionSpec{})
		v.Tenant = name[:len(name)-2]
	}
	deploy("modest-a") // the oldest: without tenants, it would go first
	h.want("modest-a", `{}`, "0")
	for _, name := range []string{"greedy-a", "greedy-b", "greedy-c", "greedy-d", "greedy-e"} {
		deploy(name)
		h.want(name, `{}`, "0")
	}
	deploy("second-a")
	h.want("second-a", `{}`, "0")
	if got, want := h.idle(), "greedy-a 0, greedy-b 1, greedy-c 1, greedy-d 1, greedy-e 1, modest-a 1, second-a 1"; got != want {
		t.Errorf("idle instances: got %s, want %s", got, want)
	}
	h.want("greedy-a", `{}`, "0")
	if got, want := h.idle(), "greedy-a 1, greedy-b 0, greedy-c 1, greedy-d 1, greedy-e 1, modest-a 1, second-a 1"; got != want {
		t.Errorf("idle instances: got %s, want %s", got, want)
	}
}

// keptStore opens a store that the test closes.
func keptStore(t *testing.T) *store.Store {
	s := openStore(t, t.TempDir())
	t.Cleanup(s.Close)
	return s
}

// TestQuotas_TheMachineStackCounts recurses so deeply in C that the machine
// stack has tens of megabytes, which a memory quota of less ends.
func TestQuotas_TheMachineStackCounts(t *testing.T) {
	h := newTestHost(t, Config{})
	h.deploy("deep", `
def handler(event, context):
    it = iter([1])
    for _ in range(event):
        it = filter(None, it)
    got = next(it)
    while it is not None: # taken apart from the outside: a destructor would recurse as well
        it = it.__reduce__()[1][1] if type(it) is filter else None
    return got
`, catalog.VersionSpec{MemoryMB: 256, Timeout: time.Minute})
	h.want("deep", `250000`, "1")
	of, err := h.Tenants().Quotas(t.Context(), access.Operator, "default")
	if err != nil {
		t.Fatal(err)
	}
	idle := of.Use[quota.Memory]
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "default", map[quota.Quota]int64{quota.Memory: idle + 16<<20}); err != nil {
		t.Fatal(err)
	}
	h.wantFault("deep", `250000`, "OutOfMemory")
	roomtest.Until(t, "no memory is held", func() bool { return h.ledger.Total(quota.Memory) == 0 })
	h.want("deep", `10`, "1")
}

// TestQuotas_UnpackedCodeCounts wants code to count for as long as it is in
// memory, to leave when memory is needed, and to come back.
func TestQuotas_UnpackedCodeCounts(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		const size = 8 << 20
		source := "def handler(e, c): return 1\n#" + strings.Repeat("x", size)
		f := h.create("large")
		v := h.version(f.ID, source, catalog.VersionSpec{NoFreeze: true, Timeout: time.Minute})
		if used := h.ledger.Total(quota.Memory); used < size || used > 6*size { // with the instance that has tried it
			t.Errorf("%d bytes are counted, want %d and an instance's", used, size)
		}
		h.reclaim()
		if used := h.ledger.Total(quota.Memory); used != 0 {
			t.Errorf("%d bytes are counted, want none", used)
		}
		h.want("large", "{}", "1")
		if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "default", map[quota.Quota]int64{quota.Memory: 5 * size}); err != nil {
			t.Fatal(err)
		}
		for range 8 { // code that nobody uses makes room for the next
			h.version(f.ID, source, catalog.VersionSpec{NoFreeze: true})
		}
		if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "default", map[quota.Quota]int64{quota.Memory: size}); err != nil {
			t.Fatal(err)
		}
		_, err := h.Catalog().CreateVersion(t.Context(), access.Operator, f.ID, v.VersionSpec, archiveOf(t, source), nil)
		wantQuota(t, err, "default", quota.Memory, size)
		if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, f.ID); err != nil {
			t.Fatal(err)
		}
		roomtest.Until(t, "no memory is held", func() bool { return h.ledger.Total(quota.Memory) == 0 })
	})
}

func TestQuotas_BoundReadersOfLogs(t *testing.T) {
	h := newTestHost(t, Config{Quotas: quota.Amounts{quota.LogStreams: 2}})
	h.deploy("followed", sleeper, catalog.VersionSpec{})
	h.want("followed", `{}`, "0")
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{}, 100)
	ended := make(chan error, 2)
	follow := func() error {
		return h.FollowLogs(ctx, access.Operator, "followed", logs.Query{Contains: "START"}, func(logs.Entry) error {
			began <- struct{}{}
			return nil
		})
	}
	for range 2 {
		go func() { ended <- follow() }()
		<-began
	}
	wantQuota(t, follow(), "default", quota.LogStreams, 2)
	cancel()
	for range 2 {
		if err := <-ended; err != context.Canceled {
			t.Errorf("got %v", err)
		}
	}
	if n := h.allTenants()[0].Use[quota.LogStreams]; n != 0 {
		t.Errorf("%d are left", n)
	}
}

// TestQuotas_ALogPushesOutItsOwnAlone lets one tenant log much more than it may
// keep. What another has logged before stays, and so does its own newest.
func TestQuotas_ALogPushesOutItsOwnAlone(t *testing.T) {
	for name, s := range map[string]*store.Store{"in memory": nil, "in a store": keptStore(t)} {
		t.Run(name, func(t *testing.T) {
			const limit = 8 << 20
			h := newTestHost(t, Config{Store: s, Quotas: quota.Amounts{quota.LogBytes: limit}})
			const source = `
def handler(event, context):
    for n in range(event["lines"]): print("x" * 60000)
    print(event["last"])
`
			for _, tenant := range []string{"quiet", "loud"} {
				f, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: tenant + "-logs", Tenant: tenant})
				if err != nil {
					t.Fatal(err)
				}
				h.version(f.ID, source, catalog.VersionSpec{Timeout: time.Minute})
			}
			h.want("quiet/quiet-logs", `{"lines": 0, "last": "remembered"}`, "null")
			for range 3 { // 45 MB
				h.want("loud/loud-logs", `{"lines": 250, "last": "newest"}`, "null")
				h.book.Flush(t.Context()) // else there is too much for a slow disk
			}
			if s != nil {
				roomtest.Until(t, "the log is within its quota", func() bool {
					h.book.Flush(t.Context())
					of, err := h.Tenants().Quotas(t.Context(), access.Operator, "loud")
					return err == nil && of.Use[quota.LogBytes] > 0 && of.Use[quota.LogBytes] <= limit
				})
			}
			h.wantLogged("quiet/quiet-logs", "remembered")
			h.wantLogged("loud/loud-logs", "newest")
			all, err := h.logs("loud/loud-logs", logs.Query{Limit: logs.MaxLimit})
			size := 0
			for _, e := range all {
				size += len(e.Message)
			}
			if most := max(limit, 32<<20); err != nil || size > most {
				t.Errorf("%d bytes are kept, %v, want at most %d", size, err, most)
			}
			if s == nil {
				return
			}
			// The next host over the store knows what is there.
			next := newTestHost(t, Config{Store: s})
			if of, err := next.Tenants().Quotas(t.Context(), access.Operator, "loud"); err != nil || of.Use[quota.LogBytes] < limit/8 {
				t.Errorf("the next host: got %d bytes, %v", of.Use[quota.LogBytes], err)
			}
		})
	}
}

// wantLogged wants an entry in a function's log.
func (h *testHost) wantLogged(function, message string) {
	h.t.Helper()
	entries, err := h.logs(function, logs.Query{Contains: message})
	if err != nil || len(entries) == 0 {
		h.t.Errorf("log of %s: %d entries with %q, %v", function, len(entries), message, err)
	}
}

// TestWarnings_AreFew lets a function end its interpreter again and again, and
// wants the operator to hear of it, but not of each time.
func TestWarnings_AreFew(t *testing.T) {
	var log bytes.Buffer
	h, err := New(Config{Engines: testEngines, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	th := &testHost{Host: h, t: t}
	th.deploy("breaks", "import os\ndef handler(e, c): os.abort()", catalog.VersionSpec{})
	for range 3 * 10 {
		th.wantFault("breaks", "{}", "RuntimeExit")
	}
	for range 3 * 10 { // each in a session of its own
		s, err := h.Sessions().Create(t.Context(), attacker, run.SessionSpec{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := h.Sessions().Run(t.Context(), attacker, s.ID, run.Snippet{Code: "import os\nos.abort()"}); err != nil || r.Outcome != run.SnippetEnded {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	h.Close()
	if n := strings.Count(log.String(), "guest"); n < 2 || n > 2*(10+1) {
		t.Errorf("%d lines: %.2000s", n, &log)
	}
}

// take takes memory for a tenant, or gives it back.
func (h *testHost) take(tenant string, n int64) error {
	if n < 0 {
		h.ledger.Give(tenant, quota.CodeTree, -n)
		return nil
	}
	_, err := h.Ledger().Reserve(tenant, quota.CodeTree, n)
	return err
}

// TestReserve_LeavesOthersTheirShare wants a tenant whose memory is all in use to
// be refused more, rather than to take what a modest one keeps warm.
func TestReserve_LeavesOthersTheirShare(t *testing.T) {
	h := newTestHost(t, Config{MaxMemory: 6 * firstInstance, Quotas: quota.Amounts{quota.Memory: -1}})
	v := h.deploy("modest-a", sleeper, catalog.VersionSpec{})
	v.Tenant = "modest"
	h.want("modest-a", `{}`, "0")
	if err := h.take("greedy", 4*firstInstance); err != nil {
		t.Fatal(err)
	}
	if err := h.take("greedy", 2*firstInstance); err != fault.ErrExhausted || h.idle() != "modest-a 1" {
		t.Errorf("got %v, %s", err, h.idle())
	}
	// Whoever has more than its share keeps nothing warm at others' expense.
	_ = h.take("greedy", -3*firstInstance)
	if err := h.take("modest", 3*firstInstance); err != nil {
		t.Fatal(err)
	}
	if err := h.take("greedy", 2*firstInstance); err != nil || h.idle() != "modest-a 0" {
		t.Errorf("got %v, %s", err, h.idle())
	}
}
