package egresstest

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// Echo starts a server on a loopback address that sends back what it gets. hangUp waits
// until all its connections have ended, and ends it.
func Echo(t testing.TB) (address netip.AddrPort, hangUp func()) {
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
				// Go splices from one connection to another by pipes, which it keeps.
				_, _ = io.Copy(struct{ io.Writer }{c}, c)
				_ = c.Close()
			})
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort(), func() {
		_ = l.Close()
		serving.Wait()
	}
}
