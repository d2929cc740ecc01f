package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/wasm"
)

// bubble runs a test of a runner with guests of a fakeEngine, in pretended time. At
// its end nothing may be left.
func bubble(t *testing.T, cfg testConfig, test func(t *testing.T, h *testHost)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if cfg.Fake == nil {
			cfg.Fake = &fakeEngine{}
		}
		h := newTestHost(t, cfg)
		test(t, h)
		synctest.Wait()
		cfg.Fake.nothingLeft(h)
	})
}

// begin calls a function and returns its answer, or its error in words, to come.
func (h *testHost) begin(name, body string) <-chan string {
	answer := make(chan string, 1)
	go func() {
		got, err := h.raw(name, body)
		if err != nil {
			got = err.Error()
		}
		answer <- got
	}()
	synctest.Wait()
	return answer
}

func wantAnswers(t *testing.T, want string, answers ...<-chan string) {
	t.Helper()
	var got []string
	for _, a := range answers {
		got = append(got, <-a)
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, " "), want)
	}
}

func TestPool_TakesTheInstanceThatWasUsedLast(t *testing.T) {
	bubble(t, testConfig{}, func(t *testing.T, h *testHost) {
		h.deploy("f", "", catalog.VersionSpec{MaxInstances: 3})
		// The first guest is the one that tries the module.
		wantAnswers(t, "2.1 3.1 4.1", h.begin("f", "30ms"), h.begin("f", "20ms"), h.begin("f", "10ms"))
		wantAnswers(t, "2.2", h.begin("f", ""))
		wantAnswers(t, "2.3 3.2", h.begin("f", "10ms"), h.begin("f", "20ms"))
		wantAnswers(t, "3.3", h.begin("f", ""))
	})
}

func TestPool_ServesThoseWhoWaitInOrder(t *testing.T) {
	bubble(t, testConfig{MaxQueue: 3}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		first := h.begin("f", "1s")
		waiting := []<-chan string{h.begin("f", "1s"), h.begin("f", "trap"), h.begin("f", "")}
		if _, err := h.raw("f", ""); err != fault.ErrBusy {
			t.Errorf("one more than may wait: got %v", err)
		}
		wantAnswers(t, "2.1 2.2", first, waiting[0])
		if got := <-waiting[1]; !strings.Contains(got, "unreachable") {
			t.Errorf("the one that traps: got %s", got)
		}
		wantAnswers(t, "3.1", waiting[2]) // in an instance of its own
		if idle, live, waiting := h.instances(v); idle != 1 || live != 1 || waiting != 0 {
			t.Errorf("%d idle of %d, %d wait", idle, live, waiting)
		}
	})
}

// A call that leaves the queue takes nothing with it, also when it is given
// something at that very moment.
func TestPool_ACallThatLeavesHandsOn(t *testing.T) {
	bubble(t, testConfig{}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		first := h.begin("f", "1s")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 90 {
			go func() { _, _ = h.rawContext(ctx, "f", "") }()
		}
		synctest.Wait()
		last := h.begin("f", "")
		wantAnswers(t, "2.1", first)
		got := <-last
		if !strings.HasPrefix(got, "2.") {
			t.Errorf("the last got %s", got)
		}
		synctest.Wait()
		if calls := h.version(v.ID).pool.idle[0].calls; got != fmt.Sprint("2.", calls) { // who hands on has made no call
			t.Errorf("%d calls are counted after the answer %s", calls, got)
		}
		if idle, live, waiting := h.instances(v); idle != 1 || live != 1 || waiting != 0 {
			t.Errorf("%d idle of %d, %d wait", idle, live, waiting)
		}
	})
}

// Who waits gets the place of an instance that could not be made.
func TestPool_AFailedInstanceLeavesItsPlace(t *testing.T) {
	var broken atomic.Bool
	e := &fakeEngine{clone: func() error {
		if broken.Load() {
			return errFake
		}
		return nil
	}}
	bubble(t, testConfig{Fake: e}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		first := h.begin("f", "1s trap")
		waiting := []<-chan string{h.begin("f", ""), h.begin("f", ""), h.begin("f", "")}
		broken.Store(true)
		<-first
		for _, w := range waiting {
			if got := <-w; !strings.Contains(got, "broken") {
				t.Errorf("got %s", got)
			}
		}
		if _, live, _ := h.instances(v); live != 0 {
			t.Errorf("%d places are taken", live)
		}
		broken.Store(false)
		if got, err := h.raw("f", ""); err != nil {
			t.Errorf("afterwards: %s, %v", got, err)
		}
	})
}

func TestPool_ReplacesWhatIsOfNoUse(t *testing.T) {
	bubble(t, testConfig{MaxCalls: 3}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		for _, c := range []struct{ body, want string }{
			{"", "2.1"}, {"raise", "E: m"}, {"", "2.3"}, // its last call
			{"", "3.1"}, {"exit", "SystemExit: 1"}, {"late", "Execution timeout"}, {"trap", "unreachable"}, {"", "6.1"},
		} {
			got, err := h.raw("f", c.body)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%q: got %s, want %s", c.body, got, c.want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.rawContext(ctx, "f", "hang"); err != fault.ErrCancelled {
			t.Errorf("a caller who goes: got %v", err)
		}
		synctest.Wait()
		if _, live, _ := h.instances(v); live != 0 {
			t.Errorf("%d instances are left", live)
		}
	})
}

func TestPool_KeepsSoManyAndNoMore(t *testing.T) {
	bubble(t, testConfig{IdleTimeout: time.Minute}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MinInstances: 2, MaxInstances: 5, Timeout: time.Minute})
		want := func(when string, idle int) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if got, live, _ := h.instances(v); got != idle || live != idle {
				t.Errorf("%s: %d idle of %d, want %d", when, got, live, idle)
			}
		}
		want("at first", 2)
		if h.Room(v.ID) != 5 {
			t.Errorf("there is room for %d calls", h.Room(v.ID))
		}
		var calls []<-chan string
		for range 5 {
			calls = append(calls, h.begin("f", "1s"))
		}
		if h.Room(v.ID) != 0 {
			t.Errorf("there is room for %d calls beside five", h.Room(v.ID))
		}
		for _, c := range calls {
			<-c
		}
		want("after five calls", 5)
		time.Sleep(time.Minute)
		want("a while later", 2)
		_, _ = h.raw("f", "trap")
		_, _ = h.raw("f", "trap")
		want("after two that trapped", 2)
		h.SetLimits(v.ID, catalog.Limits{Ready: 3, Instances: 3})
		want("with another limit", 3)
		h.SetLimits(v.ID, catalog.Limits{Instances: 1})
		time.Sleep(2 * time.Minute)
		want("without", 0)
	})
}

func TestPool_LimitsRequests(t *testing.T) {
	bubble(t, testConfig{}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		h.SetLimits(v.ID, catalog.Limits{Instances: 1, Requests: 2})
		first, second := h.begin("f", "1s"), h.begin("f", "1s")
		if _, err := h.raw("f", ""); err != fault.ErrBusy {
			t.Errorf("got %v, want that it is busy", err)
		}
		h.SetLimits(v.ID, catalog.Limits{Instances: 2, Requests: 3}) // gives the one that waits a place
		synctest.Wait()
		if _, live, waiting := h.instances(v); live != 2 || waiting != 0 {
			t.Errorf("%d instances, %d wait", live, waiting)
		}
		<-first
		<-second
	})
}

// Calls wait for as long as somebody debugs the one before; then each has its own time.
func TestPool_WaitsForACallThatIsDebugged(t *testing.T) {
	bubble(t, testConfig{Debugger: func(conn net.Conn) { _ = conn.Close() }}, func(t *testing.T, h *testHost) {
		h.deploy("f", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		wantAnswers(t, "2.1 2.2 1m0s", h.begin("f", "held:2h"), h.begin("f", "50s"), h.begin("f", "left"))
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range h.entries {
			if strings.HasPrefix(e.Message, "REPORT") && strings.Contains(e.Message, "Init Duration") &&
				!strings.Contains(e.Message, " Duration: 0.000 ms Billed Duration: 0.000 ms") {
				t.Errorf("the time that stood still is counted: %s", e.Message)
			}
		}
	})
}

func TestRunner_CloseWaitsForCallsAndRefusesOthers(t *testing.T) {
	bubble(t, testConfig{}, func(t *testing.T, h *testHost) {
		h.deploy("f", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		removed := h.deploy("g", "", catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
		call, other := h.begin("f", "3s"), h.begin("g", "2s")
		gone := make(chan struct{})
		go func() {
			h.Remove(removed.ID)
			close(gone)
		}()
		synctest.Wait()
		if _, err := h.Invoke(t.Context(), removed, Invocation{Received: time.Now()}); err != ErrRetired {
			t.Errorf("a version that is being removed: got %v", err)
		}
		wantAnswers(t, "4.1", other)
		<-gone
		closed := make(chan struct{})
		start := time.Now()
		go func() {
			h.Close()
			close(closed)
		}()
		synctest.Wait()
		if _, err := h.raw("f", ""); err != fault.ErrClosed {
			t.Errorf("a runner that closes: got %v", err)
		}
		wantAnswers(t, "2.1", call)
		<-closed
		if took := time.Since(start); took != time.Second {
			t.Errorf("closing took %v, want what was left of the call", took)
		}
		h.Close() // again does nothing
	})
}

// An image that can't be made is the fault of all who wait for it, and is tried again
// by the next call.
func TestImage_ThatCantBeMadeIsTriedAgain(t *testing.T) {
	var attempts atomic.Int64
	e := &fakeEngine{freeze: func() error {
		if attempts.Add(1) == 1 {
			time.Sleep(time.Second)
			return errFake
		}
		return nil
	}}
	bubble(t, testConfig{Fake: e}, func(t *testing.T, h *testHost) {
		h.deploy("f", "", catalog.VersionSpec{MaxInstances: 5, Timeout: time.Minute})
		for _, c := range []<-chan string{h.begin("f", ""), h.begin("f", "")} {
			if got := <-c; !strings.Contains(got, "broken") {
				t.Errorf("got %s", got)
			}
		}
		if n := attempts.Load(); n != 1 {
			t.Errorf("%d attempts for two calls", n)
		}
		if _, err := h.raw("f", ""); err != nil || attempts.Load() != 2 {
			t.Errorf("the next call: %v after %d attempts", err, attempts.Load())
		}
	})
}

// A module whose state may not be shared is loaded once for the first call, and once
// in each further instance.
func TestRuntime_IsCompiledWhenAVersionNeedsIt(t *testing.T) {
	var asked []string
	ready := false
	engine := &fakeEngine{compile: func(runtime string) error {
		if asked = append(asked, runtime); runtime == "python313-full" && !ready {
			return fault.ErrPreparing
		}
		return nil
	}}
	bubble(t, testConfig{Fake: engine}, func(t *testing.T, h *testHost) {
		h.deploy("lean", "", catalog.VersionSpec{Runtime: "python312"})
		h.deploy("full", "", catalog.VersionSpec{Runtime: "python313-full"})
		wantAnswers(t, "2.1", h.begin("lean", ""))
		if got := strings.Join(asked, " "); got != "python313" {
			t.Errorf("asked for %s, want what a version needs, once", got)
		}
		for range 2 {
			if _, err := h.raw("full", ""); fault.Of(err) != fault.Preparing {
				t.Errorf("before it is compiled: got %v", err)
			}
		}
		ready = true
		wantAnswers(t, "4.1", h.begin("full", ""))
		wantAnswers(t, "4.2", h.begin("full", ""))
	})
}

func TestImage_WithoutTheModule(t *testing.T) {
	var loads atomic.Int64
	e := &fakeEngine{load: func(g *fakeGuest) (*wasm.Response, error) {
		loads.Add(1)
		g.observed.Random = 1
		return nil, nil
	}}
	bubble(t, testConfig{Fake: e}, func(t *testing.T, h *testHost) {
		h.deploy("f", "", catalog.VersionSpec{MaxInstances: 2, Timeout: time.Minute})
		wantAnswers(t, "1.1", h.begin("f", ""))
		if n := loads.Load(); n != 2 { // and once for the image, which compiles only
			t.Errorf("loaded %d times, want 2", n)
		}
		wantAnswers(t, "1.2 3.1", h.begin("f", "1s"), h.begin("f", ""))
		if n := loads.Load(); n != 3 {
			t.Errorf("loaded %d times in two instances, want 3", n)
		}
		if got := h.log("importing it drew randomness"); len(got) != 1 {
			t.Errorf("the log says %q", got)
		}
	})
}

// Nobody is made to wait by a module that is not done within some time when the one
// who asked for it has gone.
func TestImage_IsGivenUpWhenNobodyWaits(t *testing.T) {
	e := &fakeEngine{}
	bubble(t, testConfig{Fake: e}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{Timeout: time.Minute})
		release := make(chan struct{})
		e.freeze = func() error { <-release; return nil }
		start := time.Now()
		h.Prepare(t.Context(), v.ID)
		if took := time.Since(start); took != preparePatience {
			t.Errorf("preparing blocked for %v, want %v", took, preparePatience)
		}
		close(release)
		synctest.Wait()
		if _, live, _ := h.instances(v); live != 0 {
			t.Errorf("preparing has left %d instances", live)
		}
		wantAnswers(t, "2.1", h.begin("f", ""))
	})
}

// Code that does not load is not taken for good because its image can't be made either.
func TestPrepare_TellsWhyWithoutAnImage(t *testing.T) {
	e := &fakeEngine{
		load:   func(*fakeGuest) (*wasm.Response, error) { return nil, &wasm.TrapError{Reason: "unreachable"} },
		freeze: func() error { return errFake },
	}
	bubble(t, testConfig{Fake: e}, func(t *testing.T, h *testHost) {
		v := h.deploy("f", "", catalog.VersionSpec{Timeout: time.Minute})
		if why := h.Prepare(t.Context(), v.ID); why == nil {
			t.Error("code that does not load is taken for good")
		}
	})
}

func TestReclaim_TakesTheLongestUnusedOfWhoHasMost(t *testing.T) {
	const room = 8 * (instanceMemory + 1<<20)
	bubble(t, testConfig{MaxMemory: room}, func(t *testing.T, h *testHost) {
		var versions []*catalog.Version
		for n := range 4 {
			v := h.deploy(fmt.Sprint(n), "", catalog.VersionSpec{MaxInstances: 2, Timeout: time.Minute})
			versions = append(versions, v)
			h.begin(v.FunctionName, "grow 1s")
			h.begin(v.FunctionName, "grow 1s")
			time.Sleep(2 * time.Second)
		}
		live := func() string {
			var s string
			for _, v := range versions {
				_, n, _ := h.instances(v)
				s += fmt.Sprint(n)
			}
			return s
		}
		if got := live(); got != "0222" {
			t.Errorf("instances: %s; the tenant has room for six", got)
		}
		h.reclaim()
		if got := live(); got != "0000" || h.room.ledger.Total(quota.Memory) != 0 {
			t.Errorf("after all was reclaimed: %s, %d bytes", got, h.room.ledger.Total(quota.Memory))
		}
	})
}

// TestRunner_Hammer does all that can be done to a runner at once, with guests that
// do all that guests can do. Each answer is the right one, no version has more
// instances than it may, and nothing is left.
func TestRunner_Hammer(t *testing.T) {
	chance := func(one int) error {
		if rand.IntN(one) == 0 {
			return errFake
		}
		return nil
	}
	e := &fakeEngine{
		boot: func() error { return chance(20) }, clone: func() error { return chance(50) }, freeze: func() error { return chance(20) },
		load: func(g *fakeGuest) (*wasm.Response, error) {
			switch rand.IntN(30) {
			case 0:
				return nil, &wasm.TrapError{Reason: "unreachable"}
			case 1:
				return nil, wasm.ErrDeadline
			case 2, 3, 4, 5:
				g.observed.Random = 1
			}
			return nil, nil
		},
	}
	h := newTestHost(t, testConfig{
		Fake: e, MaxMemory: 80 << 20, IdleTimeout: 2 * time.Millisecond, MaxCalls: 9, MaxQueue: 4, MaxTries: 2,
		Quotas: quota.Amounts{quota.Instances: 12},
	})
	const functions, limit = 6, 3
	spec := catalog.VersionSpec{MaxInstances: limit, Timeout: 10 * time.Second}
	deploy := func(n int) { h.deploy(fmt.Sprint(n), "", spec) }
	for n := range functions {
		deploy(n)
	}
	var wg sync.WaitGroup
	bodies := []string{"", "", "100us", "grow", "grow grow", "raise", "trap", "exit", "late", "hang"}
	ok := map[fault.Kind]bool{ // what may be said to a call here
		fault.Busy: true, fault.OverQuota: true, fault.Exhausted: true, fault.Cancelled: true, fault.Function: true, fault.Timeout: true,
	}
	var answered atomic.Int64
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for range 500 {
				body := bodies[rand.IntN(len(bodies))]
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(3_000))*time.Microsecond)
				got, err := h.rawContext(ctx, fmt.Sprint(rand.IntN(functions)), body)
				cancel()
				switch {
				case err == nil && (body == "raise" || body == "trap" || body == "exit" || body == "late" || body == "hang"):
					t.Errorf("%s: got the answer %s", body, got)
				case err == nil:
					answered.Add(1)
				case !ok[fault.Of(err)] && !errors.Is(err, errFake):
					t.Errorf("%s: got %v", body, err)
				}
			}
		})
	}
	var others sync.WaitGroup
	other := func(do func()) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					do()
				}
			}
		})
	}
	other(func() { deploy(rand.IntN(functions)); h.Retire(); time.Sleep(5 * time.Millisecond) })
	other(func() {
		h.Reclaim(access.DefaultTenant, quota.Memory, rand.IntN(2) == 0)
		time.Sleep(time.Millisecond)
	})
	other(func() { h.Reclaim(access.DefaultTenant, quota.ImageBytes, true); time.Sleep(time.Millisecond) })
	other(func() {
		h.mu.Lock()
		v := h.versions[fmt.Sprint(rand.IntN(functions))]
		h.mu.Unlock()
		h.SetLimits(v.ID, catalog.Limits{Ready: rand.IntN(3), Instances: limit})
		h.Prepare(t.Context(), v.ID)
		if _, live, _ := h.instances(v); live > limit {
			t.Errorf("a version has %d instances of %d", live, limit)
		}
	})
	other(func() {
		code, err := CodeFromFiles(map[string]string{"main.py": ""})
		if err != nil {
			t.Error(err)
		}
		_, err = h.Try(t.Context(), catalog.VersionSpec{Entrypoint: "main.handler"}, code,
			Invocation{RequestID: "r", Received: time.Now(), Raw: true, Body: []byte("grow")}, func(logs.Entry) {})
		if err != nil && !ok[fault.Of(err)] && !errors.Is(err, errFake) {
			t.Errorf("a try: %v", err)
		}
	})
	wg.Wait()
	close(stop)
	others.Wait()
	if answered.Load() == 0 {
		t.Error("no call was answered")
	}
	e.nothingLeft(h)
}
