package sockets

import (
	"syscall"

	"vivarium/wasm/vfs"
)

// option is a socket option that was set: a number.
type option struct{ level, name, value int }

// Levels and names that are handled here.
const (
	levelSocket = 1

	optionReuseAddress = 2
	optionType         = 3
	optionError        = 4
	optionBroadcast    = 6
	optionLinger       = 13
	optionReusePort    = 15
	optionAccepting    = 30
	optionProtocol     = 38
	optionDomain       = 39
)

// passed are the options that are passed to the host's socket: how a connection
// is kept alive, buffered and marked. None of them affects where it goes,
// through which interface or with which headers.
var passed = map[[2]int]bool{
	{levelSocket, 5}: false,                                                // SO_DONTROUTE
	{levelSocket, 7}: true, {levelSocket, 8}: true, {levelSocket, 9}: true, // SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE
	{levelSocket, 10}:       true,                                // SO_OOBINLINE
	{syscall.IPPROTO_IP, 1}: true, {syscall.IPPROTO_IP, 2}: true, // IP_TOS, IP_TTL
	{syscall.IPPROTO_IPV6, 16}: true, {syscall.IPPROTO_IPV6, 26}: true, {syscall.IPPROTO_IPV6, 67}: true, // HOPS, V6ONLY, TCLASS
	{syscall.IPPROTO_TCP, 1}: true, {syscall.IPPROTO_TCP, 2}: true, {syscall.IPPROTO_TCP, 4}: true, // NODELAY, MAXSEG, KEEPIDLE
	{syscall.IPPROTO_TCP, 5}: true, {syscall.IPPROTO_TCP, 6}: true, {syscall.IPPROTO_TCP, 12}: true, // KEEPINTVL, KEEPCNT, QUICKACK
	{syscall.IPPROTO_TCP, 18}: true, // USER_TIMEOUT
}

// kept are the options that are remembered, and of which the host's socket is told
// nothing: an address is free as soon as its socket is closed, and a datagram to a
// broadcast address is refused by the system even where the policy allows the address.
var kept = map[[2]int]bool{
	{levelSocket, optionReuseAddress}: true, {levelSocket, optionReusePort}: true, {levelSocket, optionBroadcast}: true,
}

// passed reports whether the option is one that is passed to the host's socket.
func (o option) passed() bool { return passed[[2]int{o.level, o.name}] }

// SetOption sets an option to a number.
func (s *Socket) SetOption(level, name, value int) vfs.Errno {
	o := option{level, name, value}
	switch {
	case level == levelSocket && name == optionLinger:
		return 0 // the host must not wait for the peer on close
	case !o.passed() && !kept[[2]int{level, name}]:
		return ENOPROTOOPT
	}
	if o.passed() && s.conn != nil && !s.conn.Local {
		if errno := o.set(s.conn.FD); errno != 0 {
			return errno
		}
	}
	for n := range s.options {
		if s.options[n].level == level && s.options[n].name == name {
			s.options[n].value = value
			return 0
		}
	}
	s.options = append(s.options, o)
	return 0
}

// Option returns the value of an option.
func (s *Socket) Option(level, name int) (int, vfs.Errno) {
	if level == levelSocket {
		switch name {
		case optionType:
			return int(s.kind), 0
		case optionDomain:
			return s.family, 0
		case optionProtocol:
			switch {
			case s.family == familyUnix:
				return 0, 0
			case s.kind == Stream:
				return syscall.IPPROTO_TCP, 0
			}
			return syscall.IPPROTO_UDP, 0
		case optionError:
			if s.finishConnect(); s.failed == 0 && s.conn != nil && !s.connecting {
				return int(socketError(s.conn.FD)), 0
			}
			return int(s.pendingError()), 0
		case optionAccepting:
			if s.listener != nil {
				return 1, 0
			}
			return 0, 0
		case optionLinger:
			return 0, 0
		}
	}
	wanted := option{level: level, name: name}
	if !wanted.passed() && !kept[[2]int{level, name}] {
		return 0, ENOPROTOOPT
	}
	if wanted.passed() && s.conn != nil && !s.conn.Local {
		return optionOf(s.conn.FD, level, name)
	}
	for _, o := range s.options {
		if o.level == level && o.name == name {
			return o.value, 0
		}
	}
	return 0, 0
}
