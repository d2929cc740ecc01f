package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// client requests no compression: the contract's example does not either.
var client = &http.Client{Transport: &http.Transport{DisableCompression: true}}

// reply is an HTTP response.
type reply struct {
	status int
	header http.Header
	body   string
}

// functionError returns errorType and errorMessage, and fails the test unless
// the reply is a function's error.
func (r *reply) functionError(t *testing.T) (kind, message string) {
	t.Helper()
	if r.header.Get("X-Function-Error") != "true" {
		t.Fatalf("status %d without X-Function-Error: %.500s", r.status, r.body)
	}
	var e struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatalf("%v in %.500s", err, r.body)
	}
	return e.ErrorType, e.ErrorMessage
}

// get calls a function of a program.
func get(t *testing.T, p *program, path string) *reply {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) *reply {
	t.Helper()
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &reply{answer.StatusCode, answer.Header, string(body)}
}

// The contract's own example: its request must yield its result, member by
// member and in order.
func TestServe_AnswersTheContractsExample(t *testing.T) {
	r, err := http.NewRequest(http.MethodPost, shared.url+"/echo?param=one", strings.NewReader(`{"hello": "world"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "curl/7.64.1")
	got := do(t, r)
	if got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	seed, err := os.ReadFile("testdata/seed.json")
	if err != nil {
		t.Fatal(err)
	}
	gotParts, wantParts := members(t, []byte(got.body)), members(t, seed)
	if len(gotParts) != len(wantParts) {
		t.Errorf("got %d members, want %d", len(gotParts), len(wantParts))
	}
	// The example shows its two members sorted, but the handler builds them the
	// other way round. So each is compared by itself.
	for _, name := range []string{"event", "context"} {
		got, want := shape(t, gotParts[name]), shape(t, wantParts[name])
		if name == "context" { // without a service account there is no token
			want = strings.ReplaceAll(want, ".token.access_token string\n.token.expires_in number\n.token.token_type string\n", ".token null\n")
		}
		if got != want {
			t.Errorf("%s\ngot:\n%s\nwant:\n%s", name, got, want)
		}
	}
	var event struct {
		Body    string
		Headers map[string]string
	}
	if err := json.Unmarshal(gotParts["event"], &event); err != nil {
		t.Fatal(err)
	}
	if event.Body != `{"hello": "world"}` {
		t.Errorf("event.body is %q", event.Body)
	}
	if id := got.header.Get("X-Request-Id"); event.Headers["X-Request-Id"] != id || id == "" {
		t.Errorf("the answer's request id is %q, the event's %q", id, event.Headers["X-Request-Id"])
	}
}

// members returns the members of a JSON object.
func members(t *testing.T, text []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// shape lists paths and types of all values of a JSON document, in order.
func shape(t *testing.T, text []byte) string {
	t.Helper()
	var b strings.Builder
	decoder := json.NewDecoder(bytes.NewReader(text))
	var walk func(path string)
	walk = func(path string) {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch v := token.(type) {
		case json.Delim:
			empty := true
			for ; decoder.More(); empty = false {
				if v == '[' {
					walk(path + "[]")
					continue
				}
				name, err := decoder.Token()
				if err != nil {
					t.Fatal(err)
				}
				walk(path + "." + name.(string))
			}
			if empty {
				fmt.Fprintf(&b, "%s empty %v\n", path, v)
			}
			if _, err := decoder.Token(); err != nil {
				t.Fatal(err)
			}
		case nil:
			fmt.Fprintf(&b, "%s null\n", path)
		case float64:
			fmt.Fprintf(&b, "%s number\n", path)
		default:
			fmt.Fprintf(&b, "%s %T\n", path, v)
		}
	}
	walk("")
	return b.String()
}

func TestServe_Examples(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/api?name=Ann", `{"greeting": "Hello, Ann!", "method": "GET"}`},
		{"/api", `{"greeting": "Hello, world!", "method": "GET"}`},
	} {
		if got := get(t, shared, c.path); got.status != 200 || got.body != c.want {
			t.Errorf("%s: got %d %s, want %s", c.path, got.status, got.body, c.want)
		}
	}
	got := get(t, shared, "/fanout")
	var answer struct {
		Names   []string
		Elapsed float64
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
		t.Fatalf("fanout: %v in %s", err, got.body)
	}
	if fmt.Sprint(answer.Names) != "[a b c]" || answer.Elapsed < 0.3 {
		t.Errorf("fanout answered %s", got.body)
	}
	got = get(t, shared, "/raises")
	if kind, message := got.functionError(t); got.status != 502 || kind != "KeyError" || message != "'lyrics'" {
		t.Errorf("raises: %d %s", got.status, got.body)
	}
}

func TestServe_AcceptsABodyOfAnyType(t *testing.T) {
	for _, contentType := range []string{"application/json", "text/plain", ""} {
		r, err := http.NewRequest(http.MethodPost, shared.url+"/api", strings.NewReader(`{"name": "Аня"}`))
		if err != nil {
			t.Fatal(err)
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		if got, want := do(t, r).body, `{"greeting": "Hello, Аня!", "method": "POST"}`; got != want {
			t.Errorf("%s: got %s, want %s", contentType, got, want)
		}
	}
}

func TestServe_UnknownFunctionIsAPlatformError(t *testing.T) {
	got := get(t, shared, "/nobody")
	var e struct {
		ErrorCode               int
		ErrorMessage, ErrorType string
	}
	if err := json.Unmarshal([]byte(got.body), &e); err != nil {
		t.Fatal(err)
	}
	if got.status != 404 || e.ErrorCode != 404 || e.ErrorMessage == "" || e.ErrorType == "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got.header.Get("X-Function-Error") != "" {
		t.Error("X-Function-Error is set, though no function is to blame")
	}
}

// Every call reports what goes wrong when code is loaded.
func TestServe_CodeThatDoesNotLoad(t *testing.T) {
	for _, c := range []struct{ function, kind, message string }{
		{"no-module", "ModuleNotFoundError", "missing_module"},
		{"no-handler", "HandlerNotFound", "handler"},
		{"syntax", "SyntaxError", "expected ':'"},
		{"import-raises", "RuntimeError", "не сегодня"},
	} {
		t.Run(c.function, func(t *testing.T) {
			for range 2 {
				got := get(t, shared, "/"+c.function)
				kind, message := got.functionError(t)
				if got.status != 502 || kind != c.kind || !strings.Contains(message, c.message) {
					t.Errorf("got %d %s, want %s with %q", got.status, got.body, c.kind, c.message)
				}
			}
		})
	}
}

// Whatever a call does, the next call of the same function must be served.
func TestServe_TheNextCallWorksAfter(t *testing.T) {
	for _, c := range []struct{ do, kind, message string }{
		{"raise_text", "ValueError", "ошибка «é» 🐍"},
		{"unencodable", "TypeError", "set"},
		{"surrogate", "ProxyIntegrationError", "Malformed"},
		{"not_a_response", "ProxyIntegrationError", "Malformed"},
		{"recurse", "RecursionError", "recursion"},
		{"nest", "RecursionError", "recursion"},
		{"sys_exit", "SystemExit", "3"},
		{"os_exit", "RuntimeExit", "4"},
		{"allocate", "MemoryError", ""},
		{"large", "ResponseTooLarge", "3670016"},
	} {
		t.Run(c.do, func(t *testing.T) {
			got := get(t, shared, "/acts?do="+c.do)
			kind, message := got.functionError(t)
			if got.status != 502 || kind != c.kind || !strings.Contains(message, c.message) {
				t.Errorf("got %d %.1000s, want %s with %q", got.status, got.body, c.kind, c.message)
			}
			mustBeWell(t, shared)
		})
	}
	for _, c := range []struct{ do, want string }{
		{"allocate_and_catch", "caught"},
		{"print_much", "printed"},
	} {
		t.Run(c.do, func(t *testing.T) {
			if got := get(t, shared, "/acts?do="+c.do); got.status != 200 || got.body != c.want {
				t.Errorf("got %d %.1000s", got.status, got.body)
			}
			mustBeWell(t, shared)
		})
	}
}

func mustBeWell(t *testing.T, p *program) {
	t.Helper()
	if got := get(t, p, "/acts"); got.status != 200 || got.body != "well" {
		t.Errorf("the next call: got %d %.1000s", got.status, got.body)
	}
}

func TestServe_EndlessLoopEndsAtTheTimeout(t *testing.T) {
	p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--timeout", "700ms", "--functions", "testdata/functions")
	for _, do := range []string{"loop", "sleep"} {
		started := time.Now()
		got := get(t, p, "/acts?do="+do)
		kind, message := got.functionError(t)
		if got.status != 504 || kind != "ExecutionTimeout" || message != "Execution timeout exceeded: 700 ms" {
			t.Errorf("%s: got %d %s", do, got.status, got.body)
		}
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("%s: took %v", do, took)
		}
		mustBeWell(t, p)
	}
	if log := p.stderr.String(); !strings.Contains(log, "Code: 504 Message: Execution timeout exceeded") {
		t.Errorf("the log says nothing of the timeout:\n%s", log)
	}
}

func TestServe_ClientThatGoesAway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, shared.url+"/acts?do=sleep", nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(500*time.Millisecond, cancel)
	if answer, err := client.Do(r); err == nil {
		answer.Body.Close()
		t.Fatalf("got an answer: %d", answer.StatusCode)
	}
	mustBeWell(t, shared)
	eventually(t, func() string {
		if strings.Contains(shared.stderr.String(), "Code: 499 Message: Request cancelled") {
			return ""
		}
		return "the log says nothing of the caller who went away"
	})
}

func TestServe_LogsBelongToTheirFunction(t *testing.T) {
	get(t, shared, "/api?name=Log")
	if log := shared.stderr.String(); !strings.Contains(log, "api: greeting Log\n") {
		t.Errorf("the terminal does not show the line:\n%.2000s", log)
	}
}

// A hundred concurrent calls, ten times as many as there may be instances.
func TestServe_ManyCallsAtOnce(t *testing.T) {
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			path, want := "/acts", "well"
			if i%10 == 0 {
				path, want = "/acts?do=os_exit", "RuntimeExit"
			}
			answer, err := client.Get(shared.url + path)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			if body, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(body), want) {
				t.Errorf("%s: got %d %s, %v", path, answer.StatusCode, body, err)
			}
		})
	}
	group.Wait()
}

// One broken folder does not affect the others.
func TestServe_SkipsWhatItCannotServe(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"good/index.py": answering("good"), "ab/main.py": "", "functions/main.py": "", "linked/main.py": "", "данные/main.py": "",
	})
	if err := os.Symlink("/etc/passwd", dir+"/linked/passwd"); err != nil {
		t.Fatal(err)
	}
	p := startFor(t, "serve", "--listen", "127.0.0.1:0", "--functions", dir)
	if got := get(t, p, "/good"); got.body != "good" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for _, folder := range []string{"ab", "functions", "linked", "данные"} {
		if !strings.Contains(p.stderr.String(), "vivarium: not served: ") || !strings.Contains(p.stderr.String(), dir+"/"+folder+": ") {
			t.Errorf("nothing is said of %s: %s", folder, p.stderr)
		}
	}
	if code, _, stderr := execute("", "serve", "--listen", "127.0.0.1:0", "--function", "ab="+dir+"/ab"); code != ExitFailure || !strings.Contains(stderr, "3 to 63") {
		t.Errorf("one that the user names: exit code %d: %s", code, stderr)
	}
}

func TestServe_RefusesWhatItCannotServe(t *testing.T) {
	empty := t.TempDir()
	twice := writeFiles(t, map[string]string{"api/main.py": "", "bad_name_/x": ""})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "--functions"},
		{[]string{"--functions", empty}, "main.py"},
		{[]string{"--functions", empty + "/none"}, "no such file"},
		{[]string{"--functions", "../../examples", "--functions", twice}, "two functions are called api"},
		{[]string{"--function", "api"}, "NAME=PATH"},
		{[]string{"--function", "api=" + empty + "/none.py"}, "no such file"},
		{[]string{"--function", "api=../../examples/api:app.handle", "--listen", "256.0.0.1:1"}, "--listen"},
	} {
		code, _, stderr := execute("", append([]string{"serve"}, c.args...)...)
		if code != ExitFailure || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, want %d and %q in: %s", c.args, code, ExitFailure, c.want, stderr)
		}
	}
}
