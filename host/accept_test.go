package host

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// noWork is for what computes in nobody's turn.
func noWork(int) {}

// A result that the caller of Invoke can't use is a failed call: its log says so.
func TestInvoke_LogsAResultThatIsNotAccepted(t *testing.T) {
	h := newTestHost(t, Config{})
	h.deploy("fun", "def handler(event, context):\n    return 1\n", VersionSpec{})
	unfit := errors.New("not a response")
	r, err := h.Invoke(t.Context(), Invocation{
		Function: "fun", RequestID: "r", Received: time.Now(), Raw: true,
		Accept: func(r *Result, _ Work) error {
			if string(r.Body) != "1" {
				t.Errorf("got %s, want the result", r.Body)
			}
			return unfit
		},
	})
	if err != unfit || r == nil || r.Version == nil {
		t.Errorf("got %v, %v, want the error as it was and the version", r, err)
	}
	if len(h.log("not a response")) != 1 || len(h.log("Code: 502 Message: Error during function invocation")) != 1 {
		t.Errorf("log: got %q, want the reason and the ERROR line", h.log(""))
	}
}

func TestCallLog_DropsWhatIsBelowTheMinimumLevel(t *testing.T) {
	for least, want := range map[Level]string{
		"":         "TRACE DEBUG INFO WARN ERROR FATAL UNSPECIFIED",
		LevelTrace: "TRACE DEBUG INFO WARN ERROR FATAL UNSPECIFIED",
		LevelWarn:  "WARN ERROR FATAL UNSPECIFIED",
		LevelFatal: "FATAL UNSPECIFIED",
	} {
		var got []string
		v := &Version{VersionSpec: VersionSpec{MinLogLevel: least}}
		l := newCallLog(v, "", func(e LogEntry) { got = append(got, string(e.Level)) })
		for _, level := range levels {
			l.system(level, "x")
		}
		_, _ = l.stdout.Write([]byte("x\n"))
		if strings.Join(got, " ") != want {
			t.Errorf("at least %q: got %q, want %q", least, got, want)
		}
	}
}

func TestCallLog_StructuredLoggingIsTurnedOffByTheEnvironment(t *testing.T) {
	for value, want := range map[string]string{"false": `{"message":"hi"}`, "False": `{"message":"hi"}`, "true": "hi", "": "hi"} {
		var got string
		v := &Version{VersionSpec: VersionSpec{Environment: map[string]string{"STRUCTURED_LOGGING": value}}}
		l := newCallLog(v, "", func(e LogEntry) { got = e.Message })
		_, _ = l.stdout.Write([]byte(`{"message":"hi"}` + "\n"))
		if got != want {
			t.Errorf("STRUCTURED_LOGGING=%s: got %s, want %s", value, got, want)
		}
	}
}

// What the host does with a call's request, output and result is the function's own
// work: it is done in its turn.
func TestInvoke_WhatSurroundsTheGuestIsDoneInItsTurn(t *testing.T) {
	h := newTestHost(t, Config{})
	h.deploy("fun", "def handler(event, context):\n    print('unfinished', end='')\n    return event\n", VersionSpec{})
	turns := map[string]int{}
	h.cfg.Logs = func(e LogEntry) {
		if e.Message == "unfinished" {
			turns["log"] = h.scheduler.competitors()
		}
	}
	_, err := h.Invoke(t.Context(), Invocation{
		Function: "fun", RequestID: "r", Received: time.Now(),
		Event: func(*Version, Work) []byte {
			turns["event"] = h.scheduler.competitors()
			return []byte("{}")
		},
		Accept: func(*Result, Work) error {
			turns["result"] = h.scheduler.competitors()
			return nil
		},
	})
	if err != nil || turns["event"] != 1 || turns["log"] != 1 || turns["result"] != 1 {
		t.Errorf("turns held: got %v, %v, want one for each", turns, err)
	}
}

// The guest gives way between the lines of a long write, and what is cut off is not
// looked at.
func TestCallLog_TakesAFewLinesAtATime(t *testing.T) {
	entries := 0
	l := newCallLog(&Version{}, "", func(LogEntry) { entries++ })
	rest := []byte(strings.Repeat("\n", 200_000))
	writes, most := 0, 0
	for len(rest) > 0 {
		before := entries
		n, err := l.stdout.Write(rest)
		rest = rest[n:]
		writes, most = writes+1, max(most, entries-before)
		if (err == io.ErrShortWrite) != (len(rest) > 0) {
			t.Fatalf("got %v with %d bytes left", err, len(rest))
		}
	}
	if want := maxCallLog/entryBytes + 1; entries != want || most > 100 {
		t.Errorf("got %d entries, %d at most in a write, want %d", entries, most, want)
	}
}
