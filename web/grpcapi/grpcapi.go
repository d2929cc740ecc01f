// Package grpcapi is the management API over gRPC, in the cloud's published
// definitions, so that the cloud's own tools drive Vivarium unchanged: its SDKs and its
// Terraform provider.
//
// # How a call goes
//
// The server is served through net/http, on the port of everything else: connections,
// requests, keys, TLS and bodies are bounded there as for REST. ServeHTTP looks the
// method up (services.go), asks whether the caller may use it, and reads the request,
// counted against the caller's tenant (body.go). Only then does google.golang.org/grpc see
// it. What a method does is one of two things:
//
//   - The methods of FunctionService are routes of package api: the cloud's definitions
//     say which path stands for which method, and the JSON of that path is the JSON form
//     of the message (routes.go).
//   - The others ask the host themselves (triggers.go, iam.go, resources.go, logs.go,
//     operations.go, endpoints.go).
//
// Errors are those of REST, as google.rpc.Status, with fields named as in the
// definitions (errors.go). README.md tells what is served, and what clients need.
package grpcapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/web/api"
	"vivarium/web/manage"
)

// Config says how a Server behaves.
type Config struct {
	Host *host.Host
	// API has the routes, and Desk the operations and uploads, that both faces share.
	API  *api.Handler
	Desk *manage.Desk
	// Logger takes our own faults. Default: slog.Default().
	Logger *slog.Logger
}

// Server serves the API. It is safe for concurrent use.
type Server struct {
	config   Config
	host     *host.Host
	desk     *manage.Desk
	grpc     *grpc.Server
	health   *health.Server
	origins  *http.CrossOriginProtection
	services map[string]map[string]method // by full name, by method

	streams chan struct{} // closed when endless calls are to end
	end     sync.Once
}

// New returns the API of a host.
func New(config Config) *Server {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	s := &Server{
		config: config, host: config.Host, desk: config.Desk, health: health.NewServer(), origins: http.NewCrossOriginProtection(),
		services: map[string]map[string]method{}, streams: make(chan struct{}),
	}
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(maxUpload), grpc.UnaryInterceptor(s.answer), grpc.StreamInterceptor(s.stream))
	s.register()
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	asked := new(grpc_health_v1.HealthCheckRequest).ProtoReflect().Descriptor()
	s.services[grpc_health_v1.Health_ServiceDesc.ServiceName] = map[string]method{
		"Check": {does: "Health", input: asked}, "Watch": {does: "Health", input: asked, stream: true},
		"List": {does: "Health", input: new(grpc_health_v1.HealthListRequest).ProtoReflect().Descriptor()},
	}
	for _, version := range []string{"v1", "v1alpha"} {
		s.services["grpc.reflection."+version+".ServerReflection"] = map[string]method{
			"ServerReflectionInfo": {does: "Describe", stream: true},
		}
	}
	return s
}

// EndStreams ends the calls that would otherwise go on for ever, and makes the health
// service tell that the server is not to be used any more. Everything else goes on.
func (s *Server) EndStreams() {
	s.end.Do(func() {
		s.health.Shutdown()
		close(s.streams)
	})
}

// ServeHTTP serves one call: a request with the content type of gRPC, over HTTP/2. The
// caller's principal is in the request's context.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, err := s.find(r.URL.Path)
	caller := access.PrincipalOf(r.Context())
	if err == nil && s.origins.Check(r) != nil { // a browser sends what any page tells it to
		err = &fault.ForbiddenError{Reason: "a page of another origin must not call anything here"}
	}
	if err == nil {
		err = caller.Allow(m.does)
	}
	if encoding := r.Header.Get("Grpc-Encoding"); err == nil && encoding != "" && encoding != "identity" {
		// grpc knows gzip in a program of which some part uses it, and nobody would count
		// what a message becomes.
		err = status.Errorf(codes.Unimplemented, "messages that are compressed, by %.20q, are not decompressed here", encoding)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	held := s.desk.Hold(caller)
	defer held.Release()
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), callKey{}, &call{
		Request: r, writer: w, held: held, requestID: w.Header().Get("X-Request-Id"),
	}))
	defer cancel()
	if m.stream {
		give, err := s.host.Ledger().Reserve(caller.Home(), quota.Stream, 1)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		defer give()
		go s.endStream(ctx, cancel, caller)
	}
	r = r.WithContext(ctx)
	if m.input == nil {
		r.Body = http.NoBody // a conversation reads it
	} else if err := s.receive(w, r, m, held); err != nil {
		s.refuse(w, r, err)
		return
	}
	if m.stream {
		w = streamWriter{w}
	}
	s.grpc.ServeHTTP(w, r)
}

type callKey struct{}

// call is what a method knows of the request that it answers.
type call struct {
	*http.Request
	writer    http.ResponseWriter
	held      *manage.Held
	requestID string
}

// callOf returns the call that a method answers.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }
