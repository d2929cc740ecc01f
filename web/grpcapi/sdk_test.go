package grpcapi_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	logging "github.com/yandex-cloud/go-genproto/yandex/cloud/logging/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	triggers "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/triggers/v1"
	ycsdk "github.com/yandex-cloud/go-sdk/v2"
	"github.com/yandex-cloud/go-sdk/v2/credentials"
	"github.com/yandex-cloud/go-sdk/v2/pkg/endpoints"
	"github.com/yandex-cloud/go-sdk/v2/pkg/options"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"vivarium/host/access"
)

// The cloud's Python SDK, as it is released, does what its users do with it.
func TestPythonSDK(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(cache, "vivarium", "servers", "cloud-sdk", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("%v (installed by: bash .ci/servers)", err)
	}
	s := startServer(t)
	file := filepath.Join(t.TempDir(), "key.json")
	key, err := s.newSigningKey("default", access.RoleDeployer).MarshalJSON()
	if err == nil {
		err = os.WriteFile(file, key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, "testdata/sdk.py", s.address, s.certificate, s.key, file).CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "done") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// goSDK is the cloud's Go SDK, as it is released.
type goSDK struct {
	t *testing.T
	*ycsdk.SDK
}

func buildGoSDK(t *testing.T, o ...options.Option) goSDK {
	t.Helper()
	sdk, err := ycsdk.Build(t.Context(), o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sdk.Shutdown(context.Background()) })
	return goSDK{t, sdk}
}

// call calls a method at the address that the SDK has found for it.
func (s goSDK) call(path string, in proto.Message) proto.Message {
	s.t.Helper()
	conn, err := s.GetConnection(s.t.Context(), protoreflect.FullName(strings.ReplaceAll(path[1:], "/", ".")))
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := invoke(s.t.Context(), conn, path, in)
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	return out
}

// change calls a method that answers with an operation, and returns the operation's
// response, for which it asks again.
func (s goSDK) change(path string, in proto.Message) proto.Message {
	s.t.Helper()
	made := s.call(path, in).(*operation.Operation)
	found := s.call("/yandex.cloud.operation.OperationService/Get", &operation.GetOperationRequest{OperationId: made.Id})
	response, err := found.(*operation.Operation).GetResponse().UnmarshalNew()
	if err != nil {
		s.t.Fatal(err)
	}
	return response
}

// The cloud's Go SDK identifies itself with the key of a service account, and sets up a
// function with a timer.
func TestGoSDK(t *testing.T) {
	s := startServer(t)
	key := s.newSigningKey("acme", access.RoleDeployer)
	account, err := credentials.ServiceAccountKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sdk := buildGoSDK(t, options.WithCredentials(account), options.WithDiscoveryEndpoint(s.address))
	f := sdk.change(functionService+"Create", &functions.CreateFunctionRequest{FolderId: "acme", Name: "tell"}).(*functions.Function)
	v := sdk.change(functionService+"CreateVersion", &functions.CreateFunctionVersionRequest{
		FunctionId: f.Id, Runtime: "python312", Entrypoint: "main.handler", Resources: &functions.Resources{Memory: 128 << 20},
		ExecutionTimeout: durationpb.New(3 * time.Second), ServiceAccountId: key.GetServiceAccountId(),
		PackageSource: &functions.CreateFunctionVersionRequest_Content{Content: archive(t, tellToken)},
	}).(*functions.Version)
	if v.FunctionId != f.Id || v.ServiceAccountId != key.GetServiceAccountId() {
		t.Errorf("got %v", v)
	}

	// The token of the service account is one that calls.
	token, err := sdk.CreateIAMToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status, inner := s.call(f.HttpInvokeUrl, token.GetIamToken())
	if status != 200 || inner == "" {
		t.Fatalf("called with a token: %d %s", status, inner)
	}
	// That of the context, with which the function answers, calls and manages.
	if status, _ := s.call(f.HttpInvokeUrl, inner); status != 200 {
		t.Errorf("called with the context's token: %d", status)
	}
	if _, err := invoke(t.Context(), s.dial(inner), functionService+"Get", &functions.GetFunctionRequest{FunctionId: f.Id}); err != nil {
		t.Errorf("managed with the context's token: %v", err)
	}

	trigger := sdk.change(triggerService+"Create", &triggers.CreateTriggerRequest{
		FolderId: "acme", Name: "each-minute", Rule: timer(f.Id, "* * ? * * *"),
	}).(*triggers.Trigger)
	paused := sdk.change(triggerService+"Pause", &triggers.PauseTriggerRequest{TriggerId: trigger.Id}).(*triggers.Trigger)
	if paused.Status != triggers.Trigger_PAUSED || paused.GetRule().GetTimer().GetInvokeFunctionWithRetry().GetFunctionId() != f.Id {
		t.Errorf("got %v", paused)
	}
	read := sdk.call(logService+"Read", &logging.ReadRequest{Selector: &logging.ReadRequest_Criteria{
		Criteria: &logging.Criteria{LogGroupId: "acme", ResourceIds: []string{f.Id}, Levels: []logging.LogLevel_Level{logging.LogLevel_WARN}},
	}}).(*logging.ReadResponse)
	if len(read.Entries) == 0 || read.Entries[0].Message != "telling" {
		t.Errorf("got %v", read)
	}
	sdk.change(triggerService+"Delete", &triggers.DeleteTriggerRequest{TriggerId: trigger.Id})
	sdk.change(functionService+"Delete", &functions.DeleteFunctionRequest{FunctionId: f.Id})
}

// tellToken is a function that answers with its service account's token.
const tellToken = `
import json
def handler(event, context):
    print(json.dumps({'message': 'telling', 'level': 'WARN'}))
    return {'body': context.token['access_token']}
`

// Where nobody needs a key, plain HTTP/2 will do, and any token.
func TestGoSDK_WithoutTLS(t *testing.T) {
	s := startPlain(t)
	sdk := buildGoSDK(t, options.WithCredentials(credentials.IAMToken("any")), options.WithPlaintext(),
		options.WithEndpointsResolver(endpoints.NewSingleEndpointResolver(s.address)))
	f := sdk.change(functionService+"Create", &functions.CreateFunctionRequest{FolderId: "default", Name: "fun"}).(*functions.Function)
	if want := "http://" + s.address + "/" + f.Id; f.HttpInvokeUrl != want {
		t.Errorf("got %s, want %s", f.HttpInvokeUrl, want)
	}
}
