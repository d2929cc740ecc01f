package web

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/keys"
)

// Some clients, such as Python's urllib and wget, look for the response only
// after sending the whole body. They must find it, rather than a broken
// connection.
func TestServer_AnswersWhoSendsAllFirst(t *testing.T) {
	a := newKeys(t)
	if _, _, err := a.Create(t.Context(), access.Operator, keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	open, closed := start(t, Config{}, returns(`{}`)), start(t, Config{Keys: a}, returns(`{}`))
	body := strings.Repeat("x", 12<<20) // more than the buffers between client and server hold
	for _, test := range []struct {
		s      *testServer
		path   string
		status int
	}{
		{open, "/hello", 413}, {open, "/unknown", 404}, {open, "/hello/x", 400}, {open, "/hello?integration=x", 400},
		{open, "/play/v1/run", 404}, {closed, "/hello", 401},
	} {
		conn, err := net.Dial("tcp", test.s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, "POST "+test.path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 12582912\r\n\r\n"+body); err != nil {
			t.Errorf("%s: while sending: %v", test.path, err)
		}
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", test.path, err)
		}
		if _, err := io.ReadAll(r.Body); err != nil || r.StatusCode != test.status || !r.Close {
			t.Errorf("%s: got %d, closes: %v, %v, want %d", test.path, r.StatusCode, r.Close, err, test.status)
		}
		_ = conn.Close()
	}
}

func TestServer_TheRestOfABodyIsReadForAWhileOnly(t *testing.T) {
	s := start(t, Config{TransferTimeout: 100 * time.Millisecond}, returns(`{}`))
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(conn, "POST /unknown HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 404") {
		t.Errorf("got %.100s, %v, want an answer and the end", text, err)
	}
}

// HTTP/1.0 has no Host header, and no browser speaks it.
func TestServer_ServesHTTP10WithoutAHost(t *testing.T) {
	s := start(t, Config{GuardHost: true}, returns(`{"body": "hi"}`))
	for request, want := range map[string]string{
		"GET /healthz HTTP/1.0":                                "200",
		"GET /hello HTTP/1.0":                                  "200",
		"GET /hello HTTP/1.0\r\nHost: localhost":               "200",
		"GET /hello HTTP/1.0\r\nHost: evil.example":            "421",
		"GET /healthz HTTP/1.0\r\nHost: evil.example":          "421",
		"GET /hello HTTP/1.1\r\nHost: evil.example":            "421",
		"GET /hello HTTP/1.1\r\nHost:":                         "421",
		"GET /hello HTTP/1.1":                                  "400",
		"GET http://evil.example/hello HTTP/1.0":               "421",
		"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1": "421",
	} {
		if a := exchange(t, s.addr, request+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(a.Status, want) {
			t.Errorf("%q: got %s, want %s", request, a.Status, want)
		}
	}
}

// A page elsewhere can make its own name resolve to this machine; it must not
// use the playground, which takes no key.
func TestServer_GuardsThePlaygroundsHostInSpiteOfKeys(t *testing.T) {
	a := newKeys(t)
	if _, _, err := a.Create(t.Context(), access.Operator, keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	play, err := NewPlay(PlayConfig{}, triesFunc(nil))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{GuardHost: true, AllowHosts: []string{"docs.example"}, Keys: a, Play: play}, returns(`{}`))
	for request, want := range map[string]string{
		"GET /play/v1/limits HTTP/1.1\r\nHost: evil.example": "421",
		"GET /play/v1 HTTP/1.1\r\nHost: evil.example":        "421",
		"GET /play/v1/limits HTTP/1.1\r\nHost: docs.example": "200",
		"GET /play/v1/limits HTTP/1.1\r\nHost: 127.0.0.1":    "200",
		"GET /hello HTTP/1.1\r\nHost: proxy.example":         "401",
	} {
		if a := exchange(t, s.addr, request+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(a.Status, want) {
			t.Errorf("%q: got %s, want %s", request, a.Status, want)
		}
	}
}

// Connection headers would break HTTP/2.
func TestServer_HandlersCanNotBreakHTTP2(t *testing.T) {
	cert, pool := certificate(t)
	s := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, returns(`{"body": "hi", "headers": {
		"Keep-Alive": "timeout=5", "Upgrade": "h2c", "TE": "gzip", "Proxy-Connection": "keep-alive", "Connection": "close",
		"Trailer": "X", "HTTP2-Settings": "x", "X-Mine": "1"}}`))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for range 2 {
		r, err := (&http.Client{Transport: transport}).Get("https://" + s.addr + "/hello")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil || r.ProtoMajor != 2 || string(text) != "hi" || r.Header.Get("X-Mine") != "1" {
			t.Errorf("got HTTP/%d %s %v, %v", r.ProtoMajor, text, r.Header, err)
		}
	}
}

func TestServer_BoundsRequestsByClientAndInAll(t *testing.T) {
	p := newPlaces(2, 1)
	s := New(Config{}, returns(`{}`))
	s.requests = p
	if !p.reserve("127.0.0.1") {
		t.Fatal("there is no place")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(t.Context(), listener) }()
	base := "http://" + listener.Addr().String()
	a := do(t, "GET", base+"/hello", "")
	a.wantPlatformError(t, 429, "Too Many Requests: too many requests are in progress; wait for some to end", clientError)
	a.wantHeader(t, "Retry-After", "1")
	do(t, "GET", base+"/healthz", "").wantStatus(t, 200)
	p.give("127.0.0.1")
	do(t, "GET", base+"/hello", "").wantStatus(t, 200)
	do(t, "GET", base+"/hello", "").wantStatus(t, 200)
}
