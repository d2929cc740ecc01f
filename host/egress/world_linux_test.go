package egress

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// echo is a server on a loopback address that sends back what it gets.
func echo(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
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

// nameServer is a name server on a loopback address. Names that it does not know do
// not exist. Safe for concurrent use.
type nameServer struct {
	address string

	mu    sync.Mutex // guards the rest
	zone  map[string]record
	asked map[string]int
}

// record is what a name server knows of a name.
type record struct {
	addresses []netip.Addr
	fails     bool // SERVFAIL
	silent    bool // no answer at all
}

// current is where names are looked up.
var current atomic.Pointer[nameServer]

// lookUpHere has this process look names up at a name server of its tests.
var lookUpHere = sync.OnceFunc(func() {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, current.Load().address)
	}}
})

// newNameServer starts a name server, and has all lookups of this process go there.
func newNameServer(t testing.TB) *nameServer {
	t.Helper()
	s := &nameServer{zone: map[string]record{}, asked: map[string]int{}}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	c, err := net.ListenPacket("udp4", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.Close(), c.Close() })
	go s.serveUDP(c)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serveTCP(c)
		}
	}()
	lookUpHere()
	current.Store(s)
	return s
}

// set gives a name addresses.
func (s *nameServer) set(name string, addresses ...string) {
	var r record
	for _, a := range addresses {
		r.addresses = append(r.addresses, netip.MustParseAddr(a))
	}
	s.put(name, r)
}

func (s *nameServer) put(name string, r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[name] = r
}

// count returns how often a name was asked for.
func (s *nameServer) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func (s *nameServer) serveUDP(c net.PacketConn) {
	buf := make([]byte, 4<<10)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := s.answer(buf[:n], 1232); answer != nil {
			_, _ = c.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) serveTCP(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		answer := s.answer(question, 64<<10-1)
		if answer == nil {
			return
		}
		if _, err := c.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...)); err != nil {
			return
		}
	}
}

// answer returns what is said to a question in at most so many bytes, nil for nothing.
func (s *nameServer) answer(question []byte, most int) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	s.mu.Lock()
	r, known := s.zone[name]
	s.asked[name]++
	s.mu.Unlock()
	if r.silent {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired},
		Questions: []dnsmessage.Question{q},
	}
	switch {
	case r.fails:
		m.RCode = dnsmessage.RCodeServerFailure
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range r.addresses {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && !a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	answer, err := m.Pack()
	if err == nil && len(answer) > most {
		m.Answers, m.Truncated = nil, true
		answer, err = m.Pack()
	}
	if err != nil {
		return nil
	}
	return answer
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
	go func() { served <- ServeBroker(context.Background(), answers, NewGuard(p)) }()
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
