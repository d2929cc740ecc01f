package host

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"vivarium/host/catalog"
)

// descriptors returns what a .proto file says, and those that it imports before it.
func descriptors(t *testing.T, file protoreflect.FileDescriptor) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		data, err := proto.Marshal(protodesc.ToFileDescriptorProto(file))
		if err != nil {
			t.Fatal(err)
		}
		files[fmt.Sprintf("proto/%02d", len(files))] = &fstest.MapFile{Data: data}
	}
	add(file)
	return files
}

// grpcFiles returns the grpc package, and what it stands on.
func grpcFiles(t *testing.T) fstest.MapFS {
	t.Helper()
	files := installed(t, "grpc.txt")
	source := os.DirFS("../python-wasi/packages/grpcio")
	err := fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "__pycache__") {
			return err
		}
		data, err := fs.ReadFile(source, path)
		files[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// grpcClient deploys a function that evaluates expressions after those of a file of
// testdata/grpc.
func (h *testHost) grpcClient(name, source string, file protoreflect.FileDescriptor, environment map[string]string) {
	h.t.Helper()
	t, ok := h.t.(*testing.T)
	if !ok {
		h.t.Fatal("not a test")
	}
	files := grpcFiles(t)
	for path, f := range descriptors(t, file) {
		files[path] = f
	}
	data, err := os.ReadFile("testdata/grpc/" + source)
	if err != nil {
		h.t.Fatal(err)
	}
	files["main.py"] = &fstest.MapFile{Data: data}
	h.deployFiles(name, files, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, MemoryMB: 512, Environment: environment})
}

func TestGRPC_Interoperability(t *testing.T) {
	interop := &interopServer{ended: make(chan error, 100)}
	plain := serveGRPC(t, func(r grpc.ServiceRegistrar) { testpb.RegisterTestServiceServer(r, interop) })
	h := netHost(t)
	h.grpcClient("interop", "interop.py", testpb.File_grpc_testing_test_proto, map[string]string{"PLAIN": plain})
	for _, c := range []string{
		"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "timeout_on_sleeping_server",
		"cancel_after_begin", "cancel_after_first_response", "status_code_and_message", "special_status_message", "custom_metadata",
		"unimplemented_method", "unimplemented_service",
		"aio_empty_unary", "aio_large_unary", "aio_client_streaming", "aio_server_streaming", "aio_ping_pong", "aio_empty_stream",
		"aio_timeout_on_sleeping_server", "aio_cancel_after_begin", "aio_cancel_after_first_response", "aio_status_code_and_message",
		"aio_custom_metadata", "aio_unimplemented", "aio_together",
	} {
		if got := h.eval("interop", "", c+"()"); got != `true` {
			t.Errorf("%s: %s", c, got)
		}
	}
	if why := h.log("imports the module itself"); len(why) > 0 {
		t.Errorf("importing grpc is not frozen: %v", why)
	}
}
