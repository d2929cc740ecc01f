package egress

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"vivarium/wasm/sockets"
)

func policy(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePolicy_SaysWhatIsWrong(t *testing.T) {
	for _, text := range []string{
		"*", "*.com", "http://example.org", "example.org/path", "example.org:0", "example.org:99999", "10.0.0.1/8", "exa mple.org",
		"fe80::1%eth0", "[::1", "2130706433", "0x7f000001", "127.1", "public/udp", "-a.org", "a..b",
	} {
		if p, err := ParsePolicy(text); err == nil {
			t.Errorf("%s: %+v, want an error", text, p.rules)
		}
	}
}

// names is a Dialer that knows some names.
type names map[string][]string

func (n names) Resolve(_ context.Context, name string) (found []netip.Addr, err error) {
	for _, a := range n[name] {
		found = append(found, netip.MustParseAddr(a))
	}
	if found == nil {
		return nil, sockets.ErrNoName
	}
	return found, nil
}

func (names) Connect(context.Context, sockets.Kind, netip.AddrPort) (int, error) {
	return -1, errors.New("nothing is connected here")
}

func TestGuard_Check(t *testing.T) {
	for _, c := range []struct {
		rules  string
		allows string // addresses with ports
		denies string
	}{
		{"", "", "1.1.1.1:443 127.0.0.1:80"},
		{"public", "1.1.1.1:443 [2606:4700::1111]:53 [::ffff:1.1.1.1]:80",
			"127.0.0.1:80 10.1.2.3:80 172.16.0.1:80 192.168.1.1:80 169.254.169.254:80 100.64.0.1:80 0.0.0.0:80 224.0.0.1:80 255.255.255.255:80 " +
				"198.18.0.1:80 [::1]:80 [::]:80 [fe80::1]:80 [fc00::1]:80 [ff02::1]:80 [::ffff:127.0.0.1]:80 [::ffff:10.0.0.1]:80 " +
				"[64:ff9b::7f00:1]:80 [2002:7f00:1::]:80 [::7f00:1]:80 [2001::1]:80 [2001:db8::1]:80"},
		{"10.0.0.5:5432", "10.0.0.5:5432 [::ffff:10.0.0.5]:5432", "10.0.0.5:5433 10.0.0.6:5432 1.1.1.1:5432"},
		{"10.0.0.0/8", "10.0.0.5:1 10.255.0.0:2", "11.0.0.1:1 192.168.0.1:1"},
		{"0.0.0.0/0,::/0", "1.1.1.1:1 [2606:4700::1111]:1", "127.0.0.1:1 10.0.0.1:1 169.254.169.254:80 [::1]:1 [fe80::1]:1"},
		{"localhost:80", "127.0.0.1:80 127.9.9.9:80 [::1]:80", "127.0.0.1:81 10.0.0.1:80"},
		{"[::1]:443,169.254.169.254", "[::1]:443 169.254.169.254:80", "127.0.0.1:443 169.254.169.253:80"},
	} {
		g := NewGuard(policy(t, c.rules))
		for text := range strings.FieldsSeq(c.allows) {
			if err := g.Check(sockets.Stream, netip.MustParseAddrPort(text)); err != nil {
				t.Errorf("%q: %s: %v", c.rules, text, err)
			}
			if err := g.Check(sockets.Datagram, netip.MustParseAddrPort(text)); err == nil {
				t.Errorf("%q: %s by UDP is allowed", c.rules, text)
			}
		}
		for text := range strings.FieldsSeq(c.denies) {
			err := g.Check(sockets.Stream, netip.MustParseAddrPort(text))
			refusal, ok := errors.AsType[*sockets.Refusal](err)
			if !ok {
				t.Errorf("%q: %s: %v, want a refusal", c.rules, text, err)
			} else if a := netip.MustParseAddrPort(text); !strings.Contains(refusal.Reason, "--allow-net") ||
				!strings.Contains(refusal.Reason, a.Addr().Unmap().String()) {
				t.Errorf("%s does not say what would allow it", refusal.Reason)
			}
		}
	}
}

func TestGuard_Names(t *testing.T) {
	world := names{
		"api.example.org": {"93.184.216.34"}, "example.org": {"93.184.216.35"}, "inner.example.org": {"10.0.0.7"},
		"both.example.org": {"127.0.0.1", "93.184.216.36"}, "other.test": {"93.184.216.40"},
	}
	g := NewGuard(policy(t, "*.example.org:443,10.0.0.8"))
	allowed := func(addr string) bool {
		return g.Check(sockets.Stream, netip.MustParseAddrPort(addr)) == nil
	}
	if allowed("93.184.216.34:443") {
		t.Error("an address is allowed before its name was looked up")
	}
	resolve := func(name string) (text string) {
		found, err := g.Resolve(t.Context(), name, world)
		if err != nil {
			return err.Error()
		}
		for _, a := range found {
			text += a.String() + " "
		}
		return text
	}
	for name, want := range map[string]string{
		"API.example.org.": "93.184.216.34 ", "both.example.org": "93.184.216.36 ", "localhost": "127.0.0.1 ::1 ",
		"none.example.org": "sockets: no such name", "127.1": "sockets: no such name", "0x7f.1": "sockets: no such name",
		"example.org":       "example.org: it is not allowed; --allow-net=example.org would allow it",
		"other.test":        "other.test: it is not allowed; --allow-net=other.test would allow it",
		"inner.example.org": "10.0.0.7: the address of inner.example.org, a private address, which must be named; --allow-net=10.0.0.7 would allow it",
	} {
		if got := resolve(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for addr, want := range map[string]bool{
		"93.184.216.34:443": true, "93.184.216.34:80": false, "93.184.216.36:443": true, "93.184.216.35:443": false,
		"127.0.0.1:443": false, "10.0.0.7:443": false, "10.0.0.8:1": true,
	} {
		if got := allowed(addr); got != want {
			t.Errorf("%s: allowed is %v", addr, got)
		}
	}
	// The name has another address now, but what was resolved stays valid.
	world["api.example.org"] = []string{"127.0.0.1"}
	if got := resolve("api.example.org"); !strings.Contains(got, "a loopback address") || allowed("127.0.0.1:443") {
		t.Error("rebinding:", got)
	}
}

func TestGuard_AllPoliciesMustAllow(t *testing.T) {
	g := NewGuard(policy(t, "public")).Bound(policy(t, "example.org,1.1.1.1:443"), "its tenant may not reach it")
	world := names{"example.org": {"93.184.216.35"}, "example.com": {"93.184.216.36"}}
	if _, err := g.Resolve(t.Context(), "example.com", world); err == nil || !strings.Contains(err.Error(), "its tenant may not") {
		t.Error(err)
	}
	if _, err := g.Resolve(t.Context(), "example.org", world); err != nil {
		t.Error(err)
	}
	for addr, want := range map[string]bool{"1.1.1.1:443": true, "1.1.1.1:80": false, "93.184.216.35:80": true} {
		if err := g.Check(sockets.Stream, netip.MustParseAddrPort(addr)); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add("api.telegram.org,*.example.com:443,10.0.0.5:5432,10.0.0.0/8,[::1]:1/udp")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		to := netip.MustParseAddrPort("169.254.169.254:80")
		if p.allows(sockets.Stream, to, nil) && !strings.Contains(text, "169.254") && !strings.Contains(strings.ToLower(text), "a9fe") {
			t.Errorf("%q allows %s", text, to)
		}
	})
}
