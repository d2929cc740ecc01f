package history

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/store"
)

func newHistory(t testing.TB, s *store.Store, limits quota.Amounts, policy func(string) Policy) *History {
	t.Helper()
	if policy == nil {
		policy = func(string) Policy { return Policy{} }
	}
	h := New(Config{
		Store: s, Ledger: quota.New(quota.Config{Defaults: limits}), Log: slog.New(slog.DiscardHandler), Policy: policy, Redact: []string{"Operators-Own"},
	})
	t.Cleanup(h.Close)
	return h
}

// eachHistory runs a test with a store in memory, with one on disk, and of transient
// functions.
func eachHistory(t *testing.T, limits quota.Amounts, test func(t *testing.T, h *History, o logs.Owner)) {
	memory := func(t *testing.T) *store.Store {
		s := store.Memory(store.Config{})
		t.Cleanup(s.Close)
		return s
	}
	t.Run("memory", func(t *testing.T) {
		test(t, newHistory(t, memory(t), limits, nil), logs.Owner{Tenant: "t", Function: "f"})
	})
	t.Run("transient", func(t *testing.T) {
		test(t, newHistory(t, memory(t), limits, nil), logs.Owner{Tenant: "t", Function: "f", Transient: true})
	})
	t.Run("jetstream", func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		test(t, newHistory(t, s, limits, nil), logs.Owner{Tenant: "t", Function: "f"})
	})
}

// made is a call over HTTP that ended at that time after the epoch.
func made(o logs.Owner, after time.Duration, event string) Made {
	return Made{
		Owner: o, Event: []byte(event), Answer: []byte(`{"statusCode":200}`), Document: true,
		Call: Call{Kind: HTTP, VersionID: "v1", RequestID: "r" + after.String(), Received: time.Unix(0, 0).Add(after), Status: 200},
	}
}

func list(t *testing.T, h *History, o logs.Owner, q Query) []Call {
	t.Helper()
	calls, err := h.List(t.Context(), o, q)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

func TestHistory_HasWhatWasAdded(t *testing.T) {
	eachHistory(t, quota.Amounts{}, func(t *testing.T, h *History, o logs.Owner) {
		base := time.Since(time.Unix(0, 0))
		for n := range 5 {
			m := made(o, base+time.Duration(n)*time.Second, fmt.Sprintf(`{"n":%d,"operatorsOwn":"x"}`, n))
			if n == 3 {
				m.Status, m.Error, m.VersionID = 502, "ValueError", "v2"
				m.Connections = []Connection{{Target: "tcp 192.0.2.1:443", Name: "example.com", Bytes: 7}}
			}
			h.Add(m)
		}
		all := list(t, h, o, Query{})
		if len(all) != 5 {
			t.Fatalf("%d calls", len(all))
		}
		for n, c := range all {
			if c.RequestID != "r"+(base+time.Duration(4-n)*time.Second).String() || c.Event.Text != "" || c.Event.Bytes == 0 ||
				c.Connections != nil {
				t.Errorf("call %d is %+v", n, c)
			}
		}
		got, err := h.Get(t.Context(), o, all[1].ID)
		if err != nil || got.Event.Text != `{"n":3,"operatorsOwn":"[redacted]"}` || got.Answer.Text != `{"statusCode":200}` ||
			len(got.Connections) != 1 || got.Connections[0].Name != "example.com" || got.Error != "ValueError" || got.Event.Redacted[0] != "operatorsOwn" {
			t.Errorf("got %+v, %v", got, err)
		}
		for what, c := range map[string]struct {
			q    Query
			want string
		}{
			"failed": {Query{Failed: true}, "3"}, "a version": {Query{Version: "v1"}, "4210"}, "none": {Query{Version: "v3"}, ""},
			"a request": {Query{RequestID: all[2].RequestID}, "2"}, "two": {Query{Limit: 2}, "43"},
			"the next": {Query{Limit: 2, Before: all[1].ID}, "21"},
			"since":    {Query{Since: all[1].Received}, "43"},
			"until":    {Query{Until: all[3].Received}, "10"},
		} {
			var got string
			for _, c := range list(t, h, o, c.q) {
				got += fmt.Sprint(int(c.Received.Sub(all[4].Received).Seconds()))
			}
			if got != c.want {
				t.Errorf("%s: got %s, want %s", what, got, c.want)
			}
		}
		for _, id := range []string{"", "f", "f.", all[0].ID + "0", strings.Replace(all[0].ID, ".", ".f", 1), "f.zzzzzzzzzzzzz000000", "f.-000000000001000000",
			all[0].ID[:len(all[0].ID)-1] + "g", strings.Repeat("f", 100_000) + "."} {
			_, err := h.Get(t.Context(), o, id)
			if fault.Of(err) != fault.NotFound || len(err.Error()) > 200 {
				t.Errorf("%.80q: got %v", id, err)
			}
		}
		for field, q := range map[string]Query{
			"limit": {Limit: MaxCalls + 1}, "until": {Since: time.Unix(9, 0), Until: time.Unix(8, 0)}, "before": {Before: "x"},
		} {
			_, err := h.List(t.Context(), o, q)
			if e, ok := errors.AsType[*fault.InvalidError](err); !ok || e.Field != field {
				t.Errorf("%+v: got %v", q, err)
			}
		}
		other := logs.Owner{Tenant: o.Tenant, Function: "g", Transient: o.Transient}
		if _, err := h.Get(t.Context(), other, all[0].ID); fault.Of(err) != fault.NotFound {
			t.Errorf("of another function: %v", err)
		}
		if err := h.Drop(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if left := list(t, h, o, Query{}); len(left) != 0 || h.Kept(o.Tenant) != 0 {
			t.Errorf("%d calls are left, %d bytes", len(left), h.Kept(o.Tenant))
		}
		if n := h.cfg.Ledger.Held(quota.LogBuffer); n != 0 {
			t.Errorf("%d bytes are held", n)
		}
	})
}

// Whatever texts are like, what is kept is bounded, whole characters, and says what is
// missing.
func TestHistory_TextsOfAnyKind(t *testing.T) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	h, o := newHistory(t, s, quota.Amounts{}, nil), logs.Owner{Tenant: "t", Function: "f"}
	long := strings.Repeat("я", MaxText)
	for what, c := range map[string]struct {
		text        string
		document    bool
		cut, base64 bool
		want        string
	}{
		"nothing":               {"", false, false, false, ""},
		"text":                  {"a\r\n\tя", false, false, false, "a\r\n\tя"},
		"bytes":                 {"\xff\x00\xfe", false, false, true, "\xff\x00\xfe"},
		"control characters":    {"a\x1b[31m", false, false, true, "a\x1b[31m"},
		"as many as are kept":   {strings.Repeat("x", MaxText), false, false, false, strings.Repeat("x", MaxText)},
		"one more":              {strings.Repeat("x", MaxText+1), false, true, false, strings.Repeat("x", CutText)},
		"cut within characters": {"x" + long, false, true, false, "x" + long[:CutText-2]},
		"bytes that are cut":    {strings.Repeat("\xff", MaxText+1), false, true, true, strings.Repeat("\xff", CutText)},
		"a document":            {`"` + strings.Repeat("x", MaxText) + `"`, true, false, false, `"` + strings.Repeat("x", MaxText) + `"`},
		"a long document":       {`"` + strings.Repeat("x", maxDocument), true, true, false, `"` + strings.Repeat("x", CutText-1)},
		"quotes":                {strings.Repeat(`"`, MaxText), false, false, false, strings.Repeat(`"`, MaxText)},
		"HTML":                  {strings.Repeat("<", MaxText), false, false, false, strings.Repeat("<", MaxText)},
		"separators":            {strings.Repeat("\u2028", MaxText/3), false, false, false, strings.Repeat("\u2028", MaxText/3)},
	} {
		m := made(o, time.Since(time.Unix(0, 0)), c.text)
		m.Document, m.RequestID, m.Answer = c.document, what, []byte(c.text)
		m.Error = long
		h.Add(m)
		found := list(t, h, o, Query{RequestID: what})
		if len(found) != 1 || len(found[0].Error) > maxError {
			t.Errorf("%s: found %d", what, len(found))
			continue
		}
		got, err := h.Get(t.Context(), o, found[0].ID)
		if e := got.Event; err != nil || e.Cut != c.cut || e.Base64 != c.base64 || string(e.Content()) != c.want || e.Bytes != len(c.text) {
			t.Errorf("%s: %v, cut: %v, base64: %v, %d of %d bytes: %.80q", what, err, e.Cut, e.Base64, len(e.Content()), e.Bytes, e.Text)
		}
	}
	// A body beside the event is not kept, and missed.
	m := made(o, time.Since(time.Unix(0, 0)), "{}")
	m.Body = 100_000
	if c := h.Keep(m); !c.Event.Cut || c.Event.Bytes != 100_002 {
		t.Errorf("got %+v", c.Event)
	}
}

// Who makes calls faster than they can be kept loses some, and nobody else does; nothing
// waits.
func TestHistory_DropsWhatIsTooMuch(t *testing.T) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	h := newHistory(t, s, quota.Amounts{}, nil)
	loud, quiet := logs.Owner{Tenant: "loud", Function: "l"}, logs.Owner{Tenant: "quiet", Function: "q"}
	h.mu.Lock()
	h.sizes["loud"] = maxWaitingOf - 2*MaxText // as if the worker were slow
	h.mu.Unlock()
	for range 10 {
		h.Add(made(loud, time.Since(time.Unix(0, 0)), strings.Repeat("x", MaxText)))
	}
	h.Add(made(quiet, time.Since(time.Unix(0, 0)), "{}"))
	if got := list(t, h, loud, Query{}); len(got)+int(h.Dropped()) != 10 || h.Dropped() == 0 {
		t.Errorf("%d calls are kept, %d were dropped", len(got), h.Dropped())
	}
	if got := list(t, h, quiet, Query{}); len(got) != 1 {
		t.Errorf("the other tenant has %d calls", len(got))
	}
}

// A function keeps so many calls and bytes, a tenant so many bytes; the oldest go.
func TestHistory_IsBounded(t *testing.T) {
	const limit = 4 << 20
	eachHistory(t, quota.Amounts{quota.CallBytes: limit}, func(t *testing.T, h *History, o logs.Owner) {
		base := time.Since(time.Unix(0, 0))
		for n := range 3 * MaxCalls {
			h.Add(made(o, base+time.Duration(n)*time.Millisecond, "{}"))
			if n%100 == 99 {
				list(t, h, o, Query{Limit: 1})
			}
		}
		got := list(t, h, o, Query{Limit: MaxCalls})
		if len(got) != MaxCalls || got[0].RequestID != "r"+(base+time.Duration(3*MaxCalls-1)*time.Millisecond).String() {
			t.Errorf("%d calls, the newest is %s", len(got), got[0].RequestID)
		}
		older := list(t, h, o, Query{Limit: MaxCalls, Before: got[len(got)-1].ID})
		if len(older) > MaxCalls/2+100 { // which is what a batch may have here
			t.Errorf("%d more are kept", len(older))
		}
		big := logs.Owner{Tenant: o.Tenant, Function: "big", Transient: o.Transient}
		for n := range 100 {
			h.Add(made(big, base+time.Duration(n)*time.Millisecond, strings.Repeat("x", MaxText)))
			list(t, h, big, Query{Limit: 1})
		}
		if n := h.Kept(o.Tenant); n > limit {
			t.Errorf("the tenant keeps %d bytes, at most %d are allowed", n, limit)
		}
		got = list(t, h, big, Query{Limit: MaxCalls})
		if len(got) < 10 || got[0].Received.Sub(time.Unix(0, 0)) != base+99*time.Millisecond {
			t.Errorf("%d are left of the newest", len(got))
		}
	})
}

func TestHistory_KeepsToThePolicy(t *testing.T) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	h := newHistory(t, s, quota.Amounts{}, func(id string) Policy {
		return Policy{Off: id == "off", Redact: []string{"e-mail"}}
	})
	o := logs.Owner{Tenant: "t", Function: "f"}
	if h.Wants("off") || !h.Wants("f") || (*History)(nil).Wants("f") {
		t.Error("the wrong calls are kept")
	}
	c := h.Keep(made(o, 0, `{"EMail":"ann","b":1}`))
	if c.Event.Text != `{"EMail":"[redacted]","b":1}` || c.Event.Redacted[0] != "EMail" {
		t.Errorf("got %+v", c.Event)
	}
	h.Keep(made(logs.Owner{Tenant: "t", Function: "off"}, 0, "{}"))
	if got := list(t, h, logs.Owner{Tenant: "t", Function: "off"}, Query{}); len(got) != 0 {
		t.Errorf("%d calls are kept", len(got))
	}
	for _, p := range []Policy{{Redact: []string{""}}, {Redact: []string{"-_"}}, {Redact: []string{"\xff"}}, {Redact: make([]string, maxRedact+1)},
		{Redact: []string{strings.Repeat("x", longestName+1)}}} {
		if fault.Of(p.Validate()) != fault.Invalid {
			t.Errorf("%.80q: got %v", p.Redact, p.Validate())
		}
	}
}

// Secrets are in no text, however they are written, nor is the beginning of one at the end
// of what was cut.
func TestHistory_HidesValues(t *testing.T) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	h, o := newHistory(t, s, quota.Amounts{}, nil), logs.Owner{Tenant: "t", Function: "f"}
	const value = "hünter\"2 <two>"
	for what, text := range map[string]string{
		"as it is":      "x " + value + " y",
		"in JSON":       `{"a":"hünter\"2 <two>"}`,
		"in Python's":   `{"a":"h\u00fcnter\"2 <two>"}`,
		"in base64":     base64.StdEncoding.EncodeToString([]byte(value)),
		"twice":         value + value,
		"where it ends": strings.Repeat("x", CutText-10) + value + strings.Repeat("x", MaxText),
	} {
		m := made(o, 0, text)
		m.Answer, m.Document = m.Event, false
		m.Hide = func() []string { return []string{"", "a", value, "2 <t"} }
		c := h.Keep(m)
		for _, got := range []string{c.Event.Text, c.Answer.Text} {
			if strings.Contains(got, "nter") || strings.Contains(got, "aMO8bnRlciI") || what != "where it ends" && !strings.Contains(got, Redacted) {
				t.Errorf("%s: got %.80q", what, strings.ReplaceAll(got, "xx", ""))
			}
		}
	}
}

// A reader of the history counts against its tenant.
func TestHistory_ReadersCount(t *testing.T) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	h, o := newHistory(t, s, quota.Amounts{quota.Memory: 1 << 20}, nil), logs.Owner{Tenant: "t", Function: "f"}
	if _, err := h.List(t.Context(), o, Query{}); fault.Of(err) != fault.OverQuota {
		t.Errorf("got %v", err)
	}
}

func TestHistory_ManyAtOnce(t *testing.T) {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	h := newHistory(t, s, quota.Amounts{}, nil)
	var all sync.WaitGroup
	for n := range 8 {
		o := logs.Owner{Tenant: fmt.Sprint("t", n%3), Function: fmt.Sprint("f", n), Transient: n%2 == 0}
		all.Go(func() {
			for n := range 300 {
				h.Add(made(o, time.Duration(n)*time.Millisecond, "{}"))
			}
		})
		all.Go(func() {
			for range 5 {
				if _, err := h.List(context.Background(), o, Query{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for n := range 8 {
		o := logs.Owner{Tenant: fmt.Sprint("t", n%3), Function: fmt.Sprint("f", n), Transient: n%2 == 0}
		if got := list(t, h, o, Query{Limit: MaxCalls}); len(got) != 300 {
			t.Errorf("%s has %d calls", o.Function, len(got))
		}
	}
	h.Close()
	if h.size != 0 || len(h.sizes) != 0 || h.Dropped() != 0 || h.cfg.Ledger.Held(quota.LogBuffer) != 0 {
		t.Errorf("%d bytes wait of %v, %d were dropped", h.size, h.sizes, h.Dropped())
	}
	if _, err := h.List(context.Background(), logs.Owner{Tenant: "t1", Function: "f1"}, Query{}); fault.Of(err) != fault.Closed {
		t.Errorf("reading after the end: %v", err)
	}
}

// BenchmarkAdd is what a call waits for.
func BenchmarkAdd(b *testing.B) {
	s := store.Memory(store.Config{})
	b.Cleanup(s.Close)
	h := newHistory(b, s, quota.Amounts{}, nil)
	m := made(logs.Owner{Tenant: "t", Function: "f"}, time.Second, `{"body":"","x":"`+strings.Repeat("x", 900)+`"}`)
	b.ReportAllocs()
	for b.Loop() {
		h.Add(m)
	}
}

// BenchmarkKeep is what keeping a call takes.
func BenchmarkKeep(b *testing.B) {
	s := store.Memory(store.Config{})
	b.Cleanup(s.Close)
	h := newHistory(b, s, quota.Amounts{}, nil)
	o := logs.Owner{Tenant: "t", Function: "d4e0123456789abcdefg"}
	event := `{"body":"{\"n\":1}","headers":{` + strings.Repeat(`"Accept-Encoding":"gzip",`, 15) + `"Host":"h"},"multiValueHeaders":{` +
		strings.Repeat(`"Accept-Encoding":["gzip"],`, 15) + `"Host":["h"]},"httpMethod":"POST"}`
	m := made(o, time.Second, event)
	b.ReportAllocs()
	for b.Loop() {
		h.Keep(m)
	}
}
