package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"vivarium/wasm/sockets"
)

// maxMessage bounds a message, in bytes.
const maxMessage = 8 << 10

// request asks a Broker for a name's addresses, or for a connection.
type request struct {
	ID   uint64
	Name string         `json:",omitempty"`
	Kind sockets.Kind   `json:",omitempty"`
	To   netip.AddrPort `json:",omitzero"`
	Rule string         `json:",omitempty"` // to be allowed to Who from now on
	Who  string         `json:",omitempty"`
}

// reply is the result of a request; a descriptor travels with the message.
type reply struct {
	ID        uint64
	Addresses []netip.Addr  `json:",omitempty"`
	Refusal   string        `json:",omitempty"`
	NoName    bool          `json:",omitempty"`
	TryAgain  bool          `json:",omitempty"`
	Errno     syscall.Errno `json:",omitempty"`
	Allowed   bool          `json:",omitempty"` // the Rule

	fds []int // at most one
}

// ServeBroker answers a Broker's requests on conn, as far as guard allows,
// until conn is closed. Allow, if set, decides whether a rule is added to the guard's,
// which it sees to; it may block. So does ServeBroker. The calling process need not trust
// the one that asks.
func ServeBroker(ctx context.Context, conn *os.File, guard *Guard, allow func(ctx context.Context, rule, who string) bool) error {
	c, err := packetConn(conn)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { _ = c.Close() })
	places := make(chan struct{}, 256) // concurrent lookups
	buf := make([]byte, maxMessage)
	for {
		n, _, _, _, err := c.ReadMsgUnix(buf, nil)
		if err != nil || n == 0 {
			return nil // conn has been closed
		}
		var r request
		// Whoever breaks the format may have been taken over; nothing more is done for it.
		if err := json.Unmarshal(buf[:n], &r); err != nil {
			return fmt.Errorf("egress: broker: %w", err)
		}
		if r.Rule != "" {
			select {
			case places <- struct{}{}:
			default: // who asks so much at a time is not answered with patience
				send(c, reply{ID: r.ID})
				continue
			}
			go func() {
				defer func() { <-places }()
				send(c, reply{ID: r.ID, Allowed: allow != nil && allow(ctx, r.Rule, r.Who)})
			}()
			continue
		}
		// A connection is only begun here, which takes no time; a name server may take seconds.
		if r.Name == "" {
			send(c, makeConnection(ctx, guard, r))
			continue
		}
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			addresses, err := guard.Resolve(ctx, r.Name, Direct{})
			answer := failure(r.ID, err)
			answer.Addresses = addresses
			send(c, answer)
		}()
	}
}

// makeConnection connects, if the guard allows it.
func makeConnection(ctx context.Context, guard *Guard, r request) reply {
	if err := guard.Check(r.Kind, r.To); err != nil {
		return failure(r.ID, err)
	}
	fd, err := Direct{}.Connect(ctx, r.Kind, r.To)
	answer := failure(r.ID, err)
	if err == nil {
		answer.fds = []int{fd}
	}
	return answer
}

func failure(id uint64, err error) reply {
	answer := reply{ID: id}
	refusal, refused := errors.AsType[*sockets.Refusal](err)
	errno, failed := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil:
	case refused:
		answer.Refusal = refusal.Reason
	case errors.Is(err, sockets.ErrNoName):
		answer.NoName = true
	case failed:
		answer.Errno = errno
	default:
		answer.TryAgain = true
	}
	return answer
}

// error returns the error that the reply carries.
func (r reply) error() error {
	switch {
	case r.Refusal != "":
		return &sockets.Refusal{Reason: r.Refusal}
	case r.NoName:
		return sockets.ErrNoName
	case r.TryAgain:
		return sockets.ErrTryAgain
	case r.Errno != 0:
		return r.Errno
	}
	return nil
}

// send sends a reply. If that fails, the other side has gone.
func send(c *net.UnixConn, r reply) {
	defer closeAll(r.fds)
	text, err := json.Marshal(r)
	if err != nil {
		return
	}
	var rights []byte
	if len(r.fds) > 0 {
		rights = unix.UnixRights(r.fds...)
	}
	_, _, _ = c.WriteMsgUnix(text, rights, nil)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

func packetConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close() // FileConn duplicates the descriptor
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("egress: broker: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("egress: broker: not a unix socket")
	}
	return u, nil
}

// BrokerPair returns both ends of a broker's socket: one for NewBroker, one for
// the process that calls ServeBroker.
func BrokerPair() (asks, answers *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("egress: broker: %w", err)
	}
	return os.NewFile(uintptr(pair[0]), "broker"), os.NewFile(uintptr(pair[1]), "broker"), nil
}

// Broker is the Dialer of a process that may not connect: it asks another
// process. Safe for concurrent use.
type Broker struct {
	conn *net.UnixConn
	last atomic.Uint64
	gone chan struct{} // closed when the other process has gone

	mu      sync.Mutex // guards waiting
	waiting map[uint64]chan reply
}

// NewBroker returns a Broker that asks over conn, which it takes over. Close
// it.
func NewBroker(conn *os.File) (*Broker, error) {
	c, err := packetConn(conn)
	if err != nil {
		return nil, err
	}
	b := &Broker{conn: c, gone: make(chan struct{}), waiting: map[uint64]chan reply{}}
	go b.read()
	return b, nil
}

// Close ends the other process's work, and all pending requests.
func (b *Broker) Close() error { return b.conn.Close() }

// Ready returns an error if the other process has gone.
func (b *Broker) Ready() error {
	select {
	case <-b.gone:
		return errors.New("the process that connects has ended")
	default:
		return nil
	}
}

// read passes replies to those who wait for them.
func (b *Broker) read() {
	defer close(b.gone)
	buf, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := b.conn.ReadMsgUnix(buf, rights)
		if err != nil || n == 0 {
			return
		}
		var r reply
		r.fds = descriptors(rights[:oobn])
		if json.Unmarshal(buf[:n], &r) != nil {
			closeAll(r.fds)
			return
		}
		b.mu.Lock()
		waiting := b.waiting[r.ID]
		delete(b.waiting, r.ID)
		b.mu.Unlock()
		if waiting == nil { // given up
			closeAll(r.fds)
			continue
		}
		waiting <- r
	}
}

func descriptors(rights []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		got, err := unix.ParseUnixRights(&m)
		if err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

func (b *Broker) ask(ctx context.Context, r request) (reply, error) {
	r.ID = b.last.Add(1)
	answer := make(chan reply, 1)
	b.mu.Lock()
	b.waiting[r.ID] = answer
	b.mu.Unlock()
	text, err := json.Marshal(r)
	if err == nil {
		_, _, err = b.conn.WriteMsgUnix(text, nil, nil)
	}
	if err == nil {
		select {
		case a := <-answer:
			return a, a.error()
		case <-ctx.Done():
		case <-b.gone:
		}
	}
	b.mu.Lock()
	_, waits := b.waiting[r.ID]
	delete(b.waiting, r.ID)
	b.mu.Unlock()
	if !waits { // the reply has arrived meanwhile, or is about to
		closeAll((<-answer).fds)
	}
	return reply{}, sockets.ErrTryAgain
}

// Allow asks the other process to add a rule for who wants it, and reports whether it
// does. It blocks until that is decided or ctx ends.
func (b *Broker) Allow(ctx context.Context, rule, who string) bool {
	a, err := b.ask(ctx, request{Rule: rule, Who: who})
	return err == nil && a.Allowed
}

// Resolve implements Dialer.
func (b *Broker) Resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := b.ask(ctx, request{Name: name})
	return a.Addresses, err
}

// Connect implements Dialer.
func (b *Broker) Connect(ctx context.Context, kind sockets.Kind, to netip.AddrPort) (int, error) {
	a, err := b.ask(ctx, request{Kind: kind, To: to})
	if err != nil {
		return -1, err
	}
	if len(a.fds) != 1 {
		closeAll(a.fds)
		return -1, syscall.EMFILE // no descriptor was free here
	}
	return a.fds[0], nil
}
