package web

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"vivarium/host/fault"
	"vivarium/host/quota"
)

func TestErrors_OfTheFunction(t *testing.T) {
	raised := &fault.FunctionError{Type: "KeyError", Message: "'lyrics'", StackTrace: []string{"  File \"/function/code/index.py\"\n"}}
	a := do(t, "GET", start(t, Config{}, fails(fmt.Errorf("call: %w", raised))).url+"/hello", "")
	a.wantFunctionError(t, 502, "KeyError")
	a.wantHeader(t, "X-Function-Id", version.FunctionID)
	a.wantHeader(t, "X-Function-Version-Id", version.ID)
	if a.text != string(raised.Body()) {
		t.Errorf("got %s, want %s", a.text, raised.Body())
	}

	late := &fault.FunctionError{Type: "ExecutionTimeout", Message: "Execution timeout exceeded: 3000 ms", TimedOut: true}
	do(t, "GET", start(t, Config{}, fails(late)).url+"/hello", "").wantFunctionError(t, 504, "ExecutionTimeout")
}

func TestErrors_OfTheMoment(t *testing.T) {
	a := do(t, "GET", start(t, Config{}, fails(fmt.Errorf("pool: %w", fault.ErrBusy))).url+"/hello", "")
	a.wantPlatformError(t, 429, "Too Many Requests: No instance can serve the request: Concurrent requests exceeded", clientError)
	a.wantHeader(t, "Retry-After", "1")

	full := &quota.Error{Tenant: "default", Quota: quota.Calls, Limit: 1000}
	a = do(t, "GET", start(t, Config{}, fails(fmt.Errorf("call: %w", full))).url+"/hello", "")
	a.wantPlatformError(t, 429, "Too Many Requests: No instance can serve the request: Concurrent requests quota 1000 exceeded", clientError)
	a.wantHeader(t, "Retry-After", "1")

	a = do(t, "GET", start(t, Config{}, fails(fault.ErrClosed)).url+"/hello", "")
	a.wantPlatformError(t, 503, "Service Unavailable: The server is shutting down", serverError)
	a.wantHeader(t, "Retry-After", "1")

	for _, err := range []error{fault.ErrCancelled, fmt.Errorf("call: %w", context.Canceled)} {
		do(t, "GET", start(t, Config{}, fails(err)).url+"/hello", "").
			wantPlatformError(t, 499, "Request cancelled", clientError)
	}
}

func TestErrors_OfOursAreLoggedAndNotTold(t *testing.T) {
	const id = "6e8356f9-489b-4c7b-8ba6-c8cd74f25455"
	for path, want := range map[string]string{"/hello": version.ID, "/broken": `"function":"broken"`} {
		s := start(t, Config{}, fails(errors.New("store: disk on fire")))
		a := do(t, "GET", s.url+path, "", "X-Request-Id", id)
		a.wantPlatformError(t, 500, "Internal Server Error: request "+id, serverError)
		for _, part := range []string{"disk on fire", id, want} {
			if log := s.log.String(); !strings.Contains(log, part) {
				t.Errorf("log: got %s, want %s", log, part)
			}
		}
	}
}

func TestErrors_NothingIsSentAfterAnAnswer(t *testing.T) {
	s := New(Config{}, returns(`{}`))
	recorder := httptest.NewRecorder()
	c := s.echo.NewContext(httptest.NewRequest("GET", "/", nil), recorder)
	if err := c.String(200, "ok"); err != nil {
		t.Fatal(err)
	}
	s.fail(fault.ErrBusy, c)
	if recorder.Code != 200 || recorder.Body.String() != "ok" {
		t.Errorf("got %d %s, want the answer alone", recorder.Code, recorder.Body)
	}
}
