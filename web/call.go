package web

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"vivarium/host/access"
	"vivarium/host/catalog"
)

// Headers of the platform, in canonical form.
const (
	headerFunctionID    = "X-Function-Id"
	headerVersionID     = "X-Function-Version-Id"
	headerFunctionError = "X-Function-Error"
	headerRequestID     = "X-Request-Id"
	headerTraceID       = "X-Trace-Id"
)

// call is what the server knows about a request, from the start. It belongs to
// one request and one goroutine.
type call struct {
	requestID string
	place     place
	received  time.Time
	function  string           // as the caller spelled it; empty outside /{function}
	version   *catalog.Version // nil until it is resolved

	principal access.Principal // the caller
	foreign   bool             // the request has an Authorization header that is not a key's

	forwarded *facts // what the node says that has sent it here; nil if it came from the caller
	elsewhere bool   // another node has it
	begun     bool   // the function has run, or may have
}

// callKey is the key of a request's call in the echo.Context.
const callKey = "vivarium.call"

// callOf returns the call that identify gave to the request.
func callOf(c echo.Context) *call {
	if call, ok := c.Get(callKey).(*call); ok {
		return call
	}
	return newCall(c.Request())
}

// newCall assigns a request its ids. The caller's X-Request-Id is accepted only
// if it is a single UUID in the usual form: it appears in headers, in logs and
// in the function's context, where nothing else is expected.
func newCall(r *http.Request) *call {
	if f := factsOf(r.Context()); f != nil {
		return f.call()
	}
	id := ""
	if sent := r.Header[headerRequestID]; len(sent) == 1 && len(sent[0]) == 36 && uuid.Validate(sent[0]) == nil {
		id = sent[0]
	} else {
		id = uuid.NewString()
	}
	return &call{requestID: id, place: newPlace(r.Header), received: time.Now()}
}

// identify attaches a call to every request, and to every response the headers
// that the platform adds to all of them.
func (s *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	server := "Vivarium/" + s.config.Version
	return func(c echo.Context) error {
		call := newCall(c.Request())
		c.Set(callKey, call)

		header := c.Response().Header()
		header.Set("Server", server)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set(headerRequestID, call.requestID)
		header.Set(headerServerTraceID, call.place.String())
		if c.Request().ContentLength != 0 && c.Request().ProtoMajor == 1 {
			// Until the body is read: otherwise net/http would wait for an
			// unwanted body, or one that never comes, before sending a
			// response. HTTP/2 ends only the stream.
			header.Set("Connection", "close")
		}

		// A deadline of the connection's previous request may still be set.
		// Recorders and such support no deadlines; nothing to do then.
		connection := http.NewResponseController(c.Response())
		_ = connection.SetWriteDeadline(time.Time{})
		c.Response().Before(func() {
			_ = connection.SetWriteDeadline(time.Now().Add(s.config.TransferTimeout))
		})
		return next(c)
	}
}

// guard refuses the methods that nothing here serves, before the router answers
// them in its own way, and turns a panic into an error of ours, which is logged
// and answered like any other.
func (s *Server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch r := recover(); r {
			case nil:
			case http.ErrAbortHandler: // how net/http drops a connection
				panic(r)
			default:
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		if !s.isManaged(c.Request().URL.Path) && !slices.Contains(methods, c.Request().Method) {
			return echo.ErrMethodNotAllowed
		}
		return next(c)
	}
}
