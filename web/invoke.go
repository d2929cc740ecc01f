package web

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"vivarium/host/fault"
	"vivarium/host/paced"
	"vivarium/host/run"
	"vivarium/web/transfer"
)

// methods are the HTTP methods by which a function can be called.
var methods = []string{
	http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
	http.MethodPatch, http.MethodPost, http.MethodPut,
}

// Values of the integration parameter.
const (
	integrationHTTP  = ""
	integrationRaw   = "raw"
	integrationAsync = "async"
)

// invoke serves ANY /{function}.
func (s *Server) invoke(c echo.Context) (err error) {
	r, call := c.Request(), callOf(c)
	var result *run.Result
	defer s.metrics.begin()(call, &result, &err)
	defer s.trace(c, call)(&result, &err)
	if call.function, err = functionName(r.URL); err != nil {
		return err
	}
	query, malformed := parseQuery(r.URL.RawQuery)
	tag, integration := query.last("tag"), query.last("integration")
	// Before anything that could reveal something, and before the body is read: no one
	// should have to upload one to get a 404.
	if call.version, err = s.find(call, tag); err != nil {
		return err
	}
	if malformed != nil {
		return malformed
	}
	switch integration {
	case integrationHTTP, integrationRaw, integrationAsync:
	default:
		return badRequest("unknown integration %q: it is raw, async or absent", integration)
	}

	if integration == integrationAsync && call.version.Async == nil {
		return badRequest("asynchronous invocation is not configured for function %s; deploy it with --async-retries N", call.function)
	}
	held := &held{of: s.bodies, tenant: call.version.Tenant}
	defer held.release()
	body, err := s.readBody(c, held)
	if err != nil {
		return err
	}
	if integration == integrationAsync {
		return s.queue(c, call, tag, body)
	}
	// Received is not call.received, so that a slow upload does not count
	// against the function's time.
	began := call.began()
	if route := s.route(call); len(route) > 0 {
		if taken, err := s.offer(c, call, route, body, began); taken {
			return err
		}
	}

	large := len(body) > run.LargeBody
	if large { // the host encodes it as base64 in addition
		if err := held.reserve(r.Context(), base64.StdEncoding.EncodedLen(len(body))); err != nil {
			return err
		}
	}

	inv := run.Invocation{Function: call.version.FunctionID, Tag: tag, RequestID: call.requestID, Received: began}
	switch {
	case integration == integrationRaw:
		inv.Raw, inv.Body = true, body
	case large:
		inv.Body = body
		inv.Event = func(work paced.Work) []byte {
			event := newEvent(r, call, query, nil)
			event.isBase64Encoded = !isText(event.headers.last("Content-Type"), body)
			return event.encode(work)
		}
	default:
		inv.Event = func(work paced.Work) []byte { return newEvent(r, call, query, body).encode(work) }
	}
	var answer *response
	inv.Accept = func(result *run.Result, work paced.Work) (err error) {
		// As JSON it can be several times as long as the response.
		n := len(result.Body)
		held.force(n)
		defer held.give(n)
		if answer, err = accept(result, r.Method, inv.Raw, s.config.MaxResponseBytes, work); err == nil {
			result.Status = answer.status
		}
		return err
	}
	result, err = s.functions.Invoke(r.Context(), call.principal, inv)
	if result != nil && result.Version != nil {
		call.version = result.Version              // the tag may have moved since Resolve
		call.begun = result.Figures.PeakMemory > 0 // an instance has had it
	}
	if e, ok := errors.AsType[*fault.FunctionError](err); ok {
		return cmp.Or(checkSize(e.Body(), s.config.MaxResponseBytes), err)
	}
	if err != nil {
		return err
	}
	if result == nil {
		return errors.New("invoke: neither result nor error")
	}

	if answer == nil { // this implementation of Functions has not called Accept
		if err := inv.Accept(result, func(int) {}); err != nil {
			return err
		}
	}
	result.Body = nil // a slow reader would otherwise keep it in memory beside the response
	if s.config.Console != nil {
		answer.header.Add("Content-Security-Policy", pagePolicy)
		scopeCookies(answer.header, r.URL.EscapedPath())
	}
	held.force(len(answer.body)) // for as long as the caller takes to read it
	send(c, answer)
	return nil
}

// pagePolicy gives a function's page an origin of its own. In the server's
// origin, which is also the console's, its scripts could do whatever the
// operator may: use the management API, and read the key that was entered in
// the console.
const pagePolicy = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"

// accept returns the response that a result means, or the function's error if
// it means none or exceeds the limit.
func accept(result *run.Result, method string, raw bool, limit int64, work paced.Work) (*response, error) {
	if raw {
		return rawResponse(result), checkSize(result.Body, limit)
	}
	answer, err := interpret(result, method == http.MethodHead, work)
	if err != nil {
		return nil, err
	}
	// The body as delivered: in the result's JSON it can be six times as long.
	return answer, checkSize(answer.body, limit)
}

// Accept says why a result can't be answered, as that of a call over HTTP, and notes the
// status that the answer would have.
func Accept(raw bool, result *run.Result, work paced.Work) error {
	answer, err := accept(result, http.MethodPost, raw, run.MaxResponse, work)
	if err == nil {
		result.Status = answer.status
	}
	return err
}

// queue accepts an asynchronous call.
func (s *Server) queue(c echo.Context, call *call, tag string, body []byte) error {
	// The body, as in raw mode: there is no one to respond to over HTTP.
	_, err := s.functions.InvokeAsync(c.Request().Context(), call.principal, run.Invocation{
		Function: call.version.FunctionID, Tag: tag, RequestID: call.requestID, Received: time.Now(), Raw: true, Body: body,
	})
	if err != nil {
		return err
	}
	send(c, &response{
		status: http.StatusAccepted, header: http.Header{"Content-Type": {"application/json"}}, body: []byte("{}"),
	})
	return nil
}

// checkSize returns the function's error if its response exceeds the limit.
// That goes for errors as well: a message can be of any length.
func checkSize(body []byte, limit int64) error {
	if size := int64(len(body)); size > limit {
		return &fault.FunctionError{
			Type:    "ResponseTooLarge",
			Message: fmt.Sprintf("the response has %d bytes; at most %d are allowed", size, limit),
		}
	}
	return nil
}

// functionName returns the id or name that a URL's path consists of. Nothing
// may follow it, not even a slash.
func functionName(u *url.URL) (string, error) {
	path := u.EscapedPath()
	if path == "/" {
		return "", &callerError{http.StatusBadRequest,
			"Invalid functionID: /; functions are called as /NAME, and the console, if there is one, is at /console/", proxyIntegrationError}
	}
	name, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil || name == "" || strings.Contains(name, "/") || !utf8.ValidString(name) {
		return "", &callerError{http.StatusBadRequest, "Invalid functionID: " + path, proxyIntegrationError}
	}
	return name, nil
}

// readBody reads the whole request body, within the limits of size, of time,
// and of the memory for bodies.
func (s *Server) readBody(c echo.Context, held *held) ([]byte, error) {
	r := c.Request()
	if err := held.reserve(r.Context(), 0); err != nil { // responses may have used it up
		return nil, err
	}
	return readBody(c.Response().Writer, r, transfer.Limits{
		Bytes: s.config.MaxRequestBytes, Time: s.config.TransferTimeout,
		Hold: func(n int) error { return held.reserve(r.Context(), n) },
	})
}

func readBody(w http.ResponseWriter, r *http.Request, limits transfer.Limits) ([]byte, error) {
	body, err := transfer.Read(w, r, limits)
	switch {
	case errors.Is(err, transfer.ErrTooLarge):
		return nil, &callerError{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("request entity is larger than limits (%d)", limits.Bytes), proxyIntegrationError}
	case errors.Is(err, transfer.ErrSlow):
		return nil, &callerError{http.StatusRequestTimeout, "Request Timeout: the request body took too long", clientError}
	case errors.Is(err, transfer.ErrCut):
		return nil, badRequest("the request body is shorter than declared")
	case errors.Is(err, transfer.ErrBroken):
		return nil, badRequest("the request body can't be read")
	}
	return body, err
}
