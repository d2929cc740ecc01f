package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"vivarium/wasm/sockets"
)

func address(n int) string { return fmt.Sprintf("2606:4700::%x", n+1) }

func resolves(t *testing.T, g *Guard, name string, addresses ...string) {
	t.Helper()
	if _, err := g.Resolve(t.Context(), name, names{name: addresses}); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// What was looked up last is known, also when it was looked up long before.
func TestGuard_ForgetsWhatWasLookedUpLongestAgo(t *testing.T) {
	g := NewGuard(policy(t, "*.a.org"))
	for n := range maxRemembered {
		resolves(t, g, fmt.Sprintf("%d.a.org", n), address(n))
	}
	resolves(t, g, "0.a.org", address(0), address(maxRemembered))
	for n, want := range map[int]bool{0: true, 1: false, 2: true, maxRemembered - 1: true, maxRemembered: true} {
		if got := reaches(g, netip.MustParseAddr(address(n))); got != want {
			t.Errorf("address %d is reached: %v", n, got)
		}
	}
	if len(g.names) != maxRemembered || len(g.order) != maxRemembered {
		t.Errorf("%d addresses are remembered, in a list of %d", len(g.names), len(g.order))
	}
}

func TestGuard_RemembersSomeNamesOfAnAddress(t *testing.T) {
	g := NewGuard(policy(t, "0.a.org:1,1.a.org:2,public:3")).Bound(policy(t, "public"), "")
	to := func(port uint16) bool {
		return g.Check(sockets.Stream, netip.AddrPortFrom(netip.MustParseAddr(address(0)), port)) == nil
	}
	resolves(t, g, "0.a.org", address(0))
	for n := range maxNames - 1 {
		resolves(t, g, fmt.Sprintf("%d.a.org", n+1), address(0))
	}
	if !to(1) || !to(2) || !to(3) || to(4) {
		t.Error("names of an address that are known are not")
	}
	resolves(t, g, "0.a.org", address(0)) // so that the other one is the oldest
	resolves(t, g, "last.a.org", address(0))
	if !to(1) || to(2) || !to(3) {
		t.Error("the name that was looked up longest ago is not the one that is forgotten")
	}
	err := g.Check(sockets.Stream, netip.AddrPortFrom(netip.MustParseAddr(address(0)), 4))
	wantRefusal(t, err, "last.a.org:4: it is not allowed")
}

func TestGuard_Empty(t *testing.T) {
	world := names{"a.org": {"1.1.1.1"}}
	for what, g := range map[string]*Guard{
		"no policy": NewGuard(), "a policy without rules": NewGuard(policy(t, "")), "nil": NewGuard(nil),
		"one of two":    NewGuard(policy(t, "public,10.0.0.1"), policy(t, "")),
		"bound by none": NewGuard(policy(t, "public,10.0.0.1")).Bound(nil, "there is no network"),
	} {
		says := "the function has no network"
		if what == "bound by none" {
			says = "there is no network"
		}
		_, err := g.Resolve(t.Context(), "a.org", world)
		wantRefusal(t, err, "a.org: "+says)
		wantRefusal(t, g.Check(sockets.Stream, netip.MustParseAddrPort("1.1.1.1:1")), "1.1.1.1:1: "+says)
		wantRefusal(t, g.Check(sockets.Stream, netip.MustParseAddrPort("10.0.0.1:1")), "10.0.0.1:1: "+says)
	}
}

// A ceiling counts from the moment at which it is set, also for what there is already.
func TestGuard_ACeilingChanges(t *testing.T) {
	ceilings := &Ceilings{}
	g := NewGuard(policy(t, "a.org,b.org,10.0.0.1")).BoundBy(func() *Policy { return ceilings.Of("acme") }, "the folder may not")
	resolves(t, g, "a.org", "1.2.3.4")
	for _, c := range []struct {
		ceiling    string
		a, private bool // may reach a.org and 10.0.0.1
	}{
		{Unbounded, true, true}, {"a.org", true, false}, {"", false, false}, {"public", true, false}, {"b.org,10.0.0.0/8", false, true},
		{Unbounded, true, true},
	} {
		p, err := ParseCeiling(c.ceiling)
		if err != nil || p.String() != c.ceiling {
			t.Fatalf("%q: %v, %v", c.ceiling, p, err)
		}
		ceilings.Set("acme", p)
		_, err = g.Resolve(t.Context(), "a.org", names{"a.org": {"1.2.3.4"}})
		if a := reaches(g, netip.MustParseAddr("1.2.3.4")); a != c.a || (err == nil) != c.a {
			t.Errorf("%q: reaches a.org: %v; resolves it: %v", c.ceiling, a, err)
		}
		if private := reaches(g, netip.MustParseAddr("10.0.0.1")); private != c.private {
			t.Errorf("%q: reaches 10.0.0.1: %v", c.ceiling, private)
		}
		if ceilings.Of("umbrella").String() != Unbounded {
			t.Errorf("another tenant is bound by %q", ceilings.Of("umbrella"))
		}
	}
	if _, err := ParsePolicy(Unbounded); err == nil {
		t.Error("rules can't be unbounded")
	}
	ceilings.Set("acme", nil)
	wantRefusal(t, g.Check(sockets.Stream, netip.MustParseAddrPort("10.0.0.1:1")), "10.0.0.1:1: the folder may not; --allow-net=10.0.0.1:1 would")
	wantRefusal(t, g.Check(sockets.Stream, netip.MustParseAddrPort("1.2.3.4:1")), "a.org:1: the folder may not; --allow-net=a.org:1 would")
}

func TestGuard_NobodyConnectsToPort0(t *testing.T) {
	for _, rules := range []string{"", "public", "1.1.1.1", "1.1.1.1:80"} {
		for _, to := range []netip.AddrPort{netip.MustParseAddrPort("1.1.1.1:0"), {}} {
			if err := NewGuard(policy(t, rules)).Check(sockets.Stream, to); err != syscall.EADDRNOTAVAIL {
				t.Errorf("%q: got %v", rules, err)
			}
		}
	}
}

func TestGuard_TellsWhoseRuleItIs(t *testing.T) {
	g := NewGuard(policy(t, "a.org,b.org,c.org,1.1.1.1")).Bound(policy(t, "a.org,b.org:80,9.9.9.9"), "the operator does not allow it").
		Bound(policy(t, "public"), "nor does the law")
	world := names{"a.org": {"1.2.3.4"}, "b.org": {"1.2.3.5"}, "c.org": {"1.2.3.6"}, "d.org": {"1.2.3.7"}}
	for name, says := range map[string]string{"c.org": "c.org: the operator does not", "d.org": "d.org: it is not allowed", "a.org": "", "B.org": ""} {
		if _, err := g.Resolve(t.Context(), name, world); says != "" {
			wantRefusal(t, err, says)
		} else if err != nil {
			t.Error(err)
		}
	}
	for to, says := range map[string]string{
		"1.2.3.4:443": "", "1.2.3.5:80": "", "1.2.3.5:443": "b.org:443: the operator does not", "1.1.1.1:1": "1.1.1.1:1: the operator does not",
		"9.9.9.9:1": "9.9.9.9:1: it is not allowed", "1.2.3.6:1": "1.2.3.6:1: it is not allowed",
	} {
		if err := g.Check(sockets.Stream, netip.MustParseAddrPort(to)); says != "" {
			wantRefusal(t, err, says)
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestGuard_ResolvesTheLocalHostItself(t *testing.T) {
	for name, want := range map[string]bool{
		"localhost": true, "LocalHost.": true, "a.localhost": true, "a.b.LOCALHOST": true, "localhost.a.org": false, "notlocalhost": false,
	} {
		g := NewGuard(policy(t, "localhost"))
		found, err := g.Resolve(t.Context(), name, names{})
		if got := err == nil && fmt.Sprint(found) == "[127.0.0.1 ::1]"; got != want {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
		for _, a := range found {
			if !reaches(g, a) || reaches(NewGuard(policy(t, "public")), a) {
				t.Errorf("%s is reached without being allowed, or not though it is", a)
			}
		}
	}
}

// Addresses of names that are special are left out, doubles too, and mapped ones are
// IPv4.
func TestGuard_PassesOnWhatIsOfUse(t *testing.T) {
	g := NewGuard(policy(t, "a.org,10.0.0.0/8:80"))
	found, err := g.Resolve(t.Context(), "a.org", names{"a.org": {
		"::1", "1.1.1.1", "::ffff:1.1.1.1", "127.0.0.1", "::ffff:127.0.0.1", "2606:4700::1", "10.0.0.1", "192.168.0.1", "fe80::1%eth0", "1.1.1.1",
	}})
	if want := "[1.1.1.1 2606:4700::1 10.0.0.1]"; err != nil || fmt.Sprint(found) != want {
		t.Errorf("got %v, %v, want %s", found, err, want)
	}
	_, err = g.Resolve(t.Context(), "a.org", names{"a.org": {"::ffff:192.168.0.1", "127.0.0.1"}})
	wantRefusal(t, err, "192.168.0.1: the address of a.org, a private address, which must be named; --allow-net=192.168.0.1 would")
	_, err = g.Resolve(t.Context(), "a.org", names{"a.org": {"fe80::1%eth0"}})
	wantRefusal(t, err, "fe80::1: the address of a.org, a link-local address")
	if _, err := g.Resolve(t.Context(), "a.org", lookups{}); err != sockets.ErrNoName {
		t.Errorf("of no addresses: %v", err)
	}
}

// TestGuard_Hammer looks names up and checks addresses from many goroutines. Each
// finds what it has just looked up, and never reaches what only another name allows.
func TestGuard_Hammer(t *testing.T) {
	g := NewGuard(policy(t, "*.a.org:80,b.org:81"))
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 500 {
				own := address((worker + n) % 100) // which others look up, too
				resolves(t, g, strings.Repeat("x", 1+n%20)+".a.org", own)
				a := netip.MustParseAddr(own)
				if g.Check(sockets.Stream, netip.AddrPortFrom(a, 80)) != nil {
					t.Errorf("%s is forgotten at once", own)
				}
				if g.Check(sockets.Stream, netip.AddrPortFrom(a, 81)) == nil ||
					g.Check(sockets.Datagram, netip.AddrPortFrom(a, 80)) == nil {
					t.Errorf("%s is reached in a way that nothing allows", own)
				}
			}
		})
	}
	all.Wait()
	for a, list := range g.names {
		if len(list) > maxNames {
			t.Errorf("%s has %d names", a, len(list))
		}
	}
}

// wantRefusal fails unless an error is a refusal that says something.
func wantRefusal(t testing.TB, err error, says string) {
	t.Helper()
	if r, ok := errors.AsType[*sockets.Refusal](err); !ok || !strings.Contains(r.Reason, says) {
		t.Errorf("got %v, want a refusal that says %q", err, says)
	}
}
