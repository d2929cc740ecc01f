// Package egress decides what functions may reach on the network, and connects
// them.
//
// # Vocabulary
//
//   - Policy: the names, addresses and ports that are allowed. Without rules it allows
//     nothing.
//   - Ceilings: the Policies that bound what the functions of some tenants may reach.
//   - Guard: a Policy that remembers which names had which addresses. Names are resolved
//     here, and only an address that was checked is dialled: a name whose address
//     changes a moment later leads nowhere else.
//   - Dialer: resolves names and opens connections. In a process that may not connect,
//     it is a Broker: it asks another process, started earlier, which consults its own
//     Guard and passes back descriptors.
//   - Session: the network of one instance, its sockets.Net.
package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vivarium/wasm/sockets"
)

// Public is the rule that allows the public internet, for TCP.
const Public = "public"

// Unbounded is the text of a ceiling that bounds nothing. No Policy can be written so.
const Unbounded = "*"

// Policy is what may be reached. It is immutable; nil allows nothing.
type Policy struct {
	text      string
	rules     []rule
	unbounded bool // it allows everything
}

// unbounded is the ceiling of those that have none.
var unbounded = &Policy{text: Unbounded, unbounded: true}

// rule is one of three: a name, a prefix of addresses, or the public internet.
type rule struct {
	name   string       // lower case; ".example.com" is everything below example.com
	prefix netip.Prefix // a single address has a prefix of all its bits
	port   uint16       // 0 means any
	kind   sockets.Kind
}

// ParsePolicy parses comma-separated rules:
//
//	api.telegram.org    a name, all ports
//	*.example.com:443   all names below one, one port
//	10.0.0.5:5432       an address; [2001:db8::1]:443
//	10.0.0.0/8          addresses; 10.0.0.0/8:5432
//	localhost           the loopback addresses
//	10.0.0.2:53/udp     UDP, which no other rule allows
//	public              everything reachable from everywhere
//
// A name does not allow special addresses, such as private ones: they need a
// rule of their own. Without rules, the Policy allows nothing.
func ParsePolicy(text string) (*Policy, error) {
	p := &Policy{text: text}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		rules, err := parseRule(part)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		p.rules = append(p.rules, rules...)
	}
	return p, nil
}

func parseRule(text string) ([]rule, error) {
	r := rule{kind: sockets.Stream}
	text, udp := strings.CutSuffix(text, "/udp")
	if udp {
		r.kind = sockets.Datagram
	}
	host, err := cutPort(strings.ToLower(text), &r.port)
	if err != nil {
		return nil, err
	}
	if prefix, err := netip.ParsePrefix(host); err == nil {
		if prefix != prefix.Masked() {
			return nil, fmt.Errorf("bits are set beyond the prefix; write %s", prefix.Masked())
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 { // as addresses are judged
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		r.prefix = prefix
		return []rule{r}, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return nil, fmt.Errorf("%s has a zone, which names an interface", a)
		}
		a = a.Unmap()
		r.prefix = netip.PrefixFrom(a, a.BitLen())
		return []rule{r}, nil
	}
	if host == "localhost" {
		v4, v6 := r, r
		v4.prefix, v6.prefix = netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")
		return []rule{v4, v6}, nil
	}
	if host == Public {
		if udp {
			return nil, fmt.Errorf("UDP can be allowed only by name or address")
		}
		r.name = Public
		return []rule{r}, nil
	}
	name, below := strings.CutPrefix(host, "*.")
	if !validName(name) || !strings.Contains(name, ".") && below {
		return nil, fmt.Errorf("write HOST, *.DOMAIN, an address or a prefix such as 10.0.0.0/8, each with :PORT if only one is meant")
	}
	if r.name = name; below {
		r.name = "." + name
	}
	return []rule{r}, nil
}

// cutPort cuts the port off the end of a rule.
func cutPort(text string, port *uint16) (host string, err error) {
	host, number := text, ""
	switch i := strings.LastIndexByte(text, ':'); {
	case strings.HasPrefix(text, "["):
		inner, rest, ok := strings.Cut(text[1:], "]")
		if !ok || rest != "" && rest[0] != ':' {
			return "", fmt.Errorf("write [ADDRESS]:PORT")
		}
		if host = inner; rest == "" {
			return host, nil
		}
		number = rest[1:]
	case i >= 0 && strings.Count(text, ":") == 1: // with more, it is an IPv6 address without a port
		host, number = text[:i], text[i+1:]
	default:
		return host, nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%q is not a port", number)
	}
	*port = uint16(n)
	return host, nil
}

// validName reports whether a text can be a host name. One that is all digits
// and dots, or begins with 0x, is an address in one of its odd spellings.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9' // no top-level domain begins with a digit
}

// String returns the rules as they were written.
func (p *Policy) String() string {
	if p == nil {
		return ""
	}
	return p.text
}

// Empty reports whether nothing is allowed.
func (p *Policy) Empty() bool { return p == nil || len(p.rules) == 0 && !p.unbounded }

// allowsName reports whether some port of a name is allowed, so that it may be
// resolved.
func (p *Policy) allowsName(name string) bool {
	return p != nil && (p.unbounded || slices.ContainsFunc(p.rules, func(r rule) bool { return r.names(name) }))
}

// allows reports whether a port of an address found under some names is
// allowed. Port 0 asks whether any is.
func (p *Policy) allows(kind sockets.Kind, to netip.AddrPort, names []string) bool {
	if p == nil || p.unbounded {
		return p != nil
	}
	// Names don't allow special addresses: whoever owns a name chooses its addresses.
	range_, special := specialRange(to.Addr())
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		switch {
		case r.kind != kind || r.port != 0 && to.Port() != 0 && r.port != to.Port():
			return false
		case r.prefix.IsValid():
			// A prefix wider than the special range does not refer to it.
			return r.prefix.Contains(to.Addr()) && (!special || range_.prefix.Bits() <= r.prefix.Bits())
		case special:
			return false
		}
		return r.name == Public || slices.ContainsFunc(names, r.names)
	})
}

// names reports whether the rule is for a name.
func (r rule) names(name string) bool {
	switch {
	case r.prefix.IsValid():
		return false
	case r.name == Public:
		return true
	case r.name[0] == '.':
		return strings.HasSuffix(name, r.name)
	}
	return r.name == name
}
