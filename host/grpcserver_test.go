package host

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// interopServer is the server of gRPC's interoperability tests.
type interopServer struct {
	testpb.UnimplementedTestServiceServer
}

// echo sends back the metadata that the test of custom metadata sends.
func (s *interopServer) echo(ctx context.Context, header, trailer func(metadata.MD) error) {
	sent, _ := metadata.FromIncomingContext(ctx)
	if v := sent.Get("x-grpc-test-echo-initial"); len(v) > 0 {
		_ = header(metadata.Pairs("x-grpc-test-echo-initial", v[0]))
	}
	if v := sent.Get("x-grpc-test-echo-trailing-bin"); len(v) > 0 {
		_ = trailer(metadata.Pairs("x-grpc-test-echo-trailing-bin", v[0]))
	}
	if v := sent.Get("authorization"); len(v) > 0 {
		_ = trailer(metadata.MD{"x-authorization": v})
	}
}

func (s *interopServer) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

func (s *interopServer) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	header, trailer := grpc.SendHeader, grpc.SetTrailer
	s.echo(ctx, func(md metadata.MD) error { return header(ctx, md) }, func(md metadata.MD) error { return trailer(ctx, md) })
	if st := in.ResponseStatus; st.GetCode() != 0 {
		return nil, status.Error(codes.Code(st.Code), st.Message)
	}
	if in.ExpectCompressed.GetValue() && compressionOf(ctx) == "" {
		return nil, status.Error(codes.InvalidArgument, "not compressed")
	}
	if in.ResponseCompressed.GetValue() {
		if err := grpc.SetSendCompressor(ctx, "gzip"); err != nil {
			return nil, err
		}
	}
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, in.ResponseSize)}}, nil
}

func (s *interopServer) StreamingOutputCall(
	in *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer,
) error {
	return s.answer(in, stream)
}

// answer sends the messages that a request asks for.
func (s *interopServer) answer(in *testpb.StreamingOutputCallRequest, stream interface {
	Context() context.Context
	Send(*testpb.StreamingOutputCallResponse) error
},
) error {
	for _, p := range in.ResponseParameters {
		select {
		case <-time.After(time.Duration(p.IntervalUs) * time.Microsecond):
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.Size)}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *interopServer) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	var sum int
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(in.Payload.GetBody())
	}
}

func (s *interopServer) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	s.echo(stream.Context(), stream.SendHeader, func(md metadata.MD) error { stream.SetTrailer(md); return nil })
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if st := in.ResponseStatus; st.GetCode() != 0 {
			return status.Error(codes.Code(st.Code), st.Message)
		}
		if err := s.answer(in, stream); err != nil {
			return err
		}
	}
}

// compressions notes how requests are compressed.
type compressions struct{ stats.Handler }

type compressionKey struct{}

func (compressions) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, compressionKey{}, new(string))
}

func (compressions) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if header, ok := s.(*stats.InHeader); ok {
		*ctx.Value(compressionKey{}).(*string) = header.Compression
	}
}

func (compressions) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (compressions) HandleConn(context.Context, stats.ConnStats) {}

func compressionOf(ctx context.Context) string {
	if name, ok := ctx.Value(compressionKey{}).(*string); ok {
		return *name
	}
	return ""
}

// serveGRPC starts a server on a loopback port, which ends with the test.
func serveGRPC(t *testing.T, register func(grpc.ServiceRegistrar), options ...grpc.ServerOption) (address string) {
	t.Helper()
	address, _ = listenGRPC(t, "127.0.0.1:0", register, options...)
	return address
}

// listenGRPC starts a server that can be stopped.
func listenGRPC(
	t *testing.T, at string, register func(grpc.ServiceRegistrar), options ...grpc.ServerOption,
) (address string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { server.Stop(); <-done }
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// grpcTLS has a server use a certificate, and ask for one of its clients.
func grpcTLS(t *testing.T, certificate, key string, clients tls.ClientAuthType) grpc.ServerOption {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: clients}))
}
