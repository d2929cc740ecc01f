package sockets

import (
	"context"
	"net/netip"
	"time"

	"vivarium/wasm/vfs"
)

// Connections within an instance: sockets that listen on loopback addresses, to which
// only sockets of the same instance connect, and socket pairs; datagram.go has those
// without connections. No host socket is behind them, only buffers, which count as the
// instance's memory.

// familyUnix is the family of socket pairs.
const familyUnix = 1

// Limits of connections within an instance.
const (
	maxBacklog   = 128
	firstPipe    = 4 << 10  // initial capacity of a pipe, in bytes
	maxPipe      = 64 << 10 // maximal capacity
	firstOwnPort = 49152    // of the ephemeral ports
)

// inside is what the sockets of an instance share.
type inside struct {
	bound map[place]*Socket
	port  uint16 // the last ephemeral port

	// changed ends with the next change of anything within; nil when nobody waits.
	changed context.Context
	stirred context.CancelFunc
}

// place is what one socket can be bound to: TCP and UDP have ports of their own.
type place struct {
	kind Kind
	at   netip.AddrPort
}

// wakeup returns a context that ends with the next change of anything within.
func (in *inside) wakeup() context.Context {
	if in.changed == nil {
		in.changed, in.stirred = context.WithCancel(context.Background())
	}
	return in.changed
}

// stir wakes up the threads that wait for a change.
func (in *inside) stir() {
	if in.changed != nil {
		in.stirred()
		in.changed, in.stirred = nil, nil
	}
}

// listener is the state of a Socket that listens.
type listener struct {
	backlog int
	pending []*Socket // not yet accepted
}

// pipe is one direction of a connection within an instance.
type pipe struct {
	env    *Env
	buf    []byte // sent but not received; a part of room
	room   []byte
	ended  bool  // the sender has shut down
	deaf   bool  // the receiver has shut down
	gone   bool  // the receiver has closed
	broken bool  // the sender knows that
	reset  bool  // the sender has closed without reading all that it was sent
	charge int64 // bytes taken from Env.Reserve
}

// write appends as much of b as the pipe has room for.
func (p *pipe) write(b []byte) (int, vfs.Errno) {
	b = b[:min(len(b), maxPipe-len(p.buf))]
	if need := len(p.buf) + len(b); need > len(p.room) {
		size := max(firstPipe, 2*len(p.room))
		for size < need {
			size *= 2
		}
		delta := int64(size - len(p.room))
		if p.env.Reserve != nil && !p.env.Reserve(delta) {
			return 0, ENOBUFS
		}
		p.charge += delta
		room := make([]byte, size)
		p.buf, p.room = room[:copy(room, p.buf)], room
	}
	if cap(p.buf)-len(p.buf) < len(b) {
		p.buf = p.room[:copy(p.room, p.buf)]
	}
	p.buf = append(p.buf, b...)
	p.env.inside.stir()
	return len(b), 0
}

func (p *pipe) read(b []byte, peek bool) int {
	n := copy(b, p.buf)
	if !peek {
		p.buf = p.buf[n:]
		p.env.inside.stir()
	}
	return n
}

// drop ends receiving and releases the buffer.
func (p *pipe) drop() {
	if p.env.Reserve != nil && p.charge > 0 {
		p.env.Reserve(-p.charge)
	}
	p.buf, p.room, p.charge, p.gone = nil, nil, 0, true
	p.env.inside.stir()
}

// Pair returns two connected sockets, as socketpair does.
func Pair(env *Env, family int, kind Kind, protocol int) (a, b *Socket, errno vfs.Errno) {
	switch {
	case family != familyUnix:
		return nil, nil, vfs.ENOTSUP
	case kind != Stream || protocol != 0:
		return nil, nil, EPROTONOSUPPORT
	}
	a = &Socket{env: env, kind: kind, family: family, flag: vfs.ReadWrite}
	b = &Socket{env: env, kind: kind, family: family, flag: vfs.ReadWrite}
	join(a, b)
	return a, b, 0
}

func join(a, b *Socket) {
	to, from := &pipe{env: a.env}, &pipe{env: a.env}
	a.in, a.out = from, to
	b.in, b.out = to, from
}

// Bind binds the socket to a loopback or the unspecified address; port 0 chooses an
// ephemeral port. The source address of what leaves the instance is the host's choice.
func (s *Socket) Bind(to netip.AddrPort) vfs.Errno {
	switch {
	case to.Addr().Is4() != (s.family == familyIPv4):
		return EAFNOSUPPORT
	case s.local.IsValid() || s.conn != nil || s.in != nil:
		return vfs.EINVAL
	case !to.Addr().IsLoopback() && !to.Addr().IsUnspecified():
		return EADDRNOTAVAIL
	}
	return s.bind(to)
}

func (s *Socket) bind(to netip.AddrPort) vfs.Errno {
	in := &s.env.inside
	if to.Port() == 0 {
		to = in.own(s.kind, to.Addr())
	}
	if !in.free(s.kind, to) {
		return EADDRINUSE
	}
	if in.bound == nil {
		in.bound = map[place]*Socket{}
	}
	in.bound[place{s.kind, to}], s.local = s, to
	if s.kind == Datagram {
		s.inbox = &inbox{}
	}
	return 0
}

// own returns an address with an unused ephemeral port. There are more ports than
// sockets.
func (in *inside) own(kind Kind, a netip.Addr) netip.AddrPort {
	for {
		if in.port++; in.port < firstOwnPort {
			in.port = firstOwnPort
		}
		if to := netip.AddrPortFrom(a, in.port); in.free(kind, to) {
			return to
		}
	}
}

// free reports whether no socket is bound to an address or to one that includes it.
func (in *inside) free(kind Kind, to netip.AddrPort) bool {
	for p := range in.bound {
		a, b := p.at.Addr(), to.Addr()
		if p.kind == kind && p.at.Port() == to.Port() && a.Is4() == b.Is4() && (a == b || a.IsUnspecified() || b.IsUnspecified()) {
			return false
		}
	}
	return true
}

// find returns the socket that is reached at an address, or nil if none is.
func (in *inside) find(kind Kind, to netip.AddrPort) *Socket {
	to = reachable(to)
	if !to.Addr().IsLoopback() {
		return nil
	}
	found := in.bound[place{kind, to}]
	if found == nil {
		found = in.bound[place{kind, netip.AddrPortFrom(unspecified(to.Addr().Is4()), to.Port())}]
	}
	if found == nil || kind == Stream && found.listener == nil {
		return nil
	}
	return found
}

// reachable returns where others of the instance find what has an address: unspecified,
// it is this machine.
func reachable(a netip.AddrPort) netip.AddrPort {
	switch {
	case !a.Addr().IsUnspecified():
		return a
	case a.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
}

func unspecified(is4 bool) netip.Addr {
	if is4 {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// Listen accepts connections from the instance's own sockets. The socket must be
// bound to a loopback address.
func (s *Socket) Listen(backlog int) vfs.Errno {
	switch {
	case s.kind != Stream:
		return vfs.ENOTSUP
	case s.conn != nil || s.in != nil:
		return vfs.EINVAL
	case !s.local.IsValid() || s.local.Addr().IsUnspecified():
		return EACCES
	}
	if s.listener == nil {
		s.listener = &listener{}
	}
	s.listener.backlog = min(max(backlog, 1), maxBacklog)
	return 0
}

// Accept returns the next connection. It blocks unless the socket is non-blocking.
func (s *Socket) Accept() (*Socket, vfs.Errno) {
	if s.listener == nil {
		return nil, vfs.EINVAL
	}
	for len(s.listener.pending) == 0 {
		if s.flag&vfs.NonBlock != 0 {
			return nil, EAGAIN
		}
		if s.env.pause(); s.listener == nil { // closed by another thread
			return nil, vfs.EINVAL
		}
	}
	next := s.listener.pending[0]
	s.listener.pending = s.listener.pending[1:]
	return next, 0
}

// pause waits until another thread of the guest has changed something within, the
// deadline or cancellation.
func (e *Env) pause() {
	changed := e.inside.wakeup()
	e.Wait(func(ctx context.Context, until time.Time) {
		ctx, cancel := either(ctx, changed)
		defer cancel()
		e.Waiter.Wait(ctx, until, nil)
	})
}

// either returns a context that ends with one of two.
func either(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// connectedInside reports whether the peer is a socket of the same instance.
func (s *Socket) connectedInside() bool {
	return s.in != nil || s.inbox != nil && s.conn == nil && s.peer.IsValid()
}

// connectInside connects to a socket of the same instance.
func (s *Socket) connectInside(to *Socket) vfs.Errno {
	if s.kind == Datagram {
		return s.connectDatagrams(to)
	}
	if len(to.listener.pending) >= to.listener.backlog {
		return ECONNREFUSED
	}
	if !s.local.IsValid() {
		s.local = s.env.inside.own(s.kind, to.local.Addr())
	}
	accepted := &Socket{
		env: s.env, kind: s.kind, family: s.family, flag: vfs.ReadWrite,
		local: to.local, peer: reachable(s.local), options: to.options,
	}
	join(s, accepted)
	s.peer, s.hungUp, s.failed = to.local, false, 0
	to.listener.pending = append(to.listener.pending, accepted)
	s.env.inside.stir()
	return 0
}

// dropInside closes the socket's side of what is within the instance.
func (s *Socket) dropInside() {
	if p := (place{s.kind, s.local}); s.env.inside.bound[p] == s {
		delete(s.env.inside.bound, p)
	}
	if s.listener != nil {
		for _, p := range s.listener.pending {
			p.out.reset = true
			p.dropInside()
		}
		s.listener = nil
	}
	if s.in != nil {
		// As TCP does: who is not read to the end learns it.
		s.out.reset = s.out.reset || len(s.in.buf) > 0 && s.family != familyUnix
		s.out.ended, s.in.broken = true, s.out.reset || s.family == familyUnix
		s.in.drop()
		s.in, s.out = nil, nil
	}
	s.dropDatagrams()
	s.env.inside.stir()
}

// shutdownInside ends receiving, sending, or both.
func (s *Socket) shutdownInside(receiving, sending bool) {
	s.out.ended = s.out.ended || sending
	s.in.deaf = s.in.deaf || receiving
	if s.family == familyUnix && receiving { // TCP does not tell the peer
		s.in.gone, s.in.broken = true, true
	}
	s.env.inside.stir()
}

func (s *Socket) receiveInside(buf []byte, flags int) (int, vfs.Errno) {
	in := s.in
	for done := 0; ; {
		n := in.read(buf[done:], flags&flagPeek != 0)
		done += n
		switch {
		case done == 0 && len(buf) > 0 && in.reset:
			in.reset = false
			return 0, ECONNRESET
		case done == len(buf) || in.ended || in.deaf || n > 0 && flags&(flagWaitAll|flagPeek) != flagWaitAll:
			return done, 0
		case s.flag&vfs.NonBlock != 0 || flags&flagDontWait != 0:
			if done > 0 {
				return done, 0
			}
			return 0, EAGAIN
		}
		s.env.pause()
	}
}

func (s *Socket) sendInside(buf []byte, flags int) (int, vfs.Errno) {
	out := s.out
	for done := 0; ; {
		switch {
		case out.ended || out.broken:
			return 0, EPIPE
		case out.gone:
			// Only what comes back for what is sent first tells that nobody is there.
			out.broken = true
			return len(buf), 0
		}
		n, errno := out.write(buf[done:])
		if errno != 0 {
			return 0, errno
		}
		switch done += n; {
		case done == len(buf):
			return done, 0
		case s.flag&vfs.NonBlock != 0 || flags&flagDontWait != 0:
			if done > 0 {
				return done, 0
			}
			return 0, EAGAIN
		}
		s.env.pause()
	}
}

// stateInside is state for a socket connected within the instance.
func (s *Socket) stateInside(events int16) (ready int16) {
	if len(s.in.buf) > 0 || s.in.ended || s.in.deaf {
		ready |= events & readable
	}
	if len(s.out.buf) < maxPipe || s.out.gone {
		ready |= events & writable
	}
	if s.in.ended && (s.out.ended || s.out.broken) {
		ready |= hungUp
	}
	if s.in.reset {
		ready |= failed
	}
	return ready
}
