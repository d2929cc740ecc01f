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

// Defaults of Config's limits.
const (
	// DefaultMaxConnections is how many connections there may be. Each takes some
	// 20 KB.
	DefaultMaxConnections = 4096
	// DefaultMaxConnectionsPerClient is how many of them one client may have.
	DefaultMaxConnectionsPerClient = 1024
	// DefaultMaxRequests is how many requests there may be at once, waiting bodies
	// included. Each takes some 40 KB, headers not counted.
	DefaultMaxRequests = 2048
	// DefaultMaxRequestsPerClient is how many of them one client may have.
	DefaultMaxRequestsPerClient = 1024
	// DefaultMaxBodies is how many bytes of requests' and responses' bodies may
	// be in memory.
	DefaultMaxBodies = 256 << 20
)

// streams is what HTTP/2 multiplies: there are a hundred requests on a connection,
// each with a buffer for its body, besides those of the connection.
var streams = http.HTTP2Config{
	MaxConcurrentStreams: 100,
	// A frame is read whole before anything of it is used.
	MaxReadFrameSize: 16 << 10,
	// What has come and is not read yet, as by requests that wait for memory.
	MaxReceiveBufferPerStream:     64 << 10,
	MaxReceiveBufferPerConnection: 128 << 10,
	// A client that reads nothing has the answers to its pings kept.
	WriteByteTimeout: 30 * time.Second,
	// One that is gone, or stops within its headers, answers no ping.
	SendPingTimeout: 30 * time.Second,
}

// places bounds how many of something there may be, in all and by client. Safe for
// concurrent use.
type places struct {
	most, mostOfClient int // negative: any number

	mu      sync.Mutex // guards all below
	taken   int
	clients map[string]int
	refused int64
}

func newPlaces(most, mostOfClient int) *places {
	return &places{most: most, mostOfClient: mostOfClient, clients: map[string]int{}}
}

// take takes a place for a client and says if there is one.
func (p *places) take(client string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most >= 0 && p.taken >= p.most || p.mostOfClient >= 0 && p.clients[client] >= p.mostOfClient {
		p.refused++
		return false
	}
	p.taken++
	p.clients[client]++
	return true
}

func (p *places) give(client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.clients[client]--; p.clients[client] == 0 {
		delete(p.clients, client)
	}
}

// stats returns how many places are taken and how often there was none.
func (p *places) stats() (taken int, refused int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.refused
}

// limitedListener accepts connections for which there are places. Those beyond are
// closed at once: one that waited unaccepted would hold up others that come after
// it.
type limitedListener struct {
	net.Listener
	connections *places
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := clientOf(conn.RemoteAddr().String())
		if l.connections.take(client) {
			return &limitedConn{Conn: conn, give: sync.OnceFunc(func() { l.connections.give(client) })}, nil
		}
		_ = conn.Close() // nobody is told of it
	}
}

type limitedConn struct {
	net.Conn
	give func()
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
	case !network.IsValid(): // no TCP
		return remoteAddress
	case network.IsSingleIP():
		return network.Addr().String()
	}
	return network.String()
}

// clientNetwork returns what counts as one client: an IPv4 address, or the
// network of an IPv6 address, since whoever has one has 2^64 of them. Callers
// without an address are one client.
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
	network, _ := ip.Prefix(bits) // which both kinds have
	return network
}

// place gives each request a place, before anything is done for it. On a connection
// of HTTP/1.1 requests come one after the other; HTTP/2 has many at once.
func (s *Server) place(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if path := c.Request().URL.Path; path == "/healthz" || path == "/readyz" { // which end at once
			return next(c)
		}
		client := clientOf(c.Request().RemoteAddr)
		if !s.requests.take(client) {
			return &rateError{"too many requests are in progress; wait for some to end", time.Second}
		}
		defer s.requests.give(client)
		return next(c)
	}
}

// errBodies says that there is no memory for a body.
var errBodies = errors.New("web: too many bodies in memory")

// bodyWait is how long a body waits for memory.
const bodyWait = time.Second

// bodies bounds the bytes of bodies in memory. One tenant may have half of it,
// and never counts for more than that against the others. Safe for concurrent
// use.
type bodies struct {
	most int64 // negative: any number

	mu      sync.Mutex // guards all below
	held    int64      // the sum of what tenants count for
	tenants map[string]int64
	freed   chan struct{} // closed when there is room again
}

func newBodies(most int64) *bodies {
	return &bodies{most: most, tenants: map[string]int64{}, freed: make(chan struct{})}
}

// held is what one call has in memory. It belongs to one goroutine.
type held struct {
	of     *bodies
	tenant string
	n      int64
}

// fits says if so many bytes more may be held. The caller holds the mutex.
func (b *bodies) fits(tenant string, n int64) bool {
	return b.most < 0 || b.held+n <= b.most && b.tenants[tenant]+n <= b.most/2
}

// take holds n bytes more, or none if there is room for some. It waits a moment
// for room.
//
// # Errors
//
// errBodies; ctx's.
func (h *held) take(ctx context.Context, n int) error {
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

// force holds n bytes more, even if there is no room: the tenant's calls that
// come after have to wait.
func (h *held) force(n int) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.add(n)
}

// give gives n bytes back.
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

// release gives all of it back.
func (h *held) release() {
	b := h.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.change(h.tenant, -h.n)
	h.n = 0
	b.wake()
}

// wake lets those look again who wait for room. The caller holds the mutex.
func (b *bodies) wake() {
	close(b.freed)
	b.freed = make(chan struct{})
}

// size returns the bytes that are held.
func (b *bodies) size() (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.tenants {
		n += of
	}
	return n
}

// callersLog returns what net/http logs to: what callers do wrong, which they
// can do as often as they like.
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
