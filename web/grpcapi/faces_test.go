package grpcapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"vivarium/host/access"
)

// rest sends a request of REST and returns the answer.
func (s *server) rest(method, path, body string) map[string]any {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var d map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&d); err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %d %v, %v", method, path, answer.StatusCode, d, err)
	}
	return d
}

// What is done over one face can be asked for over the other, in its form.
func TestFaces_ShareOperations(t *testing.T) {
	s := startPlain(t)
	conn := s.dial("")
	made := s.rest("POST", "/functions/v1/functions", `{"name": "fun"}`)
	out, err := invoke(t.Context(), conn, "/yandex.cloud.operation.OperationService/Get", &operation.GetOperationRequest{OperationId: made["id"].(string)})
	if err != nil {
		t.Fatal(err)
	}
	var f functions.Function
	var metadata functions.CreateFunctionMetadata
	op := out.(*operation.Operation)
	if err := op.GetResponse().UnmarshalTo(&f); err != nil || f.Name != "fun" || f.HttpInvokeUrl != "http://"+s.address+"/"+f.Id {
		t.Errorf("got %v, %v", op, err)
	}
	if err := op.Metadata.UnmarshalTo(&metadata); err != nil || metadata.FunctionId != f.Id {
		t.Errorf("got %v, %v", op, err)
	}
	timer := s.rest("POST", "/functions/v1/timers", `{"name": "tick", "functionId": "fun", "cronExpression": "@yearly"}`)
	// The cloud has no timers of which this is the metadata.
	out, err = invoke(t.Context(), conn, "/yandex.cloud.operation.OperationService/Get", &operation.GetOperationRequest{OperationId: timer["id"].(string)})
	if err != nil || !strings.Contains(out.(*operation.Operation).GetResponse().TypeUrl, "Trigger") {
		t.Errorf("got %v, %v", out, err)
	}
	out, err = invoke(t.Context(), conn, functionService+"Update", &functions.UpdateFunctionRequest{FunctionId: "fun", Description: "new"})
	if err != nil {
		t.Fatal(err)
	}
	found := s.rest("GET", "/operations/"+out.(*operation.Operation).Id, "")
	if found["response"].(map[string]any)["description"] != "new" || found["description"] != "Update function" {
		t.Errorf("got %v", found)
	}
}

// All fields of a version arrive, and come back; those that mean nothing here are named.
func TestVersions_HaveAllFields(t *testing.T) {
	s := startPlain(t)
	conn := s.dial("")
	if _, err := invoke(t.Context(), conn, functionService+"Create", &functions.CreateFunctionRequest{Name: "fun"}); err != nil {
		t.Fatal(err)
	}
	in := newVersionWith(archive(t, "def handler(event, context): return {}"))
	in.FunctionId, in.Description, in.ServiceAccountId, in.Tag = "fun", "d", "robot", []string{"one", "two"}
	in.Resources = &functions.Resources{Memory: 1 << 30}
	in.Environment = map[string]string{"A": "b"}
	in.TmpfsSize = 640 << 20
	in.Mounts = []*functions.Mount{{Name: "scratch", Mode: functions.Mount_READ_WRITE,
		Target: &functions.Mount_EphemeralDiskSpec{EphemeralDiskSpec: &functions.Mount_DiskSpec{Size: 1 << 20}}}}
	in.LogOptions = &functions.LogOptions{MinLevel: 3}
	in.AsyncInvocationConfig = &functions.AsyncInvocationConfig{RetriesCount: 2}
	in.MetadataOptions = &functions.MetadataOptions{AwsV1HttpEndpoint: functions.MetadataOption_DISABLED}
	out, err := invoke(t.Context(), conn, functionService+"CreateVersion", in)
	if err != nil {
		t.Fatal(err)
	}
	var v functions.Version
	if err := out.(*operation.Operation).GetResponse().UnmarshalTo(&v); err != nil {
		t.Fatal(err)
	}
	read, err := invoke(t.Context(), conn, functionService+"GetVersion", &functions.GetFunctionVersionRequest{FunctionVersionId: v.Id})
	if err != nil || !proto.Equal(read, &v) {
		t.Errorf("got %v, %v, want %v", read, err, &v)
	}
	for field, ok := range map[string]bool{
		"resources": proto.Equal(v.Resources, in.Resources), "timeout": proto.Equal(v.ExecutionTimeout, in.ExecutionTimeout),
		"texts": v.Description == "d" && v.ServiceAccountId == "robot" && v.Environment["A"] == "b" && v.Runtime == in.Runtime,
		"tags":  strings.Join(v.Tags, " ") == "$latest one two", "tmpfs": v.TmpfsSize == in.TmpfsSize,
		"mounts": len(v.Mounts) == 1 && proto.Equal(v.Mounts[0], in.Mounts[0]), "logs": v.LogOptions.GetMinLevel() == 3,
		"async":    v.AsyncInvocationConfig.GetRetriesCount() == 2,
		"metadata": v.MetadataOptions.GetAwsV1HttpEndpoint() == functions.MetadataOption_DISABLED,
		"the rest": v.Status == functions.Version_ACTIVE && v.ImageSize > 0 && v.CreatedAt.IsValid(),
	} {
		if !ok {
			t.Errorf("%s: got %v", field, &v)
		}
	}
	for field, change := range map[string]func(*functions.CreateFunctionVersionRequest){
		"connectivity": func(r *functions.CreateFunctionVersionRequest) {
			r.Connectivity = &functions.Connectivity{NetworkId: "n"}
		},
		"concurrency": func(r *functions.CreateFunctionVersionRequest) { r.Concurrency = 4 },
		"package": func(r *functions.CreateFunctionVersionRequest) {
			r.PackageSource = &functions.CreateFunctionVersionRequest_Package{Package: &functions.Package{BucketName: "b", ObjectName: "o"}}
		},
		"content": func(r *functions.CreateFunctionVersionRequest) { r.PackageSource = nil },
		"log_options.log_group_id": func(r *functions.CreateFunctionVersionRequest) {
			r.LogOptions = &functions.LogOptions{Destination: &functions.LogOptions_LogGroupId{LogGroupId: "g"}}
		},
	} {
		wrong := proto.Clone(in).(*functions.CreateFunctionVersionRequest)
		change(wrong)
		_, err := invoke(t.Context(), conn, functionService+"CreateVersion", wrong)
		if got := violations(err); len(got) != 1 || got[0] != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// stalled is a body of which the rest does not come while the test goes on.
type stalled struct {
	io.Reader
	at   int
	read chan struct{} // closed when half a megabyte has been taken
	end  <-chan struct{}
}

func (r *stalled) Read(b []byte) (int, error) {
	if r.at += len(b); r.at > 512<<10 && r.read != nil {
		close(r.read)
		r.read = nil
	}
	n, err := r.Reader.Read(b)
	if err == io.EOF {
		<-r.end
	}
	return n, err
}

// An archive that hardly comes keeps its own tenant waiting, and nobody else.
func TestUploads_SlowOnesHoldUpNobodyElse(t *testing.T) {
	s := startServer(t)
	ours, theirs := s.newKey("acme", access.RoleDeployer), s.newKey("umbrella", access.RoleDeployer)
	end, taken, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		body := &stalled{Reader: bytes.NewReader(frame(0, 4<<20, make([]byte, 1<<20))), read: taken, end: end}
		_, _ = s.post(functionService+"CreateVersion", map[string]string{"Authorization": "Bearer " + ours}, body)
	}()
	defer func() { close(end); <-done }()
	<-taken
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := invoke(ctx, s.dial(ours), functionService+"CreateVersion", newVersionWith([]byte("zip")))
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the same tenant: got %v", err)
	}
	_, err = invoke(t.Context(), s.dial(theirs), functionService+"CreateVersion", newVersionWith([]byte("zip")))
	if status.Code(err) != codes.NotFound {
		t.Errorf("another tenant: got %v", err)
	}
}
