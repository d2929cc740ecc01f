package egress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// client is a session and the sockets that an instance has over it.
type client struct {
	t    testing.TB
	env  *sockets.Env
	told []string // refusals
}

func newClient(t testing.TB, s *Session) *client {
	waiter := &sockets.Waiter{}
	t.Cleanup(waiter.Close)
	c := &client{t: t}
	c.env = &sockets.Env{
		Net: s, Waiter: waiter, Talked: func() {},
		Refused: func(r *sockets.Refusal) { c.told = append(c.told, r.Reason) },
		Wait:    func(do func(context.Context, time.Time)) { do(t.Context(), time.Now().Add(time.Minute)) },
	}
	return c
}

// dial returns a connected socket, which the caller closes.
func (c *client) dial(kind sockets.Kind, to netip.AddrPort) *sockets.Socket {
	c.t.Helper()
	s, errno := sockets.New(c.env, unix.AF_INET, kind, 0)
	if errno == 0 {
		errno = s.Connect(to)
	}
	if errno != 0 {
		c.t.Fatalf("%s: error %d, %q", to, errno, c.told)
	}
	return s
}

// exchange sends so many bytes and receives them again.
func (c *client) exchange(s *sockets.Socket, size int) vfs.Errno {
	sent, got := make([]byte, size), make([]byte, size)
	for n := range sent {
		sent[n] = byte(n)
	}
	for at := 0; at < size; {
		n, errno := s.Send(sent[at:min(at+16<<10, size)], 0)
		if errno != 0 {
			return errno
		}
		for end := at + n; at < end; at += n {
			if n, errno = s.Receive(got[at:end], 0); errno != 0 || n == 0 {
				return max(errno, vfs.EIO)
			}
		}
	}
	if !slices.Equal(sent, got) {
		c.t.Error("what comes back is something else")
	}
	return 0
}

// openFiles returns how many descriptors this process has, with those that the first
// connection of all needs.
func openFiles(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestSession_ConnectsAndCountsBytes(t *testing.T) {
	there, udp := echo(t), echoUDP(t)
	eachDialer(t, "localhost,localhost/udp", func(t *testing.T, by Dialer) {
		s := NewSession(SessionConfig{Guard: NewGuard(policy(t, "localhost,127.0.0.1/udp")), Dialer: by})
		s.cfg.Guard.remember("echo.test", []netip.Addr{there.Addr()})
		c := newClient(t, s)
		stream, datagram := c.dial(sockets.Stream, there), c.dial(sockets.Datagram, udp)
		for _, size := range []int{1, 100, 200_000} {
			before := s.bytes
			if errno := c.exchange(stream, size); errno != 0 {
				t.Fatal(errno)
			}
			if got := s.bytes - before; got != int64(2*size) {
				t.Errorf("%d bytes sent and received count as %d", size, got)
			}
		}
		before := s.bytes
		if errno := c.exchange(datagram, 1000); errno != 0 || s.bytes-before != 2000 {
			t.Errorf("%d bytes by UDP, error %d", s.bytes-before, errno)
		}
		// What is looked at without being taken does not count.
		if _, errno := stream.Send([]byte("12345"), 0); errno != 0 {
			t.Fatal(errno)
		}
		buf, before := make([]byte, 10), s.bytes
		if n, errno := stream.Receive(buf, unix.MSG_PEEK); n == 0 || errno != 0 || s.bytes != before {
			t.Errorf("peeking at %d bytes, error %d, counts %d", n, errno, s.bytes-before)
		}
		if s.Connections() != 2 {
			t.Errorf("%d connections", s.Connections())
		}
		used := s.Used()
		if len(used) != 2 || used[0].Target != "tcp "+there.String() || used[0].Bytes < 400_202 ||
			!slices.Equal(used[0].Names, []string{"echo.test"}) || used[1].Bytes != 2000 {
			t.Errorf("the call has used %+v", used)
		}
		if refused := s.EndCall(); refused != nil || s.bytes != 0 || s.Used() != nil {
			t.Errorf("at the end of the call, %d bytes, refused: %q, used: %v", s.bytes, refused, s.Used())
		}
		// What is left open is used by the calls that use it, and by no others.
		if n, errno := stream.Receive(buf, 0); n != 5 || errno != 0 || len(s.Used()) != 1 || s.Used()[0].Bytes != 5 {
			t.Errorf("the next call has used %+v, error %d", s.Used(), errno)
		}
		stream.Close()
		datagram.Close()
		if s.Connections() != 0 {
			t.Errorf("%d connections are left", s.Connections())
		}
	})
}

func TestSession_ACallMovesSoManyBytesAndNoMore(t *testing.T) {
	there := echo(t)
	s := NewSession(SessionConfig{Guard: NewGuard(policy(t, "localhost")), Dialer: Direct{}})
	c := newClient(t, s)
	conn, other := c.dial(sockets.Stream, there), c.dial(sockets.Stream, there)
	s.bytes = maxCallBytes - 10 // the rest of a GiB, which takes a while
	if errno := c.exchange(conn, 5); errno != 0 {
		t.Fatalf("to the last byte: error %d", errno)
	}
	if n, errno := conn.Send([]byte("x"), 0); errno != sockets.EACCES {
		t.Errorf("a byte more: %d, error %d", n, errno)
	}
	if n, errno := conn.Send([]byte("x"), 0); errno != sockets.EPIPE {
		t.Errorf("the connection is still there: %d, error %d", n, errno)
	}
	if n, errno := other.Send([]byte("x"), 0); errno != sockets.EACCES || s.Connections() != 0 {
		t.Errorf("another connection: %d, error %d; %d connections", n, errno, s.Connections())
	}
	if want := "a call may send and receive 1024 MiB in all"; len(c.told) != 2 || c.told[0] != want || !slices.Equal(s.EndCall(), []string{want}) {
		t.Errorf("told: %q", c.told)
	}
	again := c.dial(sockets.Stream, there)
	defer again.Close()
	if errno := c.exchange(again, 100); errno != 0 {
		t.Errorf("the next call: error %d", errno)
	}
}

func TestSession_HasSoManyConnectionsAndNoMore(t *testing.T) {
	there := echo(t)
	var taken, most int
	full := errors.New("the tenant has 3 connections")
	s := NewSession(SessionConfig{Guard: NewGuard(policy(t, "localhost")), Dialer: Direct{}, Reserve: func() (func(), error) {
		if most > 0 && taken == most {
			return nil, full
		}
		taken++
		return func() { taken-- }, nil
	}})
	var open []*sockets.Conn
	for range maxConnections {
		conn, err := s.Connect(t.Context(), sockets.Stream, there)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	for range 2 {
		_, err := s.Connect(t.Context(), sockets.Stream, there)
		wantRefusal(t, err, fmt.Sprintf("%s: an instance has at most 128 connections at once", there))
	}
	if s.Connections() != maxConnections || taken != maxConnections {
		t.Errorf("%d connections, %d taken", s.Connections(), taken)
	}
	hangUp := func(conn *sockets.Conn) {
		_ = unix.Close(conn.FD)
		conn.Closed()
	}
	for _, conn := range open[3:] {
		hangUp(conn)
	}
	most = 3
	_, err := s.Connect(t.Context(), sockets.Stream, there)
	wantRefusal(t, err, fmt.Sprintf("%s: %v", there, full))
	hangUp(open[0])
	// What can't be made gives back what it took.
	s.cfg.Dialer = lookups{}
	for range 3 {
		if conn, err := s.Connect(t.Context(), sockets.Stream, there); err == nil || taken != 2 || s.Connections() != 2 {
			t.Errorf("got %v, %v; %d are taken, %d connections", conn, err, taken, s.Connections())
		}
	}
	hangUp(open[1])
	hangUp(open[2])
	if got := s.EndCall(); len(got) != 1 {
		t.Errorf("refused: %q", got)
	}
}

// What a policy that has changed does not allow ends at once, and what it allows goes on.
func TestSession_APolicyThatChanges(t *testing.T) {
	there := echo(t)
	var ceilings Ceilings
	guard := NewGuard(policy(t, "localhost")).BoundBy(func() *Policy { return ceilings.Of("t") }, "the tenant may not")
	c := newClient(t, NewSession(SessionConfig{Guard: guard, Dialer: Direct{}}))
	conn := c.dial(sockets.Stream, there)
	defer conn.Close()
	for _, allowed := range []string{"localhost", "127.0.0.1,10.0.0.1"} {
		ceilings.Set("t", policy(t, allowed))
		ceilings.Set("another", policy(t, ""))
		for range 2 {
			if errno := c.exchange(conn, 100); errno != 0 {
				t.Fatalf("%s: error %d, %q", allowed, errno, c.told)
			}
		}
	}
	ceilings.Set("t", policy(t, "10.0.0.1"))
	if n, errno := conn.Send([]byte("x"), 0); errno != sockets.EACCES {
		t.Errorf("sent %d, error %d", n, errno)
	}
	ceilings.Set("t", policy(t, "localhost"))
	if n, errno := conn.Send([]byte("x"), 0); errno != sockets.EPIPE {
		t.Errorf("what was refused is there again: sent %d, error %d", n, errno)
	}
}

// nowhere is an address where nobody listens.
func nowhere(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) }) // it keeps the port from others
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port))
}

func TestSession_NobodyThere(t *testing.T) {
	closed := nowhere(t)
	eachDialer(t, "localhost", func(t *testing.T, by Dialer) {
		s := NewSession(SessionConfig{Guard: NewGuard(policy(t, "localhost")), Dialer: by})
		c := newClient(t, s)
		for range 3 {
			socket, errno := sockets.New(c.env, unix.AF_INET, sockets.Stream, 0)
			if errno != 0 {
				t.Fatal(errno)
			}
			if errno = socket.Connect(closed); errno != sockets.ECONNREFUSED {
				t.Errorf("error %d", errno)
			}
			socket.Close()
		}
		if s.Connections() != 0 || s.EndCall() != nil {
			t.Errorf("%d connections, or that nobody is there is a refusal", s.Connections())
		}
	})
}

// Who does not answer is given up after half a minute, not after the system's two.
func TestSession_ConnectingHasALimit(t *testing.T) {
	there := echo(t)
	eachDialer(t, "localhost", func(t *testing.T, by Dialer) {
		conn, err := NewSession(SessionConfig{Guard: NewGuard(policy(t, "localhost")), Dialer: by}).Connect(t.Context(), sockets.Stream, there)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(conn.FD)
		if n, err := unix.GetsockoptInt(conn.FD, unix.IPPROTO_TCP, unix.TCP_SYNCNT); err != nil || n != synRetries {
			t.Errorf("asks %d times more, %v", n, err)
		}
	})
}

func TestSession_TellsEachRefusalOnce(t *testing.T) {
	s := NewSession(SessionConfig{Guard: NewGuard(policy(t, "*.a.org:80")), Dialer: names{"x.a.org": {"1.1.1.1"}}})
	ask := func() {
		for range 3 {
			_, _ = s.Resolve(t.Context(), "b.org")
			_, _ = s.Resolve(t.Context(), "unknown.a.org") // is no refusal
			_, _ = s.Connect(t.Context(), sockets.Stream, netip.MustParseAddrPort("10.0.0.1:80"))
			_, _ = s.Connect(t.Context(), sockets.Stream, netip.MustParseAddrPort("10.0.0.1:81"))
			_, _ = s.Connect(t.Context(), sockets.Datagram, netip.MustParseAddrPort("10.0.0.1:80"))
		}
	}
	want := []string{
		"b.org: it is not allowed; --allow-net=b.org would allow it",
		"10.0.0.1:80: a private address, which must be named; --allow-net=10.0.0.1:80 would allow it",
		"10.0.0.1:81: a private address, which must be named; --allow-net=10.0.0.1:81 would allow it",
		"10.0.0.1:80/udp: a private address, which must be named; --allow-net=10.0.0.1:80/udp would allow it",
	}
	for range 2 { // the second call is told again
		ask()
		if got := s.EndCall(); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	}
	for n := range 10 * maxRefusals {
		_, _ = s.Connect(t.Context(), sockets.Stream, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(n+1)))
	}
	if got := s.EndCall(); len(got) != maxRefusals {
		t.Errorf("%d refusals", len(got))
	}
	if got := s.EndCall(); got != nil {
		t.Errorf("a call without: %q", got)
	}
}

// TestSession_Hammer has instances come and go that connect, talk, are refused and hang
// up, all by one broker. Each answer is its own, no count goes beyond what there may
// be, and nothing is left.
func TestSession_Hammer(t *testing.T) {
	dns, there, udp := newNameServer(t), echo(t), echoUDP(t)
	dns.Set("a.example.org", "10.0.0.1")
	dns.Set("b.example.org", "93.184.216.34")
	b := broker(t, "localhost,127.0.0.1/udp,*.example.org")
	closed := nowhere(t)
	before := openFiles(t)
	const most = 20
	var taken, talks atomic.Int64
	reserve := func() (func(), error) {
		if taken.Add(1) > most {
			taken.Add(-1)
			return nil, errors.New("there are enough")
		}
		return func() { taken.Add(-1) }, nil
	}
	var instances sync.WaitGroup
	for worker := range 8 {
		instances.Go(func() {
			for range 15 {
				s := NewSession(SessionConfig{Guard: NewGuard(policy(t, "localhost,localhost/udp,*.example.org")), Dialer: b, Reserve: reserve})
				var open []*sockets.Conn
				for range 15 {
					ctx, cancel := context.WithTimeout(t.Context(), pick([]time.Duration{time.Minute, time.Minute, 100 * time.Microsecond}))
					kind, to := pick([]sockets.Kind{sockets.Stream, sockets.Datagram}), there
					if kind == sockets.Datagram {
						to = udp
					}
					switch rand.IntN(6) {
					case 0:
						if found, err := s.Resolve(ctx, "b.example.org"); err == nil && fmt.Sprint(found) != "[93.184.216.34]" {
							t.Errorf("found %v", found)
						}
					case 1:
						if found, err := s.Resolve(ctx, "a.example.org"); err == nil {
							t.Errorf("found %v", found)
						}
					case 2:
						if conn, err := s.Connect(ctx, sockets.Stream, closed); err == nil {
							open = append(open, conn)
						}
					default:
						conn, err := s.Connect(ctx, kind, to)
						if err != nil {
							break
						}
						text := fmt.Sprint("worker ", worker, " ", rand.Uint64())
						copied, err := unix.FcntlInt(uintptr(conn.FD), unix.F_DUPFD_CLOEXEC, 0)
						if err != nil {
							t.Error(err)
						} else if got := talk(t, copied, text); got != text {
							t.Errorf("got %q, want %q", got, text)
						}
						talks.Add(1)
						open = append(open, conn)
					}
					cancel()
					if n := s.Connections(); n != len(open) || taken.Load() > most+8 {
						t.Errorf("%d connections of %d, %d of all", n, len(open), taken.Load())
					}
					if len(open) > 3 {
						_ = unix.Close(open[0].FD)
						open[0].Closed()
						open = open[1:]
					}
				}
				s.EndCall()
				for _, conn := range open {
					_ = unix.Close(conn.FD)
					conn.Closed()
				}
				if s.Connections() != 0 {
					t.Errorf("%d connections are left", s.Connections())
				}
			}
		})
	}
	instances.Wait()
	if taken.Load() != 0 || talks.Load() == 0 {
		t.Errorf("%d are taken at the end of %d talks", taken.Load(), talks.Load())
	}
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
	b.mu.Lock()
	if n := len(b.waiting); n != 0 {
		t.Errorf("%d wait for an answer", n)
	}
	b.mu.Unlock()
	waitForFiles(t, before)
}

// waitForFiles waits until there are no more descriptors than before: servers and late
// answers give theirs back in a moment.
func waitForFiles(t testing.TB, before int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); openFiles(t) > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, before %d", openFiles(t), before)
		}
	}
}
