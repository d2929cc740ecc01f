// Package sockets gives instances a network: sockets that connect, and names
// that are looked up. A Net decides about and opens the descriptors behind
// them. A socket can listen on a loopback address only, and only sockets of the
// same instance connect to it or send it datagrams, without a descriptor of the
// host.
//
// A Socket is a file in the instance's table like any other. Reading and
// sending are system calls on one of the host's non-blocking sockets; a guest
// that must wait for it waits in a Waiter, which costs neither a processor nor
// a thread.
//
// A guest's numbers (families, options, flags, address fields) are Linux's,
// except for errors, which are WASI's.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"vivarium/wasm/vfs"
)

// Net is what an instance can reach. Each instance has its own, whose methods
// are called by one goroutine at a time.
type Net interface {
	// Resolve returns the addresses of a name, at least one. It blocks until it
	// has them or ctx ends.
	//
	// Its errors: *Refusal, ErrNoName, ErrTryAgain.
	Resolve(ctx context.Context, name string) ([]netip.Addr, error)
	// Connect returns a non-blocking socket that is connected, or connecting,
	// to an address. It does not wait for the connection.
	//
	// Its errors: *Refusal, syscall.Errno.
	Connect(ctx context.Context, kind Kind, to netip.AddrPort) (*Conn, error)
}

// Kind is SOCK_STREAM or SOCK_DGRAM.
type Kind uint8

// Kinds of sockets.
const (
	Stream   Kind = 1
	Datagram Kind = 2
)

// String returns "tcp" or "udp".
func (k Kind) String() string {
	if k == Datagram {
		return "udp"
	}
	return "tcp"
}

// Conn is a connection made by a Net. It belongs to the Socket that requested
// it.
type Conn struct {
	FD int // closed by the Socket
	// Local means that the peer is in this process: network options are
	// recorded, but have no effect.
	Local bool
	// Moved, if set, is told how many bytes were sent or received. After it
	// returns an error, such as a *Refusal, the connection is unusable.
	Moved func(n int) error
	// Closed, if set, is called after FD has been closed.
	Closed func()
	// Holds, if set, makes time stand still for the guest's call until the connection is
	// closed or Holds ends: the call's deadline moves on.
	Holds context.Context

	release func() // ends that
}

// Refusal tells a guest why it may not have what it asked for.
type Refusal struct {
	Reason string
	// Lasting means that the guest is refused it always and wherever it runs.
	Lasting bool
	// Rule is what would allow it, as a value of Setting; empty if nothing would.
	Rule string
}

func (r *Refusal) Error() string { return r.Reason }

// Why a name could not be resolved.
var (
	ErrNoName   = errors.New("sockets: no such name")
	ErrTryAgain = errors.New("sockets: the name can't be resolved now")
)

// Setting is the option that allows connections; refusals name it.
const Setting = "--allow-net"

// NoNetwork is why a guest is refused everything that may reach nothing at all.
const NoNetwork = "the function has no network"

// None is the Net that refuses everything.
type None struct{}

// Resolve implements Net.
func (None) Resolve(_ context.Context, name string) ([]netip.Addr, error) {
	return nil, noNetwork(Stream, name, 0)
}

// Connect implements Net.
func (None) Connect(_ context.Context, kind Kind, to netip.AddrPort) (*Conn, error) {
	return nil, noNetwork(kind, to.Addr().String(), to.Port())
}

func noNetwork(kind Kind, host string, port uint16) *Refusal {
	r := Refuse(kind, host, port, NoNetwork)
	r.Lasting = true
	return r
}

// Refuse returns the Refusal for a host, and for a port unless it is 0, with
// the reason and the setting that would allow it.
func Refuse(kind Kind, host string, port uint16, reason string) *Refusal {
	target := host
	if port != 0 {
		target = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	if kind == Datagram {
		target += "/udp"
	}
	return &Refusal{Reason: fmt.Sprintf("%s: %s; %s=%s would allow it", target, reason, Setting, target), Rule: target}
}

// Errors of sockets, numbered as in WASI.
const (
	EACCES          vfs.Errno = 2
	EADDRINUSE      vfs.Errno = 3
	EADDRNOTAVAIL   vfs.Errno = 4
	EAFNOSUPPORT    vfs.Errno = 5
	EAGAIN          vfs.Errno = 6
	EINTR           vfs.Errno = 27
	EALREADY        vfs.Errno = 7
	ECONNABORTED    vfs.Errno = 13
	ECONNREFUSED    vfs.Errno = 14
	ECONNRESET      vfs.Errno = 15
	EDESTADDRREQ    vfs.Errno = 17
	EHOSTUNREACH    vfs.Errno = 23
	EINPROGRESS     vfs.Errno = 26
	EISCONN         vfs.Errno = 30
	EMSGSIZE        vfs.Errno = 35
	ENETDOWN        vfs.Errno = 38
	ENETUNREACH     vfs.Errno = 40
	ENOBUFS         vfs.Errno = 42
	ENOPROTOOPT     vfs.Errno = 50
	ENOTCONN        vfs.Errno = 53
	EPIPE           vfs.Errno = 64
	EPROTONOSUPPORT vfs.Errno = 66
	EPROTOTYPE      vfs.Errno = 67
	ETIMEDOUT       vfs.Errno = 73
)
