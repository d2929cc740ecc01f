package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"vivarium/wasm/sockets"
)

// Direct is the Dialer of a process that may connect.
type Direct struct{}

// Resolve implements Dialer.
func (Direct) Resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name+".") // absolute, so not within the host's own domain
	if lookup, ok := errors.AsType[*net.DNSError](err); ok && lookup.IsNotFound {
		// Names in a hosts file have no trailing dot.
		found, err = net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	}
	switch lookup, ok := errors.AsType[*net.DNSError](err); {
	case ok && lookup.IsNotFound:
		return nil, sockets.ErrNoName
	case err != nil:
		return nil, sockets.ErrTryAgain
	}
	return found, nil
}

// synRetries is how often the system asks a host that does not answer before a
// connection fails: after some 30 seconds, rather than the two minutes of its default.
const synRetries = 4

// kernelBuffer bounds what the system keeps of a connection, in bytes each way; it
// counts twice as many, for what surrounds the data. By default it would keep up to some
// 10 MiB for a function that does not read, which is in nobody's memory limit. The
// number of connections, which is limited, then bounds it all.
const kernelBuffer = 256 << 10

// Connect implements Dialer. It does not block.
func (Direct) Connect(_ context.Context, kind sockets.Kind, to netip.AddrPort) (int, error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	how := unix.SOCK_STREAM
	if kind == sockets.Datagram {
		how = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, how|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, kernelBuffer); err != nil {
			_ = unix.Close(fd)
			return -1, err
		}
	}
	if kind == sockets.Stream {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, synRetries) // else it takes longer
	}
	if err := unix.Connect(fd, address); err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
