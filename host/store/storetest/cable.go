package storetest

import (
	"io"
	"net"
	"sync"
)

// Cable is a way to a server that can be cut. Safe for concurrent use.
type Cable struct {
	listener net.Listener
	to       string
	back     func(w io.Writer, r io.Reader)
	plugs    sync.WaitGroup

	mu    sync.Mutex // guards the members below
	cut   bool
	conns map[net.Conn]bool
}

// LayCable lays a cable to an address; Close removes it. What comes from there is copied by
// back; nil means that it is copied as it comes.
func LayCable(to string, back func(w io.Writer, r io.Reader)) (*Cable, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Cable{listener: l, to: to, back: back, conns: map[net.Conn]bool{}}
	if c.back == nil {
		c.back = func(w io.Writer, r io.Reader) { _, _ = io.Copy(w, r) }
	}
	c.plugs.Go(func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			c.plugs.Go(func() { c.plug(here) })
		}
	})
	return c, nil
}

// Address returns the address of this end.
func (c *Cable) Address() string { return c.listener.Addr().String() }

func (c *Cable) plug(here net.Conn) {
	defer here.Close()
	there, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer there.Close()
	if !c.join(here, there) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		c.back(here, there)
		_ = here.Close()
	})
	both.Go(func() {
		_, _ = io.Copy(there, here)
		_ = there.Close()
	})
	both.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, here)
	delete(c.conns, there)
}

// join notes the ends of a connection, unless the cable is cut.
func (c *Cable) join(ends ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return false
	}
	for _, end := range ends {
		c.conns[end] = true
	}
	return true
}

// Cut cuts the cable, or mends it.
func (c *Cable) Cut(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut = cut; cut {
		for conn := range c.conns {
			_ = conn.Close()
		}
	}
}

// Close cuts the cable for good, and waits until nothing goes over it any more.
func (c *Cable) Close() {
	_ = c.listener.Close()
	c.Cut(true)
	c.plugs.Wait()
}
