package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/run"
)

// functions is one function, "hello", whose handler is a Go function.
type functions struct {
	handler func(ctx context.Context, inv run.Invocation) (*run.Result, error)
}

// version is the only version of the function under test.
var version = &catalog.Version{ID: "d4e3vrugh3", FunctionID: "d4eo2faf62", FunctionName: "hello"}

func (f functions) Resolve(p access.Principal, function, tag string) (*catalog.Version, error) {
	switch {
	case p.Anonymous():
		return nil, fault.ErrUnauthenticated
	case function == "broken":
		return nil, errors.New("store: disk on fire")
	case function != version.FunctionName && function != version.FunctionID:
		return nil, &fault.NotFoundError{Function: function}
	case tag != "" && tag != catalog.LatestTag:
		return nil, &fault.NotFoundError{Function: function, Tag: tag}
	}
	return version, nil
}

func (f functions) Invoke(ctx context.Context, _ access.Principal, inv run.Invocation) (*run.Result, error) {
	result, err := f.handler(ctx, inv)
	if result == nil {
		result = &run.Result{}
	}
	result.Version = version
	return result, err
}

// InvokeAsync implements Functions.
func (f functions) InvokeAsync(ctx context.Context, _ access.Principal, inv run.Invocation) (string, error) {
	_, err := f.handler(ctx, inv)
	return inv.RequestID, err
}

// returns is a handler that always returns this JSON text.
func returns(text string) functions {
	return functions{func(context.Context, run.Invocation) (*run.Result, error) {
		return &run.Result{Body: []byte(text)}, nil
	}}
}

// fails is a handler whose calls all fail with err.
func fails(err error) functions {
	return functions{func(context.Context, run.Invocation) (*run.Result, error) { return nil, err }}
}

// echoes is a handler that returns the event it received, or the raw body.
func echoes() functions {
	return functions{func(_ context.Context, inv run.Invocation) (*run.Result, error) {
		if inv.Raw {
			return &run.Result{Kind: run.ResultBytes, Body: inv.Body}, nil
		}
		body := encodeJSON(string(inv.Event(noWork)))
		return &run.Result{Body: []byte(`{"body": ` + string(body) + `}`)}, nil
	}}
}

// logBuffer is a log that a test can read while the server writes it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// testServer is a server that listens until stop or the end of the test.
type testServer struct {
	url  string
	addr string
	log  *logBuffer
	stop context.CancelFunc
	done chan error // Serve's error
}

// start starts a server on a free port.
func start(t *testing.T, config Config, f Functions) *testServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewJSONHandler(log, nil))
	}
	ctx, stop := context.WithCancel(t.Context())
	s := &testServer{"http://" + listener.Addr().String(), listener.Addr().String(), log, stop, make(chan error, 1)}
	go func() { s.done <- New(config, f).Serve(ctx, listener) }()
	t.Cleanup(stop)
	return s
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	text string
}

// do sends a request and reads the whole response.
func do(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(text)}
}

// wantStatus checks a response's status.
func (a answer) wantStatus(t *testing.T, want int) {
	t.Helper()
	if a.StatusCode != want {
		t.Fatalf("status: got %d, want %d; body %s", a.StatusCode, want, a.text)
	}
}

// wantHeader checks all values of a response's header; no values means absent.
func (a answer) wantHeader(t *testing.T, name string, want ...string) {
	t.Helper()
	got := a.Header.Values(name)
	if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
		t.Errorf("header %s: got %q, want %q", name, got, want)
	}
}

// wantPlatformError checks that a response is exactly a platform error.
func (a answer) wantPlatformError(t *testing.T, code int, message, kind string) {
	t.Helper()
	a.wantStatus(t, code)
	if want := string((&refusal{status: code, message: message, kind: kind}).body()); a.text != want {
		t.Errorf("body: got %s, want %s", a.text, want)
	}
	a.wantHeader(t, "Content-Type", "application/json")
	a.wantHeader(t, "X-Function-Error")
	if a.Header.Get("X-Request-Id") == "" {
		t.Error("a platform error without X-Request-Id")
	}
}

// wantFunctionError checks that a response is a function error of a type, and
// returns its message.
func (a answer) wantFunctionError(t *testing.T, code int, kind string) string {
	t.Helper()
	a.wantStatus(t, code)
	a.wantHeader(t, "X-Function-Error", "true")
	a.wantHeader(t, "Content-Type", "application/json")
	var got map[string]any
	if err := json.Unmarshal([]byte(a.text), &got); err != nil {
		t.Fatalf("body %s: %v", a.text, err)
	}
	if _, ok := got["errorCode"]; ok || got["errorType"] != kind {
		t.Errorf("body: got %s, want errorType %s and no errorCode", a.text, kind)
	}
	message, _ := got["errorMessage"].(string)
	return message
}

func TestServer_HealthAndReadiness(t *testing.T) {
	var notReady error
	s := start(t, Config{Ready: func(context.Context) error { return notReady }}, returns(`{}`))
	do(t, "GET", s.url+"/healthz", "").wantStatus(t, 200)
	do(t, "GET", s.url+"/readyz", "").wantStatus(t, 200)
	notReady = errors.New("no guest")
	do(t, "GET", s.url+"/healthz", "").wantStatus(t, 200)
	a := do(t, "GET", s.url+"/readyz", "")
	a.wantStatus(t, 503)
	if a.text != "no guest\n" {
		t.Errorf("got %q, want the reason", a.text)
	}
}

func TestServer_DrainsCallsUnderWay(t *testing.T) {
	called, finish := make(chan struct{}), make(chan struct{})
	s := start(t, Config{}, functions{func(context.Context, run.Invocation) (*run.Result, error) {
		close(called)
		<-finish
		return &run.Result{Body: []byte(`{"body": "done"}`)}, nil
	}})
	got := make(chan answer, 1)
	go func() { got <- do(t, "GET", s.url+"/hello", "") }()
	<-called
	s.stop()
	for { // the listener closes as soon as the server is stopped
		connection, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		_ = connection.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-s.done:
		t.Fatalf("Serve returned %v with a call under way", err)
	default:
	}
	close(finish)
	if a := <-got; a.text != "done" {
		t.Errorf("got %q, want the answer of the call under way", a.text)
	}
	if err := <-s.done; err != nil {
		t.Errorf("Serve: got %v, want nil", err)
	}
}

func TestServer_CutsCallsThatOutlastTheDrain(t *testing.T) {
	called, cut := make(chan struct{}), make(chan struct{})
	s := start(t, Config{DrainTimeout: 50 * time.Millisecond}, functions{
		func(ctx context.Context, _ run.Invocation) (*run.Result, error) {
			close(called)
			<-ctx.Done()
			close(cut)
			return nil, fault.ErrCancelled
		}})
	connection, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := io.WriteString(connection, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-called
	s.stop()
	if err := <-s.done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve: got %v, want a deadline exceeded", err)
	}
	<-cut
}

func TestServer_ReportsAListenerThatFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := New(Config{}, returns(`{}`)).Serve(t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

func TestServer_AnswersAPanicAsOurFault(t *testing.T) {
	s := start(t, Config{}, functions{func(context.Context, run.Invocation) (*run.Result, error) {
		panic("secret")
	}})
	const id = "6e8356f9-489b-4c7b-8ba6-c8cd74f25455"
	do(t, "GET", s.url+"/hello", "", "X-Request-Id", id).
		wantPlatformError(t, 500, "Internal Server Error: request "+id, serverError)
	if log := s.log.String(); !strings.Contains(log, "secret") || !strings.Contains(log, id) {
		t.Errorf("log: got %s, want the panic and the request id", log)
	}
}
