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

// methods are those by which a function can be called.
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
	if call.function, err = functionName(r.URL); err != nil {
		return err
	}
	// Before all that could tell something, and before the body is read.
	function, err := s.callable(call)
	if err != nil {
		return err
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	tag, integration := query.last("tag"), query.last("integration")
	switch integration {
	case integrationHTTP, integrationRaw, integrationAsync:
	default:
		return badRequest("unknown integration %q: it is raw, async or absent", integration)
	}

	// Before the body is read: nobody needs to upload one to learn of a 404.
	if call.version, err = s.functions.Resolve(function, tag); err != nil {
		return err
	}
	if integration == integrationAsync && call.version.Async == nil {
		return badRequest("asynchronous invocation is not configured for function %s", call.function)
	}
	held := &held{of: s.bodies, tenant: call.version.Tenant}
	defer held.release()
	body, err := s.readBody(c, held)
	if err != nil {
		return err
	}
	if integration == integrationAsync {
		return s.queue(c, function, tag, body)
	}

	large := len(body) > run.LargeBody
	if large { // the host makes base64 of it beside the body
		if err := held.take(r.Context(), base64.StdEncoding.EncodedLen(len(body))); err != nil {
			return err
		}
	}

	// The deadline counts from here and not from call.received, so that a slow
	// upload takes no time from the function.
	inv := run.Invocation{Function: function, Tag: tag, RequestID: call.requestID, Received: time.Now()}
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
		// As JSON it can be several times as long as the answer.
		n := len(result.Body)
		held.force(n)
		defer held.give(n)
		answer, err = accept(result, r.Method, inv.Raw, s.config.MaxResponseBytes, work)
		return err
	}
	result, err = s.functions.Invoke(r.Context(), inv)
	if result != nil && result.Version != nil {
		call.version = result.Version // the tag may have moved since Resolve
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

	if answer == nil { // whoever implements Functions has not asked
		if err := inv.Accept(result, func(int) {}); err != nil {
			return err
		}
	}
	result.Body = nil // which a slow reader would else keep beside the answer made of it
	if s.config.Console != nil {
		answer.header.Add("Content-Security-Policy", pagePolicy)
		scopeCookies(answer.header, r.URL.EscapedPath())
	}
	held.force(len(answer.body)) // for as long as the caller takes to read it
	send(c, answer)
	return nil
}

// pagePolicy gives a function's page an origin of its own. In that of the server,
// where the console is, its scripts could do what the operator may: use the
// management API, and read the key that the console was given.
const pagePolicy = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"

// accept returns the answer that a result means, or the function's error when it
// means none or has more bytes than the limit.
func accept(result *run.Result, method string, raw bool, limit int64, work paced.Work) (*response, error) {
	if raw {
		return rawResponse(result), checkSize(result.Body, limit)
	}
	answer, err := interpret(result, method == http.MethodHead, work)
	if err != nil {
		return nil, err
	}
	// The body as it is delivered: in the result's JSON it can have six times as
	// many bytes.
	return answer, checkSize(answer.body, limit)
}

// queue accepts an asynchronous call.
func (s *Server) queue(c echo.Context, function, tag string, body []byte) error {
	// The body, as in raw mode: nobody is there to answer over HTTP.
	_, err := s.functions.InvokeAsync(c.Request().Context(), run.Invocation{
		Function: function, Tag: tag, RequestID: callOf(c).requestID, Received: time.Now(), Raw: true, Body: body,
	})
	if err != nil {
		return err
	}
	send(c, &response{
		status: http.StatusAccepted, header: http.Header{"Content-Type": {"application/json"}}, body: []byte("{}"),
	})
	return nil
}

// checkSize returns the function's error when what it answers is over the limit.
// An error counts like a result: a message can be as long as anything.
func checkSize(body []byte, limit int64) error {
	if size := int64(len(body)); size > limit {
		return &fault.FunctionError{
			Type:    "ResponseTooLarge",
			Message: fmt.Sprintf("the response has %d bytes, at most %d are allowed", size, limit),
		}
	}
	return nil
}

// functionName returns the id or name that a URL's path consists of. Nothing
// may follow it, not even a slash.
func functionName(u *url.URL) (string, error) {
	path := u.EscapedPath()
	name, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil || name == "" || strings.Contains(name, "/") || !utf8.ValidString(name) {
		return "", &callerError{http.StatusBadRequest, "Invalid functionID: " + path, proxyIntegrationError}
	}
	return name, nil
}

// readBody reads the request's body to its end, within the limits of size, of
// time, and of the memory that bodies have.
func (s *Server) readBody(c echo.Context, held *held) ([]byte, error) {
	r := c.Request()
	if err := held.take(r.Context(), 0); err != nil { // answers may be in the way
		return nil, err
	}
	return readBody(c.Response().Writer, r, transfer.Limits{
		Bytes: s.config.MaxRequestBytes, Time: s.config.TransferTimeout,
		Hold: func(n int) error { return held.take(r.Context(), n) },
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
		return nil, badRequest("the request body is shorter than announced")
	case errors.Is(err, transfer.ErrBroken):
		return nil, badRequest("the request body can't be read")
	}
	return body, err
}
