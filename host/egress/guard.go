package egress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"vivarium/wasm/sockets"
)

// Dialer resolves names and opens connections. Safe for concurrent use.
type Dialer interface {
	// Resolve returns the addresses of a name. It blocks until it has them or
	// ctx ends. Its errors: sockets.ErrNoName, sockets.ErrTryAgain,
	// *sockets.Refusal.
	Resolve(ctx context.Context, name string) ([]netip.Addr, error)
	// Connect returns a non-blocking socket that is connected, or connecting,
	// to an address. Its errors: syscall.Errno, *sockets.Refusal.
	Connect(ctx context.Context, kind sockets.Kind, to netip.AddrPort) (fd int, err error)
}

// Guard enforces policies, and remembers the names under which addresses were
// found. Safe for concurrent use.
type Guard struct {
	policies []bounded

	mu    sync.Mutex // guards the rest
	names map[netip.Addr][]string
	order []netip.Addr // resolved longest ago first
}

// bounded is a Policy, which may change, with the reason to give when it refuses.
type bounded struct {
	policy func() *Policy
	whose  string
}

// notAllowed is why a guest is refused what its rules don't name; see also
// sockets.NoNetwork.
const notAllowed = "it is not allowed"

// maxRemembered is how many addresses a Guard remembers; those resolved longest
// ago are forgotten first, and must be resolved again.
const maxRemembered = 1024

// maxNames is how many names are remembered for one address.
const maxNames = 16

// maxAddresses is how many addresses of a name are of use. More would fit neither into
// a Broker's messages nor beside those of other names.
const maxAddresses = 64

// NewGuard returns a Guard that allows what all policies allow.
func NewGuard(policies ...*Policy) *Guard {
	g := &Guard{}
	for _, p := range policies {
		g.Bound(p, notAllowed)
	}
	return g
}

// Bound adds a Policy that must allow too, with the reason to give when it does
// not.
func (g *Guard) Bound(p *Policy, reason string) *Guard {
	return g.BoundBy(func() *Policy { return p }, reason)
}

// BoundBy is Bound for a Policy that may change: policy is asked each time.
func (g *Guard) BoundBy(policy func() *Policy, reason string) *Guard {
	g.policies = append(g.policies, bounded{policy, reason})
	return g
}

// inForce returns the policies that bound now.
func (g *Guard) inForce() []*Policy {
	now := make([]*Policy, 0, len(g.policies))
	for _, b := range g.policies {
		now = append(now, b.policy())
	}
	return now
}

// isInForce reports whether the same policies bound still. What they allowed then, they
// allow now.
func (g *Guard) isInForce(then []*Policy) bool {
	return slices.EqualFunc(g.policies, then, func(b bounded, p *Policy) bool { return b.policy() == p })
}

// refusedBy returns the reason of the first Policy that does not allow something, and
// nothing when all do.
func (g *Guard) refusedBy(allows func(*Policy) bool) (reason string) {
	if len(g.policies) == 0 {
		return sockets.NoNetwork
	}
	for _, b := range g.policies {
		p := b.policy()
		switch {
		case p.Empty() && b.whose == notAllowed:
			return sockets.NoNetwork
		case !allows(p):
			return b.whose
		}
	}
	return ""
}

// lasting reports whether what is refused for a reason is refused always: by the
// version's own rules, and not by what its server or tenant allows now.
func lasting(reason string) bool { return reason == notAllowed || reason == sockets.NoNetwork }

// Resolve returns those addresses of a name that may be connected to.
func (g *Guard) Resolve(ctx context.Context, name string, by Dialer) ([]netip.Addr, error) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	if !validName(name) {
		return nil, sockets.ErrNoName
	}
	if reason := g.refusedBy(func(p *Policy) bool { return p.allowsName(name) }); reason != "" {
		refusal := sockets.Refuse(sockets.Stream, name, 0, reason)
		refusal.Lasting = lasting(reason)
		return nil, refusal
	}
	// Only after the check, since a query tells the name's owner something.
	found, err := by.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	var allowed []netip.Addr
	for _, a := range found {
		a = plain(a)
		if g.mayReach(a, name) && !slices.Contains(allowed, a) {
			if allowed = append(allowed, a); len(allowed) == maxAddresses {
				break
			}
		}
	}
	if allowed == nil {
		if len(found) == 0 {
			return nil, sockets.ErrNoName
		}
		refusal := g.refuse(sockets.Stream, netip.AddrPortFrom(plain(found[0]), 0), []string{name}, notAllowed)
		refusal.Lasting = false // the name may have other addresses later
		return nil, refusal
	}
	g.remember(name, allowed)
	return allowed, nil
}

// plain returns an address as it is judged. No prefix contains one with a zone, and
// a connection is made without it.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// mayReach reports whether some port of an address found under a name is
// allowed.
func (g *Guard) mayReach(a netip.Addr, name string) bool {
	return g.refusedBy(func(p *Policy) bool {
		return p.allows(sockets.Stream, netip.AddrPortFrom(a, 0), []string{name}) ||
			p.allows(sockets.Datagram, netip.AddrPortFrom(a, 0), []string{name})
	}) == ""
}

// Check returns a *sockets.Refusal for what may not be connected to, and a
// syscall.Errno for what can't be.
func (g *Guard) Check(kind sockets.Kind, to netip.AddrPort) error {
	if to.Port() == 0 {
		return syscall.EADDRNOTAVAIL
	}
	to = netip.AddrPortFrom(plain(to.Addr()), to.Port())
	return g.permit(kind, to, g.namesOf(to.Addr()))
}

// namesOf returns the names under which an address was found.
func (g *Guard) namesOf(a netip.Addr) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.names[a]
}

// permit is Check for an address that was found under some names.
func (g *Guard) permit(kind sockets.Kind, to netip.AddrPort, names []string) error {
	if reason := g.refusedBy(func(p *Policy) bool { return p.allows(kind, to, names) }); reason != "" {
		return g.refuse(kind, to, names, reason)
	}
	return nil
}

// refuse returns a refusal that tells what would allow the connection: the
// requested name, unless its address is special.
func (g *Guard) refuse(kind sockets.Kind, to netip.AddrPort, names []string, reason string) *sockets.Refusal {
	forGood := lasting(reason)
	host := to.Addr().String()
	s, special := specialRange(to.Addr())
	switch {
	case special && reason == notAllowed:
		if reason = s.what + ", which must be named"; len(names) > 0 {
			reason = fmt.Sprintf("the address of %s, %s", names[len(names)-1], reason)
		}
	case !special && len(names) > 0:
		host = names[len(names)-1]
	}
	refusal := sockets.Refuse(kind, host, to.Port(), reason)
	refusal.Lasting = forGood
	return refusal
}

func (g *Guard) remember(name string, addresses []netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.names == nil {
		g.names = map[netip.Addr][]string{}
	}
	for _, a := range addresses {
		names, known := g.names[a]
		if known {
			at := slices.Index(g.order, a)
			g.order = slices.Delete(g.order, at, at+1)
		}
		g.order = append(g.order, a)
		// A clone: who checks a connection reads the old names without the mutex.
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
		names = append(names, name)
		g.names[a] = names[max(0, len(names)-maxNames):]
	}
	for len(g.order) > maxRemembered {
		delete(g.names, g.order[0])
		g.order = g.order[1:]
	}
}
