package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets this test binary play the roles of the driver and its children,
// too.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The short form: everything that the long one does, except for what takes
// minutes.
func TestSoak_AllPromisesHold(t *testing.T) {
	for _, store := range []string{storeNATS, storeEmbedded} {
		t.Run(store, func(t *testing.T) {
			var out bytes.Buffer
			args := []string{"-duration", "10s", "-attacks", "../../../host/testdata/attacks", "-store", store}
			if err := startDriver(t.Context(), args, &out, &out); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
			if text := out.String(); !strings.Contains(text, "All promises have held.") {
				t.Errorf("got %s, want a verdict", text)
			}
		})
	}
}

// fakeProgram responds to every call in the same way.
func fakeProgram(t *testing.T, status int, header http.Header, body string) *driver {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	d := &driver{ledger: newLedger(func(string) {}), http: s.Client(), secrets: map[string]string{"anna": secretPrefix + "ANNA"}}
	target := newSingle(d)
	target.program.Store(&process{address: strings.TrimPrefix(s.URL, "http://")})
	d.target = target
	d.ledger.begin("test")
	return d
}

func (l *ledger) wantBroken(t *testing.T, want string) {
	t.Helper()
	total, examples := l.breaches()
	if want == "" && total > 0 || want != "" && (total != 1 || l.broken[want] != 1) {
		t.Errorf("got %v, want %q", examples, want)
	}
}

func TestNeighbour_AnswersAreJudged(t *testing.T) {
	for _, c := range []struct {
		what   string
		status int
		body   string
		want   string
	}{
		{"no answer", 0, "", "lost"},
		{"a fault of the platform's", 500, "{}", "failed"},
		{"a fault of the function's", 502, "{}", "failed"},
		{"the store is no excuse", 503, "{}", "failed"},
		{"busy", 429, "{}", "refused"},
		{"half an answer", 200, `{"nonce": "`, "wrong"},
		{"another call's nonce", 200, `{"nonce": "nonce-OTHER", "secret": "secret-ANNA"}`, "crossed"},
		{"another tenant's secret", 200, `{"nonce": "", "secret": "secret-BORIS"}`, "crossed"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := fakeProgram(t, c.status, nil, c.body)
			defer d.ledger.hinder(withoutStore)()
			d.newNeighbours()[0].call(t.Context(), d.ledger)
			d.ledger.wantBroken(t, c.want)
		})
	}
}

func TestNeighbour_IsCutOffByTheProgramsEndAlone(t *testing.T) {
	d := fakeProgram(t, 0, nil, "")
	d.ledger.hinder(withoutProgram)()
	time.Sleep(time.Millisecond)
	d.newNeighbours()[0].call(t.Context(), d.ledger)
	d.ledger.wantBroken(t, "lost") // it began after the end

	d = fakeProgram(t, 503, nil, "")
	defer d.ledger.hinder(withoutProgram)()
	d.newNeighbours()[0].call(t.Context(), d.ledger)
	d.ledger.wantBroken(t, "")
}

func TestCounts_SeeAStateTwice(t *testing.T) {
	d := fakeProgram(t, 200, nil, "")
	n := d.newNeighbours()[5]
	a := &answer{status: 200, body: []byte(`{"nonce": "n", "secret": "` + n.secret + `", "instance": "i", "calls": 1}`)}
	if wrong := n.wrong(n, a, "n"); wrong != "" {
		t.Errorf("got %q the first time", wrong)
	}
	if wrong := n.wrong(n, a, "n"); wrong == "" {
		t.Error("the same state twice was let through")
	}
}

func TestJudge_HostileCallsEndAsTheyMay(t *testing.T) {
	fault := http.Header{"X-Function-Error": {"true"}}
	for _, c := range []struct {
		what   string
		status int
		header http.Header
		body   string
		want   string
	}{
		{"as it may", 502, fault, `{"errorType": "SystemExit"}`, ""},
		{"busy", 429, nil, "{}", ""},
		{"as it may not", 502, fault, `{"errorType": "KeyError"}`, "hostile"},
		{"well", 200, nil, "1", "hostile"},
		{"in a fault of the platform's", 500, nil, "{}", "failed"},
		{"in a bad gateway that is not the function's", 502, nil, `{"errorType": "SystemExit"}`, "failed"},
		{"without a store that is there", 503, nil, "{}", "failed"},
		{"with a secret", 502, fault, `{"errorType": "SystemExit", "errorMessage": "secret-ANNA"}`, "crossed"},
		{"not at all", 0, nil, "", "lost"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := fakeProgram(t, c.status, c.header, c.body)
			a := &attacker{function: d.newFunction("oscar", "hostile", "leave"), allowed: []string{"SystemExit"}}
			a.attack(t.Context(), d.ledger)
			d.ledger.wantBroken(t, c.want)
		})
	}
}

func TestQueue_WhatIsNotMadeIsLost(t *testing.T) {
	d := fakeProgram(t, http.StatusAccepted, nil, `{"entries": [{"message": "ran nonce-OTHER"}], "deadLetters": []}`)
	q := d.newQueue()
	q.enqueue(t.Context(), q.prints)
	q.drain(t.Context(), time.Millisecond)
	d.ledger.wantBroken(t, "lost")
}

func TestWatch_MemoryThatGrowsIsNotFlat(t *testing.T) {
	for _, c := range []struct {
		perMinute int64
		want      string
	}{{0, ""}, {100 << 20, "memory is flat"}} {
		d := fakeProgram(t, 200, nil, "")
		d.duration = longForm
		watch := newSingle(d).watch
		for s := range 600 {
			watch.samples = append(watch.samples, sample{time.Duration(s) * time.Second, 500<<20 + int64(s)*c.perMinute/60})
		}
		watch.judge()
		d.ledger.wantBroken(t, c.want)
		if got := watch.slope(); int64(got+0.5) != c.perMinute && int64(got-0.5) != c.perMinute {
			t.Errorf("slope: got %.1f, want %d", got, c.perMinute)
		}
	}
}

func TestTail_TellsFaultsFromWhatFunctionsLog(t *testing.T) {
	var l tail
	for _, part := range []string{
		"anna-plain: panic: not ours\ntime=x level=ERROR msg=\"request not", " served\" id=1\n", "panic: ours\nvivarium: well\n",
	} {
		_, _ = l.Write([]byte(part))
	}
	want := "time=x level=ERROR msg=\"request not served\" id=1\npanic: ours\nvivarium: well\n"
	if n := l.faults(); n != 2 || l.text() != want {
		t.Errorf("got %d faults and %q", n, l.text())
	}
}

func TestTrespass_FindsNothing(t *testing.T) {
	for status, want := range map[int]string{404: "", 200: "crossed", 403: "crossed", 500: "crossed"} {
		d := fakeProgram(t, status, nil, "{}")
		a := &attacker{function: d.newFunction("oscar", "hostile", "leave")}
		a.trespass(t.Context(), d.ledger, d.newNeighbours()[0].function)
		d.ledger.wantBroken(t, want)
	}
}

// What can't be built is said, and git has no worktree of it afterwards.
func TestBuildCommit_OfNoCommit(t *testing.T) {
	dir := t.TempDir()
	if program, err := buildCommit(t.Context(), "no-such-commit", dir); err == nil || !strings.Contains(err.Error(), "no-such-commit") {
		t.Errorf("got %q, %v", program, err)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestParse_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, args := range [][]string{{"-store", "paper"}, {"more"}, {"-duration", "x"}} {
		if _, err := parse(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v is let through", args)
		}
	}
	if code := play(roleStore, nil, &bytes.Buffer{}, &bytes.Buffer{}); code == 0 {
		t.Error("a store without a folder starts")
	}
}
