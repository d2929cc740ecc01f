package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/host/fault"
	"vivarium/host/run"
)

func TestInvoke_ByIDAndByName(t *testing.T) {
	s := start(t, Config{Version: "1.2"}, returns(`{"statusCode": 201, "body": "hi"}`))
	for _, name := range []string{"hello", "d4eo2faf62", "hello?tag=$latest", "hello?tag=", "h%65llo"} {
		a := do(t, "GET", s.url+"/"+name, "")
		a.wantStatus(t, 201)
		if a.text != "hi" {
			t.Errorf("%s: got %q", name, a.text)
		}
		a.wantHeader(t, "X-Function-Id", "d4eo2faf62")
		a.wantHeader(t, "X-Function-Version-Id", "d4e3vrugh3")
		a.wantHeader(t, "X-Content-Type-Options", "nosniff")
		a.wantHeader(t, "Server", "Vivarium/1.2")
		a.wantHeader(t, "Content-Length", "2")
		a.wantHeader(t, "X-Function-Error")
		if uuid.Validate(a.Header.Get("X-Request-Id")) != nil {
			t.Errorf("X-Request-Id: got %q, want a UUID", a.Header.Get("X-Request-Id"))
		}
	}
}

func TestInvoke_RefusesPathsThatAreNotAFunction(t *testing.T) {
	s := start(t, Config{}, returns(`{}`))
	do(t, "GET", s.url+"/", "").wantPlatformError(t, 400,
		"Invalid functionID: /; functions are called as /NAME, and the console, if there is one, is at /console/", proxyIntegrationError)
	for _, path := range []string{"/hello/stuff/23", "/hello/", "//hello", "/hello%2Fstuff", "/%ff"} {
		do(t, "GET", s.url+path, "").wantPlatformError(t, 400, "Invalid functionID: "+path, proxyIntegrationError)
	}
}

func TestInvoke_NotFound(t *testing.T) {
	s := start(t, Config{}, returns(`{}`))
	do(t, "POST", s.url+"/nobody", "x").wantPlatformError(t, 404, "Not Found: Function nobody not found", clientError)
	do(t, "POST", s.url+"/hello?tag=a", "x").
		wantPlatformError(t, 404, "Not Found: Tag a not found for function hello", clientError)
}

func TestInvoke_Methods(t *testing.T) {
	s := start(t, Config{}, functions{func(_ context.Context, inv run.Invocation) (*run.Result, error) {
		var e struct{ HTTPMethod string }
		if err := json.Unmarshal(inv.Event(noWork), &e); err != nil {
			return nil, err
		}
		return &run.Result{Body: fmt.Appendf(nil, `{"body": %q}`, e.HTTPMethod)}, nil
	}})
	for _, method := range []string{"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"} {
		if a := do(t, method, s.url+"/hello", ""); a.text != method {
			t.Errorf("%s: got %d %s", method, a.StatusCode, a.text)
		}
	}
	for _, method := range []string{"TRACE", "PROPFIND", "FOO", "get"} {
		for _, path := range []string{"/hello", "/healthz"} {
			a := do(t, method, s.url+path, "")
			a.wantPlatformError(t, 405, "Method Not Allowed", clientError)
			a.wantHeader(t, "Allow", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
		}
	}
	a := exchange(t, s.addr, "CONNECT a.b:80 HTTP/1.1\r\nHost: a.b:80\r\n\r\n")
	a.wantPlatformError(t, 405, "Method Not Allowed", clientError)
}

func TestInvoke_HeadDropsTheBody(t *testing.T) {
	called := false
	s := start(t, Config{}, functions{func(context.Context, run.Invocation) (*run.Result, error) {
		called = true
		return &run.Result{Body: []byte(`{"body": "hello"}`)}, nil
	}})
	a := do(t, "HEAD", s.url+"/hello", "")
	a.wantStatus(t, 200)
	a.wantHeader(t, "Content-Length", "5")
	if !called || a.text != "" {
		t.Errorf("called %v, body %q", called, a.text)
	}
}

func TestInvoke_RequestID(t *testing.T) {
	s := start(t, Config{}, echoes())
	const id = "6E8356F9-489b-4c7b-8ba6-c8cd74f25455"
	a := do(t, "GET", s.url+"/hello", "", "X-Request-Id", id)
	a.wantHeader(t, "X-Request-Id", id)
	if strings.Count(a.text, id) != 3 { // two header maps, requestContext
		t.Errorf("event: got %s, want the id thrice", a.text)
	}

	for _, hostile := range [][]string{
		{"X-Request-Id", "not a uuid"},
		{"X-Request-Id", "urn:uuid:" + id},
		{"X-Request-Id", "{" + id + "}"},
		{"X-Request-Id", strings.ReplaceAll(id, "-", "")},
		{"X-Request-Id", id, "X-Request-Id", id},
		{"X-Request-Id", ""},
	} {
		a := do(t, "GET", s.url+"/hello", "", hostile...)
		got := a.Header.Get("X-Request-Id")
		if uuid.Validate(got) != nil || got == id || strings.Contains(a.text, hostile[1]) && hostile[1] != "" {
			t.Errorf("%q: got %q and %s, want an id of ours", hostile, got, a.text)
		}
	}
}

func TestInvoke_RawMode(t *testing.T) {
	t.Run("the handler gets the body and no event", func(t *testing.T) {
		s := start(t, Config{}, functions{func(_ context.Context, inv run.Invocation) (*run.Result, error) {
			if !inv.Raw || inv.Event != nil || string(inv.Body) != "\xff\x00" {
				return nil, fmt.Errorf("invocation %+v", inv)
			}
			return &run.Result{Body: []byte(`{"statusCode": 404, "headers": {"A": "b"}}`)}, nil
		}})
		a := do(t, "POST", s.url+"/hello?integration=raw", "\xff\x00", "Content-Type", "application/json")
		a.wantStatus(t, 200)
		a.wantHeader(t, "Content-Type", "application/json")
		a.wantHeader(t, "A")
		if a.text != `{"statusCode": 404, "headers": {"A": "b"}}` {
			t.Errorf("got %s, want the result untouched", a.text)
		}
	})
	t.Run("bytes go out as they are", func(t *testing.T) {
		a := do(t, "POST", start(t, Config{}, echoes()).url+"/hello?integration=raw", "\xff\x00")
		a.wantHeader(t, "Content-Type", "application/octet-stream")
		if a.text != "\xff\x00" {
			t.Errorf("got %q", a.text)
		}
	})
	t.Run("errors look as in HTTP mode", func(t *testing.T) {
		s := start(t, Config{}, fails(&fault.FunctionError{Type: "KeyError", Message: "'lyrics'"}))
		do(t, "POST", s.url+"/hello?integration=raw", "").wantFunctionError(t, 502, "KeyError")
	})
}

func TestInvoke_RefusesParameters(t *testing.T) {
	s := start(t, Config{}, returns(`{}`))
	for query, message := range map[string]string{
		"integration=async":                   "asynchronous invocation is not configured for function hello; deploy it with --async-retries N",
		"integration=cooked":                  `unknown integration "cooked": it is raw, async or absent`,
		"a=%zz":                               `malformed query string: invalid URL escape "%zz"`,
		"%=1":                                 `malformed query string: invalid URL escape "%"`,
		strings.Repeat("a&", maxParameters+1): "the query string has more than 1000 parameters",
	} {
		do(t, "GET", s.url+"/hello?"+query, "").wantPlatformError(t, 400, "Bad Request: "+message, clientError)
	}
}

func TestInvoke_LimitsTheRequest(t *testing.T) {
	s := start(t, Config{}, returns(`{}`))
	const message = "request entity is larger than limits (3670016)"
	do(t, "POST", s.url+"/hello", strings.Repeat("x", DefaultMaxBytes)).wantStatus(t, 200)
	do(t, "POST", s.url+"/hello", strings.Repeat("x", DefaultMaxBytes+1)).
		wantPlatformError(t, 413, message, proxyIntegrationError)

	// A body of undeclared length is measured as it arrives.
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/hello", io.LimitReader(endless{}, DefaultMaxBytes+1))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	answer{response, string(text)}.wantPlatformError(t, 413, message, proxyIntegrationError)
}

func TestInvoke_LimitsTheResponse(t *testing.T) {
	s := start(t, Config{MaxResponseBytes: 16}, functions{func(_ context.Context, inv run.Invocation) (*run.Result, error) {
		if inv.Raw {
			return nil, &fault.FunctionError{Type: "ValueError", Message: "a long one"}
		}
		if strings.Contains(string(inv.Event(noWork)), "PUT") {
			return &run.Result{Body: []byte(`{"body": "\u0416\u0416\u0416\u0416\u0416\u0416\u0416\u0416"}`)}, nil
		}
		return &run.Result{Body: []byte(`{"body": "12345678901234567"}`)}, nil
	}})
	if a := do(t, "PUT", s.url+"/hello", ""); a.StatusCode != 200 || len(a.text) != 16 {
		t.Errorf("a body of as many bytes as may be: got %d %s", a.StatusCode, a.text)
	}
	message := do(t, "GET", s.url+"/hello", "").wantFunctionError(t, 502, "ResponseTooLarge")
	if message != "the response has 17 bytes; at most 16 are allowed" {
		t.Errorf("got %q, want both sizes", message)
	}
	do(t, "GET", s.url+"/hello?integration=raw", "").wantFunctionError(t, 502, "ResponseTooLarge")
}

func TestInvoke_GivesUpOnAnUploadThatStalls(t *testing.T) {
	s := start(t, Config{TransferTimeout: 50 * time.Millisecond}, returns(`{}`))
	exchange(t, s.addr, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").
		wantPlatformError(t, 408, "Request Timeout: the request body took too long", clientError)
}

func TestInvoke_TransferTimeoutSparesTheFunction(t *testing.T) {
	s := start(t, Config{TransferTimeout: 50 * time.Millisecond}, functions{
		func(ctx context.Context, _ run.Invocation) (*run.Result, error) {
			time.Sleep(200 * time.Millisecond)
			return &run.Result{Body: []byte(`{"body": "late"}`)}, ctx.Err()
		}})
	for range 2 { // the second on the same connection
		if a := do(t, "POST", s.url+"/hello", "x"); a.text != "late" {
			t.Errorf("got %d %s, want the answer", a.StatusCode, a.text)
		}
	}
}

func TestInvoke_RefusesABrokenBody(t *testing.T) {
	s := start(t, Config{}, returns(`{}`))
	const head = "POST /hello HTTP/1.1\r\nHost: a\r\n"
	exchange(t, s.addr, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n").
		wantPlatformError(t, 400, "Bad Request: the request body can't be read", clientError)
	connection := dial(t, s.addr, head+"Content-Length: 5\r\n\r\nab")
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	receive(t, connection).wantPlatformError(t, 400, "Bad Request: the request body is shorter than declared", clientError)
}

func TestInvoke_CancelsTheCallWhenTheCallerLeaves(t *testing.T) {
	called, cancelled := make(chan struct{}), make(chan struct{})
	s := start(t, Config{}, functions{func(ctx context.Context, _ run.Invocation) (*run.Result, error) {
		close(called)
		<-ctx.Done()
		close(cancelled)
		return nil, fault.ErrCancelled
	}})
	connection := dial(t, s.addr, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
	<-called
	_ = connection.Close()
	<-cancelled
	if log := s.log.String(); log != "" {
		t.Errorf("log: got %s, want nothing: it is no fault of ours", log)
	}
}

// endless is a body without end or length.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// dial opens a connection and sends the text of a request, or part of it.
func dial(t *testing.T, addr, request string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	return connection
}

// receive reads one response.
func receive(t *testing.T, connection net.Conn) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(text)}
}

// exchange sends the text of a request and reads the response.
func exchange(t *testing.T, addr, request string) answer {
	t.Helper()
	return receive(t, dial(t, addr, request))
}

func TestInvoke_ManyAtOnceKeepTheirOwnAnswers(t *testing.T) {
	s := start(t, Config{}, echoes())
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 50 {
				id := uuid.NewString()
				r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/hello?integration=raw", strings.NewReader(id))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("X-Request-Id", id)
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || string(text) != id || response.Header.Get("X-Request-Id") != id {
					t.Errorf("got %q, %q, %v, want %q", text, response.Header.Get("X-Request-Id"), err, id)
				}
			}
		})
	}
	callers.Wait()
}

func BenchmarkInvoke(b *testing.B) {
	s := New(Config{}, echoes())
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/hello?a=1&b=2", strings.NewReader(`{"hello": "world"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "curl/7.64.1")
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, r)
		if recorder.Code != 200 {
			b.Fatalf("got %d %s", recorder.Code, recorder.Body)
		}
	}
}
