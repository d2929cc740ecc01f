package grpcapi_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"vivarium/host/access"
)

// The secret of a key is exchanged for a token, where the cloud has an OAuth token.
func TestTokens_AreMadeOfCredentials(t *testing.T) {
	s := startServer(t)
	conn, deployer := s.dial(""), s.newKey("acme", access.RoleDeployer)
	out, err := invoke(t.Context(), conn, tokenService+"Create", secretRequest(deployer))
	if err != nil {
		t.Fatal(err)
	}
	made := out.(*iam.CreateIamTokenResponse)
	if left := time.Until(made.ExpiresAt.AsTime()); left < 50*time.Minute || left > time.Hour {
		t.Errorf("it is valid for %s", left)
	}
	list := &functions.ListFunctionsRequest{FolderId: "acme"}
	if _, err := invoke(t.Context(), s.dial(made.IamToken), functionService+"List", list); err != nil {
		t.Error(err)
	}
	for what, again := range map[string]proto.Message{
		"Create": secretRequest(made.IamToken), "CreateForServiceAccount": &iam.CreateIamTokenForServiceAccountRequest{
			ServiceAccountId: strings.Split(deployer, "_")[1]},
	} {
		if _, err := invoke(t.Context(), s.dial(made.IamToken), tokenService+what, again); status.Code(err) != codes.PermissionDenied {
			t.Errorf("a token makes another one with %s: %v", what, err)
		}
	}
	bindings := bindingDelta(own{function: nothing}, 1)
	_, err = invoke(t.Context(), s.dial(made.IamToken), functionService+"UpdateAccessBindings", bindings)
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("more than its key may: %v", err)
	}
	for what, c := range map[string]struct {
		in   *iam.CreateIamTokenRequest
		want codes.Code
	}{
		"nothing":        {&iam.CreateIamTokenRequest{}, codes.InvalidArgument},
		"another secret": {secretRequest(deployer[:len(deployer)-2] + "AA"), codes.Unauthenticated},
		"no assertion":   {&iam.CreateIamTokenRequest{Identity: &iam.CreateIamTokenRequest_Jwt{Jwt: deployer}}, codes.Unauthenticated},
	} {
		if _, err := invoke(t.Context(), conn, tokenService+"Create", c.in); status.Code(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Only an admin gets a token for somebody else.
	other := strings.Split(s.newKey("acme", access.RoleInvoker), "_")[1]
	request := &iam.CreateIamTokenForServiceAccountRequest{ServiceAccountId: other}
	if _, err := invoke(t.Context(), s.dial(deployer), tokenService+"CreateForServiceAccount", request); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a deployer: %v", err)
	}
	if _, err := invoke(t.Context(), s.dial(s.newKey("acme", access.RoleAdmin)), tokenService+"CreateForServiceAccount", request); err != nil {
		t.Errorf("an admin: %v", err)
	}
}

func secretRequest(secret string) *iam.CreateIamTokenRequest {
	return &iam.CreateIamTokenRequest{
		Identity: &iam.CreateIamTokenRequest_YandexPassportOauthToken{YandexPassportOauthToken: secret},
	}
}

// The list of endpoints leads back to the server under the name by which it was asked.
func TestEndpoints_AreWhereTheCallerIs(t *testing.T) {
	s := startPlain(t)
	_, port, _ := strings.Cut(s.address, ":")
	for authority, want := range map[string]string{
		"localhost:" + port: "localhost:" + port, "127.0.0.1:9": "127.0.0.1:9", "app.localhost": "app.localhost:80", "[::1]": "[::1]:80",
	} {
		conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(plainCredentials()), grpc.WithAuthority(authority))
		if err != nil {
			t.Fatal(err)
		}
		out, err := invoke(t.Context(), conn, endpointService+"List", &endpoint.ListApiEndpointsRequest{})
		if err != nil {
			t.Errorf("%s: %v", authority, err)
		} else if all := out.(*endpoint.ListApiEndpointsResponse).Endpoints; len(all) < 5 || all[0].Address != want {
			t.Errorf("%s: got %v", authority, all)
		}
		_ = conn.Close()
	}
}

func TestMessages_AreBounded(t *testing.T) {
	s := startServer(t)
	s.newKey("acme", access.RoleInvoker)
	big := strings.Repeat("x", 100<<10)
	for what, c := range map[string]struct {
		key, path string
		in        proto.Message
		want      codes.Code
	}{
		"of somebody unknown": {"", endpointService + "Get", &endpoint.GetApiEndpointRequest{ApiEndpointId: big}, codes.ResourceExhausted},
		"of a known caller":   {s.key, endpointService + "Get", &endpoint.GetApiEndpointRequest{ApiEndpointId: big}, codes.NotFound},
		"beyond a megabyte":   {s.key, functionService + "Get", &functions.GetFunctionRequest{FunctionId: strings.Repeat(big, 11)}, codes.ResourceExhausted},
		"without a right to":  {"", functionService + "Get", &functions.GetFunctionRequest{FunctionId: strings.Repeat(big, 11)}, codes.Unauthenticated},
		"an archive":          {s.key, functionService + "CreateVersion", newVersionWith(make([]byte, 54<<20)), codes.ResourceExhausted},
	} {
		_, err := invoke(t.Context(), s.dial(c.key), c.path, c.in)
		if status.Code(err) != c.want {
			t.Errorf("%s: %.200v", what, err)
		}
	}
}

func newVersionWith(content []byte) *functions.CreateFunctionVersionRequest {
	return &functions.CreateFunctionVersionRequest{
		FunctionId: nothing, Runtime: "python313", Entrypoint: "main.handler", ExecutionTimeout: durationpb.New(time.Second),
		PackageSource: &functions.CreateFunctionVersionRequest_Content{Content: content},
	}
}

// What a message becomes counts, not what it was on its way.
func TestMessages_AreBoundedAsTheyAreDecoded(t *testing.T) {
	s := startServer(t)
	acme := s.newKey("acme", access.RoleDeployer)
	call := func(key, path string, in proto.Message, options ...grpc.CallOption) error {
		return s.dial(key).Invoke(t.Context(), path, in, new(operation.Operation), options...)
	}
	mounts := func(n int) *functions.CreateFunctionVersionRequest {
		v := newVersionWith(nil)
		for range n {
			v.Mounts = append(v.Mounts, &functions.Mount{})
		}
		return v
	}
	for what, c := range map[string]struct {
		err  error
		want codes.Code
		text string
	}{
		"compressed": {
			call(s.key, functionService+"Get", &functions.GetFunctionRequest{FunctionId: nothing}, grpc.UseCompressor(gzip.Name)),
			codes.Unimplemented, "compressed",
		},
		"of many fields": {call(s.key, functionService+"CreateVersion", mounts(100_001)), codes.ResourceExhausted, "more than 100000 fields"},
		"of fewer":       {call(s.key, functionService+"CreateVersion", mounts(10_000)), codes.InvalidArgument, ""},
	} {
		if status.Code(c.err) != c.want || !strings.Contains(fmt.Sprint(c.err), c.text) {
			t.Errorf("%s: got %.200v, want %v %s", what, c.err, c.want, c.text)
		}
	}
	if err := s.host.Tenants().SetQuotas(t.Context(), access.Operator, "acme", quotaOfBodies(8<<20)); err != nil {
		t.Fatal(err)
	}
	err := call(acme, functionService+"CreateVersion", mounts(50_000))
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "quota of memory") {
		t.Errorf("beyond the quota of memory: got %.200v", err)
	}
}

// An archive is counted against its tenant while it is there, and no longer.
func TestUploads_CountAgainstTheTenant(t *testing.T) {
	s := startServer(t)
	key := s.newKey("acme", access.RoleDeployer)
	if err := s.host.Tenants().SetQuotas(t.Context(), access.Operator, "acme", quotaOfBodies(1<<20)); err != nil {
		t.Fatal(err)
	}
	_, err := invoke(t.Context(), s.dial(key), functionService+"CreateVersion", newVersionWith(make([]byte, 4<<20)))
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "quota") {
		t.Errorf("got %v", err)
	}
	_, err = invoke(t.Context(), s.dial(s.key), functionService+"CreateVersion", newVersionWith(make([]byte, 4<<20)))
	if status.Code(err) != codes.NotFound {
		t.Errorf("another tenant: %v", err)
	}
	if held := s.host.Ledger().State("acme").Use[bodyQuota]; held != 0 {
		t.Errorf("%d bytes are still counted", held)
	}
}

// Code that never ends loading ends with the caller's patience, and makes no version.
func TestDeadlines_EndCalls(t *testing.T) {
	s := startServer(t)
	conn := s.dial(s.key)
	o, err := invoke(t.Context(), conn, functionService+"Create", &functions.CreateFunctionRequest{Name: "slow"})
	if err != nil {
		t.Fatal(err)
	}
	_ = o
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	in := newVersionWith(archive(t, "while True: pass"))
	in.FunctionId, in.ExecutionTimeout = "slow", durationpb.New(50*time.Second)
	if _, err := invoke(ctx, conn, functionService+"CreateVersion", in); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	out, err := invoke(t.Context(), conn, functionService+"ListVersions", versionsRequest(own{function: "slow"}))
	if err != nil || len(out.(*functions.ListFunctionsVersionsResponse).Versions) != 0 {
		t.Errorf("got %v, %v", out, err)
	}
}

// The traceback of code that does not load is in the details, as far as clients accept
// headers.
func TestBrokenCode_IsTold(t *testing.T) {
	s := startServer(t)
	conn := s.dial(s.key)
	if _, err := invoke(t.Context(), conn, functionService+"Create", &functions.CreateFunctionRequest{Name: "fun"}); err != nil {
		t.Fatal(err)
	}
	in := newVersionWith(archive(t, "def f(n):\n    if n: f(n-1)\n    raise ValueError('ж' * 5000)\nf(200)\n"))
	in.FunctionId = "fun"
	_, err := invoke(t.Context(), conn, functionService+"CreateVersion", in)
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "ValueError") {
		t.Errorf("got %.300v", err)
	}
	if size := proto.Size(status.Convert(err).Proto()); size > 5000 {
		t.Errorf("the status has %d bytes", size)
	}
	if text := fmt.Sprint(status.Convert(err).Details()); !strings.Contains(text, "stack_entries") || !strings.Contains(text, "line 3") {
		t.Errorf("got %.3000s", text)
	}
}

func TestHealthAndReflection(t *testing.T) {
	s := startServer(t)
	anonymous := s.dial("")
	health, err := grpc_health_v1.NewHealthClient(anonymous).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || health.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", health, err)
	}
	list := func(ctx context.Context) (string, error) {
		stream, err := grpc_reflection_v1.NewServerReflectionClient(anonymous).ServerReflectionInfo(ctx)
		if err != nil {
			return "", err
		}
		err = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
		if err != nil && err != io.EOF {
			return "", err
		}
		answer, err := stream.Recv()
		return fmt.Sprint(answer), err
	}
	if _, err := list(t.Context()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a key: %v", err)
	}
	text, err := list(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Api-Key "+s.key))
	if err != nil || !strings.Contains(text, "yandex.cloud.serverless.functions.v1.FunctionService") {
		t.Errorf("got %s, %v", text, err)
	}
	// A watch ends when the server is to end.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	watch, err := grpc_health_v1.NewHealthClient(anonymous).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.rpc.EndStreams()
	for err == nil {
		health, err = watch.Recv()
		if err == nil && health.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("got %v", health)
		}
	}
	if status.Code(err) == codes.DeadlineExceeded {
		t.Error("the watch goes on")
	}
}
