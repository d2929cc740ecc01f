package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"vivarium/host/access"
	"vivarium/host/fault"
)

// maxNodeHeaderBytes bounds the headers between nodes: a caller's, and its facts.
const maxNodeHeaderBytes = 4 * maxHeaderBytes

// ServeNodes accepts connections of other nodes until ctx ends, and then as Serve does. It
// always closes the listener.
//
// # Errors
//
// Those of Serve.
func (s *Server) ServeNodes(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s.nodes(), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxNodeHeaderBytes,
		ErrorLog: callersLog(s.config.Logger), TLSConfig: s.config.Cluster.ServerTLS(), ConnContext: withHead,
	}
	// Strangers can open connections before they are turned away.
	listener = &limitedListener{listener, newPlaces(s.config.MaxConnections, s.config.MaxConnectionsPerClient), s.strangers}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()
	return s.until(ctx, server, listener, served)
}

// nodes returns what serves other nodes. They send calls of functions, and ask for figures and images.
func (s *Server) nodes() http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = s.fail
	e.Pre(s.identify, s.place, s.guard, func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Before(func() { c.Response().Header().Set(headerLoad, strconv.Itoa(s.config.Cluster.Load())) })
			if s.config.Cluster.Full() {
				return errFull
			}
			if err := s.await(c.Request().Context(), callOf(c).forwarded.Revision, nodeRevisionTime); err != nil {
				return err
			}
			c.SetRequest(c.Request().WithContext(access.WithPrincipal(c.Request().Context(), callOf(c).principal)))
			return s.invoke(c)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || !s.config.Cluster.Trusts(r.TLS.PeerCertificates[0]) {
			w.Header().Set("Connection", "close")
			http.Error(w, "Forbidden: this node does not know yours", http.StatusForbidden)
			return
		}
		decoded(r) // what a node sends from now on is counted where it is kept
		switch r.URL.Path {
		case figuresPath:
			s.tellFigures(w, r)
			return
		case imagePath:
			s.giveImage(w, r)
			return
		}
		f, err := readFacts(r)
		if err != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, "Bad Request: "+err.Error(), http.StatusBadRequest)
			return
		}
		if f.Method == http.MethodHead {
			w = &headWriter{w}
		}
		e.ServeHTTP(w, f.request(r))
	})
}

// readFacts returns what another node says of a call.
func readFacts(r *http.Request) (*facts, error) {
	shown := r.Header[headerFacts]
	if len(shown) != 1 {
		return nil, errors.New("a node sends " + headerFacts + " once")
	}
	f := &facts{}
	if err := json.Unmarshal([]byte(shown[0]), f); err != nil {
		return nil, fmt.Errorf("%s: %w", headerFacts, err)
	}
	if f.Version != forwardVersion {
		return nil, fmt.Errorf("%s of version %d; this node knows %d", headerFacts, f.Version, forwardVersion)
	}
	if uuid.Validate(f.RequestID) != nil || f.Length < 0 || f.Age < 0 {
		return nil, errors.New(headerFacts + ": request id, length or age is impossible")
	}
	if _, err := url.ParseRequestURI(string(f.URI)); err != nil {
		return nil, fmt.Errorf("%s: %w", headerFacts, err)
	}
	return f, nil
}

// errFull means that this node has more to do than its share. Only other nodes see it.
var errFull error = &callerError{http.StatusTooManyRequests, "Too Many Requests: this node has more to do than its share", clientError}

type factsKey struct{}

// factsOf returns what another node says of the call that a context is of, or nil.
func factsOf(ctx context.Context) *facts {
	f, _ := ctx.Value(factsKey{}).(*facts)
	return f
}

// request returns the caller's request, of which r is what another node has sent.
func (f *facts) request(r *http.Request) *http.Request {
	out := r.WithContext(context.WithValue(r.Context(), factsKey{}, f))
	out.Method, out.RequestURI, out.Host, out.RemoteAddr = f.Method, string(f.URI), f.Host, f.Client
	out.URL, _ = url.ParseRequestURI(out.RequestURI) // readFacts has done it, too
	out.Header.Del(headerFacts)
	out.Header.Del("Content-Length")
	// Without a length even an empty body is read, which tells the other node that the call
	// is taken.
	out.ContentLength = -1
	if len(f.Declared) > 0 {
		out.Header["Content-Length"] = f.Declared
		if f.Length > 0 {
			out.ContentLength = f.Length
		}
	}
	return out
}

// call returns the call, as the server knows it.
func (f *facts) call() *call {
	return &call{
		requestID: f.RequestID, place: placeOf(f.Parent, f.Span), received: f.Received, principal: f.Principal, forwarded: f,
	}
}

// began returns when a call's deadline begins to count, if its body is there now.
func (c *call) began() time.Time {
	now := time.Now()
	if c.forwarded != nil {
		return now.Add(-c.forwarded.Age)
	}
	return now
}

// mayPass reports whether another node may take the call that has come to nothing here: this
// one is going down, has no room, or does not know the function yet.
func (c *call) mayPass(err error) bool {
	if errors.Is(err, errBodies) || errors.Is(err, errFull) {
		return true
	}
	if _, ok := errors.AsType[*rateError](err); ok {
		return true
	}
	switch fault.Of(err) {
	case fault.Closed, fault.Exhausted, fault.Unavailable, fault.NotFound, fault.Preparing:
		return !c.begun
	}
	return false
}

// headWriter keeps the length that a response to HEAD tells, although there is no body.
type headWriter struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (w *headWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *headWriter) WriteHeader(status int) {
	header := w.Header()
	if length := header.Get("Content-Length"); length != "" && !bodyless(status) {
		header.Set(headerLength, length)
		header.Set("Content-Length", strconv.Itoa(0))
	}
	w.ResponseWriter.WriteHeader(status)
}
