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
		"0.0.0.0:0": 0, "0.0.0.0:81": 0, "10.0.0.1:80": EADDRNOTAVAIL, "127.0.0.1:80": 0, "127.0.0.2:0": 0, "[::1]:80": EAFNOSUPPORT,
	} {
		want(t, address, socket(t, env, familyIPv4).Bind(netip.MustParseAddrPort(address)), errno)
	}
	for _, taken := range []string{"127.0.0.1:80", "0.0.0.0:80", "127.0.0.1:81"} {
		want(t, taken, socket(t, env, familyIPv4).Bind(netip.MustParseAddrPort(taken)), EADDRINUSE)
	}
	want(t, "the port of another kind", socket(t, env, familyIPv6).Bind(netip.MustParseAddrPort("[::1]:80")), vfs.Errno(0))
	s := socket(t, env, familyIPv4)
	want(t, "listen without an address", s.Listen(1), EACCES)
	want(t, "bind", s.Bind(netip.MustParseAddrPort("0.0.0.0:0")), vfs.Errno(0))
	want(t, "listen at every address", s.Listen(1), EACCES)
	want(t, "connect from there", s.Connect(netip.MustParseAddrPort("127.0.0.1:81")), EACCES)
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

func TestInside_Datagrams(t *testing.T) {
	for family, address := range map[int]string{familyIPv4: "127.0.0.1:0", familyIPv6: "[::]:0"} {
		env, taken := alone(1 << 20)
		open := func() *Socket {
			s, errno := New(env, family, Datagram, 0)
			want(t, "open", errno, vfs.Errno(0))
			return s
		}
		server, client, other := open(), open(), open()
		want(t, "bind", server.Bind(netip.MustParseAddrPort(address)), vfs.Errno(0))
		at := reachable(server.Local())
		if at.Port() == 0 {
			t.Fatalf("bound to %s", at)
		}
		want(t, "state before anything is sent", server.state(readable|writable), int16(writable))
		_, errno := client.Send([]byte("x"), 0)
		want(t, "send to nobody", errno, EDESTADDRREQ)
		for _, text := range []string{"first", "", "the third"} {
			n, errno := client.SendTo([]byte(text), 0, at)
			want(t, "sent", n, len(text))
			want(t, "send", errno, vfs.Errno(0))
		}
		want(t, "state", server.state(readable|writable), int16(readable|writable))
		buf := make([]byte, 5)
		receive := func(s *Socket, flags int, text string, length int, from *Socket) {
			t.Helper()
			n, sender, errno := s.ReceiveFrom(buf, flags)
			if n != length || errno != 0 || string(buf[:min(n, len(buf))]) != text || sender != reachable(from.Local()) {
				t.Errorf("received %d, %q from %s, error %d; want %d, %q from %s", n, buf[:min(n, len(buf))], sender, errno, length, text, from.Local())
			}
		}
		receive(server, flagPeek, "first", 5, client)
		receive(server, 0, "first", 5, client)
		receive(server, 0, "", 0, client)
		receive(server, flagTrunc, "the t", 9, client)
		_, _, errno = server.ReceiveFrom(buf, flagDontWait)
		want(t, "received when nothing is left", errno, EAGAIN)

		want(t, "connect", other.Connect(at), vfs.Errno(0))
		other.Send([]byte("hello"), 0)
		receive(server, 0, "hello", 5, other)
		client.SendTo([]byte("x"), 0, other.Local()) // not its peer
		server.SendTo([]byte("back"), 0, other.Local())
		receive(other, 0, "back", 4, server)
		_, errno = server.SendTo(make([]byte, maxDatagram+1), 0, other.Local())
		want(t, "too large a datagram", errno, EMSGSIZE)
		for range 10 { // what has no room is lost
			n, errno := server.SendTo(make([]byte, 60_000), 0, other.Local())
			want(t, "sent", n, 60_000)
			want(t, "send", errno, vfs.Errno(0))
		}
		want(t, "taken", *taken, int64(3*(60_000+datagramCost)))
		server.Close()
		_, errno = other.Send([]byte("x"), 0)
		want(t, "send to one that is closed", errno, vfs.Errno(0))
		_, errno = other.Send([]byte("x"), 0)
		want(t, "send again", errno, ECONNREFUSED)
		other.Close()
		client.Close()
		want(t, "bytes that are still taken", *taken, int64(0))
		want(t, "addresses that are still taken", len(env.inside.bound), 0)
	}
}

// Who has closed reads no more; who sends learns it as from a kernel's TCP, which tells
// only when an answer has come back.
func TestInside_ThePeerIsGone(t *testing.T) {
	env, _ := alone(1 << 20)
	pair := func() (a, b *Socket) {
		l, a := socket(t, env, familyIPv4), socket(t, env, familyIPv4)
		defer l.Close()
		l.Bind(netip.MustParseAddrPort("127.0.0.1:0"))
		l.Listen(1)
		want(t, "connect", a.Connect(l.Local()), vfs.Errno(0))
		b, errno := l.Accept()
		want(t, "accept", errno, vfs.Errno(0))
		return a, b
	}
	send := func(what string, s *Socket, errno vfs.Errno) {
		t.Helper()
		_, got := s.Send([]byte("xyz"), 0)
		want(t, what, got, errno)
	}
	receive := func(what string, s *Socket, n int, errno vfs.Errno) {
		t.Helper()
		m, got := s.Receive(make([]byte, 3), 0)
		want(t, what, m, n)
		want(t, what, got, errno)
	}
	a, b := pair()
	b.Close()
	receive("the end", a, 0, 0)
	send("the first after the end", a, 0)
	send("the second", a, EPIPE)
	receive("the end again", a, 0, 0)

	a, b = pair()
	send("what is not read", a, 0)
	send("what is sent before", b, 0)
	b.Close()
	receive("what was sent before", a, 3, 0)
	receive("a reset", a, 0, ECONNRESET)
	receive("the end after a reset", a, 0, 0)
	send("after a reset", a, EPIPE)

	a, b = pair()
	b.Shutdown(0) // which TCP does not tell
	send("to one that does not listen", a, 0)
	receive("what came nevertheless", b, 3, 0)
	receive("the end", b, 0, 0)

	l := socket(t, env, familyIPv4)
	l.Bind(netip.MustParseAddrPort("127.0.0.1:0"))
	l.Listen(1)
	a = socket(t, env, familyIPv4)
	a.Connect(l.Local())
	l.Close()
	receive("not accepted", a, 0, ECONNRESET)

	a, b, _ = Pair(env, familyUnix, Stream, 0)
	b.Close()
	send("of a pair", a, EPIPE)
}

// A poll that something within has woken ends all the same when another thread
// interrupts it before it goes on.
func TestInside_InterruptedWhileWokenUp(t *testing.T) {
	env, _ := alone(1 << 20)
	a, _, _ := Pair(env, familyUnix, Stream, 0)
	waits := 0
	env.Wait = func(do func(context.Context, time.Time)) {
		if waits++; waits > 1 {
			t.Fatal("it waits again")
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		env.inside.stir()
		do(ctx, time.Now().Add(time.Minute))
		cancel(ErrInterrupted)
	}
	want(t, "ready", Poll(env, []Polled{{Socket: a, Events: readable}}, -1), 0)
}
