package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	pythonwasi "vivarium/python-wasi"
)

// try runs a snippet in raw mode and returns its answer and the messages that it
// logged itself.
func (h *testHost) try(ctx context.Context, source, body string, spec catalog.VersionSpec) (answer string, log []string, err error) {
	h.t.Helper()
	code, err := CodeFromFiles(map[string]string{"main.py": source})
	if err != nil {
		h.t.Fatal(err)
	}
	spec.Entrypoint = "main.handler"
	r, err := h.Try(ctx, spec, code, Invocation{RequestID: uuid.NewString(), Received: time.Now(), Raw: true, Body: []byte(body)},
		func(e logs.Entry) {
			if !e.System {
				log = append(log, e.Message)
			}
		})
	if r != nil {
		answer = string(r.Body)
	}
	return answer, log, err
}

func TestTry_LeavesNothing(t *testing.T) {
	h := newTestHost(t, testConfig{})
	source := `
import os
seen = []
def handler(event, context):
    print("trying", event)
    seen.append(event)
    found = os.listdir("/tmp")
    open("/tmp/mark", "w").close()
    return [seen, found]
`
	for n := range 3 {
		got, log, err := h.try(t.Context(), source, fmt.Sprint(n), catalog.VersionSpec{})
		if want := fmt.Sprintf("[[%d], []]", n); err != nil || got != want {
			t.Errorf("try %d: got %s, %v, want %s: nothing of the one before", n, got, err, want)
		}
		if want := []string{fmt.Sprintf("trying %d", n)}; !slices.Equal(log, want) {
			t.Errorf("try %d: log %q, want %q", n, log, want)
		}
	}
	if got := h.log(""); len(got) > 0 {
		t.Errorf("the host's log has %q of tries", got)
	}
	if s := h.Stats(); s.Versions != 0 || s.Memory != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

func TestTry_NamesEachOutcome(t *testing.T) {
	h := newTestHost(t, testConfig{})
	for _, test := range []struct{ source, kind string }{
		{"def handler(event, context): return 1/0", "ZeroDivisionError"},
		{"def handler(event, context:", "SyntaxError"},
		{"def handle(event, context): pass", "HandlerNotFound"},
		{"def handler(event, context):\n while True: pass", "ExecutionTimeout"},
		{"import os\ndef handler(event, context): os._exit(3)", "RuntimeExit"},
		{"def handler(event, context): return bytearray(1 << 29)", "MemoryError"},
	} {
		_, _, err := h.try(t.Context(), test.source, "1", catalog.VersionSpec{Timeout: 300 * time.Millisecond})
		if fe, ok := errors.AsType[*fault.FunctionError](err); !ok || fe.Type != test.kind {
			t.Errorf("%s: got %v, want %s", test.source, err, test.kind)
		}
	}
	_, _, err := h.try(t.Context(), "", "1", catalog.VersionSpec{MemoryMB: 100})
	if _, ok := errors.AsType[*fault.InvalidError](err); !ok {
		t.Errorf("100 MB: got %v, want *InvalidError", err)
	}
	if used := h.room.ledger.Total(quota.Memory); used != 0 {
		t.Errorf("%d bytes are still accounted for", used)
	}
}

const sleepingTry = "import time\ndef handler(event, context):\n    print('begun', flush=True)\n    time.sleep(60)"

// waitTries waits until so many tries are under way and wait.
func (h *testHost) waitTries(running, waiting int) {
	h.t.Helper()
	roomtest.Until(h.t, "as many tries run and wait", func() bool {
		return len(h.tries.places) == running && h.tries.waiting.Load() == int64(waiting)
	})
}

func TestTry_WaitsForAPlaceAndThenIsRefused(t *testing.T) {
	h := newTestHost(t, testConfig{MaxTries: 1})
	first, cancelFirst := context.WithCancel(t.Context())
	defer cancelFirst()
	others, cancelOthers := context.WithCancel(t.Context())
	defer cancelOthers()
	var group sync.WaitGroup
	errs := make(chan error, maxTriesWaiting+1)
	for n := range maxTriesWaiting + 1 {
		ctx := others
		if n == 0 {
			ctx = first
		}
		group.Go(func() {
			_, _, err := h.try(ctx, sleepingTry, "1", catalog.VersionSpec{Timeout: time.Minute})
			errs <- err
		})
		h.waitTries(1, n)
	}
	if _, _, err := h.try(t.Context(), sleepingTry, "1", catalog.VersionSpec{}); err != fault.ErrBusy {
		t.Errorf("one too many: got %v, want ErrBusy", err)
	}
	cancelOthers()
	h.waitTries(1, 0) // those who wait leave at once
	cancelFirst()
	group.Wait()
	for range maxTriesWaiting + 1 {
		if err := <-errs; err != fault.ErrCancelled {
			t.Errorf("a cancelled try: got %v, want ErrCancelled", err)
		}
	}
	h.waitTries(0, 0)
	if got, _, err := h.try(t.Context(), "def handler(event, context): return event", "7", catalog.VersionSpec{}); err != nil || got != "7" {
		t.Errorf("a try after that: got %s, %v", got, err)
	}
}

func TestTry_CloseWaitsForThoseUnderWay(t *testing.T) {
	h := newTestHost(t, testConfig{MaxTries: 1})
	if _, _, err := h.try(t.Context(), "def handler(event, context): pass", "1", catalog.VersionSpec{}); err != nil {
		t.Fatal(err) // from here on there is what tries are made from
	}
	var group sync.WaitGroup
	for _, want := range []error{nil, fault.ErrClosed} {
		group.Go(func() {
			_, _, err := h.try(t.Context(), "import time\ndef handler(event, context): time.sleep(0.3)", "1", catalog.VersionSpec{})
			if err != want {
				t.Errorf("got %v, want %v", err, want)
			}
		})
		roomtest.Until(t, "a try has begun", func() bool { return len(h.tries.places)+int(h.tries.waiting.Load()) > 0 })
		if want == nil {
			h.waitTries(1, 0)
		} else {
			h.waitTries(1, 1)
		}
	}
	h.Close()
	group.Wait()
	if _, _, err := h.try(t.Context(), sleepingTry, "1", catalog.VersionSpec{}); err != fault.ErrClosed {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
}

func TestTry_TakesItsShareOfTheMemoryAndNoMore(t *testing.T) {
	h := newTestHost(t, testConfig{MaxMemory: 256 << 20})
	source := `
def handler(event, context):
    kept = []
    try:
        while True:
            kept.append(bytearray(1 << 20))
    except MemoryError:
        return len(kept)
`
	got, _, err := h.try(t.Context(), source, "1", catalog.VersionSpec{})
	var n int
	if _, scanErr := fmt.Sscan(got, &n); err != nil || scanErr != nil || n > 64 || n < 32 {
		t.Errorf("got %s MiB, %v, want nearly a quarter of 256", got, err)
	}
	if used := h.room.ledger.Total(quota.Memory); used != 0 {
		t.Errorf("%d bytes are still accounted for", used)
	}
}

func TestTry_RenewsItsImage(t *testing.T) {
	h := newTestHost(t, testConfig{})
	hash := func() string {
		got, _, err := h.try(t.Context(), "def handler(event, context): return hash('text')", "1", catalog.VersionSpec{})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := hash()
	if again := hash(); again != first {
		t.Errorf("two tries of an image have the hashes %s and %s", first, again)
	}
	h.tries.mu.Lock()
	old := h.tries.stocks[pythonwasi.Lean].image
	old.uses = tryImageUses
	h.tries.mu.Unlock()
	roomtest.Until(t, "the image is another", func() bool { return hash() != first })
	if err := old.image.Close(); err == nil && old.users != 0 {
		t.Error("the image before is still in use")
	}
}

func TestCodeFromFiles_RefusesNamesByTheName(t *testing.T) {
	for _, files := range []map[string]string{
		{"../main.py": ""}, {"/main.py": ""}, {"": ""}, {".": ""}, {"a//b": ""}, {"a": "", "a/b": ""}, {"a\x00b": ""}, {strings.Repeat("n", 300): ""},
		{"a\xff": ""},
	} {
		_, err := CodeFromFiles(files)
		if _, ok := errors.AsType[*fault.InvalidError](err); !ok {
			t.Errorf("%.40q: got %v, want *InvalidError", files, err)
		}
	}
}
