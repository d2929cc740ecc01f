package egress

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/wasm/sockets"
)

// TestDirect_TheSystemKeepsLittle sends to somebody who does not read.
func TestDirect_TheSystemKeepsLittle(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := Direct{}.Connect(t.Context(), sockets.Stream, netip.MustParseAddrPort(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	const peers = 64 << 10
	if err := peer.(*net.TCPConn).SetReadBuffer(peers); err != nil {
		t.Fatal(err)
	}
	sent, piece := 0, make([]byte, 64<<10)
	for quiet := 0; quiet < 20; { // the system moves data on, and takes more
		n, err := unix.Write(fd, piece)
		if err == nil {
			sent, quiet = sent+n, 0
			continue
		}
		quiet++
		time.Sleep(5 * time.Millisecond)
	}
	if most := 2*kernelBuffer + 4*peers; sent < kernelBuffer/2 || sent > most {
		t.Errorf("%d bytes were taken for one who does not read, want at most %d", sent, most)
	}
}
