// Package web is the HTTP face of Vivarium: an Echo server that turns a request
// into a call of a function, and the function's result into a response.
//
// A request for /{function} takes this way. The server gives the call its
// request id and finds the version that the tag names. In HTTP mode the request
// becomes an event, the JSON document that the handler receives (event.go), and
// the result, the JSON text of what the handler returned, is interpreted as
// status, headers and body (response.go). In raw mode, ?integration=raw, the
// handler receives the bare body and its result goes out as it is. What becomes
// of a header on either way is written down in headers.go.
//
// A call that does not end well ends in one of three ways, kept apart in
// errors.go: the caller's fault (404, 413, 429, ...) and our own (500, 503) are
// platform errors, with an errorCode; a fault of the function (502, 504) is a
// function error, with X-Function-Error: true and no errorCode. The details of
// our own faults are logged and never sent.
//
// Who asks is found out once, before anything else (auth.go): where keys are
// needed, an Authorization header says it. Functions never see that header.
//
// More is served here: /healthz and /readyz, /metrics (metrics.go), below
// /functions/v1 the management API, which is package api's, and below /play/v1
// the playground (play.go), which takes the same way to and from the handler.
//
// The package knows nothing of instances or sandboxes: it calls Functions, which
// the host implements, and it is the only package that imports Echo.
package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"vivarium/host"
	"vivarium/host/catalog"
	"vivarium/host/run"
	"vivarium/web/api"
	"vivarium/web/transfer"
)

// Defaults of Config.
const (
	// DefaultMaxBytes is the limit of a request's body and of a response: the
	// cloud's 3.5 MB.
	DefaultMaxBytes = 3_670_016
	// DefaultTransferTimeout is how long a body may be on its way.
	DefaultTransferTimeout = time.Minute
	// DefaultDrainTimeout is how long a shutdown waits for calls under way.
	DefaultDrainTimeout = 30 * time.Second
)

// Limits of a connection that nobody needs to change. Headers are kept small
// since each of them appears four times in an event's making.
const (
	maxHeaderBytes    = 64 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	// drainTime is how long the rest of a body is read that nobody wants.
	drainTime = 10 * time.Second
)

// Functions is what the server needs of the host. *host.Host implements it.
type Functions interface {
	// Resolve returns the version of the function, named by id or name, that
	// carries the tag; the empty tag means $latest.
	Resolve(function, tag string) (*catalog.Version, error)
	// Invoke calls a function and waits for its result.
	Invoke(ctx context.Context, inv run.Invocation) (*run.Result, error)
	// InvokeAsync queues a call and returns its request id.
	InvokeAsync(ctx context.Context, inv run.Invocation) (requestID string, err error)
}

// Config says how a Server behaves. The zero value is usable: each field names
// its default.
type Config struct {
	// Version appears in the Server header, as Vivarium/<Version>. Default: dev.
	Version string
	// MaxRequestBytes limits the body of a request. Default: DefaultMaxBytes.
	MaxRequestBytes int64
	// MaxResponseBytes limits the body of a response, as it is delivered.
	// Default: DefaultMaxBytes.
	MaxResponseBytes int64
	// TransferTimeout limits how long the body of a request may take to come in,
	// and a response to go out. The function's own time is not part of it.
	// Default: DefaultTransferTimeout.
	TransferTimeout time.Duration
	// DrainTimeout limits how long Serve waits, once it is told to stop, for the
	// calls under way. Default: DefaultDrainTimeout.
	DrainTimeout time.Duration
	// MaxConnections limits the connections, those that are idle included, and
	// MaxConnectionsPerClient those from one address, which may be a proxy's.
	// What is beyond is closed. Negative: no limit. Defaults:
	// DefaultMaxConnections and DefaultMaxConnectionsPerClient.
	MaxConnections, MaxConnectionsPerClient int
	// MaxRequests limits the requests that are being served, and
	// MaxRequestsPerClient those from one address: over HTTP/2 a connection has
	// many. What is beyond is refused. Negative: no limit. Defaults:
	// DefaultMaxRequests, and DefaultMaxRequestsPerClient unless
	// MaxConnectionsPerClient says that there is no limit.
	MaxRequests, MaxRequestsPerClient int
	// MaxBodies limits the bytes of bodies in memory, of which the functions of
	// one tenant may have half. Requests beyond wait a moment and are then
	// refused. Negative: no limit. Default: DefaultMaxBodies.
	MaxBodies int64
	// Ready reports why calls can't be served yet, for /readyz. Default: ready.
	Ready func(context.Context) error
	// Confinement are lines that /readyz adds to its first, which is ok: what the
	// process has given up of its rights, as in "seccomp: on". Default: none.
	Confinement []string
	// Stats tells what the host has at the moment, for /metrics. Default: it is
	// not shown.
	Stats func() host.Stats
	// Tenants tells what tenants have and may have, for /metrics. Default: it is
	// not shown.
	Tenants func() []host.TenantQuotas
	// Backlog counts the asynchronous calls that are queued, for /metrics.
	// Default: it is not shown.
	Backlog func(context.Context) (uint64, error)
	// Management serves what is below api.BasePath and api.OperationsPath.
	// Default: nothing does.
	Management http.Handler
	// Play serves what is below PlayPath; see Play. Default: nothing does.
	Play http.Handler
	// Console serves what is below /console; browsers that ask for / are sent
	// there. Default: nothing does.
	Console http.Handler
	// OnDrain is called when Serve is told to stop, before it waits. It should
	// end what would never end by itself. Default: nothing.
	OnDrain func()
	// Access says who may do what. As long as it has no keys, and without it,
	// all may do all. Default: none.
	Access Access
	// RequireKeys says that nobody may do anything without a key even while there
	// are none: what is public can still be called.
	RequireKeys bool
	// GuardHost refuses, as long as nobody needs a key, requests for a host name
	// that is neither localhost nor an address of this machine's own. A page in a
	// browser could otherwise have its name mean this machine, and use the server
	// as if it were a page from here.
	GuardHost bool
	// AllowHosts are further names for GuardHost.
	AllowHosts []string
	// TLS makes Serve speak HTTPS, and HTTP/2, only. It must have a certificate.
	// Default: HTTP.
	TLS *tls.Config
	// Logger takes our own faults. Default: slog.Default().
	Logger *slog.Logger
}

// withDefaults returns the configuration with its gaps filled.
func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.MaxRequestBytes <= 0 {
		c.MaxRequestBytes = DefaultMaxBytes
	}
	if c.MaxResponseBytes <= 0 {
		c.MaxResponseBytes = DefaultMaxBytes
	}
	if c.TransferTimeout <= 0 {
		c.TransferTimeout = DefaultTransferTimeout
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	c.MaxConnections = cmp.Or(c.MaxConnections, DefaultMaxConnections)
	c.MaxConnectionsPerClient = cmp.Or(c.MaxConnectionsPerClient, DefaultMaxConnectionsPerClient)
	c.MaxRequests = cmp.Or(c.MaxRequests, DefaultMaxRequests)
	c.MaxRequestsPerClient = cmp.Or(c.MaxRequestsPerClient, min(c.MaxConnectionsPerClient, 0), DefaultMaxRequestsPerClient)
	c.MaxBodies = cmp.Or(c.MaxBodies, DefaultMaxBodies)
	if c.Ready == nil {
		c.Ready = func(context.Context) error { return nil }
	}
	if c.OnDrain == nil {
		c.OnDrain = func() {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Server serves functions over HTTP. It is safe for concurrent use.
type Server struct {
	config    Config
	functions Functions
	echo      *echo.Echo
	metrics   *metrics
	draining  atomic.Bool

	connections *places
	requests    *places
	bodies      *bodies
}

// managed are the paths that Config.Management serves, with all below them.
var managed = []string{api.BasePath, api.OperationsPath}

// isManaged says if a request is for Config.Management.
func (s *Server) isManaged(path string) bool {
	return s.config.Management != nil && slices.ContainsFunc(managed, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

// New returns a server for these functions. It opens nothing: see Serve.
func New(config Config, functions Functions) *Server {
	s := &Server{config: config.withDefaults(), functions: functions, echo: echo.New()}
	s.connections = newPlaces(s.config.MaxConnections, s.config.MaxConnectionsPerClient)
	s.requests = newPlaces(s.config.MaxRequests, s.config.MaxRequestsPerClient)
	s.bodies = newBodies(s.config.MaxBodies)
	s.metrics = newMetrics(s)
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Pre(s.identify, s.place, s.guard, s.admit)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		s.echo.Add(method, "/healthz", s.health)
		s.echo.Add(method, "/readyz", s.ready)
		s.echo.Add(method, "/metrics", s.operatorsOnly(echo.WrapHandler(s.metrics.handler(s.functions))))
	}
	if s.config.Management != nil {
		manage := echo.WrapHandler(s.config.Management)
		for _, path := range managed {
			s.echo.Any(path, manage)
			s.echo.Any(path+"/*", manage)
		}
	}
	s.mountPages()
	for _, method := range methods {
		s.echo.Add(method, "/*", s.invoke)
	}
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.echo.ServeHTTP(w, r)
	if w.Header().Get("Connection") == "close" { // see identify
		transfer.Drain(w, r, min(drainTime, s.config.TransferTimeout))
	}
}

// Serve accepts connections until ctx ends, then takes no new ones, waits for
// the calls under way and returns nil. It closes the listener in every case. A
// server serves once.
//
// # Errors
//
// An error of the listener is returned as it comes. When the calls under way do
// not end within the configuration's DrainTimeout, their connections are cut,
// which cancels them, and the error wraps context.DeadlineExceeded.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	listener = &limitedListener{listener, s.connections}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &streams,
		ErrorLog:          callersLog(s.config.Logger),
		// No ReadTimeout and no WriteTimeout: both would count the function's
		// time. identify and readBody set deadlines for the transfers alone.
	}
	served := make(chan error, 1)
	go func() {
		if s.config.TLS != nil {
			server.TLSConfig = s.config.TLS
			served <- server.ServeTLS(listener, "", "")
			return
		}
		served <- server.Serve(listener)
	}()

	select {
	case err := <-served:
		return fmt.Errorf("web: serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}

	s.draining.Store(true)
	s.config.OnDrain()
	// ctx has ended already, and the calls under way are to outlive it.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		_ = server.Close()
		return fmt.Errorf("web: calls still running after %s: %w", s.config.DrainTimeout, err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web: serve %s: %w", listener.Addr(), err)
	}
	return nil
}

// health answers as long as the process can answer at all.
func (s *Server) health(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
}

// ready answers 200 when calls can be served, else 503 with the reason.
func (s *Server) ready(c echo.Context) error {
	if s.draining.Load() {
		return c.String(http.StatusServiceUnavailable, "shutting down\n")
	}
	if err := s.config.Ready(c.Request().Context()); err != nil {
		return c.String(http.StatusServiceUnavailable, err.Error()+"\n")
	}
	lines := append([]string{"ok"}, s.config.Confinement...)
	return c.String(http.StatusOK, strings.Join(lines, "\n")+"\n")
}
