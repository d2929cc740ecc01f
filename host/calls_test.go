package host

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/paced"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/run"
)

// calls returns a function's calls, newest first.
func (h *testHost) calls(function string, q history.Query) []history.Call {
	h.t.Helper()
	calls, err := h.Calls().List(h.t.Context(), access.Operator, function, q)
	if err != nil {
		h.t.Fatal(err)
	}
	return calls
}

// opened returns a call with all that is kept of it.
func (h *testHost) opened(id string) history.Call {
	h.t.Helper()
	c, err := h.Calls().Get(h.t.Context(), access.Operator, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// overHTTP calls a function with an event, as the server does.
func (h *testHost) overHTTP(function, event string) error {
	h.t.Helper()
	_, err := h.Invoke(h.t.Context(), access.Operator, run.Invocation{
		Function: function, RequestID: uuid.NewString(), Received: time.Now(), Event: func(paced.Work) []byte { return []byte(event) },
	})
	return err
}

const answersAll = `
import os, time
def handler(event, context):
    match event:
        case {"sleep": s}: time.sleep(s)
        case {"raise": text}: raise KeyError(text)
        case {"exit": _}: os._exit(1)
        case {"answer": n}: return "x" * n
    return {"statusCode": 201, "headers": {"Set-Cookie": "s=1"}, "body": type(event).__name__, "environ": list(os.environ)}
`

// What a call was is told by its record, whichever way it went, and after a restart.
func TestCalls_AreKept(t *testing.T) {
	var ids []string
	var v *catalog.Version
	restart(t, func(h *testHost) {
		h.create("fun")
		v = h.version("fun", answersAll, catalog.VersionSpec{
			Timeout: time.Second, Environment: map[string]string{"SECRET_SAUCE": "tomatoes"}, Async: &catalog.AsyncConfig{},
		})
		_ = h.overHTTP("fun", `{"headers":{"Authorization":"Bearer hunter2"},"n":1}`)
		_, _ = h.raw("fun", `{"raise":"missing"}`)
		_, _ = h.raw("fun", `{"sleep":60}`)
		_, _ = h.raw("fun", `{"exit":1}`)
		_, _ = h.raw("fun", "\xff\xfe")
		_, _ = h.raw("fun", `{"answer":100000}`)
		_, _ = h.raw("fun", `{"answer":4000000}`)
		_, _ = h.raw("fun", strings.Repeat("x", 100_000))
		h.async("fun", `{"queued":1}`)
		h.emptied()
		for _, c := range h.calls("fun", history.Query{}) {
			ids = append([]string{c.ID}, ids...)
		}
	}, func(h *testHost) {
		if len(ids) != 9 {
			t.Fatalf("%d calls", len(ids))
		}
		for n, want := range []struct {
			kind          history.Kind
			status        int
			err           string
			event, answer string
			cut           bool
		}{
			{history.HTTP, 201, "", `{"headers":{"Authorization":"[redacted]"},"n":1}`, `"Set-Cookie": "[redacted]"`, false},
			{history.Raw, 502, "KeyError", `{"raise":"missing"}`, `"errorMessage": "'missing'"`, false},
			{history.Raw, 504, "ExecutionTimeout", `{"sleep":60}`, "Execution timeout exceeded", false},
			{history.Raw, 502, "RuntimeExit", `{"exit":1}`, "exit code 1", false},
			{history.Raw, 200, "", "\xff\xfe", "statusCode", false},
			{history.Raw, 200, "", `{"answer":100000}`, `"xxxx`, false},
			{history.Raw, 502, "ResponseTooLarge", `{"answer":4000000}`, "4000002 bytes", false},
			{history.Raw, 200, "", strings.Repeat("x", history.CutText), "statusCode", true},
			{history.Async, 200, "", `{"queued":1}`, "statusCode", false},
		} {
			c := h.opened(ids[n])
			if c.Kind != want.kind || c.Status != want.status || c.Error != want.err || string(c.Event.Content()) != want.event ||
				!strings.Contains(c.Answer.Text, want.answer) || c.Event.Cut != want.cut || c.VersionID != v.ID || c.RequestID == "" {
				t.Errorf("call %d is %s %d %s, event %.80q, answer %.200q", n, c.Kind, c.Status, c.Error, c.Event.Text, c.Answer.Text)
			}
			if f := c.Figures; f.Duration <= 0 || f.Handler <= 0 || f.CPU <= 0 || f.PeakMemory < 1<<20 {
				t.Errorf("call %d took %+v", n, f)
			}
			if text := fmt.Sprintf("%+v", c); strings.Contains(text, "tomatoes") || strings.Contains(text, "hunter2") {
				t.Errorf("call %d tells what it must not: %s", n, text)
			}
		}
		first, cut := h.opened(ids[0]), h.opened(ids[5])
		if !first.Figures.Cold || h.opened(ids[1]).Figures.Cold || !cut.Answer.Cut || cut.Answer.Bytes != 100_002 {
			t.Errorf("got %+v, %+v", first.Figures, cut.Answer.Bytes)
		}
		if got := h.calls("fun", history.Query{Failed: true}); len(got) != 4 {
			t.Errorf("%d calls have failed", len(got))
		}
		if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Calls().Get(t.Context(), access.Operator, ids[0]); fault.Of(err) != fault.NotFound {
			t.Errorf("of a function that is deleted: %v", err)
		}
		if batches, _, err := h.cfg.Store.Calls.Sizes(t.Context()); err != nil || len(batches) != 0 {
			t.Errorf("the store still has %v, %v", batches, err)
		}
	})
}

// A version whose module does not load has calls, too, and they can be made again.
func TestCalls_ThatMetAModuleThatDoesNotLoad(t *testing.T) {
	h := newTestHost(t, Config{})
	h.create("fun")
	h.version("fun", "import datetme\n", catalog.VersionSpec{AllowBroken: true})
	_ = h.overHTTP("fun", `{"n":1}`)
	all := h.calls("fun", history.Query{})
	if len(all) != 1 || all[0].Status != 502 || all[0].Error != "ModuleNotFoundError" {
		t.Fatalf("got %+v", all)
	}
	h.version("fun", "def handler(event, context): return {'got': event}\n", catalog.VersionSpec{})
	again, err := h.Calls().Replay(t.Context(), access.Operator, all[0].ID, Replay{Tag: catalog.LatestTag})
	if err != nil || again.Answer.Text != `{"got": {"n": 1}}` {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestCalls_OfTimersAreKept(t *testing.T) {
	h := newTestHost(t, Config{})
	h.create("fun")
	h.version("fun", ticking, catalog.VersionSpec{})
	if _, err := h.events.CreateTimer(t.Context(), access.Operator, events.TimerSpec{Name: "each-second", Function: "fun", Cron: "* * * * * *", Payload: "hello"}); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "a tick", func() bool { return len(h.log("tick TimerMessage hello")) >= 1 })
	roomtest.Until(t, "its call", func() bool {
		calls := h.calls("fun", history.Query{})
		return len(calls) > 0 && calls[len(calls)-1].Kind == history.Timer && strings.Contains(h.opened(calls[0].ID).Event.Text, "hello")
	})
}

func TestCalls_TellTheirConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello")) }))
	t.Cleanup(server.Close)
	h := netHost(t)
	h.deploy("talker", talker, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute})
	address := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	h.eval("talker", "", fmt.Sprintf(`urllib.request.urlopen("%s").read().decode() + fails(socket.create_connection, ("192.0.2.1", 80))`, address))
	c := h.opened(h.calls("talker", history.Query{})[0].ID)
	if len(c.Connections) != 1 || c.Connections[0].Target != "tcp "+strings.TrimPrefix(server.URL, "http://") ||
		c.Connections[0].Bytes < 100 || len(c.Refused) != 1 || !strings.Contains(c.Refused[0], "192.0.2.1") {
		t.Errorf("got %+v, refused: %v", c.Connections, c.Refused)
	}
	h.eval("talker", "", "1")
	if c := h.opened(h.calls("talker", history.Query{})[0].ID); c.Connections != nil || c.Refused != nil {
		t.Errorf("the next call has %+v, refused: %v", c.Connections, c.Refused)
	}
}

func TestCalls_AreReplayed(t *testing.T) {
	h := storedHost(t)
	h.create("fun")
	const source = "def handler(event, context): return {'is': '%s', 'event': event}\n"
	one := h.version("fun", fmt.Sprintf(source, "one"), catalog.VersionSpec{}, "prod")
	if err := h.overHTTP("fun", `{"n":1}`); err != nil {
		t.Fatal(err)
	}
	_, _ = h.raw("fun", "\xff")
	_, _ = h.raw("fun", strings.Repeat("x", history.MaxText+1))
	calls := h.calls("fun", history.Query{})
	long, raw, origin := calls[0].ID, calls[1].ID, calls[2].ID
	two := h.version("fun", fmt.Sprintf(source, "two"), catalog.VersionSpec{}, "next")
	h.create("other")
	others := h.version("other", fmt.Sprintf(source, "other"), catalog.VersionSpec{})

	for what, c := range map[string]struct {
		id, want string
		version  *catalog.Version
		r        Replay
	}{
		"as it was":         {origin, `{"is": "one", "event": {"n": 1}}`, one, Replay{}},
		"of another tag":    {origin, `{"is": "two", "event": {"n": 1}}`, two, Replay{Tag: "next"}},
		"of the newest":     {origin, `{"is": "two", "event": {"n": 1}}`, two, Replay{Tag: catalog.LatestTag}},
		"of a version":      {origin, `{"is": "two", "event": {"n": 1}}`, two, Replay{VersionID: two.ID}},
		"edited":            {origin, `{"is": "one", "event": {"n": 2}}`, one, Replay{Event: []byte(`{"n":2}`)}},
		"raw":               {raw, `{"is": "one", "event": "\udcff"}`, one, Replay{}},
		"with a new event":  {long, `{"is": "one", "event": 3}`, one, Replay{Event: []byte("3")}},
		"with an empty one": {raw, `{"is": "one", "event": ""}`, one, Replay{Event: []byte{}}},
	} {
		got, err := h.Calls().Replay(t.Context(), access.Operator, c.id, c.r)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		kept := h.opened(got.ID)
		if what != "raw" && got.Answer.Text != c.want || got.VersionID != c.version.ID || got.ReplayOf != c.id ||
			kept.Answer.Text != got.Answer.Text || kept.ReplayOf != c.id || got.RequestID == h.opened(c.id).RequestID {
			t.Errorf("%s: got %+v, kept %+v", what, got, kept)
		}
	}
	for what, c := range map[string]struct {
		id   string
		kind fault.Kind
		text string
		r    Replay
	}{
		"an event that was cut":   {long, fault.Conflict, "65537 bytes", Replay{}},
		"no JSON":                 {origin, fault.Invalid, "JSON object", Replay{Event: []byte(`{"n":`)}},
		"no object":               {origin, fault.Invalid, "JSON object", Replay{Event: []byte(`null`)}},
		"two versions":            {origin, fault.Invalid, "one of the two", Replay{Tag: "next", VersionID: two.ID}},
		"no such tag":             {origin, fault.NotFound, "tag nowhere", Replay{Tag: "nowhere"}},
		"no such version":         {origin, fault.NotFound, "version", Replay{VersionID: "d4v00000000000000000"}},
		"another function's":      {origin, fault.NotFound, "version", Replay{VersionID: others.ID}},
		"no such call":            {origin + "0", fault.NotFound, "call", Replay{}},
		"by the function's name":  {strings.Replace(origin, one.FunctionID, "fun", 1), fault.NotFound, "call", Replay{}},
		"of a function elsewhere": {strings.Replace(origin, one.FunctionID, others.FunctionID, 1), fault.NotFound, "call", Replay{}},
	} {
		_, err := h.Calls().Replay(t.Context(), access.Operator, c.id, c.r)
		if fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if err := h.Catalog().DeleteVersion(t.Context(), access.Operator, one.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err := h.Calls().Replay(t.Context(), access.Operator, origin, Replay{})
	wantError[*fault.ConflictError](t, err, "which is gone")
}

// Calls are for who may read the function's log, and of another tenant's nobody learns
// that they are there.
func TestCalls_AreOfTheirTenant(t *testing.T) {
	h := storedHost(t)
	f := h.createFor("acme", "fun")
	h.version(f.ID, printing, catalog.VersionSpec{})
	_, _ = h.raw(f.ID, "1")
	id := h.calls(f.ID, history.Query{})[0].ID
	stranger := access.Principal{Tenant: "globex", Role: access.RoleAdmin}
	invoker := access.Principal{Tenant: "acme", Role: access.RoleInvoker}
	for who, c := range map[string]struct {
		p    access.Principal
		want fault.Kind
	}{"a stranger": {stranger, fault.NotFound}, "an invoker": {invoker, fault.Forbidden}, "nobody": {access.Principal{}, fault.Unauthenticated}} {
		_, listed := h.Calls().List(t.Context(), c.p, f.ID, history.Query{})
		_, got := h.Calls().Get(t.Context(), c.p, id)
		_, replayed := h.Calls().Replay(t.Context(), c.p, id, Replay{})
		for _, err := range []error{listed, got, replayed} {
			if fault.Of(err) != c.want {
				t.Errorf("%s: got %v", who, err)
			}
		}
	}
	if _, err := h.Calls().Get(t.Context(), access.Principal{Tenant: "acme", Role: access.RoleDeployer}, id); err != nil {
		t.Errorf("its own: %v", err)
	}
	// What is not there and what is another's are told alike.
	_, absent := h.Calls().Get(t.Context(), stranger, strings.Replace(id, f.ID, "d4e00000000000000000", 1))
	_, foreign := h.Calls().Get(t.Context(), stranger, id)
	if strings.ReplaceAll(absent.Error(), "d4e00000000000000000", f.ID) != foreign.Error() {
		t.Errorf("%v, %v", absent, foreign)
	}
	if q, err := h.Tenants().Quotas(t.Context(), access.Operator, "acme"); err != nil || q.Use[quota.CallBytes] < 100 {
		t.Errorf("they count %d bytes, %v", q.Use[quota.CallBytes], err)
	}
}

// Owners say what is kept, from then on.
func TestCalls_KeepToThePolicy(t *testing.T) {
	restart(t, func(h *testHost) {
		h.create("fun")
		h.version("fun", printing, catalog.VersionSpec{})
		set := func(p history.Policy) error {
			_, err := h.Catalog().UpdateFunction(t.Context(), access.Operator, "fun", catalog.FunctionUpdate{Calls: &p})
			return err
		}
		if err := set(history.Policy{Redact: []string{"E-Mail"}}); err != nil {
			t.Fatal(err)
		}
		_, _ = h.raw("fun", `{"email":"ann"}`)
		if err := set(history.Policy{Off: true}); err != nil {
			t.Fatal(err)
		}
		_, _ = h.raw("fun", `{"email":"bob"}`)
		if fault.Of(set(history.Policy{Redact: []string{""}})) != fault.Invalid {
			t.Error("an empty name is taken")
		}
	}, func(h *testHost) {
		calls := h.calls("fun", history.Query{})
		if len(calls) != 1 || h.opened(calls[0].ID).Event.Text != `{"email":"[redacted]"}` {
			t.Errorf("got %+v", calls)
		}
		// Replayed, but not kept.
		got, err := h.Calls().Replay(t.Context(), access.Operator, calls[0].ID, Replay{})
		if err != nil || got.Status != 200 || len(h.calls("fun", history.Query{})) != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
