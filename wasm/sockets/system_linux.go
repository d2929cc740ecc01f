package sockets

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/wasm/vfs"
)

// Interest is one of the host's sockets and the events to wait for.
type Interest struct {
	FD     int
	Events int16 // POLLIN and POLLOUT
}

// Waiter waits for sockets. Its zero value is ready; from its first Wait until Close
// it holds a descriptor. Safe for concurrent use.
type Waiter struct {
	mu   sync.Mutex // guards idle
	idle []*poller
}

// maxIdle is how many pollers are kept for the next Wait.
const maxIdle = 1

// Wait blocks until one of the sockets may be ready, and is false if before that ctx
// ended or the deadline, unless it is zero, passed.
func (w *Waiter) Wait(ctx context.Context, deadline time.Time, set []Interest) bool {
	w.mu.Lock()
	p := &poller{}
	if n := len(w.idle); n > 0 {
		p, w.idle = w.idle[n-1], w.idle[:n-1]
	}
	w.mu.Unlock()
	woken := p.wait(ctx, deadline, set)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle) < maxIdle {
		w.idle = append(w.idle, p)
	} else {
		p.close()
	}
	return woken
}

// Close gives the descriptors back. The Waiter may be used again. Nobody waits
// meanwhile.
func (w *Waiter) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.idle {
		p.close()
	}
	w.idle = nil
}

// poller waits for sockets in one goroutine at a time.
type poller struct {
	// An epoll descriptor is ready when one of those that it watches is. So Go's own
	// poller can wait for it, and no thread does.
	file  *os.File
	epoll int
}

func (w *poller) wait(ctx context.Context, deadline time.Time, set []Interest) bool {
	if w.file == nil && !w.open() { // no descriptors: others give theirs back
		w.nap(ctx, deadline)
		return true
	}
	for _, i := range set {
		// One shot: a socket that is no longer waited for must not wake anyone
		// again.
		event := unix.EpollEvent{Events: unix.EPOLLONESHOT | uint32(i.Events)&(unix.EPOLLIN|unix.EPOLLOUT), Fd: int32(i.FD)}
		err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_MOD, i.FD, &event)
		if err == unix.ENOENT {
			err = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, i.FD, &event)
		}
		if err != nil {
			w.nap(ctx, deadline)
			return true
		}
	}
	if w.file.SetReadDeadline(deadline) != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := w.file.SyscallConn()
	if err != nil {
		return false
	}
	var events [8]unix.EpollEvent
	woken := false
	_ = raw.Read(func(fd uintptr) bool {
		n, err := unix.EpollWait(int(fd), events[:], 0)
		woken = n > 0
		return woken || err != nil && err != unix.EINTR
	})
	return woken
}

// nap waits a little, for what can't be waited for.
func (*poller) nap(ctx context.Context, deadline time.Time) {
	wait := 10 * time.Millisecond
	if !deadline.IsZero() {
		wait = min(wait, time.Until(deadline))
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

func (w *poller) open() bool {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	if err := unix.SetNonblock(fd, true); err != nil { // required by os.NewFile
		_ = unix.Close(fd)
		return false
	}
	w.file, w.epoll = os.NewFile(uintptr(fd), "epoll"), fd
	return true
}

func (w *poller) close() {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
}

// poll returns what one of the host's sockets is ready for now.
func poll(fd int, events int16) int16 {
	set := [1]unix.PollFd{{Fd: int32(fd), Events: events & (readable | writable)}}
	for {
		if _, err := unix.Poll(set[:], 0); err != unix.EINTR {
			return set[0].Revents
		}
	}
}

func receive(fd int, buf []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, buf, flags|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func send(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.SendmsgN(fd, buf, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func shutdown(fd, how int) error { return unix.Shutdown(fd, how) }

func closeFD(fd int) { _ = unix.Close(fd) }

// socketError returns and clears the pending error of a socket.
func socketError(fd int) vfs.Errno {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return errno(err)
	}
	if n == 0 {
		return 0
	}
	return errno(unix.Errno(n))
}

func localAddress(fd int) (netip.AddrPort, bool) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, false
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), true
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), true
	}
	return netip.AddrPort{}, false
}

var errnos = map[unix.Errno]vfs.Errno{
	unix.EACCES: EACCES, unix.EPERM: vfs.EPERM, unix.EADDRINUSE: EADDRINUSE, unix.EADDRNOTAVAIL: EADDRNOTAVAIL,
	unix.EAFNOSUPPORT: EAFNOSUPPORT, unix.EAGAIN: EAGAIN, unix.EALREADY: EALREADY,
	unix.EBADF: vfs.EBADF, unix.ECONNABORTED: ECONNABORTED, unix.ECONNREFUSED: ECONNREFUSED, unix.ECONNRESET: ECONNRESET,
	unix.EDESTADDRREQ: EDESTADDRREQ, unix.EHOSTUNREACH: EHOSTUNREACH, unix.EHOSTDOWN: EHOSTUNREACH, unix.EINPROGRESS: EINPROGRESS,
	unix.EINVAL: vfs.EINVAL, unix.EISCONN: EISCONN, unix.EMFILE: vfs.EMFILE, unix.ENFILE: vfs.EMFILE, unix.EMSGSIZE: EMSGSIZE,
	unix.ENETDOWN: ENETDOWN, unix.ENETUNREACH: ENETUNREACH, unix.ENOBUFS: ENOBUFS, unix.ENOMEM: ENOBUFS,
	unix.ENOPROTOOPT: ENOPROTOOPT, unix.ENOTCONN: ENOTCONN, unix.EOPNOTSUPP: vfs.ENOTSUP, unix.EPIPE: EPIPE,
	unix.EPROTOTYPE: EPROTOTYPE, unix.ETIMEDOUT: ETIMEDOUT,
}

// errno returns the guest's number for an error of the system.
func errno(err error) vfs.Errno {
	if err == nil {
		return 0
	}
	if number, ok := errors.AsType[unix.Errno](err); ok {
		if known, ok := errnos[number]; ok {
			return known
		}
	}
	return vfs.EIO
}

func (o option) set(fd int) vfs.Errno { return errno(unix.SetsockoptInt(fd, o.level, o.name, o.value)) }

func optionOf(fd, level, name int) (int, vfs.Errno) {
	n, err := unix.GetsockoptInt(fd, level, name)
	return n, errno(err)
}
