package wasip1

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// maxSockets bounds the sockets that a guest can have open.
const maxSockets = 256

// socketCalls are the socket calls that programs on Linux have and WASI lacks.
var socketCalls = []call{
	{"sock_open", "iiii", (*Files).sockOpen},
	{"sock_connect", "iii", (*Files).sockConnect},
	{"sock_pair", "iiii", (*Files).sockPair},
	{"sock_dup", "ii", (*Files).sockDup},
	{"sock_bind", "iii", (*Files).sockBind},
	{"sock_listen", "ii", (*Files).sockListen},
	{"sock_accept", "iii", (*Files).sockAccept},
	{"sock_recv", "iiiiii", (*Files).sockRecv},
	{"sock_send", "iiiiiii", (*Files).sockSend},
	{"sock_shutdown", "ii", (*Files).sockShutdown},
	{"sock_name", "iii", (*Files).sockName},
	{"sock_get_option", "iiii", (*Files).sockGetOption},
	{"sock_set_option", "iiii", (*Files).sockSetOption},
	{"sock_resolve", "iiiii", (*Files).sockResolve},
	{"sock_refusal", "iii", (*Files).sockRefusal},
	{"fd_poll", "iili", (*Files).fdPoll},
}

// Flags in the type of a new socket.
const (
	sockNonBlock  = 0o4000
	sockCloseExec = 0o2000000
)

// Errors that only these calls return.
const (
	enotsock vfs.Errno = 57
	enoname  vfs.Errno = 44 // the name has no address
)

// network is the socket state of Files.
type network struct {
	env     sockets.Env
	waiter  sockets.Waiter
	refusal string // why the last call was refused
	open    int    // sockets
	asked   int64  // requests for names and connections
}

func (n *network) refused(r *sockets.Refusal) {
	n.refusal = r.Reason
	if !r.Lasting {
		n.asked++
	}
}

// SetNet sets what the guest may reach on the network; nil is nothing.
func (f *Files) SetNet(net sockets.Net) {
	if net == nil {
		net = sockets.None{}
	}
	f.network.env = sockets.Env{
		Net: net, Waiter: &f.network.waiter, Wait: f.Wait, Hold: f.Hold, Work: f.Work,
		Refused: f.network.refused,
		Talked:  func() { f.network.asked++ },
		Reserve: f.Reserve,
	}
}

// Sockets returns how many sockets are open, and how often a name or connection
// was requested, unless it was refused as it always will be.
func (f *Files) Sockets() (open int, asked int64) { return f.network.open, f.network.asked }

// HangUp drops all connections as if the peers had closed them.
func (f *Files) HangUp() {
	for _, file := range f.open {
		if s, ok := file.(*socketFile); ok {
			s.HangUp()
		}
	}
	f.network.waiter.Close()
}

// socketFile is a socket that counts as open.
type socketFile struct {
	*sockets.Socket
	of *network
}

// Close implements vfs.File.
func (s *socketFile) Close() {
	if s.of != nil {
		s.Socket.Close()
		s.of.open--
		s.of = nil
	}
}

// socket returns the socket with a descriptor.
func (f *Files) socket(fd uint64) (*socketFile, vfs.Errno) {
	file, errno := f.get(fd)
	if errno != 0 {
		return nil, errno
	}
	if s, ok := file.(*socketFile); ok {
		return s, 0
	}
	return nil, enotsock
}

// sockOpen is sock_open(family, type, protocol, result).
func (f *Files) sockOpen(m api.Memory, p []uint64) vfs.Errno {
	if _, ok := m.ReadUint32Le(uint32(p[3])); !ok {
		return efault
	}
	kind := uint32(p[1]) &^ (sockCloseExec | sockNonBlock)
	if kind > math.MaxUint8 {
		return vfs.EINVAL
	}
	s, errno := sockets.New(&f.network.env, int(uint32(p[0])), sockets.Kind(kind), int(uint32(p[2])))
	switch {
	case errno == sockets.EACCES:
		f.network.refusal = "functions have no raw sockets"
		return errno
	case errno != 0:
		return errno
	case f.network.open >= maxSockets:
		return vfs.EMFILE
	}
	m.WriteUint32Le(uint32(p[3]), f.insertSocket(s, uint32(p[1])))
	return 0
}

// insertSocket returns the descriptor of a new socket. The caller has checked that
// there are fewer than maxSockets.
func (f *Files) insertSocket(s *sockets.Socket, flags uint32) uint32 {
	f.network.open++
	if flags&sockNonBlock != 0 {
		s.SetFlags(vfs.NonBlock)
	}
	return f.insert(&socketFile{s, &f.network})
}

// sockPair is sock_pair(family, type, protocol, result): it writes two descriptors.
func (f *Files) sockPair(m api.Memory, p []uint64) vfs.Errno {
	if _, ok := m.Read(uint32(p[3]), 8); !ok {
		return efault
	}
	kind := uint32(p[1]) &^ (sockCloseExec | sockNonBlock)
	if kind > math.MaxUint8 {
		return vfs.EINVAL
	}
	if f.network.open >= maxSockets-1 {
		return vfs.EMFILE
	}
	a, b, errno := sockets.Pair(&f.network.env, int(uint32(p[0])), sockets.Kind(kind), int(uint32(p[2])))
	if errno == 0 {
		m.WriteUint32Le(uint32(p[3]), f.insertSocket(a, uint32(p[1])))
		m.WriteUint32Le(uint32(p[3])+4, f.insertSocket(b, uint32(p[1])))
	}
	return errno
}

// sockDup is sock_dup(fd, result): it writes another descriptor of the same socket.
func (f *Files) sockDup(m api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	if _, ok := m.ReadUint32Le(uint32(p[1])); !ok {
		return efault
	}
	if f.network.open >= maxSockets {
		return vfs.EMFILE
	}
	s.Share()
	m.WriteUint32Le(uint32(p[1]), f.insertSocket(s.Socket, 0))
	return 0
}

// notListening is the reason of a refusal to listen.
const notListening = "functions can listen on 127.0.0.1 and ::1 only, for connections of their own"

// sockBind is sock_bind(fd, address, size).
func (f *Files) sockBind(m api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	to, errno := readAddress(m, p[1], p[2])
	if errno != 0 {
		return errno
	}
	return s.Bind(to)
}

// sockListen is sock_listen(fd, backlog).
func (f *Files) sockListen(_ api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	f.network.refusal = notListening
	return s.Listen(int(int32(p[1])))
}

// sockAccept is sock_accept(fd, flags, result): it writes a descriptor.
func (f *Files) sockAccept(m api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	if _, ok := m.ReadUint32Le(uint32(p[2])); !ok {
		return efault
	}
	if f.network.open >= maxSockets {
		return vfs.EMFILE
	}
	next, errno := s.Accept()
	if errno == 0 {
		m.WriteUint32Le(uint32(p[2]), f.insertSocket(next, uint32(p[1])))
	}
	return errno
}

// sockConnect is sock_connect(fd, address, size).
func (f *Files) sockConnect(m api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	to, errno := readAddress(m, p[1], p[2])
	if errno != 0 {
		return errno
	}
	return s.Connect(to)
}

func readAddress(m api.Memory, ptr, size uint64) (netip.AddrPort, vfs.Errno) {
	b, ok := m.Read(uint32(ptr), min(uint32(size), sockets.AddressSize))
	if !ok {
		return netip.AddrPort{}, efault
	}
	return sockets.ParseAddress(b)
}

// sockRecv is sock_recv(fd, buf, size, flags, from, result): unless from is 0, it
// writes there in AddressSize bytes which address sent a datagram, or zeros.
func (f *Files) sockRecv(m api.Memory, p []uint64) vfs.Errno {
	from := []byte(nil)
	if uint32(p[4]) != 0 {
		var ok bool
		if from, ok = m.Read(uint32(p[4]), sockets.AddressSize); !ok {
			return efault
		}
	}
	return f.move(m, p, p[5], func(s *socketFile, buf []byte) (int, vfs.Errno) {
		n, sender, errno := s.ReceiveFrom(buf, int(uint32(p[3])))
		if clear(from); sender.IsValid() {
			copy(from, sockets.AppendAddress(nil, sender))
		}
		return n, errno
	})
}

// sockSend is sock_send(fd, buf, size, flags, address, size, result). Without an
// address, its size is 0.
func (f *Files) sockSend(m api.Memory, p []uint64) vfs.Errno {
	var to netip.AddrPort
	if uint32(p[5]) != 0 {
		var errno vfs.Errno
		if to, errno = readAddress(m, p[4], p[5]); errno != 0 {
			return errno
		}
	}
	return f.move(m, p, p[6], func(s *socketFile, buf []byte) (int, vfs.Errno) {
		if to.IsValid() {
			return s.SendTo(buf, int(uint32(p[3])), to)
		}
		return s.Send(buf, int(uint32(p[3])))
	})
}

func (f *Files) move(m api.Memory, p []uint64, result uint64, do func(*socketFile, []byte) (int, vfs.Errno)) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	buf, ok := m.Read(uint32(p[1]), uint32(p[2]))
	if _, ok2 := m.ReadUint32Le(uint32(result)); !ok || !ok2 {
		return efault
	}
	n, errno := do(s, buf)
	f.Work(n + 1)
	if errno == 0 {
		m.WriteUint32Le(uint32(result), uint32(n))
	}
	return errno
}

// sockShutdown is sock_shutdown(fd, how).
func (f *Files) sockShutdown(_ api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	return s.Shutdown(int(int32(p[1])))
}

// sockName is sock_name(fd, peer, result): the peer's address if peer is not 0,
// else the socket's own, in AddressSize bytes.
func (f *Files) sockName(m api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	address := s.Local()
	if uint32(p[1]) != 0 {
		if address, errno = s.Peer(); errno != 0 {
			return errno
		}
	}
	buf, ok := m.Read(uint32(p[2]), sockets.AddressSize)
	if !ok {
		return efault
	}
	clear(buf)
	copy(buf, sockets.AppendAddress(nil, address))
	return 0
}

// sockGetOption is sock_get_option(fd, level, name, result).
func (f *Files) sockGetOption(m api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	value, errno := s.Option(int(int32(p[1])), int(int32(p[2])))
	if errno == 0 && !m.WriteUint32Le(uint32(p[3]), uint32(value)) {
		return efault
	}
	return errno
}

// sockSetOption is sock_set_option(fd, level, name, value).
func (f *Files) sockSetOption(_ api.Memory, p []uint64) vfs.Errno {
	s, errno := f.socket(p[0])
	if errno != 0 {
		return errno
	}
	return s.SetOption(int(int32(p[1])), int(int32(p[2])), int(int32(p[3])))
}

// sockResolve is sock_resolve(name, size, buf, count, result): it writes up to
// count addresses, in AddressSize bytes each, and their number.
func (f *Files) sockResolve(m api.Memory, p []uint64) vfs.Errno {
	name, errno := readPath(m, p[0], p[1])
	if errno != 0 {
		return errno
	}
	name = strings.Clone(name) // the guest's other threads run while it waits
	room := min(uint32(p[3]), 256)
	buf, ok := m.Read(uint32(p[2]), room*sockets.AddressSize)
	if _, ok2 := m.ReadUint32Le(uint32(p[4])); !ok || !ok2 {
		return efault
	}
	var found []netip.Addr
	var err error
	f.Wait(func(ctx context.Context, until time.Time) {
		if !until.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, until)
			defer cancel()
		}
		found, err = f.network.env.Net.Resolve(ctx, name)
	})
	if refusal, ok := errors.AsType[*sockets.Refusal](err); ok {
		f.network.refused(refusal)
		return sockets.EACCES
	}
	f.network.asked++
	switch {
	case errors.Is(err, sockets.ErrNoName):
		return enoname
	case err != nil:
		return sockets.EAGAIN
	}
	found = found[:min(len(found), int(room))]
	for n, address := range found {
		copy(buf[n*sockets.AddressSize:], sockets.AppendAddress(nil, netip.AddrPortFrom(address, 0)))
	}
	m.WriteUint32Le(uint32(p[4]), uint32(len(found)))
	return 0
}

// sockRefusal is sock_refusal(buf, size, result): it writes why the last call
// failed with EACCES, and clears it.
func (f *Files) sockRefusal(m api.Memory, p []uint64) vfs.Errno {
	buf, ok := m.Read(uint32(p[0]), uint32(p[1]))
	if !ok || !m.WriteUint32Le(uint32(p[2]), uint32(copy(buf, f.network.refusal))) {
		return efault
	}
	f.network.refusal = ""
	return 0
}

// pollSize is the size of a struct pollfd.
const pollSize = 8

// Events of poll besides those of package sockets.
const (
	pollIn      = 0x1
	pollOut     = 0x4
	pollInvalid = 0x20
)

// fdPoll is fd_poll(fds, count, timeout in nanoseconds, result): poll as on
// Linux. Files are always readable and writable.
func (f *Files) fdPoll(m api.Memory, p []uint64) vfs.Errno {
	count := uint32(p[1])
	if count > vfs.DefaultMaxOpenFiles+maxSockets {
		return vfs.EINVAL
	}
	fds, ok := m.Read(uint32(p[0]), count*pollSize)
	if _, ok2 := m.ReadUint32Le(uint32(p[3])); !ok || !ok2 {
		return efault
	}
	ready := uint32(0)
	var set []sockets.Polled
	var places []uint32
	for n := range count {
		f.Work(pollSize)
		entry := fds[n*pollSize:][:pollSize]
		fd, events := int32(le.Uint32(entry)), int16(le.Uint16(entry[4:]))
		now := int16(0)
		if fd >= 0 {
			switch file, errno := f.get(uint64(uint32(fd))); {
			case errno != 0:
				now = pollInvalid
			default:
				if s, ok := file.(*socketFile); ok {
					set, places = append(set, sockets.Polled{Socket: s.Socket, Events: events}), append(places, n)
				} else {
					now = events & (pollIn | pollOut)
				}
			}
		}
		le.PutUint16(entry[6:], uint16(now))
		if now != 0 {
			ready++
		}
	}
	timeout := time.Duration(p[2])
	if ready > 0 {
		timeout = 0
	}
	if len(set) > 0 {
		ready += uint32(sockets.Poll(&f.network.env, set, timeout))
	} else if timeout != 0 {
		f.Sleep(int64(uint64(timeout) & math.MaxInt64))
	}
	for n, place := range places {
		le.PutUint16(fds[place*pollSize+6:], uint16(set[n].Ready))
	}
	m.WriteUint32Le(uint32(p[3]), ready)
	return 0
}
