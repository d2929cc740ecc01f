package grpcapi_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"vivarium/host/access"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// A stream of grpc-go's is a conversation about what there is.
type reflection = grpc.BidiStreamingClient[grpc_reflection_v1.ServerReflectionRequest, grpc_reflection_v1.ServerReflectionResponse]

// reflect opens a stream, which ends with the context.
func (s *server) reflect(ctx context.Context, secret string) reflection {
	s.t.Helper()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Api-Key "+secret)
	stream, err := grpc_reflection_v1.NewServerReflectionClient(s.dial("")).ServerReflectionInfo(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream
}

// describe asks for the file of a symbol.
func describe(stream reflection, symbol string) (*grpc_reflection_v1.ServerReflectionResponse, error) {
	err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol}})
	if err != nil && err != io.EOF { // the reason is in what is received
		return nil, err
	}
	return stream.Recv()
}

const functionSymbol = "yandex.cloud.serverless.functions.v1.FunctionService"

func TestReflection_AnswersAsLongAsIsAsked(t *testing.T) {
	s := startServer(t)
	stream := s.reflect(t.Context(), s.key)
	for _, symbol := range []string{functionSymbol, "no.such.thing", "yandex.cloud.operation.Operation", functionSymbol} {
		answer, err := describe(stream, symbol)
		if err != nil {
			t.Fatal(err)
		}
		if found := answer.GetFileDescriptorResponse() != nil; found == (symbol == "no.such.thing") {
			t.Errorf("%s: got %.200v", symbol, answer)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if answer, err := stream.Recv(); err != io.EOF {
		t.Errorf("after the last: got %v, %v", answer, err)
	}
	roomtest.Until(t, "the stream is not counted any more", func() bool { return s.host.Ledger().Held(quota.Stream) == 0 })
	_, err := describe(s.reflect(t.Context(), s.key), strings.Repeat("x", 9<<10))
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "larger than 8192 bytes") {
		t.Errorf("a long name: got %v", err)
	}
}

// What a stream's answer has counts until it is read.
func TestReflection_CountsAnswers(t *testing.T) {
	s := startServer(t)
	acme := s.newKey("acme", access.RoleInvoker)
	if err := s.host.Tenants().SetQuotas(t.Context(), access.Operator, "acme", quotaOfBodies(1)); err != nil {
		t.Fatal(err)
	}
	_, err := describe(s.reflect(t.Context(), acme), functionSymbol)
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "quota of memory") {
		t.Errorf("got %v", err)
	}
	if _, err := describe(s.reflect(t.Context(), s.key), functionSymbol); err != nil {
		t.Errorf("another tenant: %v", err)
	}
}

// Streams count against their tenant, and those of nobody known together.
func TestStreams_AreCounted(t *testing.T) {
	s := startServer(t)
	acme := s.newKey("acme", access.RoleInvoker)
	if err := s.host.Tenants().SetQuotas(t.Context(), access.Operator, "acme", map[quota.Quota]int64{quota.LogStreams: 2}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 2 {
		if _, err := describe(s.reflect(ctx, acme), functionSymbol); err != nil {
			t.Fatal(err)
		}
	}
	_, err := describe(s.reflect(ctx, acme), functionSymbol)
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "end other readers") {
		t.Errorf("one more: got %v", err)
	}
	watch := func() error {
		stream, err := grpc_health_v1.NewHealthClient(s.dial("")).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	for n := range 100 {
		if err := watch(); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
	}
	if err := watch(); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "callers without a key") {
		t.Errorf("one more of nobody known: got %v", err)
	}
	if _, err := describe(s.reflect(ctx, s.key), functionSymbol); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	cancel()
	roomtest.Until(t, "none is left", func() bool { return s.host.Ledger().Held(quota.Stream) == 0 })
}

func TestHealth_KnowsItsServices(t *testing.T) {
	s := startServer(t)
	health := grpc_health_v1.NewHealthClient(s.dial(""))
	_, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "nothing"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("got %v", err)
	}
	if _, err := health.List(t.Context(), &grpc_health_v1.HealthListRequest{}); err != nil {
		t.Error(err)
	}
	_, err = health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("x", 100<<10)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a long name: got %v", err)
	}
}

// What arrives byte by byte takes no more memory than what arrives as a whole.
func TestStreams_HoldWhatHasArrived(t *testing.T) {
	s := startServer(t)
	transport := &http.Transport{TLSClientConfig: s.trust(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	health := grpc_health_v1.NewHealthClient(s.dial(""))
	before := living()
	for path, size := range map[string]int{
		"/grpc.health.v1.Health/Watch": 60_000, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": 8000,
	} {
		t.Run(path, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var senders []io.Writer
			var calls sync.WaitGroup
			for range 10 {
				body, sender := io.Pipe()
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.address+path, body)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/grpc")
				r.Header.Set("Authorization", "Bearer "+s.key)
				calls.Go(func() {
					defer body.Close() // else who sends would wait
					if answer, err := transport.RoundTrip(r); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						_ = answer.Body.Close()
					}
				})
				senders = append(senders, sender)
			}
			for n := range 1000 {
				part := []byte{'x'}
				if n == 0 {
					part = frame(0, size, nil)
				}
				for _, sender := range senders {
					if _, err := sender.Write(part); err != nil {
						t.Fatal(err)
					}
				}
				// Meanwhile the server reads what was sent.
				if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
					t.Fatal(err)
				}
			}
			if more := living() - before; more > 32<<20 {
				t.Errorf("%d MiB for 10,000 bytes", more>>20)
			}
			cancel()
			calls.Wait()
		})
	}
	roomtest.Until(t, "none is left", func() bool { return s.host.Ledger().Held(quota.Stream) == 0 })
}

// living returns how many bytes of the heap are in use.
func living() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
