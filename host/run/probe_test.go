package run

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// unshared is a module whose state no two instances may have in common.
const unshared = `
import os, time
X = os.urandom(8).hex()
print("importing", X)
time.sleep(0.02)
def handler(event, context): return context.get_remaining_time_in_millis() if event == "remaining" else X
`

// ways are how a version comes to its first call. Each returns the version of a
// function of that name.
var ways = map[string]func(h *testHost, name, source string, spec catalog.VersionSpec) *catalog.Version{
	"added": func(h *testHost, name, source string, spec catalog.VersionSpec) *catalog.Version {
		return h.deploy(name, source, spec)
	},
	"prepared": func(h *testHost, name, source string, spec catalog.VersionSpec) *catalog.Version {
		v := h.deploy(name, source, spec)
		h.Prepare(h.t.Context(), v.ID)
		return v
	},
	"kept ready": func(h *testHost, name, source string, spec catalog.VersionSpec) *catalog.Version {
		spec.MinInstances = 1
		v := h.deploy(name, source, spec)
		roomtest.Until(h.t, "the instance is idle", func() bool {
			idle, live, _ := h.instances(v)
			return idle == 1 || live == 0 && h.version(v.ID).loading.known() != nil
		})
		return v
	},
}

func TestTrial_ServesTheFirstCall(t *testing.T) {
	for way, deploy := range ways {
		t.Run(way, func(t *testing.T) {
			h := newTestHost(t, testConfig{})
			v := deploy(h, "once", unshared, catalog.VersionSpec{MaxInstances: 1, Timeout: time.Minute})
			var answers [3]string
			var calls sync.WaitGroup
			for n := range answers {
				calls.Go(func() { answers[n], _ = h.raw("once", "") })
			}
			calls.Wait()
			if answers[0] == "" || answers[1] != answers[0] || answers[2] != answers[0] {
				t.Errorf("three calls answered %q, want the same of one instance", answers)
			}
			if idle, live, _ := h.instances(v); idle != 1 || live != 1 {
				t.Fatalf("%d of %d instances are idle, want 1 of 1", idle, live)
			}
			if in := h.version(v.ID).pool.idle[0]; in.loading < 20*time.Millisecond {
				t.Errorf("the instance waited %v for its module: it is not the one that tried it", in.loading)
			}
			if got := h.log("importing " + strings.Trim(answers[0], `"`)); len(got) != 1 {
				t.Errorf("what the import printed was logged %d times", len(got))
			}
		})
	}
}

func TestTrial_CountsInTheFirstCallsTime(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("slow", strings.Replace(unshared, "0.02", "0.5", 1), catalog.VersionSpec{Timeout: time.Minute})
	got, err := h.raw("slow", `"remaining"`)
	if ms, _ := strconv.Atoi(got); err != nil || ms > 59_500 {
		t.Errorf("after an import of 0.5 s %s ms of a minute were left, %v", got, err)
	}
	v := h.deploy("endless", "print('begun', flush=True)\nwhile True: pass\n", catalog.VersionSpec{Timeout: 300 * time.Millisecond})
	h.wantFault("endless", "", "ExecutionTimeout")
	if n := len(h.log("begun")); n != 1 {
		t.Errorf("what the import printed was logged %d times", n)
	}
	if h.version(v.ID).loading.known() != nil {
		t.Error("want of time is remembered")
	}
}

// An import does again what it does before it fails, and the call pays for it.
func TestLoad_IsNotTriedAgainAtOnce(t *testing.T) {
	const source = "import os\nprint('importing', flush=True)\nraise RuntimeError(os.urandom(8).hex())\n"
	for way, deploy := range ways {
		for _, noFreeze := range []bool{false, true} {
			t.Run(way, func(t *testing.T) {
				h := newTestHost(t, testConfig{})
				v := deploy(h, "broken", source, catalog.VersionSpec{NoFreeze: noFreeze})
				first := h.wantFault("broken", "", "RuntimeError")
				if again := h.wantFault("broken", "", "RuntimeError"); again.Message != first.Message || len(again.StackTrace) == 0 {
					t.Errorf("the module was imported again: %v, then %v", first, again)
				}
				if imports, traces := len(h.log("importing")), len(h.log("Traceback")); imports != 1 || traces != 1 {
					t.Errorf("the log has %d imports and %d tracebacks, want one of each", imports, traces)
				}
				if n := len(h.log("Code: 502")); n != 2 {
					t.Errorf("%d calls are logged as failed, want 2", n)
				}
				h.version(v.ID).loading.lastError.Load().until = time.Now()
				if later := h.wantFault("broken", "", "RuntimeError"); later.Message == first.Message {
					t.Error("the module was not imported again later")
				}
			})
		}
	}
}

func TestLoad_ThatWasRefusedMemoryIsTriedAgain(t *testing.T) {
	h := newTestHost(t, testConfig{})
	limit := func(bytes int64) {
		h.room.ledger.SetOwn(access.DefaultTenant, quota.Amounts{quota.Memory: bytes})
	}
	v := h.deploy("large", "X = bytearray(64 << 20)\ndef handler(e, c): return len(X)\n", catalog.VersionSpec{})
	limit(32 << 20)
	_, err := h.raw("large", "")
	if _, ok := errors.AsType[*fault.FunctionError](err); !ok {
		t.Errorf("without memory: got %v, want a function error", err)
	}
	if h.version(v.ID).loading.known() != nil {
		t.Error("want of memory is remembered")
	}
	limit(512 << 20)
	h.want("large", "", strconv.Itoa(64<<20))
}
