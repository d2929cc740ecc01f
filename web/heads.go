package web

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// What the heads of requests, their lines and headers, may take in memory: all of them, and those
// of one client. Together with the connections' own limits this leaves room for a kilobyte or two
// on each connection that a client may have.
const (
	maxHeads         = 128 << 20 // bytes
	maxHeadsOfClient = 64 << 20
)

// What a head takes in memory, in bytes. A header of five bytes takes a hundred as an entry of a
// map with a slice of strings.
const (
	headFactor     = 20 // of what has come of one that is not decoded yet
	headNameBytes  = 64 // for the name of a header
	headValueBytes = 24 // for each of its values
)

// headBytes returns what the head of a request takes in memory.
func headBytes(r *http.Request) int {
	n := 2 * len(r.RequestURI)
	for name, values := range r.Header {
		n += headNameBytes + len(name)
		for _, v := range values {
			n += headValueBytes + len(v)
		}
	}
	return n
}

// head counts what a connection holds of a request that is being received, and over HTTP/1.1 until
// it is answered. Safe for concurrent use.
type head struct {
	of     *places
	client string

	mu      sync.Mutex // guards all below
	arrived int        // bytes, up to what a head may have
	held    int
	decoded bool // what arrives is no head
	several bool // the connection has many requests at once, which count by themselves
}

// receive counts bytes that have arrived and reports whether there was room.
func (h *head) receive(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.decoded {
		return true
	}
	most := maxHeaderBytes + 4<<10 // as net/http reads
	n = min(n, most-h.arrived)
	if !h.of.take(h.client, n*headFactor) {
		return false
	}
	h.arrived += n
	h.held += n * headFactor
	return true
}

// decode replaces what was counted by what the decoded head takes.
func (h *head) decode(bytes int, several bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.decoded, h.several = true, several
	h.hold(bytes)
}

// next begins with the head of the next request.
func (h *head) next() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.several {
		return
	}
	h.decoded, h.arrived = false, 0
	h.hold(0)
}

// end gives back everything.
func (h *head) end() { h.decode(0, true) }

// hold changes what is held, whether or not there is room. The caller holds the mutex.
func (h *head) hold(bytes int) {
	h.of.change(h.client, bytes-h.held)
	h.held = bytes
}

type headKey struct{}

// withHead lets the requests of a connection find its head.
func withHead(ctx context.Context, conn net.Conn) context.Context {
	if h := headOf(conn); h != nil {
		return context.WithValue(ctx, headKey{}, h)
	}
	return ctx
}

// nextHead is told of the states of connections.
func nextHead(conn net.Conn, state http.ConnState) {
	if h := headOf(conn); h != nil && state == http.StateIdle {
		h.next()
	}
}

// headOf returns the head of a connection that limitedListener has accepted.
func headOf(conn net.Conn) *head {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = over.NetConn()
	}
	if c, ok := conn.(*limitedConn); ok {
		return c.head
	}
	return nil
}

// decoded notes that a request has been decoded. It returns what its head takes in memory, or 0 if
// the connection counts that until it is idle.
func decoded(r *http.Request) int {
	n := headBytes(r)
	h, ok := r.Context().Value(headKey{}).(*head)
	switch {
	case !ok:
		return n
	case r.ProtoMajor > 1:
		h.decode(0, true)
		return n
	}
	h.decode(n, false)
	return 0
}
