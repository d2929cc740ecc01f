package sockets

import (
	"bytes"
	"net/netip"

	"vivarium/wasm/vfs"
)

// Datagrams within an instance: between its own sockets, without a descriptor of the
// host. From outside they come only to a socket that is connected there.

// Limits of datagrams within an instance.
const (
	maxDatagram  = 65507     // bytes, as of UDP over IPv4
	maxInbox     = 208 << 10 // bytes that wait for a socket
	datagramCost = 256       // bytes that a datagram counts as besides its own
)

// inbox is what has arrived at a datagram socket from others of the instance.
type inbox struct {
	waiting []datagram
	charge  int64 // bytes taken from Env.Reserve
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

func (d datagram) cost() int64 { return int64(len(d.data)) + datagramCost }

// SendTo is Send to an address. A stream ignores it, and a datagram that leaves the
// instance connects the socket: only from there can others come.
func (s *Socket) SendTo(buf []byte, flags int, to netip.AddrPort) (int, vfs.Errno) {
	if s.kind == Stream {
		return s.Send(buf, flags)
	}
	if found := s.env.inside.find(Datagram, to); found != nil && to.Addr().Is4() == (s.family == familyIPv4) {
		return s.deliver(found, buf)
	}
	if s.conn == nil || s.peer != to {
		if errno := s.Connect(to); errno != 0 {
			return 0, errno
		}
	}
	return s.Send(buf, flags)
}

// connectDatagrams connects the socket to another of the same instance.
func (s *Socket) connectDatagrams(to *Socket) vfs.Errno {
	if s.source(); s.conn != nil {
		s.drop()
	}
	s.peer, s.hungUp, s.failed = reachable(to.local), false, 0
	return 0
}

// source returns the address from which others of the instance get datagrams. A socket
// that has none gets one.
func (s *Socket) source() netip.AddrPort {
	if !s.local.IsValid() {
		s.bind(netip.AddrPortFrom(unspecified(s.family == familyIPv4), 0)) // can't fail: there are ports enough
	}
	return reachable(s.local)
}

// sendDatagram sends to the peer within the instance.
func (s *Socket) sendDatagram(data []byte) (int, vfs.Errno) {
	if to := s.env.inside.find(Datagram, s.peer); to != nil {
		return s.deliver(to, data)
	}
	s.failed = ECONNREFUSED // as a kernel reports it: to the next call
	return len(data), 0
}

// deliver leaves a datagram in the inbox of another socket. One that has no room, or
// that is connected to someone else, drops it: no kernel reports that.
func (s *Socket) deliver(to *Socket, data []byte) (int, vfs.Errno) {
	d := datagram{from: s.source(), data: data}
	switch {
	case len(data) > maxDatagram:
		return 0, EMSGSIZE
	case to.connectedInside() && to.peer != d.from || to.inbox.charge+d.cost() > maxInbox:
		return len(data), 0
	case s.env.Reserve != nil && !s.env.Reserve(d.cost()):
		return 0, ENOBUFS
	}
	d.data = bytes.Clone(data)
	to.inbox.charge += d.cost()
	to.inbox.waiting = append(to.inbox.waiting, d)
	s.env.inside.stir()
	return len(data), 0
}

// receiveDatagram receives from within, and from the peer outside if there is one.
func (s *Socket) receiveDatagram(buf []byte, flags int) (int, netip.AddrPort, vfs.Errno) {
	for {
		if box := s.inbox; len(box.waiting) > 0 {
			d := box.waiting[0]
			if flags&flagPeek == 0 {
				box.waiting[0] = datagram{}
				box.waiting = box.waiting[1:]
				box.charge -= d.cost()
				s.giveBack(d.cost())
			}
			n := copy(buf, d.data)
			if flags&flagTrunc != 0 {
				n = len(d.data)
			}
			return n, d.from, 0
		}
		if s.conn != nil {
			if n, errno := s.receiveOutside(buf, flags|flagDontWait); errno != EAGAIN {
				return n, s.peer, errno
			}
		}
		if s.flag&vfs.NonBlock != 0 || flags&flagDontWait != 0 {
			return 0, netip.AddrPort{}, EAGAIN
		}
		if Poll(s.env, []Polled{{Socket: s, Events: readable}}, -1); s.inbox == nil { // closed by another thread
			return 0, netip.AddrPort{}, vfs.EBADF
		}
	}
}

// stateDatagrams is state for a socket that has an inbox.
func (s *Socket) stateDatagrams(events int16) int16 {
	ready := events & writable
	if s.conn != nil {
		ready = poll(s.conn.FD, events)
	}
	if len(s.inbox.waiting) > 0 {
		ready |= events & readable
	}
	if s.failed != 0 {
		ready |= events&readable | failed
	}
	return ready
}

// dropDatagrams gives up what has arrived.
func (s *Socket) dropDatagrams() {
	if s.inbox != nil {
		s.giveBack(s.inbox.charge)
		s.inbox = nil
	}
}

func (s *Socket) giveBack(bytes int64) {
	if s.env.Reserve != nil && bytes > 0 {
		s.env.Reserve(-bytes)
	}
}
