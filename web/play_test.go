package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/run"
	"vivarium/wasm/vfs"
)

// openPlay is a playground without rate limits.
var openPlay = PlayConfig{Rate: 1e6, Burst: 1e6, AtOnce: 1e6}

// startPlay starts a server with a playground, by default the real one.
func startPlay(t *testing.T, config PlayConfig, tries Tries) *testServer {
	t.Helper()
	if tries == nil {
		tries = mustRealHost(t).Runner()
	}
	play, err := NewPlay(config, tries)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, Config{Play: play}, returns(`{}`))
}

// triesFunc is a Go function that runs snippets.
type triesFunc func(ctx context.Context, spec catalog.VersionSpec, inv run.Invocation, logs func(logs.Entry)) (*run.Result, error)

func (f triesFunc) Try(
	ctx context.Context, spec catalog.VersionSpec, _ *vfs.Tree, inv run.Invocation, emit func(logs.Entry),
) (*run.Result, error) {
	r, err := f(ctx, spec, inv, emit)
	if r == nil {
		r = &run.Result{Body: []byte("null")}
	}
	r.Version = &catalog.Version{VersionSpec: spec}
	if err == nil {
		err = inv.Accept(r, noWork)
	}
	return r, err
}

// snippet returns the body of a request that runs one file in raw mode, unless
// more members change that.
func snippet(source, more string) string {
	if !strings.Contains(more, `"mode"`) {
		more += `, "mode": "raw"`
	}
	return fmt.Sprintf(`{"files": {"main.py": %s}%s}`, encodeJSON(source), more)
}

// played is a playground's response.
type played struct {
	answer
	RequestID, Outcome, Body, BodyEncoding string
	Status                                 int
	Headers                                http.Header
	Truncated, LogTruncated                bool
	Error                                  struct {
		ErrorType, ErrorMessage, File string
		StackTrace                    []string
		Line                          int
	}
	Log []struct {
		Time           time.Time
		Level, Message string
		System         bool
	}
	Figures map[string]any
}

// play runs a snippet and returns its outcome.
func (s *testServer) play(t *testing.T, body string) *played {
	t.Helper()
	p := &played{answer: do(t, "POST", s.url+PlayPath+"/run", body, "Content-Type", "application/json")}
	p.wantStatus(t, http.StatusOK)
	if err := json.Unmarshal([]byte(p.text), p); err != nil {
		t.Fatalf("%v in %.300s", err, p.text)
	}
	return p
}

// printed returns the lines that the snippet itself logged.
func (p *played) printed() string {
	var lines []string
	for _, e := range p.Log {
		if !e.System {
			lines = append(lines, e.Message)
		}
	}
	return strings.Join(lines, "\n")
}

func TestPlay_SaysWhatBecameOfASnippet(t *testing.T) {
	s := startPlay(t, openPlay, nil)
	files := func(main, helper string) string {
		return fmt.Sprintf(`{"files": {"main.py": %s, "lib/helper.py": %s}, "mode": "raw"}`, encodeJSON(main), encodeJSON(helper))
	}
	for name, test := range map[string]struct {
		body, outcome string
		status        int
		want          string // the response's body, or the error's type
		place         string // of the error, as FILE:LINE
	}{
		"an answer":                {snippet("def handler(event, context): return event", `, "event": {"n": [1, null]}`), "ok", 200, `{"n": [1, null]}`, ""},
		"no event":                 {snippet("def handler(event, context): return event", ""), "ok", 200, `""`, ""},
		"an event that is null":    {snippet("def handler(event, context): return event", `, "event": null`), "ok", 200, `null`, ""},
		"an answer in http mode":   {snippet("def handler(event, context): return {'statusCode': 404, 'body': event['httpMethod']}", `, "mode": "http"`), "ok", 404, "GET", ""},
		"bytes":                    {snippet("def handler(event, context): return b'\\xff'", ""), "ok", 200, "/w==", ""},
		"no body under 204":        {snippet("def handler(event, context): return {'statusCode': 204, 'body': 'x'}", `, "mode": "http"`), "ok", 204, "", ""},
		"no body to HEAD":          {snippet("def handler(event, context): return {'body': 'x'}", `, "mode": "http", "request": {"method": "HEAD"}`), "ok", 200, "", ""},
		"another entry point":      {snippet("def other(event, context): return 1", `, "entrypoint": "main.other"`), "ok", 200, "1", ""},
		"index.py alone":           {`{"files": {"index.py": "def handler(event, context): return 1"}, "mode": "raw"}`, "ok", 200, "1", ""},
		"variables":                {snippet("import os\ndef handler(event, context): return os.environ['K']", `, "environment": {"K": "v"}`), "ok", 200, `"v"`, ""},
		"its memory limit":         {snippet("def handler(event, context): return context.memory_limit_in_mb", `, "memoryMB": 256`), "ok", 200, "256", ""},
		"an exception":             {snippet("def f():\n    1/0\ndef handler(event, context):\n    f()", ""), "error", 502, "ZeroDivisionError", "main.py:2"},
		"one in the library":       {snippet("import json\ndef handler(event, context):\n\n    json.loads('{')", ""), "error", 502, "JSONDecodeError", "main.py:4"},
		"one of another file":      {files("import lib.helper\ndef handler(event, context): lib.helper.f()", "def f():\n  raise KeyError"), "error", 502, "KeyError", "lib/helper.py:2"},
		"one at import":            {files("\nimport lib.helper", "\n\n1/0"), "error", 502, "ZeroDivisionError", "lib/helper.py:3"},
		"code that does not parse": {snippet("x = 1\ndef handler(event, context:\n  pass", ""), "error", 502, "SyntaxError", "main.py:2"},
		"a helper that does not":   {files("import lib.helper", "\n\n\nif"), "error", 502, "SyntaxError", "lib/helper.py:4"},
		"parsing something else":   {snippet("def handler(event, context):\n  compile('if', '<x>', 'exec')", ""), "error", 502, "SyntaxError", "main.py:2"},
		"tabs and spaces":          {snippet("def handler(event, context):\n  if 1:\n\tpass\n        pass", ""), "error", 502, "TabError", "main.py:3"},
		"no handler":               {snippet("def handle(event, context): pass", ""), "error", 502, "HandlerNotFound", ""},
		"no such module":           {snippet("", `, "entrypoint": "app.handler"`), "error", 502, "ModuleNotFoundError", ""},
		"a timeout":                {snippet("def handler(event, context):\n while True: pass", `, "timeoutMS": 200`), "timeout", 504, "ExecutionTimeout", ""},
		"a timeout at import":      {snippet("while True: pass", `, "timeoutMS": 200`), "timeout", 504, "ExecutionTimeout", ""},
		"too much memory":          {snippet("def handler(event, context):\n return bytearray(1 << 29)", ""), "error", 502, "MemoryError", "main.py:2"},
		"an end of the process":    {snippet("import os\nos._exit(1)", ""), "error", 502, "RuntimeExit", ""},
		"no response":              {snippet("def handler(event, context): return 5", `, "mode": "http"`), "error", 502, "ProxyIntegrationError", ""},
		"a header that can't be":   {snippet("def handler(event, context): return {'headers': {'Via': 'x'}}", `, "mode": "http"`), "error", 502, "ProxyIntegrationError", ""},
		"an answer over the limit": {snippet("def handler(event, context): return 'x' * 4_000_000", ""), "error", 502, "ResponseTooLarge", ""},
		"a forged frame": {snippet(`
def handler(event, context):
    exec(compile("\n" * 99 + "1/0", "/function/code/main.py", "exec"))`, ""), "error", 502, "ZeroDivisionError", "main.py:3"},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.play(t, test.body)
			got, place := p.Body, ""
			if test.outcome != playOK {
				got = p.Error.ErrorType
				if want := fmt.Sprintf(`"errorType": "%s"`, test.want); !strings.Contains(strings.ReplaceAll(p.Body, `":"`, `": "`), want) {
					t.Errorf("body: got %.200s, want one with %s", p.Body, want)
				}
				if p.Headers.Get(headerFunctionError) != "true" || p.Error.ErrorMessage == "" && test.want != "KeyError" && test.want != "MemoryError" {
					t.Errorf("got headers %v and message %q", p.Headers, p.Error.ErrorMessage)
				}
			}
			if p.Error.File != "" {
				place = fmt.Sprintf("%s:%d", p.Error.File, p.Error.Line)
			}
			if p.Outcome != test.outcome || p.Status != test.status || got != test.want || place != test.place {
				t.Errorf("got %s, %d, %.200s, at %q, want %s, %d, %s, at %q", p.Outcome, p.Status, got, place,
					test.outcome, test.status, test.want, test.place)
			}
			if id := p.Header.Get(headerRequestID); p.RequestID != id || id == "" {
				t.Errorf("request id %q, in the header %q", p.RequestID, id)
			}
			if p.Figures["cold"] != true || p.Figures["peakMemory"].(float64) <= 0 || p.Figures["durationMS"].(float64) <= 0 {
				t.Errorf("figures: %v", p.Figures)
			}
			if n := len(p.Log); n < 3 || !strings.HasPrefix(p.Log[0].Message, "START") || !strings.HasPrefix(p.Log[n-1].Message, "REPORT") {
				t.Errorf("log: %+v", p.Log)
			}
		})
	}
}

func TestPlay_CapsWhatItAnswers(t *testing.T) {
	s := startPlay(t, openPlay, nil)
	p := s.play(t, snippet("def handler(event, context): return {'body': 'é' * 550_000}", `, "mode": "http"`))
	if !p.Truncated || p.BodyEncoding != "utf8" || len(p.Body) != maxPlayBody || strings.Trim(p.Body, "é") != "" {
		t.Errorf("a long text: got truncated %v, %s of %d bytes", p.Truncated, p.BodyEncoding, len(p.Body))
	}
	p = s.play(t, snippet("def handler(event, context): return bytes([255]) * (1 << 21)", ""))
	if !p.Truncated || p.BodyEncoding != "base64" || len(p.Body) != (maxPlayBody+2)/3*4 {
		t.Errorf("many bytes: got truncated %v, %s of %d bytes", p.Truncated, p.BodyEncoding, len(p.Body))
	}
	p = s.play(t, snippet("def handler(event, context):\n  print('first')\n  for i in range(1000): print('x' * 1000)\n  return 1", ""))
	lines := strings.Split(p.printed(), "\n")
	if n := len(lines) * 1128; !p.LogTruncated || lines[0] != "first" || n > maxPlayLog+1128 || n < maxPlayLog-2000 {
		t.Errorf("a long log: got truncated %v, %d lines", p.LogTruncated, len(lines))
	}
	if !strings.HasPrefix(p.Log[len(p.Log)-1].Message, "REPORT") {
		t.Error("a long log has no REPORT at its end")
	}
	p = s.play(t, snippet("def handler(event, context): return {'headers': {f'X-{i}': 'y' * 1000 for i in range(200)}}", `, "mode": "http"`))
	if !p.Truncated || len(p.Headers) > 70 {
		t.Errorf("many headers: got truncated %v, %d headers", p.Truncated, len(p.Headers))
	}
	forged := `import os, sys, json
sys.path.insert(0, "/function/runtime")
import _vivarium
def handler(event, context):
    _vivarium.respond(2, json.dumps({"errorMessage": "m" * 1000000, "errorType": "Forged", "stackTrace": ["s" * 100000] * 20}).encode())
    os._exit(0)
`
	if p = s.play(t, snippet(forged, "")); len(p.text) > maxPlayBody+2*maxPlayError {
		t.Errorf("a forged error: got an answer of %d bytes", len(p.text))
	}
}

// A profile tells waiting from computing, by lines, and is there only if it is asked for.
func TestPlay_ProfilesASnippet(t *testing.T) {
	s := startPlay(t, openPlay, nil)
	source := "import time\n\ndef work():\n  n = 0\n  for i in range(300_000):\n    n += abs(i)\n  return n\n\n" +
		"def handler(event, context):\n  time.sleep(0.05)\n  return work()\n"
	p := s.play(t, snippet(source, `, "profile": true`))
	var profiled struct {
		Profile []struct {
			Function, File         string
			Line                   int
			ComputingMS, WaitingMS float64
		}
	}
	if err := json.Unmarshal([]byte(p.text), &profiled); err != nil {
		t.Fatal(err)
	}
	slept, worked := false, false
	for _, l := range profiled.Profile {
		mine := strings.HasSuffix(l.File, "main.py")
		slept = slept || mine && l.Function == "handler" && l.Line == 10 && l.WaitingMS >= 50
		worked = worked || mine && l.Function == "work" && l.ComputingMS > l.WaitingMS
	}
	if !slept || !worked {
		t.Errorf("got %+v", profiled.Profile)
	}
	if p := s.play(t, snippet(source, "")); strings.Contains(p.text, `"profile"`) {
		t.Errorf("nobody asked for a profile: %s", p.text)
	}
}

// A handler must get the same in the playground as from a real call.
func TestPlay_BuildsTheEventOfARealCall(t *testing.T) {
	const source = "import json\ndef handler(event, context): return {'body': json.dumps(event), 'multiValueHeaders': {'X-Two': ['1', '2']}}"
	h := deploy(t, "play-event", catalog.VersionSpec{Entrypoint: "main.handler"}, []txtar.File{{Name: "main.py", Data: []byte(source)}})
	play, err := NewPlay(openPlay, h.Runner())
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Play: play}, h)
	const id = "5f0c7a4e-0000-4000-8000-000000000001"
	real := do(t, "PUT", s.url+"/play-event?a=1&b=%20x&a=2", `{"k": "é"}`, headerRequestID, id,
		"Content-Type", "application/json", "X-Custom", "one", "Cookie", "hidden", "User-Agent", "me", "Accept-Encoding", "x")
	tried := do(t, "POST", s.url+PlayPath+"/run", fmt.Sprintf(`{"files": {"main.py": %s}, "request": {"method": "PUT", "path": "/play-event",
		"query": "a=1&b=%%20x&a=2", "headers": {"content-type": "application/json", "x-custom": "one", "Cookie": "hidden", "User-Agent": "me",
		"Accept-Encoding": "x", "Content-Length": "7", "X-Request-Id": "mine"}, "body": "{\"k\": \"é\"}"}}`, encodeJSON(source)),
		"Content-Type", "application/json", headerRequestID, id)
	var p played
	if err := json.Unmarshal([]byte(tried.text), &p); err != nil {
		t.Fatal(err)
	}
	events := map[string]map[string]any{"called": {}, "tried": {}}
	for name, text := range map[string]string{"called": real.text, "tried": p.Body} {
		if err := json.Unmarshal([]byte(text), ptr(events[name])); err != nil {
			t.Fatalf("%s: %v in %.500s", name, err, text)
		}
		for _, part := range []string{"headers", "multiValueHeaders"} {
			headers := events[name][part].(map[string]any)
			for _, changing := range []string{headerTraceID, "X-Real-Remote-Address"} {
				if headers[changing] == nil {
					t.Errorf("%s: %s has no %s", name, part, changing)
				}
				delete(headers, changing)
			}
		}
		requestContext := events[name]["requestContext"].(map[string]any)
		delete(requestContext, "requestTime")
		delete(requestContext, "requestTimeEpoch")
	}
	if got, want := encodeJSON(events["tried"]), encodeJSON(events["called"]); string(got) != string(want) {
		t.Errorf("the event:\ntried:  %s\ncalled: %s", got, want)
	}
	for _, name := range []string{"Content-Type", "Content-Length", "X-Two"} {
		got, want := p.Headers.Values(name), real.Header.Values(name)
		if name == "Content-Length" { // the trace id and such have a fixed length, a port may not
			got, want = got[:1], want[:1]
			if len(got[0]) != len(want[0]) {
				t.Errorf("%s: tried %v, called %v", name, got, want)
			}
			continue
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: tried %v, called %v", name, got, want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestPlay_RefusesWhatIsOverALimit(t *testing.T) {
	s := startPlay(t, openPlay, triesFunc(func(
		context.Context, catalog.VersionSpec, run.Invocation, func(logs.Entry),
	) (*run.Result, error) {
		t.Error("it was run")
		return nil, nil
	}))
	many := map[string]string{}
	for i := range maxPlayFiles + 1 {
		many[fmt.Sprintf("m%d.py", i)] = ""
	}
	for _, test := range []struct{ body, want string }{
		{``, "the request's body: must be one JSON object: it is empty"},
		{`{}x`, "something follows"},
		{`[]`, "must be an object"},
		{`{"files": {"a": ""}, "mood": 1, "request": {"verb": ""}}`, "mood: there is no such field; request.verb: there is no such field"},
		{`{"files": ["a"]}`, "files: must be an object"},
		{`{"files": {"a": 5}}`, "files"},
		{`{}`, "files: there are none"},
		{string(encodeJSON(map[string]any{"files": many})), "files: there are 21; at most 20"},
		{`{"files": {"main.py": "` + strings.Repeat("x", maxPlayCode) + `"}}`, "files: they have 262151 bytes"},
		{`{"files": {"../main.py": ""}}`, `files: the name "../main.py" must be a relative one`},
		{`{"files": {"/main.py": ""}}`, "must be a relative one"},
		{`{"files": {"a": "", "a/b": ""}}`, `files: "a" is a file and also a folder`},
		{`{"files": {"a": ""}, "mode": "https"}`, `mode: "https" must be http or raw`},
		{`{"files": {"a": ""}, "memoryMB": 384}`, "memoryMB: 384 must be at most 256"},
		{`{"files": {"a": ""}, "timeoutMS": 10001}`, "timeoutMS: 10001 must be at most 10000"},
		{`{"files": {"a": ""}, "timeoutMS": -1}`, "timeoutMS"},
		{`{"files": {"a": ""}, "request": {"method": "TRACE"}}`, `request.method: "TRACE" must be one of`},
		{`{"files": {"a": ""}, "request": {"query": "%"}}`, "malformed query"},
		{`{"files": {"a": ""}, "request": {"headers": {"a b": ""}}}`, `request.headers: "a b"`},
		{`{"files": {"a": ""}, "request": {"headers": {"a": "\n"}}}`, `request.headers: the value of "a"`},
	} {
		a := do(t, "POST", s.url+PlayPath+"/run", test.body, "Content-Type", "application/json")
		var e struct {
			ErrorCode               int
			ErrorMessage, ErrorType string
		}
		if err := json.Unmarshal([]byte(a.text), &e); err != nil || a.StatusCode != 400 || e.ErrorCode != 400 ||
			e.ErrorType != clientError ||
			!strings.Contains(e.ErrorMessage, test.want) {
			t.Errorf("%.80s: got %d %.300s, want 400 and %q", test.body, a.StatusCode, a.text, test.want)
		}
	}
	large := do(t, "POST", s.url+PlayPath+"/run", strings.Repeat(" ", maxPlayRequest+1), "Content-Type", "application/json")
	large.wantPlatformError(t, 413, "request entity is larger than limits (524288)", proxyIntegrationError)
	do(t, "POST", s.url+PlayPath+"/run", "{}").wantStatus(t, http.StatusUnsupportedMediaType)
	do(t, "POST", s.url+PlayPath+"/run", "{}", "Content-Type", "text/plain").wantStatus(t, http.StatusUnsupportedMediaType)
	get := do(t, "GET", s.url+PlayPath+"/run", "")
	get.wantStatus(t, http.StatusMethodNotAllowed)
	get.wantHeader(t, "Allow", "POST, OPTIONS")
	do(t, "POST", s.url+PlayPath+"/walk", "{}", "Content-Type", "application/json").wantStatus(t, http.StatusNotFound)
}

// Errors that only the host can find name the fields that callers of the
// playground know.
func TestPlay_NamesTheFieldsOfTheHost(t *testing.T) {
	s := startPlay(t, openPlay, nil)
	for body, want := range map[string]string{
		snippet("", `, "memoryMB": 100`):              "memoryMB: 100 MB must be a multiple of 128 MB",
		snippet("", `, "environment": {"PATH": "/"}`): `environment variable "PATH": the name is reserved`,
	} {
		a := do(t, "POST", s.url+PlayPath+"/run", body, "Content-Type", "application/json")
		if a.StatusCode != 400 || !strings.Contains(a.text, strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("got %d %s, want 400 and %s", a.StatusCode, a.text, want)
		}
	}
}

func TestPlay_TellsItsLimits(t *testing.T) {
	s := startPlay(t, PlayConfig{MaxTimeout: 5 * time.Second, AllowNet: "example.org"}, triesFunc(nil))
	a := do(t, "GET", s.url+PlayPath+"/limits", "")
	a.wantStatus(t, http.StatusOK)
	var limits map[string]any
	if err := json.Unmarshal([]byte(a.text), &limits); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"memoryMB": 256.0, "timeoutMS": 5000.0, "files": 20.0, "bytes": 262144.0, "burst": 20.0, "perSecond": 5.0, "allowNet": "example.org",
	} {
		if limits[name] != want {
			t.Errorf("%s: got %v, want %v", name, limits[name], want)
		}
	}
}

func TestPlay_IsNotThereUnlessTurnedOn(t *testing.T) {
	s := start(t, Config{}, returns(`{}`))
	a := do(t, "POST", s.url+PlayPath+"/run", "{}", "Content-Type", "application/json")
	a.wantPlatformError(t, 404, "Not Found: This server has no playground", clientError)
}

func TestPlay_FailuresOfThePlatform(t *testing.T) {
	var failure error
	log, config := &logBuffer{}, openPlay
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := startPlay(t, config, triesFunc(func(context.Context, catalog.VersionSpec, run.Invocation, func(logs.Entry)) (*run.Result, error) {
		return nil, failure
	}))
	for _, test := range []struct {
		err    error
		status int
		retry  string
	}{
		{fault.ErrBusy, 429, "1"}, {fault.ErrClosed, 503, "1"}, {fmt.Errorf("disk on fire"), 500, ""},
	} {
		for _, accept := range []string{"application/json", "text/event-stream"} { // before it has begun, a stream fails like anything else
			failure = test.err
			a := do(t, "POST", s.url+PlayPath+"/run", snippet("", ""), "Content-Type", "application/json", "Accept", accept)
			a.wantStatus(t, test.status)
			a.wantHeader(t, "Content-Type", "application/json")
			if a.Header.Get("Retry-After") != test.retry || strings.Contains(a.text, "fire") {
				t.Errorf("%v: got Retry-After %q, %s", test.err, a.Header.Get("Retry-After"), a.text)
			}
		}
	}
	if text := log.String(); strings.Count(text, "disk on fire") != 2 || strings.Count(text, "\n") != 2 {
		t.Errorf("the operator's log: got %s, want our own failure, twice", text)
	}
}

func TestPlay_BoundsEachClient(t *testing.T) {
	running, finish := make(chan struct{}), make(chan struct{})
	s := startPlay(t, PlayConfig{Rate: 0.001, Burst: 3, AtOnce: 2}, triesFunc(
		func(_ context.Context, _ catalog.VersionSpec, inv run.Invocation, _ func(logs.Entry)) (*run.Result, error) {
			running <- struct{}{}
			<-finish
			return nil, nil
		}))
	run := func() answer {
		return do(t, "POST", s.url+PlayPath+"/run", snippet("", ""), "Content-Type", "application/json")
	}
	answers := make(chan answer)
	for range 2 {
		go func() { answers <- run() }()
		<-running
	}
	third := run()
	third.wantPlatformError(t, 429, "Too Many Requests: 2 of your snippets are running; wait for one to end", clientError)
	third.wantHeader(t, "Retry-After", "1")
	for range 2 {
		finish <- struct{}{}
		(<-answers).wantStatus(t, http.StatusOK)
	}
	go func() { answers <- run() }()
	<-running
	finish <- struct{}{}
	(<-answers).wantStatus(t, http.StatusOK)
	fourth := run()
	fourth.wantStatus(t, http.StatusTooManyRequests)
	// One in a thousand seconds; a few have passed.
	if after := fourth.Header.Get("Retry-After"); len(after) != 3 && after != "1000" {
		t.Errorf("Retry-After: got %q, want nearly 1000", after)
	}
	do(t, "GET", s.url+PlayPath+"/limits", "").wantStatus(t, http.StatusOK)
}

func TestPlayClients_AreBoundedAndApart(t *testing.T) {
	c := newPlayClients(0.001, 1, 10)
	enter := func(address string) error {
		leave, err := c.enter(address)
		if err == nil {
			leave()
		}
		return err
	}
	for _, test := range []struct {
		address string
		known   bool
	}{
		{"192.0.2.1:1000", false}, {"192.0.2.1:2000", true}, {"192.0.2.2:1000", false}, {"[::ffff:192.0.2.2]:1000", true},
		{"[2001:db8:0:1::1]:1", false}, {"[2001:db8:0:1:ffff::2]:1", true}, {"[2001:db8:0:2::1]:1", false}, {"@", false}, {"", true},
	} {
		if err := enter(test.address); (err != nil) != test.known {
			t.Errorf("%s: got %v; counts with one before: want %v", test.address, err, test.known)
		}
	}
	for i := range 3 * maxPlayClients {
		if err := enter(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	for i := range maxPlayTotal {
		if _, err := c.enter(fmt.Sprintf("192.0.2.%d:1", 10+i)); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if err := enter("198.51.100.1:1"); err == nil {
		t.Errorf("%d requests are let in at once", maxPlayTotal+1)
	}
	if n, m := len(c.known), c.recent.Len(); n != maxPlayClients || m != maxPlayClients {
		t.Errorf("%d and %d clients are remembered, want %d", n, m, maxPlayClients)
	}
}

func TestPlay_Origins(t *testing.T) {
	tries := triesFunc(func(context.Context, catalog.VersionSpec, run.Invocation, func(logs.Entry)) (*run.Result, error) {
		return nil, nil
	})
	const mine, other = "https://docs.example.com", "https://evil.example.com"
	for _, test := range []struct {
		origins []string
		origin  string
		status  int
		allowed string
	}{
		{nil, "", 200, ""},
		{nil, "null", 403, ""},
		{nil, other, 403, ""},
		{[]string{mine}, mine, 200, mine},
		{[]string{mine}, other, 403, ""},
		{[]string{mine}, "", 200, ""},
		{[]string{mine, "*"}, other, 200, "*"},
		{[]string{"*"}, "null", 200, "*"},
	} {
		config := openPlay
		config.Origins = test.origins
		s := startPlay(t, config, tries)
		headers := []string{"Content-Type", "application/json"}
		if test.origin != "" {
			headers = append(headers, "Origin", test.origin, "Sec-Fetch-Site", "cross-site")
		}
		run := do(t, "POST", s.url+PlayPath+"/run", snippet("", ""), headers...)
		preflight := do(t, "OPTIONS", s.url+PlayPath+"/run", "", append(headers, "Access-Control-Request-Method", "POST")...)
		if run.StatusCode != test.status || preflight.StatusCode != 204 {
			t.Errorf("%v, from %q: got %d and %d, want %d", test.origins, test.origin, run.StatusCode, preflight.StatusCode, test.status)
		}
		for _, a := range []answer{run, preflight} {
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != test.allowed {
				t.Errorf("%v, from %q: allows %q, want %q", test.origins, test.origin, got, test.allowed)
			}
			if a.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
			if vary := a.Header.Get("Vary"); (vary == "Origin") != (len(test.origins) == 1 && test.origins[0] == mine) {
				t.Errorf("%v: Vary: %q", test.origins, vary)
			}
		}
		if got := preflight.Header.Get("Access-Control-Allow-Headers"); (got != "") != (test.allowed != "") {
			t.Errorf("%v, from %q: allows the headers %q", test.origins, test.origin, got)
		}
	}
	for _, origin := range []string{"docs.example.com", "https://docs.example.com/path", "https://*.example.com/", ""} {
		if _, err := NewPlay(PlayConfig{Origins: []string{origin}}, tries); err == nil {
			t.Errorf("origin %q is accepted", origin)
		}
	}
}

func TestServer_SendsBrowsersToTheConsole(t *testing.T) {
	console := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Path)) })
	s := start(t, Config{Console: console}, returns(`{}`))
	a := do(t, "GET", s.url+"/", "", "Accept", "text/html,application/xhtml+xml")
	a.wantStatus(t, http.StatusFound)
	a.wantHeader(t, "Location", "/console/")
	do(t, "GET", s.url+"/", "", "Accept", "*/*").wantStatus(t, http.StatusBadRequest)
	for _, path := range []string{"/console", "/console/", "/console/a/b.js"} {
		if a := do(t, "GET", s.url+path, ""); a.text != path {
			t.Errorf("%s: got %d %s", path, a.StatusCode, a.text)
		}
	}
	without := start(t, Config{}, returns(`{}`))
	do(t, "GET", without.url+"/", "", "Accept", "text/html").wantStatus(t, http.StatusBadRequest)
}
