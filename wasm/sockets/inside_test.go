package sockets

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"vivarium/wasm/vfs"
)

// alone is what a socket has of an instance that can reach nothing, and may take so
// many bytes.
func alone(limit int64) (env *Env, taken *int64) {
	taken = new(int64)
	return &Env{
		Net: None{}, Waiter: &Waiter{}, Refused: func(*Refusal) {}, Talked: func() {},
		Wait: func(do func(context.Context, time.Time)) {
			deadline := time.Now().Add(10 * time.Millisecond)
			if do(context.Background(), deadline); !time.Now().Before(deadline) {
				panic("the deadline")
			}
		},
		Reserve: func(delta int64) bool {
			if *taken+delta > limit {
				return false
			}
			*taken += delta
			return true
		},
	}, taken
}

func socket(t *testing.T, env *Env, family int) *Socket {
	t.Helper()
	s, errno := New(env, family, Stream, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return s
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestInside_AServerAndItsClients(t *testing.T) {
	for family, address := range map[int]string{familyIPv4: "127.0.0.1:0", familyIPv6: "[::1]:0"} {
		env, taken := alone(1 << 20)
		l := socket(t, env, family)
		want(t, "bind", l.Bind(netip.MustParseAddrPort(address)), vfs.Errno(0))
		want(t, "listen", l.Listen(2), vfs.Errno(0))
		at := l.Local()
		if at.Port() == 0 {
			t.Fatalf("listening at %s", at)
		}
		l.SetFlags(vfs.NonBlock)
		_, errno := l.Accept()
		want(t, "accept before anybody connects", errno, EAGAIN)
		c := socket(t, env, family)
		want(t, "connect", c.Connect(at), vfs.Errno(0))
		want(t, "connect again", c.Connect(at), EISCONN)
		want(t, "the listener is ready", l.state(readable|writable), int16(readable))
		s, errno := l.Accept()
		want(t, "accept", errno, vfs.Errno(0))
		peer, _ := s.Peer()
		want(t, "the client's address", peer, c.Local())
		peer, _ = c.Peer()
		want(t, "the server's address", peer, at)

		if n, errno := c.Send([]byte("hello"), 0); n != 5 || errno != 0 {
			t.Errorf("send: %d, %v", n, errno)
		}
		buf := make([]byte, 16)
		n, _ := s.Receive(buf, flagPeek)
		m, _ := s.Receive(buf, 0)
		want(t, "peeked", n, 5)
		want(t, "received", string(buf[:m]), "hello")
		_, errno = s.Receive(buf, flagDontWait)
		want(t, "received before anything is sent", errno, EAGAIN)
		want(t, "state of a connection without data", s.state(readable|writable), int16(writable))
		want(t, "shutdown", c.Shutdown(1), vfs.Errno(0))
		n, errno = s.Receive(buf, 0)
		want(t, "the end", n, 0)
		want(t, "the end", errno, vfs.Errno(0))
		_, errno = c.Send([]byte("x"), 0)
		want(t, "send after shutdown", errno, EPIPE)
		c.Close()
		_, errno = s.Send([]byte("x"), 0)
		want(t, "send to one that is closed", errno, EPIPE)
		s.Close()
		l.Close()
		want(t, "bytes that are still taken", *taken, int64(0))
		c = socket(t, env, family)
		want(t, "connect to what listens no more", c.Connect(at), EACCES)
	}
}

func TestInside_NoOtherAddresses(t *testing.T) {
	env, _ := alone(1 << 20)
	for address, errno := range map[string]vfs.Errno{
		"0.0.0.0:0": 0, "0.0.0.0:80": EACCES, "10.0.0.1:80": EADDRNOTAVAIL, "127.0.0.1:80": 0, "127.0.0.2:0": 0, "[::1]:80": EAFNOSUPPORT,
	} {
		want(t, address, socket(t, env, familyIPv4).Bind(netip.MustParseAddrPort(address)), errno)
	}
	want(t, "an address that another has", socket(t, env, familyIPv4).Bind(netip.MustParseAddrPort("127.0.0.1:80")), EADDRINUSE)
	s := socket(t, env, familyIPv4)
	want(t, "bind", s.Bind(netip.MustParseAddrPort("0.0.0.0:0")), vfs.Errno(0))
	want(t, "listen without an address", s.Listen(1), EACCES)
}

// What a connection holds is bounded, and counted.
func TestInside_AConnectionHoldsSoMuch(t *testing.T) {
	env, taken := alone(maxPipe)
	a, b, errno := Pair(env, familyUnix, Stream, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	a.SetFlags(vfs.NonBlock)
	b.SetFlags(vfs.NonBlock)
	data := bytes.Repeat([]byte("0123456789abcdef!"), 10_000)
	n, errno := a.Send(data, 0)
	if n != maxPipe || errno != 0 {
		t.Errorf("sent %d, %v", n, errno)
	}
	want(t, "taken", *taken, int64(maxPipe))
	_, errno = a.Send(data[n:], 0)
	want(t, "send when full", errno, EAGAIN)
	want(t, "state when full", a.state(readable|writable), int16(0))
	_, errno = b.Send(data, 0)
	want(t, "send beyond the limit of memory", errno, ENOBUFS)
	var got []byte
	for len(got) < len(data) {
		buf := make([]byte, 999)
		m, errno := b.Receive(buf, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		got = append(got, buf[:m]...)
		sent, errno := a.Send(data[n:], 0)
		if n += sent; errno != 0 && errno != EAGAIN {
			t.Fatal(errno)
		}
	}
	if !bytes.Equal(got, data) {
		t.Error("what was received is not what was sent")
	}
	a.Close()
	b.Close()
	want(t, "taken in the end", *taken, int64(0))
}

// A backlog is finite; and who waits for itself waits until the deadline.
func TestInside_WaitingForOneself(t *testing.T) {
	env, _ := alone(1 << 20)
	l := socket(t, env, familyIPv4)
	l.Bind(netip.MustParseAddrPort("127.0.0.1:0"))
	l.Listen(1)
	want(t, "the first", socket(t, env, familyIPv4).Connect(l.Local()), vfs.Errno(0))
	want(t, "one too many", socket(t, env, familyIPv4).Connect(l.Local()), ECONNREFUSED)
	s, _ := l.Accept()
	for name, wait := range map[string]func(){
		"accept": func() { l.Accept() }, "receive": func() { s.Receive(make([]byte, 1), 0) }, "send": func() { s.Send(make([]byte, 1<<20), 0) },
	} {
		func() {
			defer func() { want(t, name, recover(), "the deadline") }()
			wait()
		}()
	}
}
