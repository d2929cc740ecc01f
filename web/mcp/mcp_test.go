package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/web"
	"vivarium/web/api"
	"vivarium/web/manage"
	"vivarium/web/mcp"
	"vivarium/web/webtest"
)

// server is a server with a host of its own.
type server struct {
	t    *testing.T
	url  string
	host *host.Host
	desk *manage.Desk
	// answering, if set, is called before headers are set, which is done once a request
	// is decoded, and before an answer is written.
	answering atomic.Pointer[func(writes bool)]
}

func startServer(t *testing.T) *server {
	t.Helper()
	h := webtest.Host(t, host.Config{})
	desk := manage.New(h)
	s := &server{t: t, host: h, desk: desk}
	port, _ := webtest.Serve(t, web.Config{
		Keys: h.Keys(), GuardHost: true, Management: api.New(api.Config{Host: h, Desk: desk, Accept: web.Accept}),
		Tools: func(next http.Handler) http.Handler {
			handler := mcp.NewHandler(next, desk, "test")
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(watchedWriter{w, s}, r) })
		},
	}, h)
	s.url = fmt.Sprint("http://127.0.0.1:", port)
	return s
}

// watchedWriter tells of what is done with an answer.
type watchedWriter struct {
	http.ResponseWriter
	of *server
}

func (w watchedWriter) observe(writes bool) {
	if observe := w.of.answering.Load(); observe != nil {
		(*observe)(writes)
	}
}

// Header implements http.ResponseWriter.
func (w watchedWriter) Header() http.Header {
	w.observe(false)
	return w.ResponseWriter.Header()
}

// WriteHeader implements http.ResponseWriter.
func (w watchedWriter) WriteHeader(status int) {
	w.observe(true)
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w watchedWriter) Write(p []byte) (int, error) {
	w.observe(true)
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// key makes a key and returns its secret.
func (s *server) key(tenant string, role access.Role) string {
	return webtest.Key(s.t, s.host, tenant, role)
}

// withKey adds a key to requests.
type withKey string

// RoundTrip implements http.RoundTripper.
func (k withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	if k != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Api-Key "+string(k))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// client is the official library's, connected.
type client struct {
	*sdk.ClientSession
	t *testing.T
}

func (s *server) connect(transport sdk.Transport) *client {
	s.t.Helper()
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(s.t.Context(), transport, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() }) // the server may have ended it
	return &client{c, s.t}
}

// overHTTP connects as with `vivarium serve`.
func (s *server) overHTTP(secret string) *client {
	s.t.Helper()
	return s.connect(&sdk.StreamableClientTransport{
		Endpoint: s.url + mcp.Path, HTTPClient: &http.Client{Transport: withKey(secret)}, DisableStandaloneSSE: true,
	})
}

// overStdio connects as with `vivarium mcp`.
func (s *server) overStdio(secret string) *client {
	s.t.Helper()
	tools := mcp.New(mcp.Config{Base: s.url, Do: (&http.Client{Transport: withKey(secret)}).Do})
	in, out := io.Pipe()
	back, answers := io.Pipe()
	ended := make(chan error)
	go func() { ended <- tools.Run(context.Background(), &sdk.IOTransport{Reader: in, Writer: answers}) }()
	s.t.Cleanup(func() { _ = out.Close(); <-ended })
	return s.connect(&sdk.IOTransport{Reader: back, Writer: out})
}

// call calls a tool. It returns what is structured in its result, and its text.
func (c *client) call(tool string, arguments any) (structured map[string]any, text string, failed bool) {
	c.t.Helper()
	r, err := c.CallTool(c.t.Context(), &sdk.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return nil, err.Error(), true
	}
	for _, part := range r.Content {
		if t, ok := part.(*sdk.TextContent); ok {
			text += t.Text
		}
	}
	structured, _ = r.StructuredContent.(map[string]any)
	return structured, text, r.IsError
}

// must is call for what has to work.
func (c *client) must(tool string, arguments map[string]any) map[string]any {
	c.t.Helper()
	structured, text, failed := c.call(tool, arguments)
	if failed || structured == nil {
		c.t.Fatalf("%s: %.2000s", tool, text)
	}
	return structured
}

type m = map[string]any

func TestTools_AllAreListedAndCalled(t *testing.T) {
	s := startServer(t)
	for name, connect := range map[string]func(string) *client{"http": s.overHTTP, "stdio": s.overStdio} {
		t.Run(name, func(t *testing.T) {
			c := connect("")
			c.t = t
			listed, err := c.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			uncalled := map[string]bool{}
			total := 0
			for _, tool := range listed.Tools {
				uncalled[tool.Name] = true
				text, err := json.Marshal(tool)
				if err != nil || tool.Description == "" || tool.Annotations == nil || tool.InputSchema == nil || tool.OutputSchema == nil {
					t.Errorf("got %s, %v", text, err)
				}
				total += len(tool.Description)
			}
			if n := len(c.InitializeResult().Instructions); n == 0 || n > 1200 || total > 1200 || listed.NextCursor != "" {
				t.Errorf("%d bytes of instructions, %d of descriptions; next: %q", n, total, listed.NextCursor)
			}
			call := func(tool string, arguments m) m {
				t.Helper()
				if delete(uncalled, tool); !slices.ContainsFunc(listed.Tools, func(l *sdk.Tool) bool { return l.Name == tool }) {
					t.Errorf("%s is not listed", tool)
				}
				return c.must(tool, arguments)
			}
			if got := call("run_code", m{"code": "print('alone')\n6 * 7"}); got["result"] != "42" || got["output"] != "alone\n" || got["outcome"] != "ok" {
				t.Errorf("got %v", got)
			}
			id := call("start_session", m{"memory_mb": 256, "idle_seconds": 60, "environment": m{"A": "b"}})["session_id"]
			call("run_code", m{"session_id": id, "code": "import os\nx = [os.environ['A']]"})
			fork := call("fork_session", m{"session_id": id})["session_id"]
			call("run_code", m{"session_id": fork, "code": "x.append('forked')"})
			if got := call("run_code", m{"session_id": id, "code": "x"}); got["result"] != "['b']" {
				t.Errorf("got %v", got)
			}
			got := call("run_code", m{"session_id": id, "code": "open('out.txt', 'w').write(open('in.bin', 'rb').read().hex())",
				"files": []m{{"path": "in.bin", "base64": "AP8="}}, "outputs": []string{"out.txt", "none"}})
			if files := got["files"].([]any); files[0].(m)["text"] != "00ff" || !strings.Contains(fmt.Sprint(files[1].(m)["note"]), "no such file") {
				t.Errorf("got %v", got)
			}
			call("interrupt_session", m{"session_id": id})
			if got := call("list_sessions", m{})["sessions"].([]any); len(got) != 2 || got[1].(m)["parent_id"] != id {
				t.Errorf("got %v", got)
			}
			call("end_session", m{"session_id": fork})
			call("end_session", m{"session_id": id})

			function := "greet-" + name
			code := "import os\ndef handler(event, context):\n    print('called', event)\n    return {'hello': event['name'], 'n': 10 ** 17 + 1}\n"
			deployed := call("deploy_function", m{"name": function, "files": []m{{"path": "main.py", "text": code}}, "tags": []string{"prod"}, "timeout_seconds": 5})
			if got := call("list_functions", m{})["functions"].([]any); got[len(got)-1].(m)["name"] != function && len(got) == 1 {
				t.Errorf("got %v", got)
			}
			called := call("call_function", m{"name": function, "tag": "prod", "event": m{"name": "Ann"}})
			if called["outcome"] != "ok" || called["result"] != `{"hello": "Ann", "n": 100000000000000001}` {
				t.Errorf("got %v", called)
			}
			if got := call("read_function", m{"name": function}); got["version_id"] != deployed["version_id"] || got["files"].([]any)[0].(m)["text"] != code ||
				got["timeout_seconds"] != 5.0 {
				t.Errorf("got %v", got)
			}
			logs := call("read_logs", m{"name": function, "request_id": called["request_id"], "contains": "CALLED"})
			if entries := logs["entries"].([]any); len(entries) != 1 || entries[0].(m)["message"] != "called {'name': 'Ann'}" {
				t.Errorf("got %v", logs)
			}
			if len(uncalled) > 0 {
				t.Errorf("not called: %v", uncalled)
			}
		})
	}
}

func TestRunCode_ShowsImagesAndFailures(t *testing.T) {
	s := startServer(t)
	c := s.overHTTP("")
	r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "run_code", Arguments: m{
		"code": "class P:\n  def _repr_png_(self): return b'\\x89PNG'\n  def _repr_html_(self): return '<i>'\n  def __repr__(self): return 'P'\nP()",
	}})
	if err != nil {
		t.Fatal(err)
	}
	image, ok := r.Content[len(r.Content)-1].(*sdk.ImageContent)
	if !ok || string(image.Data) != "\x89PNG" || image.MIMEType != "image/png" {
		t.Errorf("got %+v", r.Content)
	}
	if got := fmt.Sprint(r.StructuredContent.(m)["displays"]); got != "[map[text:<i> type:text/html]]" {
		t.Errorf("got %s", got)
	}
	got, text, failed := c.call("run_code", m{"code": "x = 1\nx / 0"})
	if failed || got["outcome"] != "error" || !strings.Contains(text, "ZeroDivisionError") || !strings.Contains(text, "line 2") {
		t.Errorf("got %v, %s", got, text)
	}
	if got := c.must("run_code", m{"code": "while True: pass", "timeout_seconds": 0.2}); got["outcome"] != "ended" ||
		!strings.Contains(got["error"].(string), "took more than 200ms") {
		t.Errorf("got %v", got)
	}
	if _, text, failed := c.call("deploy_function", m{"name": "broken", "files": []m{{"path": "main.py", "text": "1/0"}}}); !failed ||
		!strings.Contains(text, "ZeroDivisionError") || !strings.Contains(text, "main.py") {
		t.Errorf("got %s", text)
	}
	c.must("deploy_function", m{"name": "fails", "files": []m{{"path": "index.py", "text": "def handler(event, context): return 1/0"}}})
	if got := c.must("call_function", m{"name": "fails"}); got["outcome"] != "error" || !strings.Contains(got["result"].(string), "ZeroDivisionError") {
		t.Errorf("got %v", got)
	}
}

// Whatever code prints or returns, a model gets no more than it can read.
func TestResults_AreBounded(t *testing.T) {
	s := startServer(t)
	c := s.overHTTP("")
	c.must("deploy_function", m{"name": "long", "files": []m{{"path": "main.py",
		"text": "def handler(event, context):\n  for n in range(500): print('y' * 5000)\n  return 'x' * 3_000_000"}}})
	for _, call := range []struct {
		tool      string
		arguments m
	}{
		{"run_code", m{"code": "print('x' * 1_000_000)\n'y' * 1_000_000"}},
		{"run_code", m{"code": "class H:\n  def _repr_html_(self): return 'h' * 500_000\nfor n in range(7): display(H())"}},
		{"run_code", m{"code": "class H:\n  def _repr_png_(self): return b'h' * 1_500_000\ndisplay(H(), H())"}},
		{"run_code", m{"code": "open('big', 'w').write('x' * 3_000_000)", "outputs": []string{"big"}}},
		{"run_code", m{"code": "raise ValueError('v' * 100_000)"}},
		{"call_function", m{"name": "long"}},
		{"read_logs", m{"name": "long", "limit": 500}},
	} {
		r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: call.tool, Arguments: call.arguments})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil || len(text) > 300<<10 || r.IsError || r.StructuredContent.(m)["truncated"] != true {
			t.Errorf("%.100v: %d bytes, error %v: %.300s", call.arguments, len(text), r.IsError, text)
		}
	}
}

// Arguments of any kind are answered with what is wrong with them, and do nothing.
func TestTools_RefuseHostileArguments(t *testing.T) {
	s := startServer(t)
	for _, c := range []*client{s.overHTTP(""), s.overStdio("")} {
		c.must("deploy_function", m{"name": "there", "files": []m{{"path": "main.py", "text": "def handler(event, context): return 1"}}})
		id := c.must("start_session", m{})["session_id"]
		long := strings.Repeat("x", 100_000)
		for _, call := range []struct {
			tool      string
			arguments any
			want      string // in the answer
		}{
			{"run_code", m{}, "code"},
			{"run_code", m{"code": 5}, "code"},
			{"run_code", m{"code": "1", "other": 1}, "other"},
			{"run_code", []int{1}, ""},
			{"run_code", "text", ""},
			{"run_code", nil, ""},
			{"run_code", m{"code": strings.Repeat("#", 1<<20+1)}, "code"},
			{"run_code", m{"code": "1", "timeout_seconds": -1}, "executionTimeout"},
			{"run_code", m{"code": "1", "timeout_seconds": 1e300}, "executionTimeout"},
			{"run_code", m{"code": "1", "memory_mb": 100}, "128"},
			{"run_code", m{"code": "1", "memory_mb": -128}, "resources.memory"},
			{"run_code", m{"code": "1", "memory_mb": 1 << 40}, "resources.memory"},
			{"run_code", m{"code": "1", "memory_mb": 1.5}, "memory_mb"},
			{"run_code", m{"code": "1", "allow_net": "not a host"}, "allowNet"},
			{"run_code", m{"code": "1", "session_id": id, "memory_mb": 256}, "start_session"},
			{"run_code", m{"code": "1", "session_id": "../functions"}, "session_id"},
			{"run_code", m{"code": "1", "session_id": "x/../../keys"}, "session_id"},
			{"run_code", m{"code": "1", "session_id": "d4s0000000000000000"}, "not found"},
			{"run_code", m{"code": "1", "files": []m{{"path": "/usr/x", "text": "x"}}}, "can't be written"},
			{"run_code", m{"code": "1", "files": []m{{"path": "a", "text": "x"}, {"path": "a", "text": "y"}}}, "twice"},
			{"run_code", m{"code": "1", "files": []m{{"path": "a", "text": "x", "base64": "eA=="}}}, "not both"},
			{"run_code", m{"code": "1", "files": []m{{"path": "a", "base64": "?"}}}, "base64"},
			{"run_code", m{"code": "1", "files": []m{{"path": "a", "text": strings.Repeat("x", 4<<20+1)}}}, "files"},
			{"run_code", m{"code": "1", "outputs": slices.Repeat([]string{"a"}, 101)}, "outputs"},
			{"start_session", m{"idle_seconds": 1e9}, "idleTimeout"},
			{"start_session", m{"environment": m{"PATH": "x"}}, "PATH"},
			{"start_session", m{"environment": m{"A": 1}}, "environment"},
			{"start_session", m{"environment": m{"A": long}}, "environment"},
			{"fork_session", m{"session_id": id.(string) + ":run"}, "session_id"},
			{"end_session", m{"session_id": ""}, "session_id"},
			{"interrupt_session", m{"session_id": "there"}, "not found"},
			{"deploy_function", m{"name": "../x", "files": []m{{"path": "main.py"}}}, "name"},
			{"deploy_function", m{"name": "Upper", "files": []m{{"path": "main.py"}}}, "name"},
			{"deploy_function", m{"name": "mcp", "files": []m{{"path": "main.py"}}}, "address of the server"},
			{"deploy_function", m{"name": "fine", "files": []m{}}, "main.py"},
			{"deploy_function", m{"name": "fine", "files": []m{{"path": "../main.py", "text": "x"}}}, "main.py"},
			{"deploy_function", m{"name": "fine", "files": []m{{"path": "main.py", "text": strings.Repeat("#", 5<<20)}}}, "at most"},
			{"deploy_function", m{"name": "fine", "files": []m{{"path": "main.py", "text": "x"}}, "runtime": "ruby"}, "runtime"},
			{"deploy_function", m{"name": "fine", "files": []m{{"path": "main.py", "text": "x"}}, "tags": []string{"$latest"}}, "tag"},
			{"call_function", m{"name": "none-such"}, "not"},
			{"call_function", m{"name": "there", "tag": "none"}, "tag"},
			{"call_function", m{"name": "functions/v1/keys"}, "name"},
			{"call_function", m{"name": "healthz?x="}, "name"},
			{"read_function", m{"name": "there", "tag": "a/b"}, "tag"},
			{"read_function", m{"name": long}, "name"},
			{"read_logs", m{"name": "there", "limit": 100_000}, "limit"},
			{"read_logs", m{"name": "there", "min_level": "LOUD"}, "level"},
			{"read_logs", m{"name": "there", "since_seconds": -1}, "since_seconds"},
			{"list_functions", m{"page_token": "?"}, "pageToken"},
			{"no_such_tool", m{}, "no_such_tool"},
		} {
			_, text, failed := c.call(call.tool, call.arguments)
			if !failed || !strings.Contains(strings.ToLower(text), strings.ToLower(call.want)) || len(text) > 2000 {
				t.Errorf("%s %.100v: got %.300s, failed: %v; want one about %s", call.tool, call.arguments, text, failed, call.want)
			}
		}
		if got := c.must("list_functions", m{})["functions"].([]any); len(got) != 2 { // and fine, which has no version
			t.Errorf("got %v", got)
		}
		c.must("end_session", m{"session_id": id})
	}
}

// post sends a request without a client of the protocol, with a header.
func (s *server) post(body, header, value string) (status int, text string) {
	s.t.Helper()
	r, err := http.NewRequest("POST", s.url+mcp.Path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if header == "Host" {
		r.Host = value
	} else if header != "" {
		r.Header.Set(header, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(read)
}

func TestTools_WorkForTheirKeyAlone(t *testing.T) {
	s := startServer(t)
	s.key(access.AllTenants, access.RoleAdmin)
	for name, connect := range map[string]func(string) *client{"http": s.overHTTP, "stdio": s.overStdio} {
		t.Run(name, func(t *testing.T) {
			mine, theirs := connect(s.key("acme", access.RoleDeployer)), connect(s.key("other", access.RoleDeployer))
			caller := connect(s.key("acme", access.RoleInvoker))
			id := mine.must("start_session", m{})["session_id"]
			mine.must("deploy_function", m{"name": "mine-" + name, "files": []m{{"path": "main.py", "text": "def handler(event, context): return 'mine'"}}})
			for tool, arguments := range map[string]m{
				"run_code": {"session_id": id, "code": "1"}, "fork_session": {"session_id": id}, "interrupt_session": {"session_id": id},
				"end_session": {"session_id": id}, "call_function": {"name": "mine-" + name}, "read_function": {"name": "mine-" + name},
				"read_logs": {"name": "mine-" + name},
			} {
				if _, text, failed := theirs.call(tool, arguments); !failed || !strings.Contains(text, "not found") && !strings.Contains(text, "No such") {
					t.Errorf("%s of another tenant's: %s", tool, text)
				}
				if tool == "call_function" {
					if got := caller.must(tool, arguments)["result"]; got != `"mine"` {
						t.Errorf("an invoker gets %v", got)
					}
				} else if _, text, failed := caller.call(tool, arguments); !failed || !strings.Contains(text, "role deployer") {
					t.Errorf("%s with the role of an invoker: %s", tool, text)
				}
			}
			if got := theirs.must("list_sessions", m{})["sessions"].([]any); len(got) != 0 {
				t.Errorf("another tenant sees %v", got)
			}
			if got := theirs.must("list_functions", m{})["functions"].([]any); len(got) != 0 {
				t.Errorf("another tenant sees %v", got)
			}
		})
	}
}

func TestHandler_RefusesWhoMayNot(t *testing.T) {
	s := startServer(t)
	list := `{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}`
	for _, c := range []struct {
		body, header, value string
		status              int
	}{
		{list, "Origin", "https://elsewhere.example", 403},
		{list, "Host", "elsewhere.example", 421},
		{strings.Repeat(" ", 13<<20), "", "", 413},
		{"{", "", "", 400},
		{strings.Repeat("[", 10_000), "", "", 400},
	} {
		if status, text := s.post(c.body, c.header, c.value); status != c.status {
			t.Errorf("%.50s %s: got %d %.200s, want %d", c.body, c.value, status, text, c.status)
		}
	}
	s.key(access.AllTenants, access.RoleAdmin)
	if status, text := s.post(list, "", ""); status != 401 || !strings.Contains(text, "key") {
		t.Errorf("without a key: %d %s", status, text)
	}
	if status, text := s.post(list, "Authorization", "Bearer wrong"); status != 401 {
		t.Errorf("with a wrong key: %d %s", status, text)
	}
	for tenant, state := range s.host.Ledger().States() {
		for q, n := range state.Use {
			if n != 0 {
				t.Errorf("%s has %d of %d left", tenant, n, q)
			}
		}
	}
}

// Decoding a request takes many times its size, and each of several messages more.
func TestHandler_CountsWhatDecodingTakes(t *testing.T) {
	s := startServer(t)
	ping := func(params string) string {
		return `{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": {"x": ` + params + `}}}`
	}
	list := func(of string, n int) string { return "[" + strings.Repeat(of+",", n-1) + of + "]" }
	for name, c := range map[string]struct {
		body   string
		status int
		text   string
	}{
		"values":           {ping(list("[]", 100_000)), 413, "more than 100000 values"},
		"members":          {ping("{" + strings.Repeat(`"":0,`, 100_000) + `"":0}`), 413, "more than 100000 values"},
		"fewer":            {ping(list("[]", 10_000)), 200, ""},
		"commas in a text": {ping(`"` + strings.Repeat(`[\",`, 100_000) + `"`), 200, ""},
		"many messages":    {list(ping("1"), 33), 413, "more than 32 messages"},
	} {
		if status, text := s.post(c.body, "", ""); status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: got %d %.200s, want %d %s", name, status, text, c.status, c.text)
		}
	}
	s.host.Ledger().SetOwn(access.DefaultTenant, quota.Amounts{quota.Memory: 8 << 20})
	if status, text := s.post(ping(list("0", 50_000)), "", ""); status != 429 || !strings.Contains(text, "memory") {
		t.Errorf("beyond the quota of memory: got %d %.200s", status, text)
	}
	if status, text := s.post(ping(`"`+strings.Repeat("x", 3<<20)+`"`), "", ""); status != 429 || !strings.Contains(text, "memory") {
		t.Errorf("of which there are copies: got %d %.200s", status, text)
	}
}

// One request of a caller is decoded at a time. A tool's own requests are not part of
// that, and neither is sending its result.
func TestHandler_DecodesInTurn(t *testing.T) {
	s := startServer(t)
	s.key(access.AllTenants, access.RoleAdmin)
	secrets := map[string]string{}
	for _, tenant := range []string{"acme", "umbrella"} {
		secrets[tenant] = s.key(tenant, access.RoleDeployer)
	}
	list := func(tenant string) string {
		status, text := s.post(`{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}`, "Authorization", "Bearer "+secrets[tenant])
		return fmt.Sprint(status, " ", strings.Contains(text, "run_code"))
	}
	webtest.CheckTurns(t, s.desk, list, "200 true")

	var mu sync.Mutex // guards the two below
	var decoded, written []bool
	observe := func(writes bool) {
		mu.Lock()
		defer mu.Unlock()
		seen := &decoded
		if writes {
			seen = &written
		}
		*seen = append(*seen, webtest.TurnTaken(t, s.desk, "acme"))
	}
	s.answering.Store(&observe)
	if got := list("acme"); got != "200 true" {
		t.Errorf("got %s", got)
	}
	s.answering.Store(nil)
	mu.Lock()
	if !slices.Contains(decoded, true) {
		t.Error("the turn ends before the request is decoded")
	}
	if len(written) == 0 || slices.Contains(written, true) {
		t.Errorf("the turn goes on while the answer is written: %v", written)
	}
	mu.Unlock()

	c := s.overHTTP(secrets["acme"])
	id := c.must("start_session", m{})["session_id"].(string)
	ended := make(chan error, 1)
	go func() {
		_, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "run_code", Arguments: m{"session_id": id, "code": "import time\nwhile True: time.sleep(1)"}})
		ended <- err
	}()
	roomtest.Until(t, "the code runs", func() bool {
		info, err := s.host.Sessions().Get(access.Operator, id)
		return err != nil || info.Running
	})
	webtest.TakeTurn(t, s.desk, "acme")() // else it blocks until the code has ended
	if info, err := s.host.Sessions().Get(access.Operator, id); err != nil || !info.Running {
		t.Errorf("the code did not go on: %v", err)
	}
	if err := s.host.Sessions().End(access.Operator, id); err != nil {
		t.Error(err)
	}
	<-ended
}

// Code of a caller who has left is interrupted, and its session stays.
func TestRunCode_IsInterruptedWhenItsCallerLeaves(t *testing.T) {
	s := startServer(t)
	for name, c := range map[string]*client{"http": s.overHTTP(""), "stdio": s.overStdio("")} {
		id := c.must("start_session", m{"timeout_seconds": 100})["session_id"].(string)
		running := func() bool {
			info, err := s.host.Sessions().Get(access.Operator, id)
			if err != nil {
				t.Fatal(name, err)
			}
			return info.Running
		}
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := c.CallTool(ctx, &sdk.CallToolParams{Name: "run_code", Arguments: m{"session_id": id, "code": "x = 7\nimport time\ntime.sleep(90)"}})
			left <- err
		}()
		roomtest.Until(t, name+": the code runs", running)
		leave()
		if err := <-left; err == nil {
			t.Errorf("%s: the call has a result", name)
		}
		roomtest.Until(t, name+": the code has ended", func() bool { return !running() })
	}
}

// No request goes on for as long as its caller likes: nothing is to be listened to.
func TestHandler_OpensNoStreams(t *testing.T) {
	s := startServer(t)
	const body = `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
		`"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+mcp.Path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen",
	} {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text strings.Builder
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		text.WriteString(lines.Text())
		if strings.Contains(lines.Text(), "acknowledged") {
			break // nothing more would come
		}
	}
	if got := text.String(); answer.StatusCode != http.StatusNotFound || !strings.Contains(got, `"code":-32601`) {
		t.Errorf("got %d %s", answer.StatusCode, got)
	}
	if tools := s.overHTTP("").InitializeResult().Capabilities.Tools; tools == nil || tools.ListChanged {
		t.Errorf("got the capability %+v", tools)
	}
}
