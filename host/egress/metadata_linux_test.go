package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vivarium/wasm/sockets"
)

// dialMetadata connects to a session's metadata service as a guest does.
func dialMetadata(ctx context.Context, s *Session) (net.Conn, error) {
	conn, err := s.Connect(ctx, sockets.Stream, metadataAddress)
	if err != nil {
		return nil, err
	}
	defer conn.Closed() // as far as the session knows
	file := os.NewFile(uintptr(conn.FD), "metadata")
	defer file.Close()
	return net.FileConn(file)
}

// withMetadata returns a session whose metadata service tells what it is asked, but
// of paths that have "nothing" in them.
func withMetadata() *Session {
	return NewSession(SessionConfig{Guard: NewGuard(), Dialer: lookups{}, Metadata: func(path string, google bool) (string, bool) {
		return fmt.Sprintf("{%s %v}", path, google), !strings.Contains(path, "nothing")
	}})
}

func TestMetadata_AnswersAnHTTPClient(t *testing.T) {
	before := openFiles(t)
	s := withMetadata()
	dials := 0
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials++
		return dialMetadata(ctx, s)
	}}}
	for _, c := range []struct {
		method, path, flavor string
		status               int
		body                 string
		dials                int // so far
	}{
		{"GET", "/computeMetadata/v1/x", "Google", 200, "{/computeMetadata/v1/x true}", 1},
		{"GET", "/a/path/?query=1", "", 200, "{/a/path/ false}", 1},
		{"GET", "/", "google", 200, "{/ false}", 1},
		{"GET", "/nothing", "Google", 404, "Not Found\n", 1},
		{"HEAD", "/a", "", 200, "", 1}, // after which the connection ends
		{"POST", "/a", "Google", 405, "Method Not Allowed\n", 2},
		{"PUT", "/latest/api/token", "", 405, "Method Not Allowed\n", 3},
		{"GET", "/" + strings.Repeat("long", 1000), "", 200, "{/" + strings.Repeat("long", 1000) + " false}", 4},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://169.254.169.254"+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if c.flavor != "" {
			r.Header.Set("Metadata-Flavor", c.flavor)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s %.80s: %v", c.method, c.path, err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != c.status || string(body) != c.body || dials != c.dials {
			t.Errorf("%s %.80s: got %s, %.80q, %v, by connection %d", c.method, c.path, answer.Status, body, err, dials)
		}
		if answer.Header.Get("Metadata-Flavor") != "Google" {
			t.Errorf("%s %.80s: got %v", c.method, c.path, answer.Header)
		}
		if kind := answer.Header.Get("Content-Type"); (kind == "application/json") != (c.status == 200) {
			t.Errorf("%s %.80s: is %s", c.method, c.path, kind)
		}
	}
	client.CloseIdleConnections()
	if s.Connections() != 0 || s.EndCall() != nil {
		t.Errorf("%d connections, or something was refused", s.Connections())
	}
	waitForFiles(t, before)
}

func TestMetadata_EndsWithWhatIsNoRequest(t *testing.T) {
	for _, text := range []string{
		"\r\n\r\n", "GET / HTTP/1.1\r\nno header\r\n\r\n", "GET /" + strings.Repeat("x", 10<<10) + " HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n", "\x00\xff", "GET",
	} {
		conn, err := dialMetadata(t.Context(), withMetadata())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = conn.Write([]byte(text))
			if half, ok := conn.(*net.UnixConn); ok {
				_ = half.CloseWrite()
			}
		}()
		got, _ := io.ReadAll(conn) // it may be reset
		if strings.Contains(string(got), "200 OK") {
			t.Errorf("%.40q: got %q", text, got)
		}
		_ = conn.Close()
	}
}

func TestMetadata_IsAtItsAddressAlone(t *testing.T) {
	for text, want := range map[string]bool{
		"169.254.169.254:80": true, "169.254.169.254:443": false, "169.254.169.253:80": false, "[::ffff:169.254.169.253]:80": false, "[fd00:ec2::254]:80": false,
	} {
		to := netip.MustParseAddrPort(text)
		conn, err := withMetadata().Connect(t.Context(), sockets.Stream, to)
		if (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
		if err == nil {
			_ = unix.Close(conn.FD)
		}
		if _, err := withMetadata().Connect(t.Context(), sockets.Datagram, to); err == nil {
			t.Errorf("%s: there is one by UDP", text)
		}
		none := NewSession(SessionConfig{Guard: NewGuard(policy(t, "public")), Dialer: lookups{}})
		if _, err := none.Connect(t.Context(), sockets.Stream, to); err == nil {
			t.Errorf("%s: there is one without a service account", text)
		}
	}
}

// Each connection answers for its own session only.
func TestMetadata_Hammer(t *testing.T) {
	before := openFiles(t)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			s := NewSession(SessionConfig{Guard: NewGuard(), Dialer: lookups{}, Metadata: func(path string, _ bool) (string, bool) {
				return fmt.Sprint(worker, path), true
			}})
			for n := range 50 {
				conn, err := dialMetadata(t.Context(), s)
				if err != nil {
					t.Error(err)
					return
				}
				request := fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", n)
				if n%5 > 0 { // others go without having read the answer
					if _, err := conn.Write([]byte(request)); err != nil {
						t.Error(err)
					}
					got, err := io.ReadAll(conn)
					if want := fmt.Sprintf("\r\n\r\n%d/%d", worker, n); err != nil || !strings.HasSuffix(string(got), want) {
						t.Errorf("got %q, %v, want %q at the end", got, err, want)
					}
				}
				_ = conn.Close()
			}
		})
	}
	all.Wait()
	waitForFiles(t, before)
}

// A connection that the server answers itself takes descriptors of its process as well.
func TestConnections_ToTheServerCount(t *testing.T) {
	before := openFiles(t)
	full, most, taken := errors.New("the tenant has 3 connections"), maxConnections, 0
	s := withMetadata()
	s.cfg.Debugger = func(conn net.Conn) {
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
	s.cfg.Reserve = func() (func(), error) {
		if taken == most {
			return nil, full
		}
		taken++
		return func() { taken-- }, nil
	}
	addresses := []netip.AddrPort{metadataAddress, debuggerAddress, holdAddress}
	for range 2 { // with as much room as before
		var open []*sockets.Conn
		for n := range maxConnections {
			to := addresses[n%len(addresses)]
			if n == 0 {
				to = debuggerAddress // else nothing is held
			}
			conn, err := s.Connect(t.Context(), sockets.Stream, to)
			if err != nil {
				t.Fatal(n, err)
			}
			open = append(open, conn)
		}
		for _, to := range addresses {
			_, err := s.Connect(t.Context(), sockets.Stream, to)
			wantRefusal(t, err, fmt.Sprintf("%s: an instance has at most 128 connections at once", to))
		}
		for _, conn := range open {
			_ = unix.Close(conn.FD)
			conn.Closed()
		}
		if taken != 0 || s.Connections() != 0 {
			t.Errorf("%d are taken, %d connections", taken, s.Connections())
		}
	}
	most = 0
	for _, to := range addresses {
		_, err := s.Connect(t.Context(), sockets.Stream, to)
		wantRefusal(t, err, fmt.Sprintf("%s: %v", to, full))
	}
	waitForFiles(t, before)
}

// The debugger is at its address where there is one, whatever else may be reached; nobody
// else finds anything there, even if it is named as allowed.
func TestDebugger_IsThereWhenThereIsOne(t *testing.T) {
	handed := make(chan net.Conn, 1)
	guard := NewGuard() // allows nothing
	s := NewSession(SessionConfig{Guard: guard, Dialer: Direct{}, Debugger: func(conn net.Conn) { handed <- conn }})
	conn, err := s.Connect(t.Context(), sockets.Stream, debuggerAddress)
	if err != nil || !conn.Local {
		t.Fatalf("got %+v, %v", conn, err)
	}
	_ = unix.Close(conn.FD)
	debugger := <-handed
	if n, err := debugger.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the function is gone: got %d, %v", n, err)
	}
	_ = debugger.Close()
	if _, err := NewSession(s.cfg).Connect(t.Context(), sockets.Stream, holdAddress); err != syscall.ECONNREFUSED {
		t.Errorf("a call is held without a debugger: %v", err)
	}
	for _, s := range []*Session{s, NewSession(SessionConfig{Guard: guard, Dialer: Direct{}})} {
		for _, to := range []netip.AddrPort{debuggerAddress, holdAddress, netip.AddrPortFrom(debuggerAddress.Addr(), 80)} {
			for _, kind := range []sockets.Kind{sockets.Stream, sockets.Datagram} {
				if s.cfg.Debugger != nil && to.Port() != 80 && kind == sockets.Stream {
					continue
				}
				if _, err := s.Connect(t.Context(), kind, to); err == nil {
					t.Errorf("%v %v is reached", kind, to)
				}
			}
		}
	}
}

// A connection holds the call while its debugger is there.
func TestDebugger_HoldsWhileItIsThere(t *testing.T) {
	before := openFiles(t)
	leave := make(chan struct{})
	s := NewSession(SessionConfig{Guard: NewGuard(), Dialer: Direct{}, Debugger: func(conn net.Conn) {
		<-leave
		_ = conn.Close()
	}})
	debugger, err := s.Connect(t.Context(), sockets.Stream, debuggerAddress)
	if err != nil || debugger.Holds != nil {
		t.Fatalf("got %+v, %v", debugger, err)
	}
	hold, err := s.Connect(t.Context(), sockets.Stream, holdAddress)
	if err != nil || hold.Holds == nil || hold.Holds.Err() != nil {
		t.Fatalf("got %+v, %v", hold, err)
	}
	close(leave)
	<-hold.Holds.Done()
	_ = unix.Close(debugger.FD)
	_ = unix.Close(hold.FD)
	waitForFiles(t, before)
}
