package host

import (
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/run"
	"vivarium/host/store"
)

// storedHost is a host on a store of its own.
func storedHost(t *testing.T) *testHost {
	t.Helper()
	s := openStore(t, t.TempDir())
	t.Cleanup(s.Close)
	return newTestHost(t, Config{Store: s})
}

// async queues a call and fails the test when that does not work.
func (h *testHost) async(name, body string) (requestID string) {
	h.t.Helper()
	id, err := h.InvokeAsync(h.t.Context(), access.Operator, run.Invocation{Function: name, Body: []byte(body)})
	if err != nil || id == "" {
		h.t.Fatalf("not queued: %q, %v", id, err)
	}
	return id
}

// emptied waits until no queued call is left.
func (h *testHost) emptied() {
	h.t.Helper()
	roomtest.Until(h.t, "an empty queue", func() bool {
		n, err := h.cfg.Store.Queue.Len(h.t.Context())
		return err == nil && n == 0
	})
}

const printing = "def handler(event, context): print('got', event)\n"

// Without a data directory calls are queued in memory, for whichever function.
func TestAsync_WorksInMemory(t *testing.T) {
	h := newTestHost(t, Config{})
	h.create("uploaded")
	h.version("uploaded", printing, catalog.VersionSpec{Async: &catalog.AsyncConfig{}})
	h.deploy("of-a-folder", printing, catalog.VersionSpec{Async: &catalog.AsyncConfig{}})
	for _, name := range []string{"uploaded", "of-a-folder"} {
		if _, err := h.InvokeAsync(t.Context(), access.Operator, run.Invocation{Function: name, Body: []byte(name)}); err != nil {
			t.Fatal(err)
		}
		roomtest.Until(t, "the call of "+name, func() bool { return len(h.log("got "+name)) == 1 })
	}
}

func TestAsync_OutcomesGoToTheirTargets(t *testing.T) {
	h := storedHost(t)
	for _, name := range []string{"fun", "well", "badly"} {
		h.create(name)
	}
	h.version("well", printing, catalog.VersionSpec{})
	h.version("badly", "def handler(event, context): print('got', event['attempts'], event['body'], event['error']['errorType'])\n", catalog.VersionSpec{})
	h.version("fun", "def handler(event, context): return {'half': event / 2}\n",
		catalog.VersionSpec{Async: &catalog.AsyncConfig{Retries: 1, Success: "well", Failure: "badly"}})
	h.async("fun", "3")
	h.async("fun", `"x"`)
	h.emptied()
	for _, want := range []string{"got {'half': 1.5}", `got 2 "x" TypeError`} {
		if len(h.log(want)) != 1 {
			t.Errorf("the log has %d times %s", len(h.log(want)), want)
		}
	}
	if letters, _, err := h.events.DeadLetters(t.Context(), access.Operator, "", 0, ""); err != nil || len(letters) != 0 {
		t.Errorf("dead letters: %+v, %v", letters, err)
	}
}

func TestAsync_FailuresWithoutTargetAreKeptAndReplayed(t *testing.T) {
	h := storedHost(t)
	h.create("fun")
	h.version("fun", "def handler(event, context): raise ValueError('no\\nway')\n", catalog.VersionSpec{Async: &catalog.AsyncConfig{}})
	request := h.async("fun", `{"a": 1}`)
	h.emptied()
	letters, _, err := h.events.DeadLetters(t.Context(), access.Operator, "fun", 0, "")
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters: %+v, %v", letters, err)
	}
	if l := letters[0]; l.RequestID != request || string(l.Body) != `{"a": 1}` || l.Attempts != 1 || !strings.Contains(l.Error, "ValueError") {
		t.Errorf("got %+v", l)
	}
	h.version("fun", printing, catalog.VersionSpec{Async: &catalog.AsyncConfig{}}) // which mends it
	if id, err := h.events.ReplayDeadLetter(t.Context(), access.Operator, letters[0].ID); err != nil || id != request {
		t.Errorf("replayed: %s, %v", id, err)
	}
	h.emptied()
	if len(h.log("got {'a': 1}")) != 1 {
		t.Error("it was not called")
	}
	_, err = h.events.ReplayDeadLetter(t.Context(), access.Operator, letters[0].ID)
	wantError[*fault.NotFoundError](t, err, "dead letter")
}

func TestAsync_ManyCallsOfOneFunctionAreAllMade(t *testing.T) {
	h := storedHost(t)
	h.create("fun")
	h.version("fun", printing, catalog.VersionSpec{MaxInstances: 2, Async: &catalog.AsyncConfig{}})
	for range 50 {
		h.async("fun", "1")
	}
	h.emptied()
	if n := len(h.log("got 1")); n != 50 {
		t.Errorf("%d calls, want 50", n)
	}
}

func TestAsync_GoneFunctionsCallsGoWithIt(t *testing.T) {
	restart(t, func(h *testHost) {
		f := h.create("fun")
		h.Events().Close() // so that nobody makes the call
		if err := h.cfg.Store.Queue.Add(t.Context(), store.Item{FunctionID: f.ID, Body: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
			t.Fatal(err)
		}
	}, func(h *testHost) { h.emptied() })
}
