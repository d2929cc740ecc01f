package sockets

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/wasm/vfs"
)

// pair is a Net whose connections end in the test.
type pair struct {
	None
	other int // the last one's other end
}

func (p *pair) Connect(_ context.Context, kind Kind, _ netip.AddrPort) (*Conn, error) {
	how := unix.SOCK_STREAM
	if kind == Datagram {
		how = unix.SOCK_DGRAM
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, how|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p.other = fds[1]
	return &Conn{FD: fds[0], Local: true}, nil
}

// connected returns a socket and the other end of its connection.
func connected(t *testing.T, env *Env, net *pair, kind Kind) (*Socket, int) {
	t.Helper()
	s, errno := New(env, familyIPv4, kind, 0)
	if errno == 0 {
		errno = s.Connect(netip.MustParseAddrPort("10.0.0.1:1"))
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	other := net.other
	t.Cleanup(func() { s.Close(); _ = unix.Close(other) })
	return s, other
}

// A socket that is waited for twice, to read and to write, is woken by either.
func TestPoll_OneSocketTwice(t *testing.T) {
	for _, order := range [][2]int16{{readable, writable}, {writable, readable}, {readable, 0}} {
		net := &pair{}
		env := instance(t, net)
		s, other := connected(t, env, net, Stream)
		s.SetFlags(vfs.NonBlock)
		for { // until there is no room to write
			if _, errno := s.Send(make([]byte, 64<<10), 0); errno != 0 {
				break
			}
		}
		late := false
		env.Wait = func(do func(context.Context, time.Time)) {
			go func() { _, _ = unix.Write(other, []byte("x")) }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // far more than it takes
			defer cancel()
			do(ctx, time.Time{})
			late = ctx.Err() != nil
		}
		set := []Polled{{Socket: s, Events: order[0]}, {Socket: s, Events: order[1]}}
		if n := Poll(env, set, -1); n != 1 || set[0].Ready|set[1].Ready != readable || late {
			t.Errorf("%v: %d are ready, for %d and %d, late: %v", order, n, set[0].Ready, set[1].Ready, late)
		}
	}
}

// Peeking shows what is there, once, also when all of the buffer is asked for.
func TestReceive_PeeksAtWhatIsThere(t *testing.T) {
	net := &pair{}
	s, other := connected(t, instance(t, net), net, Stream)
	if _, err := unix.Write(other, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	for _, flags := range []int{flagPeek, flagPeek | flagWaitAll, flagPeek | flagDontWait} {
		buf := make([]byte, 9)
		if n, errno := s.Receive(buf, flags); string(buf[:max(n, 0)]) != "abc" || errno != 0 {
			t.Errorf("flags %#x: got %q, %d, error %d", flags, buf, n, errno)
		}
	}
	go func() {
		for _, text := range []string{"d", "ef", "ghi"} {
			_, _ = unix.Write(other, []byte(text))
		}
	}()
	buf := make([]byte, 9)
	if n, errno := s.Receive(buf, flagWaitAll); n != 9 || errno != 0 || string(buf) != "abcdefghi" {
		t.Errorf("waiting for all: got %q, %d, error %d", buf, n, errno)
	}
}

// A long transfer gives others their turn between parts. Then another thread may close the
// socket.
func TestTransfers_GiveWay(t *testing.T) {
	const little = 128 << 10
	addr := server(t, func(c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		for buf, err := make([]byte, little), error(nil); err == nil; {
			_, err = c.Write(buf)
		}
	})
	for name, transfer := range map[string]func(s *Socket, buf []byte) (int, vfs.Errno){
		"receiving": func(s *Socket, buf []byte) (int, vfs.Errno) { return s.Receive(buf, flagWaitAll) },
		"sending":   func(s *Socket, buf []byte) (int, vfs.Errno) { return s.Send(buf, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			env := instance(t, &everywhere{})
			s := stream(t, env)
			if errno := s.Connect(addr); errno != 0 {
				t.Fatal(errno)
			}
			most, all := 0, 0
			env.Work = func(n int) { most, all = max(most, n), all+n }
			n, errno := transfer(s, make([]byte, maxTransfer))
			if n != maxTransfer || errno != 0 || most > little || all < maxTransfer-little {
				t.Errorf("moved %d bytes, error %d; reported %d before the end, at most %d at once", n, errno, all, most)
			}
			env.Work = func(int) { s.Close() }
			if n, errno := transfer(s, make([]byte, maxTransfer)); n == 0 || n > little || errno != 0 {
				t.Errorf("closed in the middle: moved %d bytes, error %d", n, errno)
			}
		})
	}
}

// What ends a call that has received something is the next call's error.
func TestReceive_ErrorsAfterBytesAreKept(t *testing.T) {
	s := stream(t, instance(t, &everywhere{}))
	addr := server(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1)) // until it knows that it is connected
		_, _ = c.Write([]byte("abc"))
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	if errno := s.Connect(addr); errno != 0 {
		t.Fatal(errno)
	}
	if _, errno := s.Send([]byte("x"), 0); errno != 0 {
		t.Fatal(errno)
	}
	set := []unix.PollFd{{Fd: int32(s.conn.FD)}}
	for set[0].Revents&unix.POLLERR == 0 {
		if _, err := unix.Poll(set, -1); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 9)
	if n, errno := s.Receive(buf, flagWaitAll); n != 3 || errno != 0 {
		t.Errorf("got %q, %d, error %d", buf, n, errno)
	}
	if _, errno := s.Receive(buf, 0); errno != ECONNRESET {
		t.Errorf("then: error %d, want %d", errno, ECONNRESET)
	}
}

func TestReceive_Datagrams(t *testing.T) {
	net := &pair{}
	s, other := connected(t, instance(t, net), net, Datagram)
	for _, text := range []string{"first", "second", "third", ""} {
		if _, err := unix.Write(other, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 3)
	for _, c := range []struct {
		flags, n int
		text     string
	}{{flagPeek, 3, "fir"}, {flagTrunc, 5, "fir"}, {0, 3, "sec"}, {flagWaitAll, 3, "thi"}, {0, 0, ""}} {
		n, errno := s.Receive(buf, c.flags)
		if n != c.n || errno != 0 || string(buf[:min(n, 3)]) != c.text {
			t.Errorf("flags %#x: got %q, %d, error %d, want %q, %d", c.flags, buf, n, errno, c.text, c.n)
		}
	}
	if _, errno := s.Receive(buf, flagDontWait); errno != EAGAIN {
		t.Errorf("no more: error %d", errno)
	}
	if _, errno := s.Receive(buf, 0x8000); errno != vfs.ENOTSUP {
		t.Errorf("an unknown flag: error %d", errno)
	}
}

func TestNew_MakesWhatThereIs(t *testing.T) {
	for _, c := range []struct {
		family, kind, protocol int
		want                   vfs.Errno
	}{
		{familyIPv4, 1, 0, 0}, {familyIPv6, 1, 6, 0}, {familyIPv4, 2, 17, 0}, {familyIPv6, 2, 0, 0}, {familyIPv4, 1, 17, EPROTONOSUPPORT},
		{familyIPv4, 2, 6, EPROTONOSUPPORT}, {familyIPv4, 3, 0, EACCES}, {familyIPv4, 3, 1, EACCES},
		{familyIPv4, 5, 0, EACCES}, {1, 1, 0, EAFNOSUPPORT},
		{17, 3, 0, EAFNOSUPPORT}, {0, 1, 0, EAFNOSUPPORT}, {familyIPv4, 1, 255, EPROTONOSUPPORT},
	} {
		s, errno := New(instance(t, None{}), c.family, Kind(c.kind), c.protocol)
		if errno != c.want || (s == nil) != (errno != 0) {
			t.Errorf("%+v: error %d", c, errno)
		}
		if s == nil {
			continue
		}
		kind, _ := s.Option(levelSocket, optionType)
		family, _ := s.Option(levelSocket, optionDomain)
		protocol, _ := s.Option(levelSocket, optionProtocol)
		if kind != c.kind || family != c.family || protocol != map[int]int{1: syscall.IPPROTO_TCP, 2: syscall.IPPROTO_UDP}[kind] {
			t.Errorf("%+v: is of kind %d, family %d, protocol %d", c, kind, family, protocol)
		}
		if to := netip.MustParseAddrPort("[::1]:1"); c.family == familyIPv4 && s.Connect(to) != EAFNOSUPPORT {
			t.Errorf("%+v connects to %s", c, to)
		}
		s.Close()
	}
}

// TestSocket_LosesNothing sends and receives pieces of random sizes, waiting or not.
func TestSocket_LosesNothing(t *testing.T) {
	world := &everywhere{}
	env := instance(t, world)
	addr := server(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	for round := range 10 {
		s := stream(t, env)
		s.SetFlags([]vfs.Flag{0, vfs.NonBlock}[round%2])
		if errno := s.Connect(addr); errno != 0 && errno != EINPROGRESS {
			t.Fatal(errno)
		}
		sent, got, buf := 0, 0, make([]byte, 50_000)
		for sent < 300_000 || got < sent {
			want, events := sent < 300_000, int16(readable)
			if want {
				events |= writable
			}
			set := []Polled{{Socket: s, Events: events}}
			if n := Poll(env, set, -1); n != 1 {
				t.Fatal("nothing is ready")
			}
			if set[0].Ready&writable != 0 && want && (sent == got || rand.IntN(2) == 0) {
				piece := buf[:1+rand.IntN(20_000)]
				for n := range piece {
					piece[n] = byte((sent + n) % 251)
				}
				n, errno := s.Send(piece, flagDontWait)
				if errno != 0 && errno != EAGAIN {
					t.Fatal(errno)
				}
				sent += n
			}
			if set[0].Ready&readable != 0 {
				n, errno := s.Receive(buf[:1+rand.IntN(len(buf)-1)], 0)
				if errno != 0 || n == 0 {
					t.Fatal(n, errno)
				}
				for at, c := range buf[:n] {
					if c != byte((got+at)%251) {
						t.Fatalf("byte %d is another one", got+at)
					}
				}
				got += n
			}
		}
		if s.Close(); got != sent || world.open != 0 {
			t.Fatal(fmt.Sprint(sent, " bytes sent, ", got, " received, ", world.open, " open"))
		}
	}
}
