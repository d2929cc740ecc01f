package host

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/egress/egresstest"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// netHost returns a host that lets functions reach the loopback addresses.
func netHost(t testing.TB) *testHost { return newTestHost(t, Config{NetCeiling: loopback(t)}) }

// loopback returns what lets functions reach the loopback addresses.
func loopback(t testing.TB) *egress.Policy {
	policy, err := egress.ParsePolicy("localhost,localhost/udp")
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// talker evaluates an expression after running statements.
const talker = `
import asyncio, hashlib, http.client, json, os, select, selectors, socket, ssl, time, traceback, urllib.error, urllib.request

def fails(call, *args):
    try:
        return f"did not fail: {call(*args)}"
    except OSError as error:
        return f"{type(error).__name__}: {error}"

def handler(event, context):
    scope = dict(globals())
    exec(event.get("run", ""), scope)
    return eval(event["value"], scope)
`

// eval has a function evaluate an expression after running statements.
func (h *testHost) eval(name, run, value string) string {
	h.t.Helper()
	event, err := json.Marshal(map[string]string{"run": run, "value": value})
	if err != nil {
		h.t.Fatal(err)
	}
	got, err := h.raw(name, string(event))
	if err != nil {
		return err.Error()
	}
	return got
}

func TestNetwork_URLOpen(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	}))
	t.Cleanup(server.Close)
	h := netHost(t)
	h.deploy("talker", talker, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute})
	got := h.eval("talker", "", fmt.Sprintf(`urllib.request.urlopen("%s/a/path", data=b"hello").read().decode()`, server.URL))
	if want := `"POST /a/path hello"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// tlsServer answers with what it saw of the connection.
func tlsServer(t *testing.T, config *tls.Config) (server *httptest.Server, authority string) {
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %v", tls.VersionName(r.TLS.Version), r.TLS.NegotiatedProtocol, r.TLS.DidResume)
	}))
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, authorityOf(server)
}

// authorityOf returns a server's certificate, which is its own authority.
func authorityOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestNetwork_TLS(t *testing.T) {
	server, authority := tlsServer(t, nil)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	h := netHost(t)
	files := fstest.MapFS{"main.py": {Data: []byte(talker)}, "ca.pem": {Data: []byte(authority)}}
	h.deployFiles("talker", files, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, Environment: map[string]string{"SSL_CERT_FILE": "/function/code/ca.pem"}})
	h.deployFiles("stranger", files, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute})
	url := fmt.Sprintf("https://127.0.0.1:%d/", port)
	for _, c := range []struct{ function, run, value, want string }{
		{"talker", "", fmt.Sprintf(`urllib.request.urlopen(%q).read().decode()`, url), `"TLS 1.3 http/1.1 false"`},
		{"stranger", "", fmt.Sprintf(`"CERTIFICATE_VERIFY_FAILED" in fails(urllib.request.urlopen, %q)`, url), `true`},
		// The certificate is for example.com and 127.0.0.1, not for localhost.
		{"talker", "", fmt.Sprintf(`"Hostname mismatch" in fails(urllib.request.urlopen, "https://localhost:%d/")`, port), `true`},
		{"talker", `
async def talk(port):
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="example.com")
    writer.write(b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    return [version, answer.split(b"\r\n\r\n")[1].decode()]
`, fmt.Sprintf(`asyncio.run(talk(%d))`, port), `["TLSv1.3", "TLS 1.3 http/1.1 false"]`},
		{"talker", `
context = ssl.create_default_context()
def talk(port, session=None):
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="example.com", session=session) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(4096), b""))
        return s.session, answer.split()[-1].decode()
`, fmt.Sprintf(`[talk(%d)[1], talk(%d, talk(%d)[0])[1]]`, port, port, port), `["false", "true"]`},
		{"talker", "", `hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1).hex()[:16] + hashlib.scrypt(b"", salt=b"", n=16, r=1, p=1).hex()[:8]`,
			`"120fb6cffcf8b32c77d65762"`},
		{"stranger", "", `len(ssl.create_default_context().get_ca_certs()) > 50 and ssl.get_default_verify_paths().cafile`, `"/etc/ssl/cert.pem"`},
	} {
		if got := h.eval(c.function, c.run, c.value); got != c.want {
			t.Errorf("%s: got %s, want %s", c.value, got, c.want)
		}
	}
}

func TestNetwork_RefusalsNameTheSetting(t *testing.T) {
	h := netHost(t)
	h.deploy("alone", talker, catalog.VersionSpec{Timeout: time.Minute})
	h.deploy("bounded", talker, catalog.VersionSpec{Timeout: time.Minute, AllowNet: "127.0.0.1:9,10.0.0.1"})
	for _, c := range []struct{ function, value, want string }{
		{"alone", `fails(socket.create_connection, ("127.0.0.1", 80))`,
			`"PermissionError: [Errno 2] 127.0.0.1:80: the function has no network; --allow-net=127.0.0.1:80 would allow it"`},
		{"alone", `fails(socket.create_connection, ("example.org", 80))`,
			`"PermissionError: [Errno 2] example.org: the function has no network; --allow-net=example.org would allow it"`},
		{"alone", `fails(urllib.request.urlopen, "https://example.org")`,
			`"URLError: <urlopen error [Errno 2] example.org: the function has no network; --allow-net=example.org would allow it>"`},
		{"alone", `[fails(open, "/dev/null/x", "rb"), os.strerror(2)]`, `["NotADirectoryError: [Errno 54] Not a directory: '/dev/null/x'", "Permission denied"]`},
		{"bounded", `fails(socket.create_connection, ("127.0.0.1", 80))`,
			`"PermissionError: [Errno 2] 127.0.0.1:80: a loopback address, which must be named; --allow-net=127.0.0.1:80 would allow it"`},
		{"bounded", `fails(socket.create_connection, ("10.0.0.1", 80))`,
			`"PermissionError: [Errno 2] 10.0.0.1:80: this server does not allow it; --allow-net=10.0.0.1:80 would allow it"`},
		{"bounded", `fails(socket.create_connection, ("127.0.0.1", 9))`, `"ConnectionRefusedError: [Errno 14] Connection refused"`},
		{"bounded", `fails(socket.create_server, ("", 8080))`,
			`"PermissionError: [Errno 2] functions can listen on 127.0.0.1 and ::1 only, for connections of their own"`},
		{"bounded", `fails(socket.socket, socket.AF_INET, socket.SOCK_RAW)`, `"PermissionError: [Errno 2] functions have no raw sockets"`},
		{"bounded", `fails(socket.socket, socket.AF_UNIX)`, `"OSError: [Errno 5] Address family not supported by protocol"`},
		{"bounded", `[fails(socket.create_connection, ("10.0.0.1", 80)) and None for _ in range(3)]`, `[null, null, null]`},
	} {
		if got := h.eval(c.function, "", c.value); got != c.want {
			t.Errorf("%s: got %s, want %s", c.value, got, c.want)
		}
	}
	if n := h.Stats().Refusals; n != 6 {
		t.Errorf("%d refusals were counted", n)
	}
	if n := len(h.log("Network: 10.0.0.1:80")); n != 2 {
		t.Errorf("two calls were refused 10.0.0.1, and %d entries tell so", n)
	}
}

// What a module is told while it is imported is for one instance only; a refusal, too,
// unless it is the version's own and thus the same for all.
func TestNetwork_AnImportThatTalkedIsNotFrozen(t *testing.T) {
	server, hangUp := egresstest.Echo(t)
	t.Cleanup(hangUp)
	for name, source := range map[string]string{
		"connects":  "socket.create_connection(('127.0.0.1', " + fmt.Sprint(server.Port()) + ")).close()",
		"looks-up":  "socket.getaddrinfo('localhost', 80)",
		"elsewhere": "fails(socket.create_connection, ('10.0.0.1', 80))", // the server doesn't allow it now
		"unknown":   "fails(socket.getaddrinfo, 'example.org', 80)",
		"forbidden": "fails(socket.create_connection, ('10.0.0.2', 80)), fails(socket.getaddrinfo, 'example.com', 80)",
	} {
		h := netHost(t)
		h.deploy(name, talker+"\n"+source+"\n", catalog.VersionSpec{AllowNet: "localhost,10.0.0.1,example.org", Timeout: time.Minute})
		var both sync.WaitGroup
		for range 2 { // the second instance is what an image is for
			both.Go(func() {
				if got := h.eval(name, "time.sleep(0.3)", "1"); got != "1" {
					t.Errorf("%s: got %s", name, got)
				}
			})
		}
		both.Wait()
		why := func() int {
			return len(h.log("Each instance imports the module itself: importing it used the network"))
		}
		if name != "forbidden" {
			roomtest.Until(t, name+" is not frozen", func() bool { return why() == 1 })
		} else {
			h.wantFrozen(name)
		}
	}
}

// Datagrams go where a rule for UDP says, by IPv4 and IPv6.
func TestNetwork_Datagrams(t *testing.T) {
	h := netHost(t)
	h.deploy("udp", talker, catalog.VersionSpec{AllowNet: "localhost/udp", Timeout: time.Minute})
	h.deploy("tcp", talker, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute})
	for family, address := range map[string]string{"AF_INET": "127.0.0.1", "AF_INET6": "::1"} {
		echo, err := net.ListenPacket("udp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = echo.Close() })
		go func() {
			for b := make([]byte, 64); ; {
				n, from, err := echo.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = echo.WriteTo(append(b[:n:n], '!'), from)
			}
		}()
		port := echo.LocalAddr().(*net.UDPAddr).Port
		run := fmt.Sprintf("s = socket.socket(socket.%s, socket.SOCK_DGRAM)\ns.settimeout(30)\nto = (%q, %d)", family, address, port)
		if got := h.eval("udp", run, `[s.sendto(b"hi", to), s.recvfrom(9)[0].decode(), s.recvfrom(9) if s.sendto(b"", to) else s.recv(9).decode()]`); got != `[2, "hi!", "!"]` {
			t.Errorf("%s: got %s", address, got)
		}
		want := netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String() + "/udp would allow it"
		if got := h.eval("tcp", run, `fails(s.sendto, b"hi", to)`); !strings.Contains(got, "PermissionError") || !strings.Contains(got, want) {
			t.Errorf("without a rule: got %s, want one with %s", got, want)
		}
	}
}

// A TLS client's random numbers, and all keys, are drawn when they are needed: clones
// of one image have none in common.
func TestNetwork_ClonesShareNoRandomness(t *testing.T) {
	var mu sync.Mutex
	randoms := map[string]bool{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			hello := make([]byte, 11+32+1+32) // record, handshake and version, then random and session id
			if _, err := io.ReadFull(c, hello); err == nil {
				mu.Lock()
				randoms[string(hello[11:43])], randoms[string(hello[44:76])] = true, true
				mu.Unlock()
			}
			_ = c.Close()
		}
	}()
	h := netHost(t)
	h.deploy("talker", talker+`
context = ssl.create_default_context() # as requests makes one when it is imported
draw = ssl.RAND_bytes
`, catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, MaxInstances: 4})
	port := l.Addr().(*net.TCPAddr).Port
	drawn := make(chan string, 4)
	for range 4 { // at once, and so in four instances
		go func() {
			drawn <- h.eval("talker", fmt.Sprintf(`
def talk():
    try:
        context.wrap_socket(socket.create_connection(("127.0.0.1", %d)), server_hostname="example.com")
    except OSError:
        pass
    time.sleep(0.5)
    return draw(16).hex()
`, port), "talk()")
		}()
	}
	seen := map[string]bool{}
	for range 4 {
		seen[<-drawn] = true
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 4 || len(randoms) != 8 {
		t.Errorf("drawn: %v; client randoms and session ids: %d different ones, want 8", seen, len(randoms))
	}
	h.wantFrozen("talker")
}

func TestNetwork_WaitingEndsAndComputesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts, and nothing is answered
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	h := netHost(t)
	h.deploy("talker", talker, catalog.VersionSpec{AllowNet: "localhost", Timeout: 2 * time.Second})
	connected := fmt.Sprintf("s = socket.create_connection((\"127.0.0.1\", %d))\n", port)
	for _, value := range []string{
		`s.recv(1)`, `select.select([s], [], [])`, `asyncio.get_event_loop().run_until_complete(asyncio.get_event_loop().sock_recv((s.setblocking(False), s)[1], 1))`,
		`s.sendall(bytes(100_000_000))`,
	} {
		if got := h.eval("talker", connected, value); got != "ExecutionTimeout: Execution timeout exceeded: 2000 ms" {
			t.Errorf("%s: %s", value, got)
		}
	}
	if got := h.eval("talker", connected+"s.settimeout(0.05)", `fails(s.recv, 1)`); got != `"TimeoutError: timed out"` {
		t.Error(got)
	}
	if got := h.eval("talker", connected+"before = time.process_time()\n", `[select.select([s], [], [], 0.3), time.process_time() - before < 0.1][1]`); got != "true" {
		t.Error("waiting computed:", got)
	}
}

// A function with a service account finds its token where the cloud's does, whatever it
// may reach.
func TestNetwork_MetadataService(t *testing.T) {
	h := netHost(t)
	h.deploy("account", talker, catalog.VersionSpec{Timeout: time.Minute, ServiceAccountID: "aje1"})
	h.deploy("amazon", talker, catalog.VersionSpec{Timeout: time.Minute, ServiceAccountID: "aje1", NoGoogleMetadata: true})
	h.deploy("nobody", talker, catalog.VersionSpec{Timeout: time.Minute})
	const run = `
def ask(path, google=True):
    request = urllib.request.Request("http://169.254.169.254" + path, headers={"Metadata-Flavor": "Google"} if google else {})
    try:
        return urllib.request.urlopen(request, timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return error.code
token = "/computeMetadata/v1/instance/service-accounts/default/token"
roles = "/latest/meta-data/iam/security-credentials/"
`
	for _, c := range []struct{ function, value, want string }{
		{"account", `sorted(json.loads(ask(token)))`, `["access_token", "expires_in", "token_type"]`},
		{"account", `ask(token, google=False)`, `404`},
		{"account", `[ask(roles, False), sorted(json.loads(ask(roles + "default/", False)))]`, `["default", ["Code", "Expiration", "Token"]]`},
		{"account", `ask("/latest/user-data")`, `404`},
		{"account", `fails(socket.create_connection, ("169.254.169.254", 81))[:15]`, `"PermissionError"`},
		{"amazon", `[ask(token), ask(roles)]`, `[404, "default"]`},
		{"nobody", `fails(ask, token)[:8]`, `"URLError"`},
	} {
		if got := h.eval(c.function, run, c.value); got != c.want {
			t.Errorf("%s: %s: got %s, want %s", c.function, c.value, got, c.want)
		}
	}
	claims, err := h.Tokens().Verify(strings.Trim(h.eval("account", run, `json.loads(ask(token))["access_token"]`), `"`), time.Now())
	if err != nil || claims.ServiceAccountID != "aje1" {
		t.Errorf("the token: %+v, %v", claims, err)
	}
}

// Connections that a call leaves open are there in the next; what goes wrong with
// them goes wrong as elsewhere; and none is left when the instance is gone.
func TestNetwork_ConnectionsLastBetweenCalls(t *testing.T) {
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) }))
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if open[c] = true; state == http.StateClosed {
			delete(open, c)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	h := netHost(t)
	h.deploy("talker", talker+fmt.Sprintf(`
kept = []
def ask():
    if not kept:
        kept.append(http.client.HTTPConnection("127.0.0.1", %d))
    kept[0].request("GET", "/")
    return kept[0].getresponse().read().decode()
`, server.Listener.Addr().(*net.TCPAddr).Port), catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute})
	first, second := h.eval("talker", "", "ask()"), h.eval("talker", "", "ask()")
	if first != second || !strings.HasPrefix(first, `"127.0.0.1:`) {
		t.Errorf("the connection was not kept: %s, %s", first, second)
	}
	if n := h.allTenants()[0].Use[quota.Connections]; n != 1 {
		t.Errorf("%d connections count", n)
	}
	h.deploy("talker", talker, catalog.VersionSpec{})
	_ = h.Catalog().Retire(t.Context(), access.Operator, "talker") // the version before
	for range 500 {
		mu.Lock()
		n := len(open)
		mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the connection has outlived the instance")
}

// Connections within an instance need no rule: socket pairs, and servers on loopback
// addresses.
func TestNetwork_WithinAnInstance(t *testing.T) {
	h := newTestHost(t, Config{})
	h.deploy("talker", talker, catalog.VersionSpec{Timeout: time.Minute})
	for _, c := range []struct{ run, value, want string }{
		{"a, b = socket.socketpair()\na.sendall(b'pair')\n", `[b.recv(9).decode(), a.family == b.family == socket.AF_UNIX]`, `["pair", true]`},
		{"a, b = socket.socketpair()\nc = a.dup()\na.close()\nc.sendall(b'copy')\nc.close()\n", `[b.recv(9).decode(), b.recv(9).decode()]`, `["copy", ""]`},
		{`
def talk():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as c:
        s, address = server.accept()
        with s:
            c.sendall(b"told")
            return [s.recv(9).decode(), address == c.getsockname(), s.getsockname() == c.getpeername()]
`, `talk()`, `["told", true, true]`},
		{`
async def talk(host, **named):
    async def serve(reader, writer):
        writer.write((await reader.readline()).upper() * 100_000)
        await writer.drain()
        writer.close()
    async with await asyncio.start_server(serve, host, 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"told\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return [len(answer), answer[:5].decode()]
`, `[asyncio.run(talk("127.0.0.1")), asyncio.run(talk("::1"))]`, `[[500000, "TOLD\n"], [500000, "TOLD\n"]]`},
		{`
def talk(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind((host, 0))
        server.settimeout(10)
        client.sendto(b"asked", ("127.0.0.1", server.getsockname()[1]))
        text, address = server.recvfrom(99)
        server.sendmsg([text, b" and told"], [], 0, address)
        answer, _, flags, sender = client.recvmsg(12)
        return [answer.decode(), flags == socket.MSG_TRUNC, sender[1] == server.getsockname()[1], client.getsockname()[0]]
`, `[talk("127.0.0.1"), talk("")]`, `[["asked and to", true, true, "0.0.0.0"], ["asked and to", true, true, "0.0.0.0"]]`},
		{`
class Answers(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, address):
        self.transport.sendto(data.upper(), address)
class Asks(Answers):
    def datagram_received(self, data, address):
        self.answer.set_result(data.decode())
async def talk():
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Answers, local_addr=("127.0.0.1", 0))
    client, asks = await loop.create_datagram_endpoint(Asks, remote_addr=server.get_extra_info("sockname"))
    asks.answer = loop.create_future()
    client.sendto(b"told")
    try:
        return await asyncio.wait_for(asks.answer, 10)
    finally:
        server.close()
        client.close()
`, `asyncio.run(talk())`, `"TOLD"`},
		{"", `fails(socket.create_connection, ("127.0.0.1", 8080))[:15]`, `"PermissionError"`},
		{"s = socket.socket()\ns.bind(('', 8080))\n", `[fails(s.listen)[:15], fails(s.connect, ("127.0.0.1", 8081))[:15]]`, `["PermissionError", "PermissionError"]`},
		{"s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('', 0))\n", `fails(s.sendto, b"x", ("127.0.0.1", 53))[:15]`, `"PermissionError"`},
	} {
		if got := h.eval("talker", c.run, c.value); got != c.want {
			t.Errorf("%s: got %s, want %s", c.value, got, c.want)
		}
	}
}

// An operator bounds what a tenant may reach, whatever its versions ask for. It counts
// at once, also for connections that there are.
func TestNetwork_CeilingOfATenant(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	t.Cleanup(server.Close)
	there := server.Listener.Addr().String()
	h := netHost(t)
	h.deploy("talker", talker+fmt.Sprintf(`
kept = []
def ask():
    try:
        if not kept:
            kept.append(http.client.HTTPConnection(%q))
        kept[0].request("GET", "/")
        return kept[0].getresponse().read().decode()
    except OSError as error:
        kept.clear()
        return str(error)
`, there), catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute})
	refused := fmt.Sprintf(`"[Errno 2] %[1]s: tenant default may not reach it; --allow-net=%[1]s would allow it"`, there)
	for _, c := range []struct{ ceiling, want string }{
		{"*", `"hello"`}, {"example.org,10.0.0.0/8", refused}, {there, `"hello"`}, {"", refused}, {"localhost", `"hello"`}, {"public", refused},
	} {
		if err := h.Tenants().SetCeiling(t.Context(), access.Operator, "default", c.ceiling); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := h.eval("talker", "", "ask()"); got != c.want {
				t.Errorf("%q: got %s, want %s", c.ceiling, got, c.want)
			}
		}
	}
	if n := h.allTenants()[0].Use[quota.Connections]; n != 0 {
		t.Errorf("%d connections are left", n)
	}
	for _, p := range []access.Principal{{}, member("default"), {KeyID: "aje", Tenant: "default", Role: access.RoleAdmin}} {
		if err := h.Tenants().SetCeiling(t.Context(), p, "default", "*"); err == nil {
			t.Errorf("%+v may change it", p)
		}
	}
	for _, wrong := range []string{"a b", "*,localhost", "http://example.org", strings.Repeat("a.org,", 1000)} {
		wantError[*fault.InvalidError](t, h.Tenants().SetCeiling(t.Context(), access.Operator, "default", wrong), "allow_net")
	}
	wantError[*fault.InvalidError](t, h.Tenants().SetCeiling(t.Context(), access.Operator, "No Name", "*"), "tenant")
}

// What a tenant may have of connections and bytes, its functions get no more of, each
// half at most, and are told so.
func TestNetwork_QuotasOfATenant(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // takes all that it is sent
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }()
		}
	}()
	h := netHost(t)
	bounds := map[quota.Quota]int64{quota.Connections: 6, quota.TrafficBytes: 8 << 20}
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "default", bounds); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		h.deploy(name, talker+fmt.Sprintf(`
kept = []
def connect(count):
    try:
        for n in range(count):
            kept.append(socket.create_connection(("127.0.0.1", %d)))
    except OSError as error:
        return [n, str(error).partition(": ")[2]]
    return count

def pour(count):
    sent = 0
    try:
        while sent < count << 20:
            kept[0].sendall(bytes(1 << 20))
            sent += 1 << 20
    except OSError as error:
        return [sent >> 20, str(error).partition("] ")[2]]
    return sent >> 20
`, l.Addr().(*net.TCPAddr).Port), catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute, MaxInstances: 1})
	}
	for _, c := range []struct{ function, value, want string }{
		{"first", "connect(9)", `[3, "a function may have half of its tenant's quota of connections, 6; raise it with: vivarium tenant quota default --connections N"]`},
		{"second", "connect(3)", `3`},
		{"first", "pour(3)", `3`},
		{"first", "pour(9)", `[1, "a function may have half of its tenant's quota of trafficBytes, 8388608; raise it with: vivarium tenant quota default --traffic-bytes N"]`},
		{"second", "pour(3)", `3`},
	} {
		if got := h.eval(c.function, "", c.value); got != c.want {
			t.Errorf("%s of %s: got %s, want %s", c.value, c.function, got, c.want)
		}
	}
	if use := h.allTenants()[0].Use; use[quota.Connections] != 5 || use[quota.TrafficBytes] != 7<<20 {
		t.Errorf("in use are %d connections, %d bytes", use[quota.Connections], use[quota.TrafficBytes])
	}
}

// A hundred calls that wait for a slow server leave the processors to others.
func TestNetwork_WaitingCostsNothing(t *testing.T) {
	const calls = 100
	var waiting sync.WaitGroup
	waiting.Add(calls)
	answer := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		waiting.Done()
		<-answer
		fmt.Fprint(w, "at last")
	}))
	t.Cleanup(server.Close)
	h := netHost(t)
	h.deploy("talker", fmt.Sprintf(`
import http.client
def handler(event, context):
    connection = http.client.HTTPConnection("%s")
    connection.request("GET", "/")
    return connection.getresponse().read().decode()
`, server.Listener.Addr()), catalog.VersionSpec{AllowNet: "localhost", Timeout: 5 * time.Minute, MaxInstances: calls})
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			if got, err := h.raw("talker", "0"); got != `"at last"` {
				t.Error(got, err)
			}
		})
	}
	waiting.Wait()
	before := processorTime(t)
	time.Sleep(time.Second)
	if used := processorTime(t) - before; used > 250*time.Millisecond {
		t.Errorf("waiting for a second has taken %v of the processors", used)
	}
	close(answer)
	all.Wait()
}
