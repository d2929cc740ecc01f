package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"vivarium/host"
	"vivarium/web/api"
	"vivarium/web/strictjson"
)

// Values of errorType that the platform itself uses.
const (
	proxyIntegrationError = "ProxyIntegrationError" // the request or the response is not one
	clientError           = "ClientError"           // the request can't be served as it is
	serverError           = "ServerError"           // our fault
)

// statusCancelled is the status of a call whose caller went away. HTTP has none.
const statusCancelled = 499

// callerError is a fault of the caller that the server itself notices.
type callerError struct {
	code    int // HTTP status
	message string
	kind    string // errorType
}

func (e *callerError) Error() string { return e.message }

// badRequest returns the caller's error for parameters that can't be served.
func badRequest(format string, args ...any) error {
	return &callerError{http.StatusBadRequest, "Bad Request: " + fmt.Sprintf(format, args...), clientError}
}

// malformedError is a fault of the function: its result is not a response. The
// function's author learns the reason from the log; callers get the text that the
// contract has for all of them (§3.2).
type malformedError struct {
	fault   string // and what to return instead
	payload []byte // the result
}

func (e *malformedError) Error() string { return "Malformed serverless function response: " + e.fault }

// maxPayload bounds what an answer shows of a result, in bytes. In JSON it can have
// six times as many.
const maxPayload = 64 << 10

// body returns the answer's body.
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

// rateError says that a caller asks for too much at a time.
type rateError struct {
	message string
	after   time.Duration // when to try again
}

func (e *rateError) Error() string { return e.message }

// fault is how an error is answered.
type fault struct {
	status   int
	message  string // of a platform error
	kind     string // errorType of a platform error
	function []byte // the answer's body when the function is to blame, else nil
	ours     bool   // the error is logged
	header   http.Header
}

// retryLater goes with what a moment may cure.
var retryLater = http.Header{"Retry-After": {"1"}}

// faultOf is the table of errors: whose fault each kind is, and its answer. What
// it does not know is our own fault, of which the caller learns nothing but the
// request id.
func faultOf(err error, requestID string) fault {
	if e, ok := errors.AsType[*callerError](err); ok {
		return fault{status: e.code, message: e.message, kind: e.kind}
	}
	if e, ok := errors.AsType[*rateError](err); ok {
		seconds := max(1, int(math.Ceil(e.after.Seconds())))
		return fault{status: http.StatusTooManyRequests, kind: clientError, message: "Too Many Requests: " + e.Error(),
			header: http.Header{"Retry-After": {strconv.Itoa(seconds)}}}
	}
	if e, ok := errors.AsType[*strictjson.Error](err); ok {
		return fault{status: http.StatusBadRequest, message: "Bad Request: " + e.Error(), kind: clientError}
	}
	if e, ok := errors.AsType[*host.NotFoundError](err); ok {
		message := fmt.Sprintf("Not Found: Tag %s not found for function %s", e.Tag, e.Function)
		if e.Tag == "" {
			message = fmt.Sprintf("Not Found: Function %s not found", e.Function)
		}
		return fault{status: http.StatusNotFound, message: message, kind: clientError}
	}
	if e, ok := errors.AsType[*host.InvalidError](err); ok {
		return fault{status: http.StatusBadRequest, message: "Bad Request: " + e.Error(), kind: clientError}
	}
	if e, ok := errors.AsType[*host.ConflictError](err); ok {
		return fault{status: http.StatusConflict, message: "Conflict: " + e.Error(), kind: clientError}
	}
	if e, ok := errors.AsType[*host.QuotaError](err); ok {
		return fault{status: http.StatusTooManyRequests, kind: clientError, header: retryLater,
			message: "Too Many Requests: No instance can serve the request: " + e.Reason()}
	}
	if e, ok := errors.AsType[*host.FunctionError](err); ok {
		status := http.StatusBadGateway
		if e.Timeout {
			status = http.StatusGatewayTimeout
		}
		return fault{status: status, function: e.Body()}
	}
	if e, ok := errors.AsType[*malformedError](err); ok {
		return fault{status: http.StatusBadGateway, function: e.body()}
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok { // the router's
		f := fault{status: e.Code, message: http.StatusText(e.Code), kind: clientError}
		if e.Code == http.StatusMethodNotAllowed {
			f.header = http.Header{"Allow": {strings.Join(methods, ", ")}}
		}
		return f
	}
	if e, ok := errors.AsType[*host.ForbiddenError](err); ok {
		return fault{status: http.StatusForbidden, message: "Forbidden: " + e.Error(), kind: clientError}
	}
	switch {
	case errors.Is(err, host.ErrUnauthenticated):
		return fault{status: http.StatusUnauthorized, kind: clientError, header: api.Challenge,
			message: "Unauthorized: this takes a key; send the header Authorization: Api-Key SECRET"}
	case errors.Is(err, host.ErrBusy):
		return fault{status: http.StatusTooManyRequests, kind: clientError, header: retryLater,
			message: "Too Many Requests: No instance can serve the request: Concurrent requests exceeded"}
	case errors.Is(err, errBodies):
		return fault{status: http.StatusTooManyRequests, kind: clientError, header: retryLater,
			message: "Too Many Requests: The server has no memory for the request's body"}
	case errors.Is(err, host.ErrCancelled), errors.Is(err, context.Canceled):
		return fault{status: statusCancelled, kind: clientError, message: "Request cancelled"}
	case errors.Is(err, host.ErrClosed):
		return fault{status: http.StatusServiceUnavailable, kind: serverError, header: retryLater,
			message: "Service Unavailable: The server is shutting down"}
	case errors.Is(err, host.ErrStoreUnavailable):
		return fault{status: http.StatusServiceUnavailable, kind: serverError, header: retryLater,
			message: "Service Unavailable: The store can't be reached"}
	default:
		return fault{status: http.StatusInternalServerError, kind: serverError, ours: true,
			message: "Internal Server Error: request " + requestID}
	}
}

// body returns the answer's body, a JSON document.
func (f *fault) body() []byte {
	if f.function != nil {
		return f.function
	}
	return encodeJSON(struct {
		Code    int    `json:"errorCode"`
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{f.status, f.message, f.kind})
}

// response returns the answer.
func (f *fault) response() *response {
	answer := &response{status: f.status, header: http.Header{"Content-Type": {"application/json"}}, body: f.body()}
	for name, values := range f.header {
		answer.header[name] = values
	}
	if f.function != nil {
		answer.header.Set(headerFunctionError, "true")
	}
	return answer
}

// fail answers an error. It is Echo's error handler.
func (s *Server) fail(err error, c echo.Context) {
	call := callOf(c)
	f := faultOf(err, call.requestID)
	if f.ours {
		s.logFault(c, call, err)
	}
	if c.Response().Committed {
		return
	}
	send(c, f.response())
}

// logFault logs an error of ours, with what is needed to find the call again.
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
