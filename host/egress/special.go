package egress

import "net/netip"

// special is a range of addresses outside of the public internet.
type special struct {
	prefix netip.Prefix
	what   string // "a ... address"
}

// specials are IANA's registries of special-purpose addresses, and whatever
// maps IPv4 into IPv6: such an address may stand for any other.
var specials = func() (list []special) {
	for _, group := range []struct {
		what     string
		prefixes []string
	}{
		{"a loopback address", []string{"127.0.0.0/8", "::1/128"}},
		{"not a host's address", []string{"0.0.0.0/8", "::/128", "240.0.0.0/4", "255.255.255.255/32"}},
		{"a private address", []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"}},
		{"a link-local address", []string{"169.254.0.0/16", "fe80::/10"}},
		{"a multicast address", []string{"224.0.0.0/4", "ff00::/8"}},
		{"an address for protocols and documentation", []string{
			"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
			"100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
		}},
		{"an address that stands for another", []string{"::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"}},
	} {
		for _, p := range group.prefixes {
			list = append(list, special{netip.MustParsePrefix(p), group.what})
		}
	}
	return list
}()

// specialRange returns the narrowest special range that an address is in.
func specialRange(a netip.Addr) (found special, ok bool) {
	for _, s := range specials {
		if s.prefix.Contains(a) && (!ok || s.prefix.Bits() > found.prefix.Bits()) {
			found, ok = s, true
		}
	}
	return found, ok
}
