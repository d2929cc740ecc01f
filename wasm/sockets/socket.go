package sockets

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"syscall"
	"time"

	"vivarium/wasm/vfs"
)

// Env is what a Socket gets from its instance.
type Env struct {
	Net    Net
	Waiter *Waiter
	// Wait lets the guest wait while do blocks. do ends with ctx, and at the
	// deadline unless that is zero.
	Wait func(do func(ctx context.Context, deadline time.Time))
	// Hold makes time stand still for the guest's call until release is called or ctx
	// ends.
	Hold func(ctx context.Context) (release func())
	// Work, when set, is told of bytes moved in the middle of a call. Other threads of the
	// guest may run meanwhile, and it may end the call.
	Work func(n int)
	// Refused is told of each Refusal, Talked of each other request to the network.
	Refused func(*Refusal)
	Talked  func()
	// Reserve, when set, is asked before buffers take delta bytes of host memory, and
	// told with a negative delta what they return.
	Reserve func(delta int64) bool

	inside inside
}

// Socket is an open socket. It is used by one goroutine at a time.
type Socket struct {
	env        *Env
	kind       Kind
	family     int
	flag       vfs.Flag
	conn       *Conn  // nil: not connected, or hung up
	in, out    *pipe  // set when connected within the instance
	inbox      *inbox // set when datagrams from within the instance can arrive
	listener   *listener
	local      netip.AddrPort // bound within the instance
	peer       netip.AddrPort
	connecting bool
	hungUp     bool      // the connection was dropped by HangUp
	failed     vfs.Errno // the next result of SO_ERROR
	options    []option  // to set on the next connection
	users      int       // besides the first, who has to close it too
	closed     bool
}

// Flags of calls.
const (
	flagPeek     = 0x2
	flagTrunc    = 0x20
	flagDontWait = 0x40
	flagWaitAll  = 0x100
	flagNoSignal = 0x4000
)

const (
	// maxTransfer bounds the bytes that one call moves.
	maxTransfer = 1 << 20
	// maxPart bounds those that one system call moves, within which nobody else gets the
	// turn: some ten microseconds' worth.
	maxPart = 64 << 10
)

// New returns an unconnected socket.
func New(env *Env, family int, kind Kind, protocol int) (*Socket, vfs.Errno) {
	if family != familyIPv4 && family != familyIPv6 {
		return nil, EAFNOSUPPORT
	}
	switch {
	case kind == Stream && (protocol == 0 || protocol == syscall.IPPROTO_TCP):
	case kind == Datagram && (protocol == 0 || protocol == syscall.IPPROTO_UDP):
	case kind != Stream && kind != Datagram:
		return nil, EACCES // raw sockets need a privilege
	default:
		return nil, EPROTONOSUPPORT
	}
	return &Socket{env: env, kind: kind, family: family, flag: vfs.ReadWrite}, 0
}

// Connect connects the socket. A non-blocking one returns EINPROGRESS, and
// becomes writable once it is connected or has failed.
func (s *Socket) Connect(to netip.AddrPort) vfs.Errno {
	switch {
	case s.connecting:
		if s.finishConnect(); s.connecting {
			return EALREADY
		}
		return s.pendingError()
	case s.kind == Stream && (s.conn != nil || s.in != nil):
		return EISCONN
	case s.listener != nil:
		return vfs.EINVAL
	case to.Addr().Is4() != (s.family == familyIPv4):
		return EAFNOSUPPORT
	}
	if found := s.env.inside.find(s.kind, to); found != nil {
		return s.connectInside(found)
	}
	s.drop()
	var conn *Conn
	var err error
	s.env.Wait(func(ctx context.Context, _ time.Time) { conn, err = s.env.Net.Connect(ctx, s.kind, to) })
	if err != nil {
		return s.refused(err)
	}
	s.env.Talked()
	if s.drop(); s.closed || s.in != nil { // by another thread, meanwhile
		release(conn)
		return vfs.EBADF
	}
	if conn.Holds != nil {
		conn.release = s.env.Hold(conn.Holds)
	}
	s.conn, s.peer, s.hungUp, s.failed = conn, to, false, 0
	for _, o := range s.options {
		if o.passed() {
			o.set(conn.FD) // another kind of connection may not have it
		}
	}
	if s.kind == Datagram {
		return 0
	}
	s.connecting = true
	if s.finishConnect(); s.connecting {
		if s.flag&vfs.NonBlock != 0 {
			return EINPROGRESS
		}
		if errno := s.wait(writable); errno != 0 {
			return errno
		}
		s.finishConnect()
	}
	return s.pendingError()
}

// refused returns the error number for an error of the Net.
func (s *Socket) refused(err error) vfs.Errno {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		s.env.Refused(refusal)
		return EACCES
	}
	s.env.Talked()
	return errno(err)
}

// finishConnect finds out whether connecting has finished.
func (s *Socket) finishConnect() {
	if !s.connecting || poll(s.conn.FD, writable) == 0 {
		return
	}
	s.connecting = false
	if s.failed = socketError(s.conn.FD); s.failed != 0 {
		s.drop()
	}
}

func (s *Socket) pendingError() vfs.Errno {
	failed := s.failed
	s.failed = 0
	return failed
}

// ready returns why nothing can be sent or received, or 0.
func (s *Socket) ready() vfs.Errno {
	if s.finishConnect(); s.connecting {
		return EAGAIN
	}
	if s.failed != 0 {
		return s.pendingError()
	}
	if s.conn == nil && s.in == nil && s.inbox == nil {
		return ENOTCONN
	}
	return 0
}

// wait waits until the connection is ready for something. Another thread may have
// closed it meanwhile: ENOTCONN.
func (s *Socket) wait(events int16) vfs.Errno {
	conn := s.conn
	s.env.Wait(func(ctx context.Context, until time.Time) {
		s.env.Waiter.Wait(ctx, until, []Interest{{FD: conn.FD, Events: events}})
	})
	if s.conn != conn {
		return ENOTCONN
	}
	return 0
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Receive is ReceiveFrom without the address.
func (s *Socket) Receive(buf []byte, flags int) (int, vfs.Errno) {
	n, _, errno := s.ReceiveFrom(buf, flags)
	return n, errno
}

// ReceiveFrom reads what has arrived, waiting for it unless the socket or flags say
// not to, and returns which address sent it if it is a datagram. It returns 0 bytes at
// the end.
func (s *Socket) ReceiveFrom(buf []byte, flags int) (n int, from netip.AddrPort, errno vfs.Errno) {
	if s.hungUp && s.inbox == nil {
		return 0, netip.AddrPort{}, 0
	}
	if errno := s.ready(); errno != 0 {
		return 0, netip.AddrPort{}, errno
	}
	if flags&^(flagPeek|flagTrunc|flagDontWait|flagWaitAll|flagNoSignal) != 0 {
		return 0, netip.AddrPort{}, vfs.ENOTSUP
	}
	buf = buf[:min(len(buf), maxTransfer)]
	switch {
	case s.inbox != nil:
		return s.receiveDatagram(buf, flags)
	case s.in != nil:
		n, errno = s.receiveInside(buf, flags)
	default:
		n, errno = s.receiveOutside(buf, flags)
	}
	if s.kind == Datagram {
		from = s.peer
	}
	return n, from, errno
}

func (s *Socket) receiveOutside(buf []byte, flags int) (int, vfs.Errno) {
	if flags&flagPeek != 0 {
		buf = part(buf) // a second part would be the first again
	}
	all := flags&(flagWaitAll|flagPeek) == flagWaitAll && s.kind == Stream
	for done := 0; ; {
		part := part(buf[done:])
		n, err := receive(s.conn.FD, part, flags&(flagPeek|flagTrunc))
		switch {
		case err == nil:
			if flags&flagPeek == 0 {
				if errno := s.moved(n); errno != 0 {
					return 0, errno
				}
			}
			done += min(n, len(part))
			if n == 0 || n < len(part) && !all || done == len(buf) || s.kind == Datagram {
				return max(done, n), 0
			}
			if !s.goOn(n) {
				return done, 0
			}
		case errno(err) == EAGAIN && s.blocks(flags) && (done == 0 || all):
			if errno := s.wait(readable); errno != 0 {
				return 0, errno
			}
		case done == 0:
			return 0, errno(err)
		default:
			return done, s.postpone(err)
		}
	}
}

// part returns what one system call moves of buf.
func part(buf []byte) []byte { return buf[:min(len(buf), maxPart)] }

// blocks reports whether a call with flags waits.
func (s *Socket) blocks(flags int) bool { return s.flag&vfs.NonBlock == 0 && flags&flagDontWait == 0 }

// goOn lets others compute in the middle of a call that has moved n bytes, and is false
// if another thread has closed the connection meanwhile.
func (s *Socket) goOn(n int) bool {
	conn := s.conn
	if s.env.Work != nil {
		s.env.Work(n)
	}
	return s.conn == conn
}

// postpone keeps the error of a call that has moved bytes for the next one, as a kernel
// does, and returns 0.
func (s *Socket) postpone(err error) vfs.Errno {
	if failed := errno(err); failed != EAGAIN {
		s.failed = failed
	}
	return 0
}

// Send sends buf, waiting until all is sent unless the socket or flags say not
// to.
func (s *Socket) Send(buf []byte, flags int) (int, vfs.Errno) {
	if s.hungUp {
		return 0, EPIPE
	}
	if s.kind == Datagram && s.conn == nil && !s.peer.IsValid() {
		return 0, EDESTADDRREQ
	}
	if errno := s.ready(); errno != 0 {
		return 0, errno
	}
	if flags&^(flagDontWait|flagNoSignal) != 0 {
		return 0, vfs.ENOTSUP
	}
	buf = buf[:min(len(buf), maxTransfer)]
	switch {
	case s.out != nil:
		return s.sendInside(buf, flags)
	case s.conn == nil:
		return s.sendDatagram(buf)
	}
	for done := 0; ; {
		n, err := send(s.conn.FD, part(buf[done:]))
		switch {
		case err == nil:
			if errno := s.moved(n); errno != 0 {
				return 0, errno
			}
			if done += n; done == len(buf) || s.kind == Datagram || !s.goOn(n) {
				return done, 0
			}
		case errno(err) == EAGAIN && s.blocks(flags):
			if errno := s.wait(writable); errno != 0 {
				return 0, errno
			}
		case done == 0:
			return 0, errno(err)
		default:
			return done, s.postpone(err)
		}
	}
}

func (s *Socket) moved(n int) vfs.Errno {
	if s.conn.Moved == nil || n == 0 {
		return 0
	}
	if err := s.conn.Moved(n); err != nil {
		errno := s.refused(err)
		s.HangUp()
		return errno
	}
	return 0
}

// Shutdown ends one or both directions: how is SHUT_RD, SHUT_WR or SHUT_RDWR.
func (s *Socket) Shutdown(how int) vfs.Errno {
	if how < syscall.SHUT_RD || how > syscall.SHUT_RDWR {
		return vfs.EINVAL
	}
	if s.in != nil {
		s.shutdownInside(how != syscall.SHUT_WR, how != syscall.SHUT_RD)
		return 0
	}
	if s.conn == nil || s.connecting {
		return ENOTCONN
	}
	return errno(shutdown(s.conn.FD, how))
}

// Peer returns the address that the socket is connected to.
func (s *Socket) Peer() (netip.AddrPort, vfs.Errno) {
	if s.finishConnect(); !s.connectedInside() && (s.conn == nil || s.connecting) {
		return netip.AddrPort{}, ENOTCONN
	}
	return s.peer, 0
}

// Local returns the socket's own address, which is unspecified unless it is bound
// or connected.
func (s *Socket) Local() netip.AddrPort {
	if s.conn != nil && s.inbox == nil {
		if a, ok := localAddress(s.conn.FD); ok {
			return a
		}
	}
	switch {
	case s.connectedInside():
		return reachable(s.local)
	case s.local.IsValid() || s.family == familyUnix:
		return s.local
	case s.family == familyIPv4:
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
}

// Kind returns the kind of the socket.
func (s *Socket) Kind() Kind { return s.kind }

// HangUp drops the connection as if the peer had closed it.
func (s *Socket) HangUp() {
	if s.conn != nil {
		s.drop()
		s.hungUp = true
	}
}

// drop closes the connection, if there is one.
func (s *Socket) drop() {
	if s.conn == nil {
		return
	}
	release(s.conn)
	if s.conn, s.connecting = nil, false; s.kind == Datagram {
		s.peer = netip.AddrPort{}
	}
}

func release(conn *Conn) {
	closeFD(conn.FD)
	if conn.release != nil {
		conn.release()
	}
	if conn.Closed != nil {
		conn.Closed()
	}
}

// Stat implements vfs.File.
func (s *Socket) Stat() (vfs.Stat, vfs.Errno) {
	return vfs.Stat{Mode: fs.ModeSocket | 0o777, Nlink: 1}, 0
}

// Flags implements vfs.File.
func (s *Socket) Flags() vfs.Flag { return s.flag }

// SetFlags implements vfs.File.
func (s *Socket) SetFlags(flag vfs.Flag) vfs.Errno {
	s.flag = s.flag&^vfs.NonBlock | flag&vfs.NonBlock
	return 0
}

// Read implements vfs.File.
func (s *Socket) Read(buf []byte) (int, vfs.Errno) { return s.Receive(buf, 0) }

// Write implements vfs.File.
func (s *Socket) Write(buf []byte) (int, vfs.Errno) { return s.Send(buf, 0) }

// Pread implements vfs.File.
func (s *Socket) Pread([]byte, int64) (int, vfs.Errno) { return 0, vfs.ESPIPE }

// Pwrite implements vfs.File.
func (s *Socket) Pwrite([]byte, int64) (int, vfs.Errno) { return 0, vfs.ESPIPE }

// Seek implements vfs.File.
func (s *Socket) Seek(vfs.Position, int) (int64, vfs.Errno) { return 0, vfs.ESPIPE }

// Truncate implements vfs.File.
func (s *Socket) Truncate(int64) vfs.Errno { return vfs.EINVAL }

// Allocate implements vfs.File.
func (s *Socket) Allocate(int64, int64) vfs.Errno { return vfs.ESPIPE }

// Utimens implements vfs.File.
func (s *Socket) Utimens(int64, int64) vfs.Errno { return 0 }

// Chmod implements vfs.File.
func (s *Socket) Chmod(fs.FileMode) vfs.Errno { return 0 }

// List implements vfs.File.
func (s *Socket) List(uint64, func(vfs.Dirent) bool) vfs.Errno { return vfs.ENOTDIR }

// Close implements vfs.File.
func (s *Socket) Close() {
	if s.users > 0 {
		s.users--
		return
	}
	s.drop()
	s.dropInside()
	s.closed = true
}

// Share adds a user: the socket stays open for one more Close.
func (s *Socket) Share() { s.users++ }
