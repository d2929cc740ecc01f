// Package web is Vivarium's HTTP server, built on Echo: it turns a request into
// a call of a function, and the function's result into a response.
//
// A request for /{function} is handled as follows. The server assigns the call
// its request id and resolves the version that the tag names. In HTTP mode the
// request becomes an event, the JSON document that the handler receives
// (event.go), and the result, the JSON text of what the handler returned, is
// interpreted as status, headers and body (response.go). In raw mode,
// ?integration=raw, the handler receives the bare body and its result is sent
// as is. headers.go lists what happens to headers on either way.
//
// A call that fails does so in one of three ways, kept apart in errors.go:
// faults of the caller (404, 413, 429, ...) and of our own (500, 503) are
// platform errors, with an errorCode; a fault of the function (502, 504) is a
// function error, with X-Function-Error: true and no errorCode. The details of
// our own faults are logged and never sent.
//
// The caller is authenticated once, before anything else (auth.go): where keys
// are required, by an Authorization header. Functions never see that header.
//
// The server also has /healthz and /readyz, /metrics (metrics.go), the
// management API of package api below /functions/v1 and, for requests of gRPC,
// that of package grpcapi on any path, and the playground
// (play.go) below /play/v1, which reads requests and results in the same way, and
// the tools for models of package mcp at /mcp.
//
// The package knows nothing of instances or sandboxes: it calls Functions,
// which the host implements, and it is the only package that imports Echo.
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
	"go.opentelemetry.io/otel/trace"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/cluster"
	"vivarium/host/keys"
	"vivarium/host/run"
	"vivarium/web/api"
	"vivarium/web/transfer"
)

// Defaults for Config.
const (
	// DefaultMaxBytes bounds the body of a request and of a response: the
	// cloud's 3.5 MB.
	DefaultMaxBytes = 3_670_016
	// DefaultTransferTimeout bounds the transfer of a body.
	DefaultTransferTimeout = time.Minute
	// DefaultDrainTimeout is how long a shutdown waits for calls in progress.
	DefaultDrainTimeout = 30 * time.Second
)

// Limits of a connection that need no configuration. Headers are kept small
// because each of them is copied four times to make an event.
const (
	maxHeaderBytes    = 64 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	// drainTime is how long the rest of an unwanted body is read.
	drainTime = 10 * time.Second
)

// Functions is what the server needs of the host. *host.Host implements it.
type Functions interface {
	// Resolve returns the version of a function, given by id or name, with a
	// tag, if the principal may call it; the empty tag means $latest.
	Resolve(p access.Principal, function, tag string) (*catalog.Version, error)
	// Invoke calls a function for a principal and waits for its result.
	Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error)
	// InvokeAsync queues a call and returns its request id.
	InvokeAsync(ctx context.Context, p access.Principal, inv run.Invocation) (requestID string, err error)
}

// Config configures a Server. The zero value is usable: each field names its
// default.
type Config struct {
	// Version appears in the Server header, as Vivarium/<Version>. Default:
	// dev.
	Version string
	// MaxRequestBytes limits a request's body. Default: DefaultMaxBytes.
	MaxRequestBytes int64
	// MaxResponseBytes limits a response's body, as delivered. Default:
	// DefaultMaxBytes.
	MaxResponseBytes int64
	// TransferTimeout limits how long a request's body may take to arrive, and
	// a response to be sent. It does not include the function's own time.
	// Default: DefaultTransferTimeout.
	TransferTimeout time.Duration
	// DrainTimeout limits how long Serve, once stopped, waits for calls in
	// progress. Default: DefaultDrainTimeout.
	DrainTimeout time.Duration
	// MaxConnections limits the connections, including idle ones, and
	// MaxConnectionsPerClient those from one address, which may be a proxy's.
	// Those beyond are closed. Negative: no limit. Defaults:
	// DefaultMaxConnections and DefaultMaxConnectionsPerClient.
	MaxConnections, MaxConnectionsPerClient int
	// MaxRequests limits the requests in progress, and MaxRequestsPerClient
	// those from one address: an HTTP/2 connection has many. Those beyond are
	// refused. Negative: no limit. Defaults: DefaultMaxRequests, and
	// DefaultMaxRequestsPerClient unless MaxConnectionsPerClient is unlimited.
	MaxRequests, MaxRequestsPerClient int
	// MaxBodies limits the bytes of bodies in memory, half of which the
	// functions of one tenant may use. Requests beyond wait a moment and are
	// then refused. Negative: no limit. Default: DefaultMaxBodies.
	MaxBodies int64
	// Ready returns why calls can't be served yet, for /readyz. Default: ready.
	Ready func(context.Context) error
	// Confinement are lines that /readyz adds after the first, "ok": which
	// rights the process has given up, as in "seccomp: on". Default: none.
	Confinement []string
	// Stats returns the host's current state, for /metrics. Default: not shown.
	Stats func() host.Stats
	// Tenants returns what tenants use and may use, for /metrics. Default: not
	// shown.
	Tenants func() []host.TenantQuotas
	// Backlog returns the number of queued asynchronous calls, for /metrics.
	// Default: not shown.
	Backlog func(context.Context) (uint64, error)
	// Management serves everything below api.BasePath and api.OperationsPath.
	// Default: not served.
	Management http.Handler
	// RPC serves requests of gRPC, which have its content type, over HTTP/2. Default: not
	// served.
	RPC http.Handler
	// Tracer records a span for each call of a function. Default: none.
	Tracer trace.Tracer
	// Play serves everything below PlayPath; see Play. Default: not served.
	Play http.Handler
	// Tools returns what serves mcp.Path, and makes requests of its own to the server,
	// which is next. Default: not served.
	Tools func(next http.Handler) http.Handler
	// Console serves everything below /console, where browsers that request /
	// are redirected. Default: not served.
	Console http.Handler
	// OnDrain is called when Serve is stopped, before it waits. It should end
	// what would never end by itself. Default: none.
	OnDrain func()
	// Keys are the keys that callers may use. Without them, and while there are none,
	// everyone may do everything. Default: none.
	Keys *keys.Ring
	// RequireKeys requires keys even while there are none. Public functions can
	// still be called.
	RequireKeys bool
	// GuardHost refuses, while no keys are required, requests for a host name
	// that is neither localhost nor an address of this machine. Otherwise a
	// page in a browser could have its own name resolve to this machine, and
	// use the server as if it were a page of the server's.
	GuardHost bool
	// AllowHosts are further names that GuardHost allows.
	AllowHosts []string
	// Cluster has the other nodes, which take the calls that are theirs; see ServeNodes.
	// Default: this node takes all.
	Cluster *cluster.Cluster
	// Figures returns the last points of a function on this node, for other nodes. Default: none.
	Figures func(functionID string, points int) run.FunctionFigures
	// Images returns the image of a version, for other nodes; see run.Runner.ShareImages. Default: none.
	Images Images
	// Revisions are what is known of changes that other servers of the same store make.
	// Default: nobody else uses the store.
	Revisions Revisions
	// TLS makes Serve speak only HTTPS, with HTTP/2. It must have a
	// certificate. Default: HTTP.
	TLS *tls.Config
	// Logger receives our own faults. Default: slog.Default().
	Logger *slog.Logger

	acceptTime time.Duration // 0 means the constant; tests set more
}

// withDefaults returns the configuration with defaults filled in.
func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, "dev")
	c.MaxRequestBytes = cmp.Or(max(c.MaxRequestBytes, 0), DefaultMaxBytes)
	c.MaxResponseBytes = cmp.Or(max(c.MaxResponseBytes, 0), DefaultMaxBytes)
	c.TransferTimeout = cmp.Or(max(c.TransferTimeout, 0), DefaultTransferTimeout)
	c.DrainTimeout = cmp.Or(max(c.DrainTimeout, 0), DefaultDrainTimeout)
	c.MaxConnections = cmp.Or(c.MaxConnections, DefaultMaxConnections)
	c.MaxConnectionsPerClient = cmp.Or(c.MaxConnectionsPerClient, DefaultMaxConnectionsPerClient)
	c.MaxRequests = cmp.Or(c.MaxRequests, DefaultMaxRequests)
	c.MaxRequestsPerClient = cmp.Or(c.MaxRequestsPerClient, min(c.MaxConnectionsPerClient, 0), DefaultMaxRequestsPerClient)
	c.MaxBodies = cmp.Or(c.MaxBodies, DefaultMaxBodies)
	if c.Ready == nil {
		c.Ready = func(context.Context) error { return nil }
	}
	c.acceptTime = cmp.Or(c.acceptTime, acceptTime)
	if c.Revisions == nil {
		c.Revisions = noRevisions{}
	}
	if c.OnDrain == nil {
		c.OnDrain = func() {}
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c
}

// Server serves functions over HTTP. It is safe for concurrent use.
type Server struct {
	config    Config
	functions Functions
	echo      *echo.Echo
	metrics   *metrics
	forward   *forwarder // nil without a cluster
	draining  atomic.Bool

	connections *places
	requests    *places
	heads       *places // bytes
	strangers   *places // bytes of heads and handshakes, of who may not be a node
	bodies      *bodies
	copies      *places // of images that other nodes copy
}

// managed are the paths served by Config.Management, including everything
// below.
var managed = []string{api.BasePath, api.OperationsPath}

// isManaged reports whether a request is for Config.Management.
func (s *Server) isManaged(path string) bool {
	return s.config.Management != nil && slices.ContainsFunc(managed, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

// New returns a server for functions. It does not listen: see Serve.
func New(config Config, functions Functions) *Server {
	s := &Server{config: config.withDefaults(), functions: functions, echo: echo.New()}
	s.connections = newPlaces(s.config.MaxConnections, s.config.MaxConnectionsPerClient)
	s.requests = newPlaces(s.config.MaxRequests, s.config.MaxRequestsPerClient)
	s.heads, s.strangers = newPlaces(maxHeads, maxHeadsOfClient), newPlaces(maxHeads, maxHeadsOfClient)
	if s.config.MaxConnectionsPerClient < 0 {
		s.heads.mostOfClient = -1
	}
	s.bodies = newBodies(s.config.MaxBodies)
	s.copies = newPlaces(maxCopies, maxCopies/2)
	if s.config.Cluster != nil {
		s.forward = newForwarder(s.config.Cluster)
	}
	s.metrics = newMetrics(s)
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Pre(s.identify, s.place, s.guard, s.current, s.admit, s.rpc)
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

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.echo.ServeHTTP(w, r)
	if w.Header().Get("Connection") == "close" { // see identify
		transfer.Drain(w, r, min(drainTime, s.config.TransferTimeout))
	}
}

// Serve accepts connections until ctx ends, then stops accepting, waits for the
// calls in progress and returns nil. It always closes the listener. A server
// serves only once.
//
// # Errors
//
// An error of the listener is returned unchanged. If the calls in progress do
// not end within the configured DrainTimeout, their connections are cut, which
// cancels them, and the error wraps context.DeadlineExceeded.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	listener = &limitedListener{listener, s.connections, s.heads}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &streams,
		Protocols:         s.protocols(),
		ErrorLog:          callersLog(s.config.Logger),
		ConnContext:       withHead,
		ConnState:         nextHead,
		// No ReadTimeout and no WriteTimeout: both would include the function's
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

	return s.until(ctx, server, listener, served)
}

// until waits for the end of ctx, and then for that of the calls in progress.
func (s *Server) until(ctx context.Context, server *http.Server, listener net.Listener, served <-chan error) error {
	select {
	case err := <-served:
		return fmt.Errorf("web: serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}

	if !s.draining.Swap(true) {
		s.config.OnDrain()
	}
	// ctx has ended already, but the calls in progress are to outlive it.
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

// protocols are those that the server speaks. HTTP/2 without TLS is what clients of gRPC
// speak where there is none.
func (s *Server) protocols() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(s.config.RPC != nil)
	return p
}

// rpc serves the requests of gRPC, whatever their path.
func (s *Server) rpc(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.config.RPC == nil || !isRPC(c.Request()) {
			return next(c)
		}
		s.config.RPC.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}

// isRPC reports whether a request is one of gRPC.
func isRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.Method == http.MethodPost &&
		strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// health responds as long as the process can respond at all.
func (s *Server) health(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
}

// ready responds with 200 if calls can be served, else with 503 and the reason.
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
