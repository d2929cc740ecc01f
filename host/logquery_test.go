package host

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

const logging = `
import json
def handler(event, context):
    for level in ("DEBUG", "INFO", "ERROR"):
        print(json.dumps({"level": level, "message": f"{level} of {event}"}))
    print("plain", event)
`

// messages are the texts of a function's log that a query chooses.
func (h *testHost) messages(q LogQuery) string {
	h.t.Helper()
	entries, err := h.Logs(h.t.Context(), q)
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
		v := h.version("fun", logging, VersionSpec{})
		h.version("other", logging, VersionSpec{})
		h.want("fun", "1", "null")
		h.want("other", "1", "null")
		between := time.Now()
		h.want("fun", "2", "null")
		for what, c := range map[string]struct {
			query LogQuery
			want  string
		}{
			"all":      {LogQuery{}, "DEBUG of 1, INFO of 1, ERROR of 1, plain 1, DEBUG of 2, INFO of 2, ERROR of 2, plain 2"},
			"since":    {LogQuery{Since: between}, "DEBUG of 2, INFO of 2, ERROR of 2, plain 2"},
			"until":    {LogQuery{Until: between}, "DEBUG of 1, INFO of 1, ERROR of 1, plain 1"},
			"level":    {LogQuery{MinLevel: LevelError}, "ERROR of 1, ERROR of 2"},
			"contains": {LogQuery{Contains: "plain"}, "plain 1, plain 2"},
			"version":  {LogQuery{Version: v.ID, Contains: "plain"}, "plain 1, plain 2"},
			"limit":    {LogQuery{Limit: 3}, "plain 2"}, // END and REPORT follow it
		} {
			c.query.Function = "fun"
			if got := h.messages(c.query); got != c.want {
				t.Errorf("%s: got %s, want %s", what, got, c.want)
			}
		}
		_, err := h.Logs(t.Context(), LogQuery{Function: "nobody"})
		wantError[*NotFoundError](t, err, "nobody")
		_, err = h.Logs(t.Context(), LogQuery{Function: "fun", MinLevel: "LOUD"})
		wantError[*InvalidError](t, err, "level: ")
	})
}

func TestLogs_AreFollowed(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		h.create("fun")
		h.version("fun", logging, VersionSpec{})
		h.want("fun", "1", "null")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		enough := errors.New("enough")
		var got []string
		err := h.FollowLogs(ctx, LogQuery{Function: "fun", Contains: "plain"}, func(e LogEntry) error {
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
			ended <- h.FollowLogs(t.Context(), LogQuery{Function: "fun"}, func(LogEntry) error { return nil })
		}()
		time.Sleep(50 * time.Millisecond)
		h.Close()
		if err := <-ended; err != ErrClosed {
			t.Errorf("the host is closed, and following ends with %v", err)
		}
	})
}

func TestLogs_SurviveARestartAndGoWithTheirFunction(t *testing.T) {
	restart(t, func(h *testHost) {
		h.create("fun")
		h.version("fun", logging, VersionSpec{})
		h.want("fun", "1", "null") // what it logs is not stored yet when the host is closed
	}, func(h *testHost) {
		if got, want := h.messages(LogQuery{Function: "fun", MinLevel: LevelError}), "ERROR of 1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		f, _ := h.GetFunction("fun")
		if err := h.DeleteFunction(t.Context(), "fun"); err != nil {
			t.Fatal(err)
		}
		err := h.cfg.Store.ReadLog(t.Context(), f.ID, time.Time{}, false, func(b []byte) error {
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
	h.version("fun", "def handler(n, c):\n    for i in range(n): print(i, 'x' * 100)\n", VersionSpec{Timeout: time.Minute})
	h.want("fun", "20000", "null")
	entries, err := h.Logs(t.Context(), LogQuery{Function: "fun", Limit: 30_000, Contains: "xxx"})
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
	h.version("fun", "import random\nX = random.random()\nimport time\ntime.sleep(2.5)\n"+printing, VersionSpec{Timeout: time.Minute})
	until(t, "an entry", func() bool {
		return strings.Contains(h.messages(LogQuery{Function: "fun"}), "imports the module itself")
	})
}

func TestLogWindow_KeepsTheNewestWithinItsBounds(t *testing.T) {
	full := errors.New("full")
	for name, test := range map[string]struct {
		limit, entries, bytes, room int
		kept                        int
		cut                         bool
		err                         error
	}{
		"few":               {10, 5, 100, 1 << 30, 5, false, nil},
		"more than asked":   {10, 1000, 100, 1 << 30, 10, false, nil},
		"large ones":        {1000, 500, 64 << 10, 1 << 30, MaxLogBytes / (64<<10 + 2*entryBytes), true, nil},
		"one of many bytes": {1000, 3, MaxLogBytes - 2*entryBytes, 1 << 30, 1, true, nil},
		"no room":           {1000, 500, 64 << 10, 1 << 20, 0, false, full},
	} {
		w := logWindow{limit: test.limit, take: func(n int) error {
			if test.room -= n; test.room < 0 {
				return full
			}
			return nil
		}}
		var err error
		for n := 0; n < test.entries && err == nil; n++ {
			err = w.add(LogEntry{RequestID: fmt.Sprint(n), Message: strings.Repeat("x", test.bytes)})
		}
		if err != test.err {
			t.Errorf("%s: got %v, want %v", name, err, test.err)
		}
		if err != nil {
			continue
		}
		kept := w.entries[w.first:]
		if len(kept) != test.kept || w.cut != test.cut {
			t.Errorf("%s: %d kept, cut: %v, want %d, %v", name, len(kept), w.cut, test.kept, test.cut)
		}
		if last := kept[len(kept)-1].RequestID; last != fmt.Sprint(test.entries-1) {
			t.Errorf("%s: the last one is %s", name, last)
		}
		if w.bytes > w.taken || w.taken > w.bytes+MaxLogBytes {
			t.Errorf("%s: %d bytes are held, %d counted", name, w.bytes, w.taken)
		}
	}
}
