package web

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"vivarium/host/throttle"
)

// Default limits of Config.
const (
	// DefaultMaxConnections bounds the connections. Each takes some 20 KB.
	DefaultMaxConnections = 4096
	// DefaultMaxConnectionsPerClient bounds those of one client.
	DefaultMaxConnectionsPerClient = 1024
	// DefaultMaxRequests bounds concurrent requests, including those that wait
	// for a body. Each takes some 40 KB, not counting headers.
	DefaultMaxRequests = 2048
	// DefaultMaxRequestsPerClient bounds those of one client.
	DefaultMaxRequestsPerClient = 1024
	// DefaultMaxBodies bounds the bytes of request and response bodies in
	// memory.
	DefaultMaxBodies = 256 << 20
)

// streams bounds what HTTP/2 multiplies: a connection has up to a hundred
// requests, each with a buffer for its body, in addition to its own buffers.
var streams = http.HTTP2Config{
	MaxConcurrentStreams: 100,
	// A frame is read completely before any of it is used.
	MaxReadFrameSize: 16 << 10,
	// What has arrived and is unread, for instance while a request waits for
	// memory.
	MaxReceiveBufferPerStream:     64 << 10,
	MaxReceiveBufferPerConnection: 128 << 10,
	// For a client that reads nothing, responses to its pings pile up.
	WriteByteTimeout: 30 * time.Second,
	// A client that is gone, or stops within its headers, answers no ping.
	SendPingTimeout: 30 * time.Second,
}

// places bounds how many, or how much, of something there may be, in total and per client.
// Safe for concurrent use.
type places struct {
	most, mostOfClient int // negative: no limit

	mu      sync.Mutex // guards all below
	taken   int
	clients map[string]int
	refused int64
}

func newPlaces(most, mostOfClient int) *places {
	return &places{most: most, mostOfClient: mostOfClient, clients: map[string]int{}}
}

// reserve takes a place for a client and reports whether there was one.
func (p *places) reserve(client string) bool { return p.take(client, 1) }

// take takes n places for a client, or none, and reports whether there were so many.
func (p *places) take(client string, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n == 0 {
		return true
	}
	if p.most >= 0 && p.taken+n > p.most || p.mostOfClient >= 0 && p.clients[client]+n > p.mostOfClient {
		p.refused++
		return false
	}
	p.add(client, n)
	return true
}

func (p *places) give(client string) { p.change(client, -1) }

// change takes n places whether or not there are so many; negative: gives them back.
func (p *places) change(client string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(client, n)
}

// add counts places. The caller holds the mutex.
func (p *places) add(client string, n int) {
	p.taken += n
	if p.clients[client] += n; p.clients[client] == 0 {
		delete(p.clients, client)
	}
}

// stats returns how many places are taken and how often there was none.
func (p *places) stats() (taken int, refused int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.refused
}

// limitedListener accepts connections while there are places. It closes those
// beyond at once: left unaccepted, they would hold up others that come later.
type limitedListener struct {
	net.Listener
	connections *places
	heads       *places // bytes
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := clientOf(conn.RemoteAddr().String())
		if l.connections.reserve(client) {
			head := &head{of: l.heads, client: client}
			return &limitedConn{conn, head, sync.OnceFunc(func() { head.end(); l.connections.give(client) })}, nil
		}
		_ = conn.Close() // without a response
	}
}

type limitedConn struct {
	net.Conn
	head *head
	give func()
}

// Read implements net.Conn. It closes the connection if there is no room for a head: before a
// request is decoded, it can't be answered.
func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.head.receive(n) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.give()
	return c.Conn.Close()
}

// clientOf returns the client at an address, as text; see clientNetwork.
func clientOf(remoteAddress string) string {
	network := clientNetwork(remoteAddress)
	switch {
	case !network.IsValid(): // not TCP
		return remoteAddress
	case network.IsSingleIP():
		return network.Addr().String()
	}
	return network.String()
}

// clientNetwork returns what counts as one client: an IPv4 address, or an IPv6
// network, since whoever has one has 2^64 addresses. Callers without an address
// count as one client.
func clientNetwork(remoteAddress string) netip.Prefix {
	address, err := netip.ParseAddrPort(remoteAddress)
	if err != nil {
		return netip.Prefix{}
	}
	ip := address.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // valid for both families
	return network
}

// place limits concurrent requests, before anything is done for them. An
// HTTP/1.1 connection has one request at a time; HTTP/2 has many.
func (s *Server) place(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		head := decoded(c.Request())
		if path := c.Request().URL.Path; path == "/healthz" || path == "/readyz" { // they end at once
			return next(c)
		}
		client := clientOf(c.Request().RemoteAddr)
		if !s.requests.reserve(client) {
			return &rateError{"too many requests are in progress; wait for some to end", time.Second}
		}
		defer s.requests.give(client)
		if !s.heads.take(client, head) {
			return &rateError{"the headers of the requests in progress take too much memory; send fewer at once, or smaller ones", time.Second}
		}
		defer s.heads.change(client, -head)
		return next(c)
	}
}

// errBodies means that there is no memory for a body.
var errBodies = errors.New("web: too many bodies in memory")

// bodyWait is how long a body waits for memory.
const bodyWait = time.Second

// bodies bounds the bytes of bodies in memory. One tenant may have half of
// them, and never counts for more than that against the others. Safe for
// concurrent use.
type bodies struct {
	most int64 // negative: no limit

	mu      sync.Mutex // guards all below
	held    int64      // the sum of what tenants count for
	tenants map[string]int64
	freed   chan struct{} // closed when room becomes available
}

func newBodies(most int64) *bodies {
	return &bodies{most: most, tenants: map[string]int64{}, freed: make(chan struct{})}
}

// held is what one call holds in memory. Safe for concurrent use.
type held struct {
	of     *bodies
	tenant string
	n      int64
}

type heldKey struct{}

// heldOf returns what counts the bodies of the call in a context; without a Server, they
// are not counted.
func heldOf(ctx context.Context) *held {
	if h, ok := ctx.Value(heldKey{}).(*held); ok {
		return h
	}
	return &held{of: newBodies(-1)}
}

// fits reports whether n more bytes may be held. The caller holds the mutex.
func (b *bodies) fits(tenant string, n int64) bool {
	return b.most < 0 || b.held+n <= b.most && b.tenants[tenant]+n <= b.most/2
}

// reserve holds n more bytes, or fails. It waits a moment for room.
//
// # Errors
//
// errBodies; ctx's.
func (h *held) reserve(ctx context.Context, n int) error {
	var late <-chan time.Time
	for {
		h.of.mu.Lock()
		if h.of.fits(h.tenant, int64(n)) {
			h.add(n)
			h.of.mu.Unlock()
			return nil
		}
		freed := h.of.freed
		h.of.mu.Unlock()
		if late == nil {
			timer := time.NewTimer(bodyWait)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-freed:
		case <-late:
			return errBodies
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// force holds n more bytes even if there is no room, so that the tenant's later
// calls have to wait.
func (h *held) force(n int) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.add(n)
}

// give gives back n bytes.
func (h *held) give(n int) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.add(-n)
	h.of.wake()
}

// add counts bytes. The caller holds the mutex.
func (h *held) add(n int) {
	h.n += int64(n)
	h.of.change(h.tenant, int64(n))
}

// change counts bytes of a tenant. The caller holds the mutex.
func (b *bodies) change(tenant string, n int64) {
	was := b.tenants[tenant]
	b.held += min(was+n, b.most/2) - min(was, b.most/2)
	if b.tenants[tenant] = was + n; was+n == 0 {
		delete(b.tenants, tenant)
	}
}

// release gives back everything.
func (h *held) release() {
	b := h.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.change(h.tenant, -h.n)
	h.n = 0
	b.wake()
}

// wake wakes those who wait for room. The caller holds the mutex.
func (b *bodies) wake() {
	close(b.freed)
	b.freed = make(chan struct{})
}

// size returns how many bytes are held.
func (b *bodies) size() (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.tenants {
		n += of
	}
	return n
}

// callersLog returns the log for net/http: it receives faults of callers, who
// can commit them as often as they like.
func callersLog(logger *slog.Logger) *log.Logger {
	return log.New(&quietWriter{logger, throttle.New(1, 10)}, "", 0)
}

type quietWriter struct {
	logger *slog.Logger
	limit  *throttle.Throttle
}

// Write implements io.Writer.
func (w *quietWriter) Write(line []byte) (int, error) {
	if ok, dropped := w.limit.Allow("", 1); ok {
		w.logger.Warn(strings.TrimSpace(string(line)), "dropped", dropped)
	}
	return len(line), nil
}
