// Package egresstest has servers for tests: of names, and one that echoes.
package egresstest

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// NameServer is a name server on a loopback address. Names that it does not know do
// not exist. Safe for concurrent use.
type NameServer struct {
	Address string // of its ports, for UDP and TCP

	mu    sync.Mutex // guards the rest
	zone  map[string]Record
	asked map[string]int
}

// Record is what a name server knows of a name.
type Record struct {
	Addresses []netip.Addr
	Answer    func(question int) []netip.Addr // if set, the addresses for the first question, the second, ...
	Fails     bool                            // SERVFAIL
	Silent    bool                            // no answer at all
}

// NewNameServer starts a name server, which ends with the test.
func NewNameServer(t testing.TB) *NameServer {
	t.Helper()
	s := &NameServer{zone: map[string]Record{}, asked: map[string]int{}}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address = l.Addr().String()
	c, err := net.ListenPacket("udp4", s.Address)
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
	return s
}

// Resolver returns a resolver that asks the name server that server returns, and no
// other.
func Resolver(server func() *NameServer) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server().Address)
	}}
}

// Set gives a name addresses.
func (s *NameServer) Set(name string, addresses ...string) {
	var r Record
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(a))
	}
	s.Put(name, r)
}

// Put gives a name a record.
func (s *NameServer) Put(name string, r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[name] = r
}

// Count returns how often a name was asked for, once for each type.
func (s *NameServer) Count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func (s *NameServer) serveUDP(c net.PacketConn) {
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

func (s *NameServer) serveTCP(c net.Conn) {
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
func (s *NameServer) answer(question []byte, most int) []byte {
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
	n := s.asked[name]
	s.mu.Unlock()
	if r.Answer != nil {
		r.Addresses = r.Answer(n)
	}
	if r.Silent {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired},
		Questions: []dnsmessage.Question{q},
	}
	switch {
	case r.Fails:
		m.RCode = dnsmessage.RCodeServerFailure
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range r.Addresses {
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
