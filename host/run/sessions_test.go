package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

const sessionTenant = "acme"

// session begins a session.
func (h *testHost) session(spec SessionSpec) string {
	h.t.Helper()
	info, err := h.Sessions().Create(h.t.Context(), sessionTenant, spec)
	if err != nil {
		h.t.Fatal(err)
	}
	return info.ID
}

// snippet runs code in a session.
func (h *testHost) snippet(id, code string) *SnippetResult {
	h.t.Helper()
	r, err := h.Sessions().Run(h.t.Context(), sessionTenant, id, Snippet{Code: code})
	if err != nil {
		h.t.Fatalf("%s: %v", code, err)
	}
	r.Release()
	return r
}

// value returns the text of a snippet's result, or what is wrong with it.
func (r *SnippetResult) value() string {
	if r.Error != nil {
		return r.Error.Error()
	}
	for _, d := range r.Displays {
		var text string
		if d.Result && json.Unmarshal(d.Data["text/plain"], &text) == nil {
			return text
		}
	}
	return ""
}

func (r *SnippetResult) printed(stream string) (text string) {
	for _, o := range r.Output {
		if o.Stream == stream {
			text += o.Text
		}
	}
	return text
}

// wantNothingLeft ends all sessions and checks that the ledger has nothing of them.
func (h *testHost) wantNothingLeft() {
	h.t.Helper()
	for _, s := range h.Sessions().List("") {
		if err := h.Sessions().End(s.Tenant, s.ID); err != nil {
			h.t.Error(err)
		}
	}
	h.sessions.stocks.drop(time.Now().Add(time.Hour))
	roomtest.Until(h.t, "the sessions are gone", func() bool { return h.room.ledger.Held(quota.Session) == 0 })
	if use := h.room.ledger.State(sessionTenant).Use; use != (quota.Amounts{}) || h.Stats().Sessions != 0 {
		h.t.Errorf("left: %v, %d sessions", use, h.Stats().Sessions)
	}
}

func TestSession_KeepsWhatASnippetLeaves(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{Environment: map[string]string{"COLOUR": "blue"}})
	for _, c := range []struct{ code, want string }{
		{"x = 20\ndef double(n): return 2 * n", ""},
		{"double(x) + 1", "41"},
		{"_ + 1", "42"},
		{"x;", ""},
		{"None", ""},
		{"import asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 'awaited')", "'awaited'"},
		{"1 / 0", "ZeroDivisionError: division by zero"},
		{"x", "20"},
		{"if", "SyntaxError: invalid syntax (<snippet 9>, line 1)"},
		{"import os\nos.environ['COLOUR'], os.getcwd(), __name__", "('blue', '/tmp', '__main__')"},
		{"input()", "EOFError: EOF when reading a line"},
		{"import pickle\nclass C: n = 5\npickle.loads(pickle.dumps(C())).n", "5"},
		{"import sys\nsys.exit(0)", ""},
		{"sys.exit('no')", "SystemExit: the script ended with exit code 1"},
		{"def main(): print('as a script')\nif __name__ == '__main__': main()", ""},
		{"x", "20"},
	} {
		if got := h.snippet(id, c.code).value(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.code, got, c.want)
		}
	}
	if info, err := h.Sessions().Get(sessionTenant, id); err != nil || info.Snippets != 16 || info.Running {
		t.Errorf("got %+v, %v", info, err)
	}
	h.wantNothingLeft()
}

func TestSession_ShowsObjectsAsTheySay(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	for _, c := range []struct{ code, kind, want string }{
		{"class H:\n  def _repr_html_(self): return '<b>x</b>'\nH()", "text/html", `"<b>x</b>"`},
		{"class P:\n  def _repr_png_(self): return b'\\x89PNG'\nP()", "image/png", `"iVBORw=="`},
		{"class J:\n  def _repr_json_(self): return {'a': [1, None]}\nJ()", "application/json", `{"a":[1,null]}`},
		{"class N:\n  def _repr_json_(self): return float('nan')\n  def __repr__(self): return 'N'\nN()", "text/plain", `"N"`},
		{"class M:\n  def _repr_mimebundle_(self, include=None, exclude=None): return {'text/html': 'm', 'x/y': 'z'}, {}\n  def _repr_html_(self): return 'h'\nM()",
			"text/html", `"m"`},
		{"M()", "x/y", `"z"`},
		{"class B:\n  def _repr_html_(self): 1/0\n  def __repr__(self): return 'B'\nB()", "text/plain", `"B"`},
		{"H", "text/plain", `"\u003cclass '__main__.H'\u003e"`},
		{"display(H()); None", "text/html", `"<b>x</b>"`},
	} {
		r := h.snippet(id, c.code)
		if len(r.Displays) != 1 {
			t.Errorf("%s: got %+v", c.code, r)
			continue
		}
		var got, want any
		shown := r.Displays[0].Data[c.kind]
		if json.Unmarshal(shown, &got) != nil || json.Unmarshal([]byte(c.want), &want) != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %s, want %s", c.code, shown, c.want)
		}
	}
	if r := h.snippet(id, "'x' * 300_000"); len(r.value()) > 263_000 || len(r.value()) < 262_000 {
		t.Errorf("a long text has %d bytes", len(r.value()))
	}
	r := h.snippet(id, "class L:\n  def _repr_html_(self): return 'x' * 5_000_000\nL()")
	if r.Displays[0].Data["text/html"] != nil || !strings.Contains(r.printed("stderr"), "text/html of 5000000 characters is left out") {
		t.Errorf("got %+v", r.Output)
	}
}

func TestSession_TellsWhatIsPrintedInOrder(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	r := h.snippet(id, "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c', end='')")
	if want := []Output{{"stdout", "a\n"}, {"stderr", "b\n"}, {"stdout", "c"}}; !slices.Equal(r.Output, want) || r.Cut {
		t.Errorf("got %q, want %q", r.Output, want)
	}
	r = h.snippet(id, "print('x' * 1_000_000)")
	if n := len(r.printed("stdout")); !r.Cut || n != MaxSnippetOutput {
		t.Errorf("of a long output: %d bytes, cut: %v", n, r.Cut)
	}
	r = h.snippet(id, "for n in range(2000):\n  print(n); print(n, file=sys.stderr)")
	if !r.Cut || len(r.Output) != outputPieces {
		t.Errorf("of many pieces: %d, cut: %v", len(r.Output), r.Cut)
	}
	r = h.snippet(id, "def f(n):\n  return 1 / n\ntry:\n  f(0)\nexcept ZeroDivisionError as e:\n  raise KeyError('k') from e")
	if len(r.Error.StackTrace) != 1 || !strings.Contains(r.Error.StackTrace[0], `File "<snippet 4>", line 6, in <module>`) ||
		!strings.Contains(r.Traceback, "    return 1 / n") || !strings.Contains(r.Traceback, "direct cause") || !strings.Contains(r.Traceback, "KeyError: 'k'") ||
		strings.Contains(r.Traceback, "_session") || len(r.Output) > 0 {
		t.Errorf("got %q, %s, %q", r.Error.StackTrace, r.Traceback, r.Output)
	}
}

func TestSession_EndsWithWhatItCannotSurvive(t *testing.T) {
	h := newTestHost(t, testConfig{})
	for _, c := range []struct{ code, kind string }{
		{"while True: pass", "ExecutionTimeout"},
		{"import time\ntime.sleep(60)", "ExecutionTimeout"},
		{"import os\nos._exit(3)", "RuntimeExit"},
		{"import _vivarium\n_vivarium.respond(0, b'[')\nraise SystemExit", ""}, // the runtime's response comes after it
		{"import vivarium._session as s, runtime\nruntime.respond = lambda *_: None", "RuntimeExit"},
		{"import runtime, _vivarium\nruntime.respond = lambda kind, answer: _vivarium.respond(0, b'{\"displays\": 5}')", "RuntimeExit"},
		{"import runtime, _vivarium\nruntime.respond = lambda kind, answer: _vivarium.respond(0, b' ' * (9 << 20))", "RuntimeExit"},
		{"import ctypes", "ModuleNotFoundError"},
	} {
		id := h.session(SessionSpec{Timeout: 500 * time.Millisecond})
		r := h.snippet(id, "x = 1\n"+c.code)
		got := ""
		if r.Error != nil {
			got = r.Error.Type
		}
		ended := c.kind == "ExecutionTimeout" || c.kind == "RuntimeExit"
		if got != c.kind || (r.Outcome == SnippetEnded) != ended {
			t.Errorf("%s: got %s, %+v", c.code, r.Outcome, r.Error)
		}
		if ended {
			if _, err := h.Sessions().Run(t.Context(), sessionTenant, id, Snippet{Code: "x"}); fault.Of(err) != fault.NotFound {
				t.Errorf("%s: it takes another one: %v", c.code, err)
			}
		} else if got := h.snippet(id, "x").value(); got != "1" {
			t.Errorf("%s: x is %s", c.code, got)
		}
	}
	h.wantNothingLeft()
}

func TestSession_KeepsItsMemoryLimit(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	if r := h.snippet(id, "kept = 5\nbytearray(1 << 29)"); r.Error == nil || r.Error.Type != "MemoryError" || r.Outcome != SnippetError {
		t.Errorf("got %+v", r)
	}
	if r := h.snippet(id, "hoard = []\nwhile True: hoard.append(bytearray(1 << 20))"); r.Error == nil || r.Outcome == SnippetOK {
		t.Errorf("got %+v", r)
	}
	if r := h.snippet(id, "len(hoard) > 50, kept, hoard.clear()"); r.value() != "(True, 5, None)" {
		t.Errorf("got %s", r.value())
	}
	h.wantNothingLeft()
}

func TestSession_IsInterrupted(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{Timeout: time.Minute})
	interrupted := func(code string) *SnippetResult {
		t.Helper()
		done := make(chan *SnippetResult)
		go func() { done <- h.snippet(id, code) }()
		roomtest.Until(t, "the snippet runs", func() bool {
			info, err := h.Sessions().Get(sessionTenant, id)
			return err == nil && info.Running
		})
		if _, err := h.Sessions().Run(t.Context(), sessionTenant, id, Snippet{Code: "1"}); fault.Of(err) != fault.Conflict {
			t.Errorf("a second snippet: got %v", err)
		}
		for {
			if err := h.Sessions().Interrupt(sessionTenant, id); err != nil {
				t.Error(err)
			}
			select {
			case r := <-done:
				return r
			case <-time.After(100 * time.Millisecond): // it had not begun when it was interrupted
			}
		}
	}
	h.snippet(id, "x = 7")
	for _, code := range []string{
		"while True: pass",
		"import time\ntime.sleep(50)\nx = 8",
		"import asyncio\nawait asyncio.sleep(50)\nx = 8",
		"import threading, time\nt = threading.Thread(target=time.sleep, args=(0.01,))\nt.start()\ntime.sleep(50)\nx = 8",
		"import threading\nthreading.Event().wait()\nx = 8",
		"import threading\nl = threading.Lock()\nl.acquire(); l.acquire()\nx = 8",
		"import queue\nqueue.Queue().get(timeout=50)\nx = 8",
	} {
		if r := interrupted(code); r.Outcome != SnippetError || r.Error.Type != "KeyboardInterrupt" {
			t.Errorf("%s: got %+v, %+v", code, r, r.Error)
		}
		if got := h.snippet(id, "x").value(); got != "7" {
			t.Errorf("%s: x is %s", code, got)
		}
	}
	h.snippet(id, "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)")
	if r := interrupted("while True: pass"); r.Outcome != SnippetEnded || r.Error.Type != "Interrupted" {
		t.Errorf("of one that does not heed it: got %+v, %+v", r, r.Error)
	}
	h.wantNothingLeft()
}

func TestSession_IsInterruptedWhenItsCallerLeaves(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{Timeout: time.Minute})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		roomtest.Until(t, "the snippet runs", func() bool {
			info, err := h.Sessions().Get(sessionTenant, id)
			return err == nil && info.Running
		})
		leave()
	}()
	r, err := h.Sessions().Run(ctx, sessionTenant, id, Snippet{Code: "x = 1\nimport time\ntime.sleep(50)"})
	if err != nil || r.Error == nil || r.Error.Type != "KeyboardInterrupt" {
		t.Errorf("got %+v, %v", r, err)
	}
	if got := h.snippet(id, "type(x).__name__").value(); got != "'int'" && !strings.Contains(got, "NameError") {
		t.Errorf("got %s", got)
	}
}

func TestSession_ForksAreAloneFromThereOn(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	h.snippet(id, "import random, secrets, uuid, tempfile, os, snapshot_restore_py\nx = [1]; hooks = []\n"+
		"snapshot_restore_py.register_after_restore(hooks.append, 'restored')\n\nopen('/tmp/f', 'w').write('one')\nos.symlink('f', '/tmp/l'); os.link('/tmp/f', '/tmp/h')")
	var forks []string
	for range 3 {
		info, err := h.Sessions().Fork(t.Context(), sessionTenant, id)
		if err != nil {
			t.Fatal(err)
		}
		if info.Parent != id || info.Snippets != 1 {
			t.Errorf("got %+v", info)
		}
		forks = append(forks, info.ID)
	}
	if got := h.snippet(forks[0], "hooks").value() + h.snippet(id, "hooks").value(); got != "['restored'][]" {
		t.Errorf("hooks: %s in a fork and its parent", got)
	}
	h.snippet(id, "x.append('parent')\nopen('/tmp/f', 'w').write('parent')")
	for n, fork := range forks {
		got := h.snippet(fork, fmt.Sprintf("x.append(%d)\nopen('/tmp/h', 'a').write('%d')\nx, open('/tmp/l').read(), os.stat('/tmp/f').st_nlink", n, n)).value()
		if want := fmt.Sprintf("([1, %d], 'one%d', 2)", n, n); got != want {
			t.Errorf("fork %d: got %s, want %s", n, got, want)
		}
	}
	// A fork of a fork, after it has changed.
	info, err := h.Sessions().Fork(t.Context(), sessionTenant, forks[2])
	if err != nil {
		t.Fatal(err)
	}
	if got := h.snippet(info.ID, "x").value(); got != "[1, 2]" {
		t.Errorf("a fork of a fork: got %s", got)
	}
	// Randomness.
	seen := map[string]string{}
	for _, of := range append(forks, id, info.ID) {
		for _, code := range []string{"random.random()", "secrets.token_hex()", "uuid.uuid4()", "uuid.uuid1()", "next(tempfile._get_candidate_names())", "os.urandom(8)"} {
			got := h.snippet(of, code).value()
			if other, ok := seen[got]; ok || got == "" {
				t.Errorf("%s is %s in %s and %s", code, got, of, other)
			}
			seen[got] = of
		}
	}
	h.wantNothingLeft()
}

func TestSession_IsNotForkedWithWhatThereCannotBeTwoOf(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	for code, undo := range map[string]string{
		"f = open('/tmp/x', 'w')": "f.close()",
		"import threading\ne = threading.Event()\nt = threading.Thread(target=e.wait)\nt.start()": "e.set(); t.join()",
		"import socket\na, b = socket.socketpair()":                                               "a.close(); b.close()",
	} {
		h.snippet(id, code)
		if _, err := h.Sessions().Fork(t.Context(), sessionTenant, id); fault.Of(err) != fault.Conflict {
			t.Errorf("%s: got %v", code, err)
		}
		h.snippet(id, undo)
		if _, err := h.Sessions().Fork(t.Context(), sessionTenant, id); err != nil {
			t.Errorf("%s: %v", undo, err)
		}
	}
	h.wantNothingLeft()
}

func TestSession_FilesGoInAndOut(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	r, err := h.Sessions().Run(t.Context(), sessionTenant, id, Snippet{
		Code:    "import helper\nopen('out/b.bin', 'wb').write(open('data/a.bin', 'rb').read() * 2)\nhelper.n",
		Files:   map[string][]byte{"helper.py": []byte("n = 9"), "/tmp/data/a.bin": {0, 255}, "out/.keep": nil},
		Outputs: []string{"out/b.bin", "nothing", "/tmp", "/dev/urandom", "/usr/lib/python3.13/os.py"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.value() != "9" || !slices.Equal(r.Files[0].Content, []byte{0, 255, 0, 255}) || len(r.Files[4].Content) < 1000 {
		t.Errorf("got %s, %+v", r.value(), r.Files)
	}
	for n, want := range []string{"", "there is no such file", "is no file", "is no file", ""} {
		if got := r.Files[n].Problem; want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", r.Files[n].Path, got, want)
		}
	}
	h.snippet(id, "import os\nos.symlink('/usr', 'u'); os.symlink('loop', 'loop')")
	for _, path := range []string{"", "a\x00b", "/function/code/main.py", "/usr/lib/python3.13/os.py", "u/x", "loop/x", "/tmp", "helper.py/x", strings.Repeat("n", 5000), "../etc/x",
		strings.Repeat("n", 300)} {
		err := h.Sessions().WriteFile(t.Context(), sessionTenant, id, path, []byte("x"))
		if e, ok := errors.AsType[*fault.InvalidError](err); !ok || e.Field != "path" {
			t.Errorf("%.40q: got %v", path, err)
		}
	}
	if err := h.Sessions().WriteFile(t.Context(), sessionTenant, id, "big", make([]byte, sessionTmpBytes)); err == nil {
		t.Error("more is written than there is room for")
	}
	h.snippet(id, "os.remove('big')")
	big := make([]byte, 8<<20)
	big[5] = 1
	if err := h.Sessions().WriteFile(t.Context(), sessionTenant, id, "big", big); err != nil {
		t.Fatal(err)
	}
	content, give, err := h.Sessions().ReadFile(t.Context(), sessionTenant, id, "big")
	if err != nil || !slices.Equal(content, big) {
		t.Errorf("got %d bytes, %v", len(content), err)
	}
	give()
	r.Release()
	h.wantNothingLeft()
}

func TestSession_IsOfItsTenantAlone(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	s, ctx := h.Sessions(), t.Context()
	_, get := s.Get("other", id)
	_, fork := s.Fork(ctx, "other", id)
	_, run := s.Run(ctx, "other", id, Snippet{})
	_, _, read := s.ReadFile(ctx, "other", id, "x")
	for what, err := range map[string]error{
		"get": get, "fork": fork, "run": run, "read": read, "write": s.WriteFile(ctx, "other", id, "x", nil),
		"interrupt": s.Interrupt("other", id), "end": s.End("other", id),
	} {
		_, unknown := s.Get("other", "d4s0000000000000000")
		if fault.Of(err) != fault.NotFound || strings.ReplaceAll(err.Error(), id, "X") != strings.ReplaceAll(unknown.Error(), "d4s0000000000000000", "X") {
			t.Errorf("%s: got %v, want the like of %v", what, err, unknown)
		}
	}
	if len(s.List("other")) != 0 || len(s.List(sessionTenant)) != 1 {
		t.Error("a tenant lists what is another's")
	}
}

func TestSession_EndsWhenItsTimeHasCome(t *testing.T) {
	h := newTestHost(t, testConfig{})
	idle := h.session(SessionSpec{Idle: time.Minute, Lifetime: time.Hour})
	old := h.session(SessionSpec{Idle: time.Hour, Lifetime: time.Hour})
	now := time.Now()
	left := func() (ids string) {
		for _, s := range h.Sessions().List(sessionTenant) {
			ids += " " + s.ID
		}
		return ids
	}
	h.sessions.tidy(now.Add(30 * time.Second))
	if got, want := left(), " "+idle+" "+old; got != want {
		t.Errorf("early: got%s, want%s", got, want)
	}
	h.sessions.tidy(now.Add(2 * time.Minute))
	if got, want := left(), " "+old; got != want {
		t.Errorf("idle: got%s, want%s", got, want)
	}
	h.sessions.tidy(now.Add(2 * time.Hour))
	if got := left(); got != "" {
		t.Errorf("in the end: got%s", got)
	}
	brief := h.session(SessionSpec{Lifetime: time.Second, Timeout: time.Minute})
	if r, err := h.Sessions().Run(t.Context(), sessionTenant, brief, Snippet{Code: "while True: pass"}); err == nil && !strings.Contains(r.Error.Message, "it may last for 1s") {
		t.Errorf("a snippet at the end of the lifetime: %+v", r.Error)
	}
	h.wantNothingLeft()
}

func TestSession_TakesWhatItsTenantHas(t *testing.T) {
	h := newTestHost(t, testConfig{})
	h.room.ledger.SetOwn(sessionTenant, quota.Amounts{quota.Sessions: 2})
	first, _ := h.session(SessionSpec{}), h.session(SessionSpec{})
	full := func(err error, q quota.Quota) {
		t.Helper()
		if e, ok := errors.AsType[*quota.Error](err); !ok || e.Quota != q {
			t.Errorf("got %v, want one about %s", err, q)
		}
	}
	_, err := h.Sessions().Create(t.Context(), sessionTenant, SessionSpec{})
	full(err, quota.Sessions)
	_, err = h.Sessions().Fork(t.Context(), sessionTenant, first)
	full(err, quota.Sessions)
	h.room.ledger.SetOwn(sessionTenant, quota.Amounts{quota.Instances: 2})
	_, err = h.Sessions().Fork(t.Context(), sessionTenant, first)
	full(err, quota.Instances)
	h.room.ledger.SetOwn(sessionTenant, quota.Amounts{quota.Calls: 1})
	h.snippet(first, "x = 5")
	h.room.ledger.SetOwn(sessionTenant, quota.Amounts{quota.Memory: 24 << 20})
	h.snippet(first, "try: hoard = bytearray(60 << 20)\nexcept MemoryError: pass")
	if got := h.snippet(first, "x, 'hoard' in globals()").value(); got != "(5, False)" {
		t.Errorf("with a quota of memory: got %s", got)
	}
	h.room.ledger.SetOwn(sessionTenant, quota.Amounts{})
	for field, spec := range map[string]SessionSpec{
		"memory": {MemoryMB: 100}, "idle_timeout": {Idle: 2 * time.Hour}, "lifetime": {Lifetime: time.Millisecond}, "timeout": {Timeout: 2 * time.Hour},
		"runtime": {Runtime: "ruby"}, "allow_net": {AllowNet: "a b"},
	} {
		_, err := h.Sessions().Create(t.Context(), sessionTenant, spec)
		if e, ok := errors.AsType[*fault.InvalidError](err); !ok || !strings.Contains(e.Field, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	h.wantNothingLeft()
}

// Everybody uses sessions at once, which end meanwhile, and with the runner.
func TestSession_HammerLeavesNothing(t *testing.T) {
	h := newTestHost(t, testConfig{})
	id := h.session(SessionSpec{})
	h.snippet(id, "x = 1")
	run := func(id, code string) {
		if r, err := h.Sessions().Run(t.Context(), sessionTenant, id, Snippet{Code: code}); err == nil {
			r.Release()
		}
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 10 {
				info, err := h.Sessions().Fork(t.Context(), sessionTenant, id)
				if err != nil {
					if k := fault.Of(err); k != fault.Conflict && k != fault.NotFound {
						t.Error(err)
					}
					continue
				}
				switch n % 4 {
				case 0:
					run(id, "x += 1")
				case 1:
					go func() { _ = h.Sessions().Interrupt(sessionTenant, info.ID) }()
					run(info.ID, "for _ in range(10**6): pass")
				case 2:
					go func() { _ = h.Sessions().End(sessionTenant, info.ID) }()
					run(info.ID, "for _ in range(10**6): pass")
				}
				_ = h.Sessions().End(sessionTenant, info.ID)
			}
		})
	}
	all.Wait()
	h.wantNothingLeft()
}

// When the machine has no more memory, who has more than a share loses what is idle to
// others, but nothing to itself.
func TestSession_MakesRoomForAnotherTenant(t *testing.T) {
	h := newTestHost(t, testConfig{MaxMemory: 96 << 20, Quotas: quota.Amounts{quota.Memory: -1}})
	take := func(tenant string, mib int) (id, got string) {
		t.Helper()
		info, err := h.Sessions().Create(t.Context(), tenant, SessionSpec{})
		if err != nil {
			t.Fatal(tenant, err)
		}
		r, err := h.Sessions().Run(t.Context(), tenant, info.ID, Snippet{Code: fmt.Sprintf("hoard = bytearray(%d << 20)", mib)})
		if err != nil {
			t.Fatal(tenant, err)
		}
		r.Release()
		return info.ID, r.Outcome
	}
	first, got := take("greedy", 55)
	if got != SnippetOK {
		t.Fatalf("got %s", got)
	}
	if _, got := take("greedy", 55); got == SnippetOK {
		t.Error("there is more memory than the machine has")
	}
	if _, err := h.Sessions().Get("greedy", first); err != nil {
		t.Errorf("a tenant has ended its own session: %v", err)
	}
	modest, got := take("modest", 30)
	if got != SnippetOK {
		t.Errorf("the modest one: %s", got)
	}
	if _, err := h.Sessions().Get("greedy", first); fault.Of(err) != fault.NotFound {
		t.Errorf("the greedy one keeps its session: %v", err)
	}
	if _, err := h.Sessions().Get("modest", modest); err != nil {
		t.Errorf("the modest one: %v", err)
	}
}
