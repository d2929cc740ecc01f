package egress

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"vivarium/wasm/sockets"
)

// metadataAddress is where the cloud's instances learn about themselves.
var metadataAddress = netip.MustParseAddrPort("169.254.169.254:80")

// Where an instance that is debugged finds its debugger, and where it connects to for as
// long as the debugger holds it: time stands still for the call meanwhile.
var (
	debuggerAddress = netip.MustParseAddrPort("169.254.169.253:5678")
	holdAddress     = netip.MustParseAddrPort("169.254.169.253:5679")
)

// Metadata answers requests to the metadata address: it returns the body for a
// path, and false if there is none. google reports whether the request had the
// header that the cloud's own service requires.
type Metadata func(path string, google bool) (body string, ok bool)

// Limits of one instance.
const (
	maxConnections = 128     // at once
	maxCallBytes   = 1 << 30 // sent and received in one call
	maxRefusals    = 32      // remembered per call
	maxUsed        = 32      // targets remembered per call
	spendStep      = 1 << 20 // bytes for which Spend is asked at a time
)

// SessionConfig tells NewSession what is particular to an instance.
type SessionConfig struct {
	Guard  *Guard
	Dialer Dialer
	// Metadata, if set, answers at the metadata address, whatever Guard allows.
	Metadata Metadata
	// Debugger, if set, is handed each connection to the debugger's address, which it
	// closes. The debugger is there until the function returns.
	Debugger func(net.Conn)
	// Refused, if set, is told the rule that would allow what is refused, once per target
	// and call. It must not block.
	Refused func(rule string)
	// Reserve, if set, is asked before each connection is made, and returns the
	// function that gives it back.
	Reserve func() (release func(), err error)
	// Spend, if set, is asked before bytes are sent or received beyond those that it has
	// granted. They are as many as it was asked for, which are more than are needed now.
	Spend func(bytes int64) error
}

// Session is the network of one instance. It implements sockets.Net. Like its
// instance it is used by one goroutine at a time, except for Close.
type Session struct {
	cfg         SessionConfig
	connections atomic.Int64
	bytes       int64           // in the current call
	granted     int64           // bytes that Spend has granted and nobody has used
	debugged    context.Context // ends with the debugger that was connected last; nil if there was none

	mu       sync.Mutex // guards what is below
	refusals []string   // of the current call, one per target
	seen     map[string]bool
	used     []Use // in the current call, one per target
}

// Use is what a call had to do with a target.
type Use struct {
	Target string   // as in "tcp 192.0.2.1:443"
	Names  []string // under which the instance found the address
	Bytes  int64    // sent and received
}

// NewSession returns the network of an instance.
func NewSession(cfg SessionConfig) *Session { return &Session{cfg: cfg} }

// Resolve implements sockets.Net.
func (s *Session) Resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	found, err := s.cfg.Guard.Resolve(ctx, name, s.cfg.Dialer)
	return found, s.note(name, err)
}

// Connect implements sockets.Net.
func (s *Session) Connect(ctx context.Context, kind sockets.Kind, to netip.AddrPort) (*sockets.Conn, error) {
	if connect := s.here(kind, to); connect != nil {
		return s.connectHere(to, connect)
	}
	target := kind.String() + " " + to.String()
	by := s.cfg.Guard.inForce() // before the check: a change during it is noticed with the first bytes
	if err := s.cfg.Guard.Check(kind, to); err != nil {
		return nil, s.note(target, err)
	}
	names := s.cfg.Guard.namesOf(plain(to.Addr()))
	release, err := s.take(to)
	if err != nil {
		return nil, err
	}
	fd, err := s.cfg.Dialer.Connect(ctx, kind, to)
	if err != nil {
		release()
		return nil, s.note(target, err)
	}
	s.use(target, names, 0)
	return &sockets.Conn{
		FD: fd,
		Moved: func(n int) error {
			// What was allowed then may not be any more.
			if !s.cfg.Guard.isInForce(by) {
				now := s.cfg.Guard.inForce()
				if err := s.cfg.Guard.permit(kind, to, names); err != nil {
					return s.note(target, err)
				}
				by = now
			}
			s.use(target, names, n)
			return s.moved(n)
		},
		Closed: release,
	}, nil
}

// take counts one more connection, to an address, until it is released.
func (s *Session) take(to netip.AddrPort) (release func(), err error) {
	if s.connections.Load() >= maxConnections {
		return nil, s.note("connections", &sockets.Refusal{
			Reason: fmt.Sprintf("%s: an instance has at most %d connections at once", to, maxConnections),
		})
	}
	give := func() {}
	if s.cfg.Reserve != nil {
		if give, err = s.cfg.Reserve(); err != nil {
			return nil, s.note("connections", &sockets.Refusal{Reason: fmt.Sprintf("%s: %v", to, err)})
		}
	}
	s.connections.Add(1)
	return func() {
		s.connections.Add(-1)
		give()
	}, nil
}

// here returns what connects to an address at which this process answers itself; nil for
// any other.
func (s *Session) here(kind sockets.Kind, to netip.AddrPort) func() (*sockets.Conn, error) {
	switch {
	case kind != sockets.Stream:
	case to == metadataAddress && s.cfg.Metadata != nil:
		return func() (*sockets.Conn, error) {
			return connectHere(func(conn net.Conn) { serveMetadata(conn, s.cfg.Metadata) })
		}
	case to == debuggerAddress && s.cfg.Debugger != nil:
		return s.connectDebugger
	case to == holdAddress && s.cfg.Debugger != nil:
		return s.connectHold
	}
	return nil
}

// connectHere makes a connection to this process, which counts as any other: it takes two
// descriptors.
func (s *Session) connectHere(to netip.AddrPort, connect func() (*sockets.Conn, error)) (*sockets.Conn, error) {
	release, err := s.take(to)
	if err != nil {
		return nil, err
	}
	conn, err := connect()
	if err != nil {
		release()
		return nil, err
	}
	conn.Closed = release
	return conn, nil
}

func (s *Session) connectDebugger() (*sockets.Conn, error) {
	ctx, gone := context.WithCancel(context.Background())
	conn, err := connectHere(func(conn net.Conn) {
		defer gone()
		s.cfg.Debugger(conn)
	})
	if err != nil {
		gone()
		return nil, err
	}
	s.debugged = ctx
	return conn, nil
}

// connectHold returns a connection to nobody, which holds the call while the debugger is
// there.
func (s *Session) connectHold() (*sockets.Conn, error) {
	if s.debugged == nil {
		return nil, syscall.ECONNREFUSED
	}
	conn, err := connectHere(func(conn net.Conn) {
		_, _ = io.Copy(io.Discard, conn) // until the function closes its side
		_ = conn.Close()
	})
	if err != nil {
		return nil, err
	}
	conn.Holds = s.debugged
	return conn, nil
}

func (s *Session) moved(n int) error {
	if s.bytes += int64(n); s.bytes > maxCallBytes {
		return s.note("bytes", &sockets.Refusal{Reason: fmt.Sprintf("a call may send and receive %d MiB in all", maxCallBytes>>20)})
	}
	if s.granted -= int64(n); s.granted < 0 && s.cfg.Spend != nil {
		ask := (-s.granted + spendStep - 1) / spendStep * spendStep
		if err := s.cfg.Spend(ask); err != nil {
			s.granted = 0
			return s.note("bytes", &sockets.Refusal{Reason: err.Error()})
		}
		s.granted += ask
	}
	return nil
}

// note records a refusal, once per target, and returns the error.
func (s *Session) note(target string, err error) error {
	refusal, ok := err.(*sockets.Refusal)
	if !ok {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.seen[target] && len(s.refusals) < maxRefusals {
		if s.seen == nil {
			s.seen = map[string]bool{}
		}
		s.seen[target] = true
		s.refusals = append(s.refusals, refusal.Reason)
		if s.cfg.Refused != nil && refusal.Rule != "" {
			s.cfg.Refused(refusal.Rule)
		}
	}
	return err
}

// use notes that the call has a connection to a target, and how many bytes went there
// and back.
func (s *Session) use(target string, names []string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.used {
		if s.used[i].Target == target {
			s.used[i].Bytes += int64(n)
			return
		}
	}
	if len(s.used) < maxUsed {
		s.used = append(s.used, Use{Target: target, Names: names, Bytes: int64(n)})
	}
}

// Used returns with what targets the call has had connections since the last EndCall, in
// order; no more than 32.
func (s *Session) Used() []Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Refused returns what EndCall will.
func (s *Session) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusals
}

// EndCall returns what was refused since the last EndCall, once per target, and
// resets the counters.
func (s *Session) EndCall() (refusals []string) {
	s.bytes = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	refusals, s.refusals, s.seen, s.used = s.refusals, nil, nil, nil
	return refusals
}

// Connections returns how many connections are open.
func (s *Session) Connections() int { return int(s.connections.Load()) }
