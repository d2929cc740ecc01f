package grpcapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	cloudaccess "github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"vivarium/host"
	"vivarium/host/secrets"
	"vivarium/host/store"
	"vivarium/web"
	"vivarium/web/webtest"
)

// startPair starts two servers that share a NATS server, and speak no TLS.
func startPair(t *testing.T) (a, b *server) {
	t.Helper()
	nats, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	if !nats.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	keys, err := secrets.ParseKeys(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	open := func() *server {
		kept, err := store.Open(t.Context(), store.Config{URL: nats.ClientURL()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(kept.Close)
		s := &server{t: t, host: webtest.Host(t, host.Config{MaxMemory: 1 << 30, Store: kept, SecretKeys: keys})}
		s.serve(web.Config{GuardHost: true, Revisions: kept})
		return s
	}
	return open(), open()
}

// must fails the test on an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// An operation is the same at each server of a store, over either face.
func TestFaces_ShareOperationsWithOtherServers(t *testing.T) {
	a, b := startPair(t)
	connA, connB := a.dial(""), b.dial("")
	same := func(what, id string) (here map[string]any) {
		t.Helper()
		here = a.rest("GET", "/operations/"+id, "")
		text := must(json.Marshal(b.rest("GET", "/operations/"+id, "")))(t)
		var there map[string]any
		if err := json.Unmarshal(bytes.ReplaceAll(text, []byte(b.address), []byte(a.address)), &there); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(here, there) || here["done"] != true || here["id"] != id {
			t.Errorf("%s: got %v at the other server, want %v", what, there, here)
		}
		get := func(conn *grpc.ClientConn) *operation.Operation {
			out := must(invoke(t.Context(), conn, "/yandex.cloud.operation.OperationService/Get", &operation.GetOperationRequest{OperationId: id}))(t)
			return out.(*operation.Operation)
		}
		hereOp, thereOp := get(connA), get(connB)
		if response := thereOp.GetResponse(); response != nil {
			response.Value = bytes.ReplaceAll(response.Value, []byte(b.address), []byte(a.address))
		}
		if !proto.Equal(hereOp, thereOp) {
			t.Errorf("%s: got %v over gRPC at the other server, want %v", what, thereOp, hereOp)
		}
		return here
	}
	// What the answer to the change says is what is found.
	rest := func(method, path, body string) map[string]any {
		t.Helper()
		made := a.rest(method, path, body)
		if found := same(method+" "+path, made["id"].(string)); !reflect.DeepEqual(found, made) {
			t.Errorf("%s %s: found %v, want %v", method, path, found, made)
		}
		return made
	}
	rpc := func(path string, in proto.Message) *operation.Operation {
		t.Helper()
		made := must(invoke(t.Context(), connA, path, in))(t).(*operation.Operation)
		same(path, made.Id)
		found := must(invoke(t.Context(), connA, "/yandex.cloud.operation.OperationService/Get", &operation.GetOperationRequest{OperationId: made.Id}))(t)
		if !proto.Equal(found, made) {
			t.Errorf("%s: found %v, want %v", path, found, made)
		}
		return made
	}
	rest("POST", "/functions/v1/functions", `{"name": "fun", "labels": {"a": "b"}}`)
	code := base64.StdEncoding.EncodeToString(archive(t, "import nothing_like_that"))
	rest("POST", "/functions/v1/versions", `{"functionId": "fun", "runtime": "python312", "entrypoint": "main.handler", "environment": {"A": "b"},`+
		`"resources": {"memory": "134217728"}, "executionTimeout": "3s", "tag": ["prod"], "allowBroken": true, "content": "`+code+`"}`)
	rest("POST", "/functions/v1/functions/fun:setScalingPolicy", `{"tag": "prod", "zoneInstancesLimit": "3"}`)
	rest("POST", "/functions/v1/timers", `{"name": "tick", "functionId": "fun", "cronExpression": "@yearly"}`)
	rest("DELETE", "/functions/v1/timers/tick", "")
	rest("POST", "/functions/v1/secrets", `{"name": "word", "entries": {"k": "v"}}`)
	var account iam.ServiceAccount
	made := rpc("/yandex.cloud.iam.v1.ServiceAccountService/Create", &iam.CreateServiceAccountRequest{FolderId: "default", Name: "robot"})
	if err := made.GetResponse().UnmarshalTo(&account); err != nil {
		t.Fatal(err)
	}
	rpc("/yandex.cloud.resourcemanager.v1.FolderService/SetAccessBindings", &cloudaccess.SetAccessBindingsRequest{
		ResourceId: "default", AccessBindings: []*cloudaccess.AccessBinding{{
			RoleId: "functions.functionInvoker", Subject: &cloudaccess.Subject{Id: account.Id, Type: "serviceAccount"},
		}},
	})
	listed := b.rest("GET", "/functions/v1/functions/fun/operations", "")["operations"].([]any)
	var changes []string
	for _, op := range listed {
		changes = append(changes, op.(map[string]any)["description"].(string))
	}
	if got, want := strings.Join(changes, ", "), "Set scaling policy, Create function version, Create function"; got != want {
		t.Errorf("the other server lists %s, want %s", got, want)
	}
	rest("DELETE", "/functions/v1/functions/fun", "")
}
