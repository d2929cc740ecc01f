package egress

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"vivarium/wasm/sockets"
)

// notPublic is what IANA's registries of special-purpose addresses call not globally
// reachable, multicast, and ranges in which IPv4 addresses hide. It is a list of its
// own, so that a range that is lost from the other one is missed.
var notPublic = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"255.255.255.255/32",
	"::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23",
	"2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// reaches reports whether a port of an address is within a policy.
func reaches(g *Guard, a netip.Addr) bool {
	return g.Check(sockets.Stream, netip.AddrPortFrom(a, 443)) == nil
}

func TestSpecial_IsReachedByItsOwnPrefixOnly(t *testing.T) {
	everything := []*Guard{
		NewGuard(policy(t, "public")), NewGuard(policy(t, "0.0.0.0/0,::/0")), NewGuard(policy(t, "*.example.org")), NewGuard(policy(t, "a.example.org")),
	}
	for _, text := range notPublic {
		p := netip.MustParsePrefix(text)
		inside := []netip.Addr{p.Addr(), last(p)}
		for _, a := range inside {
			for _, g := range everything {
				found, err := g.Resolve(t.Context(), "a.example.org", names{"a.example.org": {a.String()}})
				if err == nil || reaches(g, a) {
					t.Errorf("%s is reached by %q, as %v", a, g.policies[0].policy(), found)
				}
			}
			if own := NewGuard(policy(t, a.String())); !reaches(own, a) || reaches(own, a.Next()) || reaches(own, a.Prev()) {
				t.Errorf("%s does not stand for itself alone", a)
			}
		}
		// A rule that is wider by a bit may be another special range.
		if wider, err := inside[0].Prefix(p.Bits() - 1); err == nil && !isSpecial(wider) {
			g := NewGuard(policy(t, wider.String()))
			if reaches(g, inside[0]) || reaches(g, inside[1]) {
				t.Errorf("%s is reached by %s", p, wider)
			}
		}
		own := NewGuard(policy(t, text))
		for _, a := range inside {
			if s, _ := specialRange(a); s.prefix == p && !reaches(own, a) {
				t.Errorf("%s is not reached by %s", a, p)
			}
		}
		for _, a := range []netip.Addr{inside[0].Prev(), inside[1].Next()} {
			if a.IsValid() && reaches(own, a) {
				t.Errorf("%s is reached by %s", a, p)
			}
		}
	}
}

func isSpecial(p netip.Prefix) bool {
	for _, s := range specials {
		if s.prefix.Overlaps(p) && s.prefix.Bits() <= p.Bits() {
			return true
		}
	}
	return false
}

// TestSpecial_HidesInNoOtherAddress asks for IPv4 addresses that are not public in all
// the ways in which IPv6 has them.
func TestSpecial_HidesInNoOtherAddress(t *testing.T) {
	g := NewGuard(policy(t, "public,*.example.org"))
	for _, text := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.31.255.255", "0.0.0.0", "100.64.0.1"} {
		v4 := netip.MustParseAddr(text).As4()
		hidden := func(prefix string, at int) netip.Addr {
			b := netip.MustParseAddr(prefix).As16()
			copy(b[at:], v4[:])
			return netip.AddrFrom16(b)
		}
		teredo := hidden("2001::", 12).As16()
		binary.BigEndian.PutUint32(teredo[12:], ^binary.BigEndian.Uint32(v4[:]))
		for _, a := range []netip.Addr{
			hidden("::ffff:0:0", 12), hidden("::", 12), hidden("::ffff:0:0:0", 12), hidden("64:ff9b::", 12), hidden("64:ff9b:1::", 12),
			hidden("64:ff9b:1:ffff:ffff:ffff::", 12), hidden("2002::", 2), netip.AddrFrom16(teredo), hidden("fe80::5efe:0:0", 12),
		} {
			for _, a := range []netip.Addr{a, a.WithZone("lo"), a.WithZone("1")} {
				found, err := g.Resolve(t.Context(), "a.example.org", names{"a.example.org": {a.String()}})
				if err == nil || reaches(g, a) {
					t.Errorf("%s is reached as %s, found as %v", text, a, found)
				}
			}
		}
	}
}

func TestSpecial_ZonesChangeNothing(t *testing.T) {
	g := NewGuard(policy(t, "public,fc00::/7"))
	for text, want := range map[string]bool{"::1": false, "fe80::1": false, "ff02::1": false, "2606:4700::1111": true, "fd00::1": true} {
		for _, zone := range []string{"", "eth0", "1"} {
			a := netip.MustParseAddr(text).WithZone(zone)
			if got := reaches(g, a); got != want {
				t.Errorf("%s: reached is %v", a, got)
			}
		}
	}
}
