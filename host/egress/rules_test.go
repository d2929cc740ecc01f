package egress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"vivarium/wasm/sockets"
)

func TestParsePolicy_KnowsNoCase(t *testing.T) {
	for _, c := range [][2]string{
		{"PUBLIC", "public"}, {"Public:443", "public:443"}, {"LocalHost:80", "localhost:80"}, {"API.Example.ORG", "api.example.org"},
		{"*.EXAMPLE.org", "*.example.org"}, {"2001:DB8::1", "2001:db8::1"},
	} {
		got, want := policy(t, c[0]), policy(t, c[1])
		if fmt.Sprint(got.rules) != fmt.Sprint(want.rules) {
			t.Errorf("%s is %v, and %s is %v", c[0], got.rules, c[1], want.rules)
		}
	}
	if p, err := ParsePolicy("Public/udp"); err == nil {
		t.Errorf("UDP to everywhere: %v", p.rules)
	}
}

func TestParsePolicy_MappedAddressesAreIPv4(t *testing.T) {
	for _, c := range [][2]string{
		{"::ffff:10.0.0.5", "10.0.0.5"}, {"[::ffff:10.0.0.5]:80", "10.0.0.5:80"}, {"::ffff:10.0.0.0/104", "10.0.0.0/8"}, {"::ffff:0:0/96", "0.0.0.0/0"},
	} {
		got, want := policy(t, c[0]), policy(t, c[1])
		if fmt.Sprint(got.rules) != fmt.Sprint(want.rules) {
			t.Errorf("%s is %v, and %s is %v", c[0], got.rules, c[1], want.rules)
		}
	}
}

func TestParsePolicy_KeepsWhatWasWritten(t *testing.T) {
	for text, empty := range map[string]bool{"": true, " , ,": true, "public": false, " a.org ,B.org:1/udp": false} {
		p := policy(t, text)
		if p.String() != text || p.Empty() != empty {
			t.Errorf("%q: is %q, empty: %v", text, p, p.Empty())
		}
	}
	var none *Policy
	if none.String() != "" || !none.Empty() || none.allowsName("a.org") || none.allows(sockets.Stream, netip.AddrPort{}, nil) {
		t.Error("no policy is something")
	}
}

func TestParsePolicy_AcceptsWhatItExplains(t *testing.T) {
	for _, text := range []string{
		"api.telegram.org", "*.example.com:443", "10.0.0.5:5432", "[2001:db8::1]:443", "10.0.0.0/8", "10.0.0.0/8:5432", "localhost",
		"10.0.0.2:53/udp", "public", "[fd00::/8]:443", "[::1]", "_dmarc.example.org", "a-b.c-d.org:65535", "db", "db:5432", "xn--e1afmkfd.xn--p1ai",
	} {
		if _, err := ParsePolicy(text); err != nil {
			t.Error(err)
		}
	}
	for text, says := range map[string]string{
		"10.0.0.1/8": "10.0.0.0/8", "a.org:0": `"0" is not a port`, "a.org:http": `"http" is not a port`, "a.org:": `"" is not a port`, "fe80::1%eth0": "zone",
		"[::1]80": "[ADDRESS]:PORT", "*": "*.DOMAIN", "public/udp": "UDP", strings.Repeat("a", 64) + ".org": "HOST",
		strings.Repeat("a.", 127) + "org": "HOST", "a.org, b..org": `"b..org"`, "a.org/tcp": "HOST", "a.org:+1": "not a port", "[a.org:1": "[ADDRESS]:PORT",
	} {
		if _, err := ParsePolicy(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}

// The parts of which random rules and what is asked for are made. There are few, so
// that they meet.
var (
	someHosts = []string{
		"public", "localhost", "a.org", "b.a.org", "*.a.org", "*.org.uk", "10.0.0.5", "10.0.0.0/8", "10.0.0.0/7", "0.0.0.0/0", "::/0", "::1", "fd00::/8",
		"1.1.1.1", "1.0.0.0/8", "2606:4700::/32", "169.254.169.254", "127.0.0.0/8", "::ffff:1.1.1.1",
	}
	somePorts     = []string{"", "", ":80", ":443"}
	someAddresses = []string{
		"1.1.1.1", "1.2.3.4", "9.9.9.9", "10.0.0.5", "10.0.0.6", "11.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "2606:4700::1111", "2a00::1",
		"::ffff:1.1.1.1", "::ffff:10.0.0.5", "::ffff:127.0.0.1", "fe80::1",
	}
	someNames = []string{"a.org", "b.a.org", "c.b.a.org", "org", "evil-a.org", "a.org.evil.com", "x.org.uk"}
)

func pick[T any](from []T) T { return from[rand.IntN(len(from))] }

func randomRule() string {
	for {
		host, port := pick(someHosts), pick(somePorts)
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		rule := host + port
		if rand.IntN(4) == 0 {
			rule += "/udp"
		}
		if _, err := ParsePolicy(rule); err == nil {
			return rule
		}
	}
}

func randomRules() (rules []string) {
	for range rand.IntN(4) {
		rules = append(rules, randomRule())
	}
	return rules
}

// lookups is a Dialer that finds the same addresses under any name.
type lookups []netip.Addr

// Resolve implements Dialer.
func (l lookups) Resolve(context.Context, string) ([]netip.Addr, error) { return l, nil }

// Connect implements Dialer.
func (lookups) Connect(context.Context, sockets.Kind, netip.AddrPort) (int, error) {
	return -1, errors.New("nothing is connected here")
}

// look returns what a guard says of a name that has an address, and then of a
// connection to that.
func look(t *testing.T, g *Guard, name string, kind sockets.Kind, to netip.AddrPort) (resolved, reached bool) {
	t.Helper()
	found, err := g.Resolve(t.Context(), name, lookups{to.Addr()})
	if err == nil && (len(found) != 1 || found[0] != to.Addr().Unmap()) {
		t.Errorf("found %v, want %s", found, to.Addr())
	}
	return err == nil, g.Check(kind, to) == nil
}

// TestPolicy_IsTheSumOfItsRules compares policies of random rules with each of their
// rules alone, and with what their parts say of a connection, which is little enough to
// be said in another way.
func TestPolicy_IsTheSumOfItsRules(t *testing.T) {
	for range 5_000 {
		rules, name := randomRules(), pick(someNames)
		to := netip.AddrPortFrom(netip.MustParseAddr(pick(someAddresses)), pick([]uint16{80, 443, 8080}))
		kind := pick([]sockets.Kind{sockets.Stream, sockets.Datagram})
		resolved, reached := look(t, NewGuard(policy(t, strings.Join(rules, ","))), name, kind, to)
		wantResolved, wantReached := false, false
		for _, rule := range rules {
			one, two := look(t, NewGuard(policy(t, rule)), name, kind, to)
			wantResolved, wantReached = wantResolved || one, wantReached || two
			if want := says(rule, name, kind, to); two != want {
				t.Fatalf("%s, %s of %s by %s: reached is %v", rule, to, name, kind, two)
			}
		}
		// A name may be looked up by one rule, and its address allowed by another one.
		if reached != wantReached || wantResolved && !resolved {
			t.Fatalf("%q, %s of %s by %s: resolved %v, reached %v; by its rules one by one: %v, %v", rules, to, name, kind, resolved, reached, wantResolved, wantReached)
		}
	}
}

// says reports whether a rule allows a connection to what was found under a name.
func says(rule, name string, kind sockets.Kind, to netip.AddrPort) bool {
	rule, udp := strings.CutSuffix(rule, "/udp")
	if udp != (kind == sockets.Datagram) {
		return false
	}
	port := fmt.Sprint(":", to.Port())
	if !strings.Contains(rule, "]") && strings.Count(rule, ":") == 1 || strings.Contains(rule, "]:") {
		if !strings.HasSuffix(rule, port) {
			return false
		}
		rule = strings.TrimSuffix(rule, port)
	}
	host, address := strings.Trim(rule, "[]"), to.Addr().Unmap()
	special := !address.IsGlobalUnicast() || address.IsPrivate() || address.IsLoopback()
	switch {
	case host == "localhost":
		return address.IsLoopback()
	case host == "public":
		return !special
	case host == "0.0.0.0/0":
		return address.Is4() && !special
	case host == "::/0":
		return address.Is6() && !special
	case host == "10.0.0.0/7":
		return address == netip.MustParseAddr("11.0.0.1")
	case strings.Contains(host, "/"):
		return netip.MustParsePrefix(host).Contains(address)
	case strings.HasPrefix(host, "*."):
		return !special && strings.HasSuffix(name, host[1:])
	case strings.Contains(host, "org"):
		return !special && name == host
	}
	return netip.MustParseAddr(host).Unmap() == address
}

// TestGuard_AllowsWhatAllOfItsPoliciesDo compares a guard of several policies with
// guards of one.
func TestGuard_AllowsWhatAllOfItsPoliciesDo(t *testing.T) {
	for range 5_000 {
		name := pick(someNames)
		to := netip.AddrPortFrom(netip.MustParseAddr(pick(someAddresses)), pick([]uint16{80, 443}))
		kind := pick([]sockets.Kind{sockets.Stream, sockets.Datagram})
		g, want := NewGuard(), true
		var texts []string
		for n := range 1 + rand.IntN(3) {
			texts = append(texts, strings.Join(randomRules(), ","))
			p := policy(t, texts[n])
			g.Bound(p, fmt.Sprint("reason ", n))
			// A name is remembered where all allow it, so each is asked alone for its address.
			_, ok := look(t, NewGuard(p), name, kind, to)
			want = want && ok
		}
		resolved, got := look(t, g, name, kind, to)
		if got && !want || want && resolved && !got {
			t.Fatalf("%q, %s of %s by %s: reached is %v (resolved: %v), by one after the other %v", texts, to, name, kind, got, resolved, want)
		}
		// What nobody bounds by names does not depend on what was looked up.
		if want && !got && !strings.Contains(strings.Join(texts, " "), "org") {
			t.Fatalf("%q: %s by %s is refused", texts, to, kind)
		}
	}
}

// TestRefusal_SaysWhatHelps does what refusals say, until nothing is refused.
func TestRefusal_SaysWhatHelps(t *testing.T) {
	for range 2_000 {
		rules, name := randomRules(), pick(someNames)
		to := netip.AddrPortFrom(netip.MustParseAddr(pick(someAddresses)), pick([]uint16{80, 443}))
		kind := pick([]sockets.Kind{sockets.Stream, sockets.Datagram})
		byName := rand.IntN(2) == 0
		var told []string
		for {
			g := NewGuard(policy(t, strings.Join(rules, ",")))
			var err error
			if byName {
				_, err = g.Resolve(t.Context(), name, lookups{to.Addr()})
			}
			if err == nil {
				err = g.Check(kind, to)
			}
			if err == nil {
				break
			}
			refusal, ok := errors.AsType[*sockets.Refusal](err)
			if !ok || len(told) == 3 {
				t.Fatalf("%q: %s of %s by %s: %v, after %q", rules, to, name, kind, err, told)
			}
			told = append(told, refusal.Reason)
			_, advice, _ := strings.Cut(refusal.Reason, sockets.Setting+"=")
			advice, ok = strings.CutSuffix(advice, " would allow it")
			if !ok {
				t.Fatalf("%s", refusal.Reason)
			}
			rules = append(rules, advice)
		}
	}
}
