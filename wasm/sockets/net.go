// Package sockets is what an instance has of the network: sockets that connect, and
// names that are looked up, over descriptors that somebody else, a Net, decides about
// and opens. There is nothing that listens.
//
// A Socket is a file in the instance's table like any other. What it reads and sends
// are system calls on a non-blocking socket of the host's; a guest that waits for one
// waits in a Waiter, where it costs neither a processor nor a thread.
//
// Numbers of a guest (families, options, flags, fields of an address) are Linux's, but
// for errors, which are those of WASI.
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

// Net is what an instance may ask for of the network. One instance has one, and its
// methods are called by one goroutine at a time.
type Net interface {
	// Resolve returns the addresses of a name, at least one. It blocks, and ends with
	// ctx.
	//
	// Its errors: *Refusal, ErrNoName, ErrTryAgain.
	Resolve(ctx context.Context, name string) ([]netip.Addr, error)
	// Connect returns a non-blocking socket that is connected to an address, or about
	// to be. It blocks for no longer than it takes to ask for that.
	//
	// Its errors: *Refusal, syscall.Errno.
	Connect(ctx context.Context, kind Kind, to netip.AddrPort) (*Conn, error)
}

// Kind is SOCK_STREAM or SOCK_DGRAM.
type Kind uint8

// The kinds of sockets.
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

// Conn is a connection that a Net has made. It belongs to the Socket that asked for it.
type Conn struct {
	FD int // closed by the Socket
	// Local says that the other side is in this process: the network's options are
	// kept, and do nothing.
	Local bool
	// Moved, when set, is told how many bytes were sent or received. After an error,
	// such as a *Refusal, the connection is of no further use.
	Moved func(n int) error
	// Closed, when set, is called when FD has been closed.
	Closed func()
}

// Refusal is what a guest is told that asks for what it may not have.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// Why a name has no address.
var (
	ErrNoName   = errors.New("sockets: no such name")
	ErrTryAgain = errors.New("sockets: the name can't be looked up now")
)

// Setting is what allows connections; refusals name it.
const Setting = "--allow-net"

// None is the Net of those who have none.
type None struct{}

// Resolve implements Net.
func (None) Resolve(_ context.Context, name string) ([]netip.Addr, error) {
	return nil, Refuse(name, 0, "the function has no network")
}

// Connect implements Net.
func (None) Connect(_ context.Context, _ Kind, to netip.AddrPort) (*Conn, error) {
	return nil, Refuse(to.Addr().String(), to.Port(), "the function has no network")
}

// Refuse returns the Refusal of a host, and of a port unless it is 0, with the reason
// and the setting that would allow it.
func Refuse(host string, port uint16, reason string) *Refusal {
	target := host
	if port != 0 {
		target = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	return &Refusal{Reason: fmt.Sprintf("%s: %s; %s %s would allow it", target, reason, Setting, target)}
}

// Errors of sockets, by their numbers in WASI.
const (
	EACCES          vfs.Errno = 2
	EAFNOSUPPORT    vfs.Errno = 5
	EAGAIN          vfs.Errno = 6
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
