package host

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/host/catalog"
)

// peerVariable makes this test program a server for benchmarks.
const peerVariable = "VIVARIUM_TEST_PEER"

// peer is an HTTPS server in a process of its own, so that its work is not counted as
// the host's.
type peer struct {
	Port      int
	Authority string // its certificate, as PEM
}

// servePeer is the server, until its standard input ends.
func servePeer() int {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	defer server.Close()
	at := peer{server.Listener.Addr().(*net.TCPAddr).Port, authorityOf(server)}
	if err := json.NewEncoder(os.Stdout).Encode(at); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// startPeer starts a server, which ends with the test.
func startPeer(t testing.TB) (at peer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peerVariable+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		t.Fatal(err)
	}
	return at
}

// BenchmarkNetwork measures calls that do one HTTPS request each. cpu-ms/op is the
// processor time of the process, in which the host is and the server is not.
func BenchmarkNetwork(b *testing.B) {
	server := startPeer(b)
	h := netHost(b)
	h.deployFiles("talker", fstest.MapFS{"main.py": {Data: []byte(fmt.Sprintf(`
import http.client, ssl, urllib.request

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
context.load_verify_locations("/function/code/ca.pem")
kept = http.client.HTTPSConnection("127.0.0.1", %[1]d, context=context)

def get(connection):
    connection.request("GET", "/")
    return connection.getresponse().read().decode()

def handler(event, _):
    match event:
        case "kept":
            return get(kept)
        case "new":
            connection = http.client.HTTPSConnection("127.0.0.1", %[1]d, context=context)
            try:
                return get(connection)
            finally:
                connection.close()
        case "connect":
            connection = http.client.HTTPConnection("127.0.0.1", %[1]d)
            connection.connect()
            connection.close()
        case "urlopen":
            return urllib.request.urlopen("https://127.0.0.1:%[1]d").read().decode()
    return "hello"
`, server.Port))}, "ca.pem": {Data: []byte(server.Authority)}},
		catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, Environment: map[string]string{"SSL_CERT_FILE": "/function/code/ca.pem"}})
	for _, how := range []string{"nothing", "connect", "kept", "new", "urlopen"} {
		b.Run(how, func(b *testing.B) {
			call := func() {
				if got, err := h.raw("talker", `"`+how+`"`); err != nil || got != `"hello"` {
					b.Fatalf("%s, %v", got, err)
				}
			}
			call()
			before := processorTime(b)
			b.ResetTimer()
			for range b.N {
				call()
			}
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// processorTime returns the time that this process has computed.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
