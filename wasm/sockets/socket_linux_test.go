package sockets

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/wasm/vfs"
)

// everywhere is a Net that connects anywhere.
type everywhere struct {
	None
	open  int
	moved int
}

func (e *everywhere) Connect(_ context.Context, kind Kind, to netip.AddrPort) (*Conn, error) {
	how := unix.SOCK_STREAM
	if kind == Datagram {
		how = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET, how|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return nil, err
	}
	e.open++
	return &Conn{FD: fd, Closed: func() { e.open-- }, Moved: func(n int) error { e.moved += n; return nil }}, nil
}

// instance returns the Env of an instance.
func instance(t *testing.T, n Net) *Env {
	waiter := &Waiter{}
	t.Cleanup(waiter.Close)
	return &Env{
		Net: n, Waiter: waiter, Refused: func(*Refusal) {}, Talked: func() {},
		Wait: func(do func(context.Context, time.Time)) { do(t.Context(), time.Now().Add(time.Minute)) },
	}
}

func stream(t *testing.T, env *Env) *Socket {
	t.Helper()
	s, errno := New(env, familyIPv4, Stream, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(s.Close)
	return s
}

// server accepts connections on loopback and passes each to serve.
func server(t *testing.T, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
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
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestSocket_TalksAndWaits(t *testing.T) {
	world := &everywhere{}
	env := instance(t, world)
	addr := server(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	s := stream(t, env)
	if _, errno := s.Send([]byte("x"), 0); errno != ENOTCONN {
		t.Error("sending before connecting:", errno)
	}
	if errno := s.SetOption(syscall.IPPROTO_TCP, 1, 1); errno != 0 {
		t.Error("TCP_NODELAY:", errno)
	}
	if errno := s.Connect(addr); errno != 0 {
		t.Fatal(errno)
	}
	if n, errno := s.Option(syscall.IPPROTO_TCP, 1); n != 1 || errno != 0 {
		t.Error("the option was set before there was a connection:", n, errno)
	}
	if peer, _ := s.Peer(); peer != addr || s.Local().Port() == 0 {
		t.Error(peer, s.Local())
	}
	if errno := s.Connect(addr); errno != EISCONN {
		t.Error("connecting twice:", errno)
	}
	// More than the buffers in between hold, so the socket has to wait for the
	// peer.
	sent := bytes.Repeat([]byte("0123456789"), 50_000)
	got := make([]byte, len(sent))
	for at, back := 0, 0; back < len(got); {
		if at < len(sent) {
			n, errno := s.Send(sent[at:min(at+100_000, len(sent))], 0)
			if errno != 0 {
				t.Fatal(errno)
			}
			at += n
		}
		n, errno := s.Receive(got[back:], 0)
		if errno != 0 || n == 0 {
			t.Fatal(n, errno)
		}
		back += n
	}
	if !bytes.Equal(sent, got) || world.moved != 2*len(sent) {
		t.Error("something was lost:", world.moved)
	}
	s.SetFlags(vfs.NonBlock)
	if _, errno := s.Receive(got, 0); errno != EAGAIN {
		t.Error("nothing is there:", errno)
	}
	if errno := s.Shutdown(syscall.SHUT_WR); errno != 0 {
		t.Error(errno)
	}
	s.SetFlags(0)
	if n, errno := s.Receive(got, 0); n != 0 || errno != 0 {
		t.Error("at the end:", n, errno)
	}
	if s.Close(); world.open != 0 {
		t.Error(world.open, "connections are open")
	}
}

func TestSocket_ConnectsWithoutBlocking(t *testing.T) {
	env := instance(t, &everywhere{})
	addr := server(t, func(c net.Conn) { _, _ = c.Write([]byte("hello")) })
	s := stream(t, env)
	s.SetFlags(vfs.NonBlock)
	if errno := s.Connect(addr); errno != 0 && errno != EINPROGRESS {
		t.Fatal(errno)
	}
	set := []Polled{{Socket: s, Events: writable}}
	if n := Poll(env, set, -1); n != 1 || set[0].Ready != writable {
		t.Fatal(n, set[0].Ready)
	}
	if n, errno := s.Option(levelSocket, optionError); n != 0 || errno != 0 {
		t.Error(n, errno)
	}
	set[0].Events = readable
	if n := Poll(env, set, time.Minute); n != 1 || set[0].Ready&readable == 0 {
		t.Error(n, set[0].Ready)
	}
}

func TestSocket_SaysWhyItCannotConnect(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().(*net.TCPAddr).AddrPort()
	_ = l.Close()
	world := &everywhere{}
	env := instance(t, world)
	if errno := stream(t, env).Connect(closed); errno != ECONNREFUSED {
		t.Error(errno)
	}
	s := stream(t, env)
	s.SetFlags(vfs.NonBlock)
	if errno := s.Connect(closed); errno == EINPROGRESS {
		set := []Polled{{Socket: s, Events: writable}}
		if Poll(env, set, -1); set[0].Ready&failed == 0 {
			t.Error(set[0].Ready)
		}
		if n, _ := s.Option(levelSocket, optionError); vfs.Errno(n) != ECONNREFUSED {
			t.Error(n)
		}
	} else if errno != ECONNREFUSED {
		t.Error(errno)
	}
	if world.open != 0 {
		t.Error(world.open, "connections are open")
	}
	reason := ""
	env = instance(t, None{})
	env.Refused = func(r *Refusal) { reason = r.Reason }
	want := "10.0.0.1:5432: the function has no network; --allow-net=10.0.0.1:5432 would allow it"
	if errno := stream(t, env).Connect(netip.MustParseAddrPort("10.0.0.1:5432")); errno != EACCES || reason != want {
		t.Error(errno, reason)
	}
}

func TestSocket_WaitsEnd(t *testing.T) {
	env := instance(t, &everywhere{})
	addr := server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	s := stream(t, env)
	if errno := s.Connect(addr); errno != 0 {
		t.Fatal(errno)
	}
	set := []Polled{{Socket: s, Events: readable}}
	if n := Poll(env, set, time.Millisecond); n != 0 {
		t.Error("nothing has come, but", set[0].Ready)
	}
	type ended struct{}
	for name, wait := range map[string]func(do func(context.Context, time.Time)){
		"deadline": func(do func(context.Context, time.Time)) { do(t.Context(), time.Now().Add(time.Millisecond)) },
		"cancellation": func(do func(context.Context, time.Time)) {
			ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
			defer stop()
			do(ctx, time.Time{})
		},
	} {
		env.Wait = func(do func(context.Context, time.Time)) {
			wait(do)
			panic(ended{}) // as an instance does at the end of a call
		}
		func() {
			defer func() {
				if _, ok := recover().(ended); !ok {
					t.Error(name, "did not end the wait")
				}
			}()
			_, _ = s.Receive(make([]byte, 1), 0)
		}()
	}
}

func TestSocket_HangUpLooksLikeTheOtherSide(t *testing.T) {
	world := &everywhere{}
	env := instance(t, world)
	addr := server(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	s := stream(t, env)
	if errno := s.Connect(addr); errno != 0 {
		t.Fatal(errno)
	}
	s.HangUp()
	set := []Polled{{Socket: s, Events: readable}}
	if Poll(env, set, 0); set[0].Ready&readable == 0 || world.open != 0 {
		t.Error(set[0].Ready, world.open)
	}
	n, errno := s.Receive(make([]byte, 1), 0)
	_, errno2 := s.Send([]byte("x"), 0)
	if n != 0 || errno != 0 || errno2 != EPIPE {
		t.Error(n, errno, errno2)
	}
}

func TestSocket_OptionsThatWouldLeadElsewhere(t *testing.T) {
	s := stream(t, instance(t, None{}))
	for _, o := range [][2]int{
		{levelSocket, unix.SO_BINDTODEVICE}, {levelSocket, unix.SO_MARK},
		{levelSocket, unix.SO_ATTACH_FILTER}, {levelSocket, unix.SO_DONTROUTE},
		{unix.IPPROTO_IP, unix.IP_OPTIONS}, {unix.IPPROTO_IP, unix.IP_TRANSPARENT},
		{unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP},
		{unix.IPPROTO_TCP, unix.TCP_ULP}, {unix.IPPROTO_IPV6, unix.IPV6_RTHDR},
	} {
		if errno := s.SetOption(o[0], o[1], 1); errno != ENOPROTOOPT {
			t.Error(o, errno)
		}
	}
}

// The host's socket is told nothing of these, so that it sends to no broadcast address.
func TestSocket_OptionsThatMeanNothingHereAreRemembered(t *testing.T) {
	world := &everywhere{}
	s := stream(t, instance(t, world))
	names := []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_BROADCAST}
	check := func(when string, want int) {
		for _, name := range names {
			if n, errno := s.Option(levelSocket, name); n != want || errno != 0 {
				t.Errorf("%s, option %d is %d, %v", when, name, n, errno)
			}
		}
	}
	check("at first", 0)
	for _, name := range names {
		if errno := s.SetOption(levelSocket, name, 1); errno != 0 {
			t.Errorf("option %d: %v", name, errno)
		}
	}
	check("when set", 1)
	if errno := s.Connect(server(t, func(net.Conn) {})); errno != 0 {
		t.Fatal(errno)
	}
	check("after connecting", 1)
	for _, name := range names {
		if n, err := unix.GetsockoptInt(s.conn.FD, unix.SOL_SOCKET, name); n != 0 || err != nil {
			t.Errorf("option %d of the host's socket is %d, %v", name, n, err)
		}
	}
}

func TestAddress_RoundTrip(t *testing.T) {
	for _, text := range []string{"1.2.3.4:80", "[2001:db8::1]:65535", "[::ffff:1.2.3.4]:1"} {
		want := netip.MustParseAddrPort(text)
		if got, errno := ParseAddress(AppendAddress(nil, want)); got != want || errno != 0 {
			t.Error(want, got, errno)
		}
	}
	for _, b := range [][]byte{nil, {2}, {2, 0, 0}, {10, 0, 0, 80, 1}, {1, 0, 47, 116, 109, 112, 0, 0}} {
		if a, errno := ParseAddress(b); errno == 0 {
			t.Error(b, a)
		}
	}
}
