package egress

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"vivarium/host/egress/egresstest"
)

// echo is a server on a loopback address that sends back what it gets.
func echo(t testing.TB) netip.AddrPort {
	t.Helper()
	address, hangUp := egresstest.Echo(t)
	t.Cleanup(hangUp)
	return address
}

// echoUDP is echo for datagrams.
func echoUDP(t testing.TB) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// talk sends a text over a connection and returns what comes back.
func talk(t testing.TB, fd int, text string) string {
	t.Helper()
	file := os.NewFile(uintptr(fd), "connection") // closes fd
	c, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close()
	// The connection may be about to be made.
	if _, err := c.Write([]byte(text)); err != nil {
		t.Error(err)
		return ""
	}
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Errorf("%q came back, and %v", got[:n], err)
	}
	return string(got)
}

// current is where names are looked up.
var current atomic.Pointer[egresstest.NameServer]

// lookUpHere has this process look names up at a name server of its tests.
var lookUpHere = sync.OnceFunc(func() { net.DefaultResolver = egresstest.Resolver(current.Load) })

// newNameServer starts a name server, and has all lookups of this process go there.
func newNameServer(t testing.TB) *egresstest.NameServer {
	t.Helper()
	s := egresstest.NewNameServer(t)
	lookUpHere()
	current.Store(s)
	return s
}

// broker is a broker with rules, and the client that asks it.
func broker(t testing.TB, rules string) *Broker {
	t.Helper()
	asks, answers, err := BrokerPair()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePolicy(rules)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ServeBroker(context.Background(), answers, NewGuard(p), nil) }()
	b, err := NewBroker(asks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return b
}
