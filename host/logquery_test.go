package host

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/roomtest"
)

const logging = `
import json
def handler(event, context):
    for level in ("DEBUG", "INFO", "ERROR"):
        print(json.dumps({"level": level, "message": f"{level} of {event}"}))
    print("plain", event)
`

// logs returns entries of a function's log.
func (h *testHost) logs(function string, q logs.Query) (entries []logs.Entry, err error) {
	err = h.ReadLogs(h.t.Context(), access.Operator, function, q, func(read []logs.Entry, _ bool) error { entries = read; return nil })
	return entries, err
}

// messages are the texts of a function's log that a query chooses.
func (h *testHost) messages(function string, q logs.Query) string {
	h.t.Helper()
	entries, err := h.logs(function, q)
	if err != nil {
		h.t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		if !strings.Contains(e.Message, "RequestID") { // the platform's own
			texts = append(texts, e.Message)
		}
	}
	return strings.Join(texts, ", ")
}

func TestLogs_AreChosenByQuery(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		h.create("fun")
		h.create("other")
		v := h.version("fun", logging, catalog.VersionSpec{})
		h.version("other", logging, catalog.VersionSpec{})
		h.want("fun", "1", "null")
		h.want("other", "1", "null")
		between := time.Now()
		h.want("fun", "2", "null")
		for what, c := range map[string]struct {
			query logs.Query
			want  string
		}{
			"all":      {logs.Query{}, "DEBUG of 1, INFO of 1, ERROR of 1, plain 1, DEBUG of 2, INFO of 2, ERROR of 2, plain 2"},
			"since":    {logs.Query{Since: between}, "DEBUG of 2, INFO of 2, ERROR of 2, plain 2"},
			"until":    {logs.Query{Until: between}, "DEBUG of 1, INFO of 1, ERROR of 1, plain 1"},
			"level":    {logs.Query{MinLevel: logs.LevelError}, "ERROR of 1, ERROR of 2"},
			"contains": {logs.Query{Contains: "pLAIN"}, "plain 1, plain 2"},
			"version":  {logs.Query{Version: v.ID, Contains: "plain"}, "plain 1, plain 2"},
			"limit":    {logs.Query{Limit: 3}, "plain 2"}, // END and REPORT follow it
		} {
			if got := h.messages("fun", c.query); got != c.want {
				t.Errorf("%s: got %s, want %s", what, got, c.want)
			}
		}
		_, err := h.logs("nobody", logs.Query{})
		wantError[*fault.NotFoundError](t, err, "nobody")
		_, err = h.logs("fun", logs.Query{MinLevel: "LOUD"})
		wantError[*fault.InvalidError](t, err, "level: ")
	})
}

func TestLogs_AreFollowed(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		h.create("fun")
		h.version("fun", logging, catalog.VersionSpec{})
		h.want("fun", "1", "null")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		enough := errors.New("enough")
		var got []string
		err := h.FollowLogs(ctx, access.Operator, "fun", logs.Query{Contains: "plain"}, func(e logs.Entry) error {
			if got = append(got, e.Message); len(got) == 3 {
				return enough
			}
			go func() { _, _ = h.raw("fun", "2") }()
			return nil
		})
		if err != enough || strings.Join(got, ", ") != "plain 1, plain 2, plain 2" {
			t.Errorf("got %v, %v", got, err)
		}
		ended := make(chan error)
		go func() {
			ended <- h.FollowLogs(t.Context(), access.Operator, "fun", logs.Query{}, func(logs.Entry) error { return nil })
		}()
		time.Sleep(50 * time.Millisecond)
		h.Close()
		if err := <-ended; err != fault.ErrClosed {
			t.Errorf("the host is closed, and following ends with %v", err)
		}
	})
}

func TestLogs_SurviveARestartAndGoWithTheirFunction(t *testing.T) {
	restart(t, func(h *testHost) {
		h.create("fun")
		h.version("fun", logging, catalog.VersionSpec{})
		h.want("fun", "1", "null") // what it logs is not stored yet when the host is closed
	}, func(h *testHost) {
		if got, want := h.messages("fun", logs.Query{MinLevel: logs.LevelError}), "ERROR of 1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		f, _ := h.Catalog().Function(access.Operator, "fun")
		if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
			t.Fatal(err)
		}
		err := h.cfg.Store.Logs.Read(t.Context(), f.ID, time.Time{}, false, func(b []byte) error {
			return errors.New(string(b))
		})
		if err != nil {
			t.Errorf("still there: %v", err)
		}
	})
}

func TestLogs_ManyEntriesDelayNoCall(t *testing.T) {
	s := openStore(t, t.TempDir())
	t.Cleanup(s.Close)
	h := newTestHost(t, Config{Store: s})
	h.create("fun")
	h.version("fun", "def handler(n, c):\n    for i in range(n): print(i, 'x' * 100)\n", catalog.VersionSpec{Timeout: time.Minute})
	h.want("fun", "20000", "null")
	entries, err := h.logs("fun", logs.Query{Limit: 30_000, Contains: "xxx"})
	if err != nil || len(entries) != 20_000 {
		t.Fatalf("%d entries, %v, want 20000", len(entries), err)
	}
	for i, e := range entries {
		if n, _, _ := strings.Cut(e.Message, " "); n != strconv.Itoa(i) {
			t.Fatalf("entry %d is %s", i, e.Message)
		}
	}
}

// What the platform says of a version is where its function's log is, however
// long the version takes to be made.
func TestLogs_WhatIsSaidWhileAVersionIsMadeIsStored(t *testing.T) {
	h := storedHost(t)
	h.create("fun")
	h.version("fun", "import random\nX = random.random()\nimport time\ntime.sleep(2.5)\n"+printing, catalog.VersionSpec{Timeout: time.Minute})
	roomtest.Until(t, "an entry", func() bool {
		return strings.Contains(h.messages("fun", logs.Query{}), "imports the module itself")
	})
}
