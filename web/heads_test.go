package web

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"vivarium/host/roomtest"
)

// serveHeads starts a server with so much room for heads: in all, and of one client.
func serveHeads(t *testing.T, most, mostOfClient int, f Functions) (s *Server, address string) {
	t.Helper()
	cert, _ := certificate(t)
	s = New(Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Logger: slog.New(slog.DiscardHandler)}, f)
	s.heads = newPlaces(most, mostOfClient)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(t.Context(), listener) }()
	return s, listener.Addr().String()
}

// headsHeld returns how many bytes of heads are counted.
func (s *Server) headsHeld() int {
	n, _ := s.heads.stats()
	return n
}

// What arrives of a head counts many times, a decoded one as what it takes, and an answered one
// not at all; so does the next one on the connection.
func TestHeads_CountUntilTheyAreAnswered(t *testing.T) {
	s, address := serveHeads(t, -1, -1, returns(`{"body": "ok"}`))
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	const few = 10 << 10
	head := "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nX-A: " + strings.Repeat("a", few) + "\r\n"
	for range 3 {
		fmt.Fprint(conn, head)
		roomtest.Until(t, "what has arrived counts", func() bool { return s.headsHeld() > headFactor*few })
		fmt.Fprint(conn, "\r\n")
		roomtest.Until(t, "the decoded head counts", func() bool { n := s.headsHeld(); return n > few && n < 2*few })
		fmt.Fprint(conn, "x")
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(answer.Body); string(text) != "ok" || err != nil {
			t.Fatalf("got %s, %v", text, err)
		}
		roomtest.Until(t, "nothing counts", func() bool { return s.headsHeld() == 0 })
	}
	fmt.Fprint(conn, head)
	roomtest.Until(t, "what has arrived counts", func() bool { return s.headsHeld() > headFactor*few })
	_ = conn.Close()
	roomtest.Until(t, "what is left behind counts no more", func() bool { return s.headsHeld() == 0 })
}

// Over HTTP/2 each request counts by itself, and can be refused.
func TestHeads_OverHTTP2AreRefused(t *testing.T) {
	s, address := serveHeads(t, -1, 100<<10, returns(`{"body": "ok"}`))
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	post := func(size int, body io.Reader) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+address+"/hello", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-A", strings.Repeat("a", size))
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer func() { _ = answer.Body.Close() }()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	if status, text := post(1, strings.NewReader("x")); status != 200 || text != "ok" {
		t.Fatalf("got %d %s", status, text)
	}
	body, rest := io.Pipe()
	first := make(chan int)
	go func() { status, _ := post(60<<10, body); first <- status }()
	roomtest.Until(t, "a request waits for its body", func() bool { return s.headsHeld() > 60<<10 })
	if status, text := post(60<<10, strings.NewReader("x")); status != 429 || !strings.Contains(text, "send fewer at once") {
		t.Errorf("got %d %s", status, text)
	}
	_ = rest.Close()
	if status := <-first; status != 200 {
		t.Errorf("the first is answered with %d", status)
	}
	roomtest.Until(t, "nothing counts", func() bool { return s.headsHeld() == 0 })
}

// A client that has used up its room loses connections; others do not.
func TestHeads_AreBoundedByClient(t *testing.T) {
	const size = 10 << 10
	s, address := serveHeads(t, 4*headFactor*size, 2*headFactor*size, returns(`{"body": "ok"}`))
	head := "GET /hello HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", size*3/4) + "\r\n"
	dial := func(from string) net.Conn {
		conn := tls.Client(dialFrom(t, from, address), &tls.Config{InsecureSkipVerify: true})
		_, _ = fmt.Fprint(conn, head) // fails where the test is that the connection is closed
		return conn
	}
	dial("127.0.0.2")
	roomtest.Until(t, "a head counts", func() bool { return s.headsHeld() > headFactor*size*3/4 })
	dial("127.0.0.2")
	roomtest.Until(t, "two heads count", func() bool { return s.headsHeld() > 2*headFactor*size*3/4 })
	third := dial("127.0.0.2")
	roomtest.Until(t, "a third one has no room", func() bool { _, refused := s.heads.stats(); return refused == 1 })
	if text, _ := io.ReadAll(third); len(text) > 0 {
		t.Errorf("got %q from a connection without room", text)
	}
	other := dial("127.0.0.3")
	fmt.Fprint(other, "\r\n")
	if answer, err := http.ReadResponse(bufio.NewReader(other), nil); err != nil || answer.StatusCode != 200 {
		t.Errorf("another client: %v, %v", answer, err)
	}
}
