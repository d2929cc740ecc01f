package web

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
	"vivarium/web/api"
	"vivarium/web/strictjson"
)

// Values of errorType used by the platform.
const (
	proxyIntegrationError = "ProxyIntegrationError" // the request or the response does not fit the proxy integration
	clientError           = "ClientError"           // the request can't be served as is
	serverError           = "ServerError"           // our fault
)

// statusCancelled is the status of a call whose caller left. HTTP has none.
const statusCancelled = 499

// callerError is a fault of the caller that the server itself detects.
type callerError struct {
	code    int // HTTP status
	message string
	kind    string // errorType
}

func (e *callerError) Error() string { return e.message }

// badRequest returns the error for parameters that can't be served.
func badRequest(format string, args ...any) error {
	return &callerError{http.StatusBadRequest, "Bad Request: " + fmt.Sprintf(format, args...), clientError}
}

// malformedError is a fault of the function: its result is not a response. The
// function's author finds the reason in the log; callers get the contract's
// text for all such results (§3.2).
type malformedError struct {
	fault   string // including what to return instead
	payload []byte // the result
}

// Kind returns fault.Function.
func (e *malformedError) Kind() fault.Kind { return fault.Function }

func (e *malformedError) Error() string { return "Malformed serverless function response: " + e.fault }

// maxPayload bounds what an error shows of a result, in bytes. Escaped as JSON,
// it can be six times as long.
const maxPayload = 64 << 10

// body returns the response's body.
func (e *malformedError) body() []byte {
	payload, cut := e.payload, ""
	if len(payload) > maxPayload {
		payload, cut = payload[:maxPayload], "..."
	}
	return encodeJSON(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
		Payload string `json:"payload"`
	}{"Malformed serverless function response: not a valid json", proxyIntegrationError, strings.ToValidUTF8(string(payload), "\ufffd") + cut})
}

// rateError means that a caller sends too many requests at a time.
type rateError struct {
	message string
	after   time.Duration // when to try again
}

func (e *rateError) Error() string { return e.message }

// refusal is the response to an error.
type refusal struct {
	status   int
	message  string // for a platform error
	kind     string // errorType, for a platform error
	function []byte // the body if the function is to blame, else nil
	ours     bool   // the error must be logged
	header   http.Header
}

// retryLater accompanies errors that may go away by themselves.
var retryLater = http.Header{"Retry-After": {"1"}}

// refusalOf maps errors to responses by the kind of fault. An error it does not
// know is our own fault, of which the caller learns only the request id.
func refusalOf(err error, requestID string) refusal {
	if e, ok := errors.AsType[*callerError](err); ok {
		return refusal{status: e.code, message: e.message, kind: e.kind}
	}
	if e, ok := errors.AsType[*rateError](err); ok {
		seconds := max(1, int(math.Ceil(e.after.Seconds())))
		return refusal{status: http.StatusTooManyRequests, kind: clientError, message: "Too Many Requests: " + e.Error(),
			header: http.Header{"Retry-After": {strconv.Itoa(seconds)}}}
	}
	if e, ok := errors.AsType[*strictjson.Error](err); ok {
		return refusal{status: http.StatusBadRequest, message: "Bad Request: " + e.Error(), kind: clientError}
	}
	if e, ok := errors.AsType[*malformedError](err); ok {
		return refusal{status: http.StatusBadGateway, function: e.body()}
	}
	if e, ok := errors.AsType[*fault.FunctionError](err); ok {
		return refusal{status: statuses[e.Kind()].status, function: e.Body()}
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok { // the router's
		f := refusal{status: e.Code, message: http.StatusText(e.Code), kind: clientError}
		if e.Code == http.StatusMethodNotAllowed {
			f.header = http.Header{"Allow": {strings.Join(methods, ", ")}}
		}
		return f
	}
	if errors.Is(err, errBodies) {
		return refusal{status: http.StatusTooManyRequests, kind: clientError, header: retryLater,
			message: "Too Many Requests: The server has no memory for the request's body"}
	}
	if e, ok := errors.AsType[*store.BehindError](err); ok {
		return refusal{status: http.StatusServiceUnavailable, kind: serverError, header: retryLater,
			message: "Service Unavailable: " + strings.TrimPrefix(e.Error(), "store: ") + "; try again, or ask the server that made it"}
	}
	kind := fault.Of(err)
	row, ok := statuses[kind]
	if !ok {
		return refusal{status: http.StatusInternalServerError, kind: serverError, ours: true,
			message: "Internal Server Error: request " + requestID}
	}
	f := refusal{status: row.status, message: row.text, kind: clientError}
	if row.status >= http.StatusInternalServerError {
		f.kind = serverError
	}
	if kind.Passing() && kind != fault.Cancelled {
		f.header = retryLater
	}
	switch kind {
	case fault.Unauthenticated:
		f.header = api.Challenge
	case fault.Invalid, fault.Conflict, fault.Forbidden:
		told, _ := fault.As(err) // its kind is not Internal
		f.message += told.Error()
	case fault.OverQuota:
		if e, ok := errors.AsType[*quota.Error](err); ok {
			f.message += e.Reason()
		}
	case fault.NotFound:
		f.message += missing(err)
	}
	return f
}

// statuses maps kinds to a status and what the caller is told, or, where that
// depends on the error, how it begins.
var statuses = map[fault.Kind]struct {
	status int
	text   string
}{
	fault.Invalid:         {http.StatusBadRequest, "Bad Request: "},
	fault.Unauthenticated: {http.StatusUnauthorized, "Unauthorized: this requires a key; send the header Authorization: Api-Key SECRET"},
	fault.Forbidden:       {http.StatusForbidden, "Forbidden: "},
	fault.NotFound:        {http.StatusNotFound, "Not Found: "},
	fault.Conflict:        {http.StatusConflict, "Conflict: "},
	fault.OverQuota:       {http.StatusTooManyRequests, "Too Many Requests: No instance can serve the request: "},
	fault.Busy:            {http.StatusTooManyRequests, "Too Many Requests: No instance can serve the request: Concurrent requests exceeded"},
	fault.Exhausted:       {http.StatusTooManyRequests, "Too Many Requests: No instance can serve the request: The server has no memory left"},
	fault.Cancelled:       {statusCancelled, "Request cancelled"},
	fault.Function:        {http.StatusBadGateway, ""},
	fault.Timeout:         {http.StatusGatewayTimeout, ""},
	fault.Closed:          {http.StatusServiceUnavailable, "Service Unavailable: The server is shutting down"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "Service Unavailable: The store can't be reached"},
	fault.Preparing:       {http.StatusServiceUnavailable, "Service Unavailable: The function's runtime is being prepared; try again in some seconds"},
}

// missing names what was not found, in the contract's words.
func missing(err error) string {
	e, ok := errors.AsType[*fault.NotFoundError](err)
	switch {
	case !ok:
		return err.Error()
	case e.Function == "":
		return e.Error()
	case e.Tag == "":
		return fmt.Sprintf("Function %s not found", e.Function)
	}
	return fmt.Sprintf("Tag %s not found for function %s", e.Tag, e.Function)
}

// body returns the response's body, a JSON document.
func (f *refusal) body() []byte {
	if f.function != nil {
		return f.function
	}
	return encodeJSON(struct {
		Code    int    `json:"errorCode"`
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{f.status, f.message, f.kind})
}

// response returns the refusal as a response.
func (f *refusal) response() *response {
	answer := &response{status: f.status, header: http.Header{"Content-Type": {"application/json"}}, body: f.body()}
	for name, values := range f.header {
		answer.header[name] = values
	}
	if f.function != nil {
		answer.header.Set(headerFunctionError, "true")
	}
	return answer
}

// fail responds to an error. It is Echo's error handler.
func (s *Server) fail(err error, c echo.Context) {
	call := callOf(c)
	f := refusalOf(err, call.requestID)
	if f.ours {
		s.logFault(c, call, err)
	}
	if c.Response().Committed {
		return
	}
	answer := f.response()
	if call.forwarded != nil && call.mayPass(err) {
		answer.header.Set(headerPassed, "1")
	}
	send(c, answer)
}

// logFault logs an error of ours, with what is needed to find the call.
func (s *Server) logFault(c echo.Context, call *call, err error) {
	attributes := []slog.Attr{slog.String("request_id", call.requestID), slog.String("error", err.Error())}
	if call.function != "" {
		attributes = append(attributes, slog.String("function", call.function))
	}
	if call.version != nil {
		attributes = append(attributes, slog.String("version", call.version.ID))
	}
	s.config.Logger.LogAttrs(c.Request().Context(), slog.LevelError, "request not served", attributes...)
}
