package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"vivarium/host/access"
	"vivarium/host/cluster"
	"vivarium/host/fault"
)

// Headers between nodes. None of them is taken from, or shown to, anybody else.
const (
	headerFacts  = "Vivarium-Call"   // a facts, as JSON
	headerPassed = "Vivarium-Passed" // the node has not begun the call, and why; another one may take it
	headerLength = "Vivarium-Length" // the Content-Length of a response to HEAD
	headerLoad   = "Vivarium-Load"   // what the node has to do
)

// forwardVersion is that of what nodes send each other. A node that knows another one
// passes the call.
const forwardVersion = 1

// facts are what a node tells a function's home of a call, besides the caller's own headers.
type facts struct {
	Version   int              `json:"version"` // forwardVersion
	Method    string           `json:"method"`
	URI       []byte           `json:"uri"` // which need not be UTF-8
	Host      string           `json:"host"`
	Client    string           `json:"client"`             // the caller's address
	Length    int64            `json:"length"`             // of the body
	Declared  []string         `json:"declared,omitempty"` // the caller's Content-Length
	RequestID string           `json:"requestId"`
	Received  time.Time        `json:"received"`
	Age       time.Duration    `json:"age"` // since the deadline began to count
	Principal access.Principal `json:"principal"`
	Revision  string           `json:"revision"`         // what the node knows of functions
	Parent    string           `json:"parent,omitempty"` // the caller's place in a trace, as W3C writes it
	Span      string           `json:"span"`             // the request's
}

// How long nodes wait for each other. A home that does not answer is passed over.
const (
	// acceptTime is how long a home may take to accept a call, connecting included: a busy
	// one should not count as gone.
	acceptTime = 250 * time.Millisecond
	// forwardGrace is how much longer than its timeout a call may take at its home: to get an
	// instance made, and to bring the answer.
	forwardGrace = time.Minute
)

// forwarder sends calls to other nodes. Safe for concurrent use.
type forwarder struct {
	cluster *cluster.Cluster
	client  *http.Transport
	buffers sync.Pool // of *[]byte
}

func newForwarder(c *cluster.Cluster) *forwarder {
	return &forwarder{
		cluster: c,
		client: &http.Transport{
			DialTLSContext: c.Dial, DisableCompression: true, MaxIdleConnsPerHost: 256, IdleConnTimeout: idleTimeout / 2,
			// A body that a home has not asked for is never sent: that it has not begun
			// the call is certain.
			ExpectContinueTimeout: time.Hour, MaxResponseHeaderBytes: 2 * maxResponseHeaders,
		},
		buffers: sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }},
	}
}

// route returns the nodes that a call is to be offered to before it is taken here.
func (s *Server) route(call *call) []*cluster.Peer {
	if s.forward == nil || call.forwarded != nil || call.version.Transient {
		return nil
	}
	return s.forward.cluster.Route(call.version.FunctionID)
}

// errPassed means that a node has not taken a call.
var errPassed = errors.New("web: the node has not taken the call")

// errLost means that a node has taken a call, and what has become of it is not known.
var errLost error = &callerError{http.StatusServiceUnavailable,
	"Service Unavailable: the node that processed the call has gone; it may have been processed", serverError}

// offer offers a call to nodes, one after the other, until one takes it. It reports whether
// one did; the call is answered then, unless there is an error.
func (s *Server) offer(c echo.Context, call *call, route []*cluster.Peer, body []byte, began time.Time) (taken bool, err error) {
	for _, peer := range route {
		err := s.send(c, call, peer, body, began)
		if err == nil || !errors.Is(err, errPassed) {
			call.elsewhere = true
			s.metrics.forwarded.WithLabelValues(forwardOutcome(err)).Inc()
			return true, err
		}
		s.metrics.forwarded.WithLabelValues("passed").Inc()
	}
	return false, nil
}

func forwardOutcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case fault.Of(err) == fault.Cancelled:
		return "cancelled"
	}
	return "lost"
}

// send sends a call to a node, and its answer to the caller.
//
// # Errors
//
// errPassed, errLost, context.Canceled.
func (s *Server) send(c echo.Context, call *call, peer *cluster.Peer, body []byte, began time.Time) error {
	offered := time.Now()
	defer peer.Send()()
	whole := call.version.Timeout - time.Since(began) + forwardGrace
	ctx, cancel := context.WithTimeout(c.Request().Context(), whole)
	defer cancel()
	f := &forwarding{body: body, cancel: cancel}
	late := time.AfterFunc(s.config.acceptTime, f.abandon)
	defer late.Stop()
	facts := call.facts(c.Request(), len(body), began, s.config.Revisions.FunctionsRevision())
	response, err := s.forward.client.RoundTrip(f.request(ctx, c.Request(), peer, facts))
	if err != nil {
		accepted := f.state.Load() == forwardAccepted
		if e := c.Request().Context().Err(); e != nil {
			return e // the caller has gone
		}
		if accepted {
			s.config.Logger.LogAttrs(ctx, slog.LevelWarn, "a call is lost", slog.String("node", peer.Address()),
				slog.String("request_id", call.requestID), slog.String("error", err.Error()))
			return errLost
		}
		peer.Away(offered)
		return errPassed
	}
	defer response.Body.Close()
	late.Stop()
	peer.Back()
	if load, err := strconv.Atoi(response.Header.Get(headerLoad)); err == nil {
		peer.Learn(load)
	}
	if response.Header.Get(headerPassed) != "" || f.state.Load() != forwardAccepted {
		return errPassed
	}
	s.answer(c, response)
	return nil
}

// answer sends a node's answer to the caller.
func (s *Server) answer(c echo.Context, response *http.Response) {
	header := c.Response().Header()
	for name, values := range response.Header {
		header[name] = values
	}
	header.Del("Connection")
	header.Del(headerLoad)
	if length := header.Get(headerLength); length != "" {
		header.Del(headerLength)
		header.Set("Content-Length", length)
	}
	c.Response().WriteHeader(response.StatusCode)
	if c.Request().Method == http.MethodHead {
		return
	}
	buffer := s.forward.buffers.Get().(*[]byte)
	defer s.forward.buffers.Put(buffer)
	_, err := io.CopyBuffer(struct{ io.Writer }{c.Response()}, struct{ io.Reader }{response.Body}, *buffer)
	if err != nil && c.Request().Context().Err() == nil {
		// The caller must not take half an answer for a whole one.
		panic(http.ErrAbortHandler)
	}
}

// States of a forwarding.
const (
	forwardOffered   = iota
	forwardAccepted  // the home has asked for the body: from here on it may run the call
	forwardAbandoned // it is too late for that
)

// forwarding is a call that is offered to a node.
type forwarding struct {
	body   []byte
	read   int
	state  atomic.Int32
	cancel context.CancelFunc
}

// abandon gives up, unless the node has accepted the call.
func (f *forwarding) abandon() {
	if f.state.CompareAndSwap(forwardOffered, forwardAbandoned) {
		f.cancel()
	}
}

// Read implements io.Reader: it is the request's body, which is read only when the node has
// asked for it.
func (f *forwarding) Read(p []byte) (int, error) {
	if f.state.Load() != forwardAccepted {
		return 0, errPassed
	}
	if f.read == len(f.body) {
		return 0, io.EOF
	}
	n := copy(p, f.body[f.read:])
	f.read += n
	return n, nil
}

// request returns the request to a node.
func (f *forwarding) request(ctx context.Context, r *http.Request, peer *cluster.Peer, facts string) *http.Request {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got100Continue: func() { f.state.CompareAndSwap(forwardOffered, forwardAccepted) },
	})
	header := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		if name != headerFacts && !slices.Contains(hiddenHeaders, name) {
			header[name] = values
		}
	}
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = []string{""} // none, rather than Go's
	}
	header["Expect"] = []string{"100-continue"}
	header[headerFacts] = []string{facts}
	out := (&http.Request{
		Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: peer.Address(), Path: "/"}, ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: int64(len(f.body)), Body: io.NopCloser(f),
	}).WithContext(ctx)
	if len(f.body) == 0 {
		out.ContentLength = -1 // there is something to ask for even then
	}
	return out
}

// facts returns what a function's home is to know of the call, as JSON.
func (c *call) facts(r *http.Request, length int, began time.Time, revision string) string {
	f := facts{
		Version: forwardVersion, Method: r.Method, URI: []byte(r.URL.RequestURI()), Host: r.Host, Client: r.RemoteAddr,
		Length: int64(length), Declared: r.Header["Content-Length"], RequestID: c.requestID, Received: c.received,
		Age: time.Since(began), Principal: c.principal, Revision: revision,
	}
	f.Parent, f.Span = c.place.texts()
	text, err := json.Marshal(f) // plain data, which always encodes
	if err != nil {
		panic(err)
	}
	return string(text)
}
