package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host/catalog"
	"vivarium/host/run"
)

// dialFrom connects from one of this machine's own addresses.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// closedAtOnce reports whether the server has closed a connection without a
// response.
func closedAtOnce(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := conn.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return n == 0 && !(ok && timeout.Timeout())
}

func TestConnections_AreBoundedByClientAndInAll(t *testing.T) {
	s := start(t, Config{MaxConnections: 5, MaxConnectionsPerClient: 3}, returns(`{"body": "ok"}`))
	var open []net.Conn
	for n, want := range []struct {
		from   string
		closed bool
	}{
		{"127.0.0.2", false}, {"127.0.0.2", false}, {"127.0.0.2", false}, {"127.0.0.2", true},
		{"127.0.0.3", false}, {"127.0.0.3", false}, {"127.0.0.3", true}, {"127.0.0.4", true},
	} {
		conn := dialFrom(t, want.from, s.addr)
		if got := closedAtOnce(conn); got != want.closed {
			t.Fatalf("connection %d: closed: %v, want %v", n, got, want.closed)
		}
		if !want.closed {
			open = append(open, conn)
		}
	}
	// One that closes makes room for another.
	_ = open[0].Close()
	eventually(t, func() bool { return !closedAtOnce(dialFrom(t, "127.0.0.4", s.addr)) })
	for _, conn := range open[1:] {
		_ = conn.Close()
	}
	eventually(t, func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		text, _ := io.ReadAll(conn)
		return bytes.Contains(text, []byte("\nvivarium_connections_refused_total "))
	})
}

func TestConnections_HoldTheLimitUnderAHammer(t *testing.T) {
	c := newPlaces(6, 2)
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for range 2000 {
				client := fmt.Sprint(g % 5)
				if !c.reserve(client) {
					continue
				}
				c.mu.Lock()
				if c.taken > 6 || c.clients[client] > 2 {
					t.Errorf("%d are open, %d of one client", c.taken, c.clients[client])
				}
				c.mu.Unlock()
				c.give(client)
			}
		})
	}
	all.Wait()
	if c.taken != 0 || len(c.clients) != 0 {
		t.Errorf("%d are left, of %d clients", c.taken, len(c.clients))
	}
}

func TestClientOf_TakesAnIPv6NetworkForOne(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:80": "2001:db8:1:2::/64",
	} {
		if got := clientOf(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	if got := clientOf("/socket"); got != "/socket" {
		t.Errorf("got %s", got)
	}
}

// TestBodies_HoldTheLimitUnderAHammer has many goroutines take and give at
// once.
func TestBodies_HoldTheLimitUnderAHammer(t *testing.T) {
	b := newBodies(1000)
	var all sync.WaitGroup
	var refused atomic.Int64
	for g := range 16 {
		all.Go(func() {
			for range 200 {
				h := &held{of: b, tenant: fmt.Sprint(g % 4)}
				for range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Microsecond)
					if h.reserve(ctx, 150) != nil {
						refused.Add(1)
					}
					cancel()
					b.mu.Lock()
					if b.held > 1000 || b.tenants[h.tenant] > 500 {
						t.Errorf("%d are held, %d by one tenant", b.held, b.tenants[h.tenant])
					}
					b.mu.Unlock()
					runtime.Gosched() // otherwise nothing would be refused
				}
				h.release()
			}
		})
	}
	all.Wait()
	if b.held != 0 || len(b.tenants) != 0 || refused.Load() == 0 {
		t.Errorf("%d are held, %v, %d refused", b.held, b.tenants, refused.Load())
	}
}

func TestBodies_WaitAMomentForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBodies(100)
		first, second := &held{of: b, tenant: "a"}, &held{of: b, tenant: "a"}
		if err := first.reserve(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := second.reserve(t.Context(), 1); err != errBodies || time.Since(start) != bodyWait {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		time.AfterFunc(bodyWait/2, first.release)
		if err := second.reserve(t.Context(), 50); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
		second.force(1000)
		if err := first.reserve(t.Context(), 0); err != errBodies {
			t.Errorf("got %v", err)
		}
		other := &held{of: b, tenant: "b"} // not affected
		if err := other.reserve(t.Context(), 50); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		other.release()
		second.release()
		if b.held != 0 || len(b.tenants) != 0 {
			t.Errorf("%d are held by %v", b.held, b.tenants)
		}
	})
}

func TestBodies_ARequestBeyondIsRefusedAndLaterServed(t *testing.T) {
	release := make(chan struct{})
	f := functions{func(_ context.Context, inv run.Invocation) (*run.Result, error) {
		if string(inv.Body) == strings.Repeat("x", 4000) {
			<-release
		}
		return &run.Result{Kind: run.ResultBytes}, nil
	}}
	s := start(t, Config{MaxBodies: 10_000}, f)
	done := make(chan answer, 1)
	go func() { done <- do(t, "POST", s.url+"/hello?integration=raw", strings.Repeat("x", 4000)) }()
	eventually(t, func() bool {
		return strings.Contains(do(t, "GET", s.url+"/metrics", "").text, "vivarium_bodies_bytes 4000")
	})
	a := do(t, "POST", s.url+"/hello?integration=raw", strings.Repeat("y", 1001))
	a.wantPlatformError(t, 429, "Too Many Requests: The server has no memory for the request's body", clientError)
	a.wantHeader(t, "Retry-After", "1")
	if a := do(t, "POST", s.url+"/hello?integration=raw", strings.Repeat("y", 1000)); a.StatusCode != 200 {
		t.Errorf("one that fits: got %d %s", a.StatusCode, a.text)
	}
	close(release)
	if a := <-done; a.StatusCode != 200 {
		t.Errorf("the first: got %d %s", a.StatusCode, a.text)
	}
	eventually(t, func() bool {
		return strings.Contains(do(t, "GET", s.url+"/metrics", "").text, "vivarium_bodies_bytes 0\n")
	})
}

func TestServe_CallersCanNotFloodTheLog(t *testing.T) {
	log := &logBuffer{}
	quiet := callersLog(slog.New(slog.NewTextHandler(log, nil)))
	for range 100 {
		quiet.Print("http: TLS handshake error from ...")
	}
	if got := strings.Count(log.String(), "TLS handshake error"); got != 10 {
		t.Errorf("%d lines, want 10", got)
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("has not come to hold within twenty seconds")
		}
	}
}

// TestLimits_OthersAreAnsweredMeanwhile makes, from one client and on the real
// host, the attacks that exhaust one thing of the server: bodies that hardly
// arrive, bodies that stop short of their end, connections that say nothing,
// and responses that are never read. Another client is served all the while.
func TestLimits_OthersAreAnsweredMeanwhile(t *testing.T) {
	h := deploy(t, "limits", catalog.VersionSpec{Timeout: time.Minute, Entrypoint: "main.handler"}, []txtar.File{{Name: "main.py", Data: []byte(
		"def handler(event, context):\n    return {'body': event['body'], 'isBase64Encoded': event['isBase64Encoded']} \\\n        if event['httpMethod'] == 'PUT' else {'body': 'x' * 1000000}\n")}})
	const most, body = 60, 100_000
	s := start(t, Config{
		MaxConnections: 2 * most, MaxConnectionsPerClient: most, MaxBodies: 40 * body, TransferTimeout: 3 * time.Second,
	}, h)
	for name, attack := range map[string]string{
		"bodies that hardly come":    "POST /limits HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
		"bodies that stop short":     "POST /limits HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n" + strings.Repeat("x", body),
		"headers that stop short":    "POST /limits HTTP/1.1\r\nHost: x\r\nX-More: ",
		"idle connections":           "",
		"answers that nobody reads":  "GET /limits HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunked bodies without end": "POST /limits HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			var open []net.Conn
			for range most + 20 { // those beyond are closed
				conn := dialFrom(t, "127.0.0.5", s.addr)
				if tcp, ok := conn.(*net.TCPConn); ok {
					_ = tcp.SetReadBuffer(4 << 10)
				}
				_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
				_, _ = io.WriteString(conn, attack)
				open = append(open, conn)
			}
			for n := range 10 {
				honest := do(t, "PUT", s.url+"/limits", fmt.Sprint("honest ", n))
				for honest.StatusCode == 429 { // as it is told to
					if honest.Header.Get("Retry-After") != "1" {
						t.Fatal("it is not told when to come again")
					}
					time.Sleep(100 * time.Millisecond)
					honest = do(t, "PUT", s.url+"/limits", fmt.Sprint("honest ", n))
				}
				if honest.StatusCode != 200 || honest.text != fmt.Sprint("honest ", n) {
					t.Errorf("got %d %.200s", honest.StatusCode, honest.text)
				}
			}
			for _, conn := range open {
				_ = conn.Close()
			}
			eventually(t, func() bool { // nothing is held for those who left
				text := do(t, "GET", s.url+"/metrics", "").text
				return strings.Contains(text, "vivarium_bodies_bytes 0\n") && metric(text, "vivarium_connections") < 10
			})
		})
	}
}

// metric returns the value of a metric without labels, or -1.
func metric(text, name string) float64 {
	for line := range strings.Lines(text) {
		var value float64
		if n, _ := fmt.Sscanf(line, name+" %g", &value); n == 1 {
			return value
		}
	}
	return -1
}
