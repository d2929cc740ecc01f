package host

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
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

// grpcFiles returns the grpc package, and the packages that a file of testdata/clients
// names.
func grpcFiles(t testing.TB, requirements string) fstest.MapFS {
	t.Helper()
	files := installed(t, requirements)
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

// grpcClient deploys a function of testdata/grpc, which evaluates expressions.
func (h *testHost) grpcClient(source, requirements string, more fstest.MapFS, environment map[string]string) {
	h.t.Helper()
	files := grpcFiles(h.t, requirements)
	maps.Copy(files, more)
	data, err := os.ReadFile("testdata/grpc/" + source + ".py")
	if err != nil {
		h.t.Fatal(err)
	}
	files["main.py"] = &fstest.MapFile{Data: data}
	h.deployFiles(source, files, catalog.VersionSpec{
		AllowNet: "localhost", Timeout: time.Minute, MemoryMB: 512, Environment: environment, ServiceAccountID: "aje1",
	})
}

func registerInterop(r grpc.ServiceRegistrar) {
	testpb.RegisterTestServiceServer(r, &interopServer{})
}

func TestGRPC_Client(t *testing.T) {
	authority, key := certificate(t)
	peer, stop := listenGRPC(t, "127.0.0.1:0", registerInterop)
	files := descriptors(t, testpb.File_grpc_testing_test_proto)
	source, err := os.ReadFile("testdata/grpc/interop.py")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"ca.pem": []byte(authority), "key.pem": []byte(key), "interop.py": source} {
		files[name] = &fstest.MapFile{Data: data}
	}
	h := netHost(t)
	h.grpcClient("features", "grpc.txt", files, map[string]string{
		"PLAIN":  serveGRPC(t, registerInterop, grpc.StatsHandler(compressions{})),
		"SECURE": serveGRPC(t, registerInterop, grpcTLS(t, authority, key, tls.NoClientCert)),
		"MUTUAL": serveGRPC(t, registerInterop, grpcTLS(t, authority, key, tls.RequireAnyClientCert)),
		"NARROW": serveGRPC(t, registerInterop, grpc.MaxConcurrentStreams(2)),
		"SHORT":  serveGRPC(t, registerInterop, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 100 * time.Millisecond})),
		"PEER":   peer,
	})
	for _, c := range []string{
		"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "timeout_on_sleeping_server",
		"cancel_after_begin", "cancel_after_first_response", "status_code_and_message", "special_status_message", "custom_metadata",
		"unimplemented_method", "unimplemented_service",
		"aio_empty_unary", "aio_large_unary", "aio_client_streaming", "aio_server_streaming", "aio_ping_pong", "aio_empty_stream",
		"aio_timeout_on_sleeping_server", "aio_cancel_after_begin", "aio_cancel_after_first_response", "aio_status_code_and_message",
		"aio_custom_metadata", "aio_unimplemented", "aio_together",
	} {
		h.check("features", [2]string{"interop." + c + "()", "true"})
	}
	for _, c := range []string{
		"tls", "tls_of_clients", "tls_with_strangers", "credentials", "compression", "limits", "flow_control", "interceptors", "futures",
		"threads", "crowd", "ready", "refusal", "going_away", "metadata", "servers",
		"aio_tls", "aio_credentials", "aio_interceptors",
	} {
		h.check("features", [2]string{c + "()", "true"})
	}
	// Between two calls the connection ends.
	h.check("features", [2]string{"peer()", "true"}, [2]string{"aio_peer()", "true"})
	stop()
	listenGRPC(t, peer, registerInterop)
	h.check("features", [2]string{"peer()", "true"}, [2]string{"aio_peer()", "true"})
	h.wantFrozen("features")
}

func TestGRPC_YDB(t *testing.T) {
	server := startYDB(t)
	h := netHost(t)
	h.grpcClient("ydb", "ydb.txt", nil, map[string]string{"YDB": server.address})
	row := `[1, "\u0434\u0432\u0430"]`
	three := `[` + row + `, ` + row + `, ` + row + `]`
	h.check("ydb",
		[2]string{`query()`, three},
		[2]string{`query()`, three}, // by the session of the call before
		[2]string{`transaction()`, three},
		[2]string{`retry()`, three},
		[2]string{`nonsense()`, `true`},
		[2]string{`table()`, `[` + row + `]`},
		[2]string{`scan()`, three},
		[2]string{`future()`, `[` + row + `]`},
		[2]string{`aio()`, three[:len(three)-1] + `, ` + three[1:]},
		[2]string{`stranger()`, `true`},
	)
}

func TestGRPC_Cloud(t *testing.T) {
	authority, key := certificate(t)
	server := startCloud(t, authority, key)
	h := netHost(t)
	h.grpcClient("cloud", "cloud.txt", fstest.MapFS{"ca.pem": {Data: []byte(authority)}}, map[string]string{"CLOUD": server.address})
	h.check("cloud",
		[2]string{`by_token()`, `["[Bearer t1.secret]", "7 []"]`},
		[2]string{`by_exchanged_token()`, `["[Bearer token of oauth]", "7 []"]`},
		[2]string{`not_found()`, `["NOT_FOUND", "Cloud  not found"]`},
		[2]string{`by_metadata()`, `["default/aje1", "7 []"]`},
		[2]string{`retried_by_policy()`, `["[Bearer t1.secret]", "7 [2]"]`},
		[2]string{`retried_by_interceptor()`, `["[Bearer t1.secret]", "7 []"]`},
		[2]string{`stranger()`, `["UNAVAILABLE", true]`},
	)
	h.wantFrozen("cloud")
}
