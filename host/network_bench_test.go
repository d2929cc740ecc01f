package host

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/host/catalog"
)

// BenchmarkNetwork measures calls that do one HTTPS request each, the server's part
// of it included. cpu-ms/op is the processor time of the whole process.
func BenchmarkNetwork(b *testing.B) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	b.Cleanup(server.Close)
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
`, server.Listener.Addr().(*net.TCPAddr).Port))}, "ca.pem": {Data: []byte(authorityOf(server))}},
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
