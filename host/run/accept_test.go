package run

import (
	"errors"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/paced"
	"vivarium/host/roomtest"
)

// noWork is for what computes in nobody's turn.
func noWork(int) {}

// A result that the caller of Invoke can't use is a failed call: its log says so.
func TestInvoke_LogsAResultThatIsNotAccepted(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("fun", "def handler(event, context):\n    return 1\n", catalog.VersionSpec{})
	unfit := errors.New("not a response")
	r, err := h.Invoke(t.Context(), h.versions["fun"], Invocation{
		RequestID: "r", Received: time.Now(), Raw: true,
		Accept: func(r *Result, _ paced.Work) error {
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

// What the host does with a call's request, output and result is the function's own
// work: it is done in its turn.
func TestInvoke_WhatSurroundsTheGuestIsDoneInItsTurn(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.deploy("fun", "def handler(event, context):\n    print('unfinished', end='')\n    return event\n", catalog.VersionSpec{})
	turns := map[string]int{}
	h.watch = func(e logs.Entry) {
		if e.Message == "unfinished" {
			turns["log"] = h.scheduler.competitors()
		}
	}
	// The next interpreter is booted in a turn, too.
	h.want("fun", "{}", "{}")
	python, err := h.maker.interpreters.get(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "the next interpreter is booted", func() bool { return len(python.bases.ready) == 1 })
	_, err = h.Invoke(t.Context(), h.versions["fun"], Invocation{
		RequestID: "r", Received: time.Now(),
		Event: func(paced.Work) []byte {
			turns["event"] = h.scheduler.competitors()
			return []byte("{}")
		},
		Accept: func(*Result, paced.Work) error {
			turns["result"] = h.scheduler.competitors()
			return nil
		},
	})
	if err != nil || turns["event"] != 1 || turns["log"] != 1 || turns["result"] != 1 {
		t.Errorf("turns held: got %v, %v, want one for each", turns, err)
	}
}
