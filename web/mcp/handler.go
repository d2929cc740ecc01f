package mcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/web/api"
	"vivarium/web/manage"
	"vivarium/web/transfer"
)

// Path is where a server answers the protocol over HTTP.
const Path = "/mcp"

// Limits of a request over HTTP: what its body may have, and how long it may take.
const (
	maxBody         = 12 << 20
	transferTimeout = time.Minute
)

// Handler answers the protocol over HTTP, in front of a server in this process. It keeps
// nothing between two requests: sessions are the server's, and a client names them.
// Safe for concurrent use.
type Handler struct {
	desk    *manage.Desk
	origins *http.CrossOriginProtection
	next    http.Handler
	version string
	stream  *sdk.StreamableHTTPHandler
}

// NewHandler returns a handler whose tools make their requests to next, within the
// process, as the caller: with its headers and from its address. Bodies and answers are
// taken from the desk's ledger while they are in memory.
func NewHandler(next http.Handler, desk *manage.Desk, version string) *Handler {
	h := &Handler{desk: desk, origins: http.NewCrossOriginProtection(), next: next, version: version}
	h.stream = sdk.NewStreamableHTTPHandler(h.server, &sdk.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, MaxRequestBodyBytes: -1, // ServeHTTP has read it
		DisableLocalhostProtection: true, // next has its own, with names that the operator allows
	})
	return h
}

// ServeHTTP answers one request of a caller who is in the request's context.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller := access.PrincipalOf(r.Context())
	err := h.origins.Check(r)
	if err != nil {
		http.Error(w, "a page of another origin must not use this", http.StatusForbidden)
		return
	}
	held := &held{of: h.desk.Hold(caller), decoded: func() {}}
	defer held.release()
	if err = caller.Allow("Tools"); err == nil {
		var body []byte
		body, err = transfer.Read(w, r, transfer.Limits{Bytes: maxBody, Time: transferTimeout, Hold: held.reserve})
		if err == nil {
			err = held.weigh(body)
		}
		if err == nil {
			var done func()
			if done, err = h.desk.Turn(r); err == nil {
				held.decoded = sync.OnceFunc(done)
				defer held.decoded()
			}
		}
		r = r.WithContext(context.WithValue(r.Context(), heldKey{}, held))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	h.stream.ServeHTTP(turnWriter{w, held.decoded}, r)
}

// turnWriter ends a turn before it writes, for which it may have to wait.
type turnWriter struct {
	http.ResponseWriter
	end func()
}

// WriteHeader implements http.ResponseWriter.
func (w turnWriter) WriteHeader(status int) {
	w.end()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w turnWriter) Write(p []byte) (int, error) {
	w.end()
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w turnWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// refuse answers a request that reaches no tool.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	status, message := http.StatusBadRequest, "the request's body could not be read"
	switch s, ours := api.StatusOf(err, ""); {
	case err == transfer.ErrTooLarge:
		status, message = http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is larger than %d bytes", maxBody)
	case errors.As(err, new(tooMany)):
		status, message = http.StatusRequestEntityTooLarge, err.Error()
	case err == transfer.ErrSlow:
		status, message = http.StatusRequestTimeout, "the request's body took too long"
	case s.Code == api.CodeUnauthenticated:
		status, message = http.StatusUnauthorized, s.Message
		for name, values := range api.Challenge {
			w.Header()[name] = values
		}
	case s.Code == api.CodePermissionDenied:
		status, message = http.StatusForbidden, s.Message
	case s.Code == api.CodeExhausted:
		status, message = http.StatusTooManyRequests, s.Message
		w.Header().Set("Retry-After", "1")
	case !ours:
		message = s.Message
	}
	http.Error(w, message, status)
}

type heldKey struct{}

// held is what a request makes the server hold. A request may have several calls, and
// calls may go on when it is over. Safe for concurrent use.
type held struct {
	// decoded ends the turn in which the request is decoded, up to the first request that
	// a tool makes. Only the first call counts.
	decoded func()

	mu   sync.Mutex // guards the members below; nothing blocks under it
	of   *manage.Held
	over bool
}

func (h *held) reserve(n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return fault.ErrCancelled
	}
	return h.of.Reserve(n)
}

// weigh takes what decoding a request will hold.
//
// # Errors
//
// tooMany, those of reserve.
func (h *held) weigh(request []byte) error {
	n, err := weigh(request)
	if err != nil {
		return err
	}
	return h.reserve(n)
}

func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	h.of.Release()
}

// server returns the tools for one request.
func (h *Handler) server(r *http.Request) *sdk.Server {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	held, _ := r.Context().Value(heldKey{}).(*held)
	return New(Config{Base: scheme + "://" + r.Host, Version: h.version, Do: func(own *http.Request) (*http.Response, error) {
		held.decoded()
		// The caller may leave, whatever the protocol says of that.
		ctx, cancel := context.WithCancel(own.Context())
		defer cancel()
		defer context.AfterFunc(r.Context(), cancel)()
		own = own.WithContext(ctx)
		own.RemoteAddr, own.TLS, own.Host = r.RemoteAddr, r.TLS, r.Host
		if shown := r.Header["Authorization"]; len(shown) > 0 {
			own.Header["Authorization"] = shown
		}
		return within(h.next, own, held.reserve)
	}})
}

// Local returns what sends requests to a server in this process, from this machine.
// Answers are taken from the desk's ledger while they are received.
func Local(server http.Handler, desk *manage.Desk) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		held := desk.Hold(access.Operator)
		defer held.Release()
		r.RemoteAddr = "127.0.0.1:0"
		return within(server, r, held.Reserve)
	}
}

// within sends a request to a server in this process.
func within(server http.Handler, r *http.Request, reserve func(n int) error) (*http.Response, error) {
	r.RequestURI = r.URL.RequestURI()
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	answer := &answer{header: http.Header{}, reserve: reserve}
	server.ServeHTTP(answer, r)
	return answer.response()
}

// answer is a http.ResponseWriter that keeps an answer in memory, which is counted.
type answer struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	reserve func(n int) error
	err     error
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.err == nil && a.body.Len()+len(p) > maxAnswer {
		a.err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if a.err == nil {
		a.err = a.reserve(len(p))
	}
	if a.err != nil {
		return 0, a.err
	}
	return a.body.Write(p)
}

// response returns what was answered.
func (a *answer) response() (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	a.WriteHeader(http.StatusOK)
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(&a.body)}, nil
}
