package sockets

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Events of a guest's poll.
const (
	readable = 0x1
	writable = 0x4
	failed   = 0x8
	hungUp   = 0x10
)

// Polled is a socket to poll, and the result.
type Polled struct {
	Socket *Socket
	Events int16 // POLLIN and POLLOUT
	Ready  int16 // and also POLLERR, POLLHUP
}

// ErrInterrupted is the cause with which the context of Env.Wait ends when another
// thread ends a Poll, while that waits or before it goes on.
var ErrInterrupted = errors.New("sockets: interrupted")

// Poll waits until a socket is ready, for at most timeout unless that is
// negative, and returns how many are. With no sockets, it only waits.
func Poll(env *Env, set []Polled, timeout time.Duration) int {
	count := look(set)
	if count > 0 || timeout == 0 {
		return count
	}
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	interests := make([]Interest, 0, len(set))
	for count == 0 {
		var waiting context.Context
		woken := false
		interests = interestsOf(set, interests[:0]) // another thread may have closed one since
		changed := context.Background()
		if slices.ContainsFunc(set, func(p Polled) bool { return p.Socket.inside() }) {
			changed = env.inside.wakeup()
		}
		env.Wait(func(ctx context.Context, until time.Time) {
			waiting = ctx
			ctx, cancel := either(ctx, changed)
			defer cancel()
			woken = env.Waiter.Wait(ctx, sooner(deadline, until), interests) || changed.Err() != nil
		})
		if count = look(set); !woken || context.Cause(waiting) == ErrInterrupted {
			break
		}
	}
	return count
}

// interestsOf appends what a poll of these sockets waits for.
func interestsOf(set []Polled, interests []Interest) []Interest {
	for _, p := range set {
		if p.Socket.conn == nil {
			continue
		}
		fd := p.Socket.conn.FD
		// One interest a socket: of two, a Waiter would forget the first.
		if n := slices.IndexFunc(interests, func(i Interest) bool { return i.FD == fd }); n >= 0 {
			interests[n].Events |= p.Events
		} else {
			interests = append(interests, Interest{FD: fd, Events: p.Events})
		}
	}
	return interests
}

// inside reports whether what other sockets of the instance do can make this one ready.
func (s *Socket) inside() bool { return s.in != nil || s.listener != nil || s.inbox != nil }

// look updates what is ready now.
func look(set []Polled) (count int) {
	for n := range set {
		p := &set[n]
		if p.Ready = p.Socket.state(p.Events); p.Ready != 0 {
			count++
		}
	}
	return count
}

// state returns what a socket is ready for.
func (s *Socket) state(events int16) int16 {
	s.finishConnect()
	switch {
	case s.in != nil:
		return s.stateInside(events)
	case s.listener != nil:
		if len(s.listener.pending) > 0 {
			return events & readable
		}
		return 0
	case s.inbox != nil:
		return s.stateDatagrams(events)
	case s.conn != nil:
		return poll(s.conn.FD, events)
	case s.failed != 0:
		return events&(readable|writable) | failed | hungUp
	case s.hungUp:
		return events&readable | hungUp
	}
	// Linux reports this for an unconnected socket.
	if s.kind == Datagram {
		return events & writable
	}
	return events&writable | hungUp
}
