package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"vivarium/host/egress/egresstest"
	"vivarium/wasm/sockets"
)

// eachDialer runs a test with each way to the network that there is.
func eachDialer(t *testing.T, rules string, test func(t *testing.T, by Dialer)) {
	t.Run("direct", func(t *testing.T) { test(t, Direct{}) })
	t.Run("broker", func(t *testing.T) { test(t, broker(t, rules)) })
}

func TestResolve_AsksTheNameServer(t *testing.T) {
	dns := newNameServer(t)
	dns.Set("two.example.org", "93.184.216.34", "2606:4700::1111")
	dns.Set("v4.example.org", "93.184.216.34")
	dns.Set("none.example.org")
	dns.Put("broken.example.org", egresstest.Record{Fails: true})
	eachDialer(t, "public", func(t *testing.T, by Dialer) {
		for name, want := range map[string]string{
			"two.example.org": "[2606:4700::1111 93.184.216.34]", "v4.example.org": "[93.184.216.34]",
			"none.example.org": sockets.ErrNoName.Error(), "unknown.example.org": sockets.ErrNoName.Error(), "broken.example.org": sockets.ErrTryAgain.Error(),
		} {
			found, err := by.Resolve(t.Context(), name)
			slices.SortFunc(found, func(a, b netip.Addr) int { return strings.Compare(a.String(), b.String()) })
			got := fmt.Sprint(found)
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
	})
}

func TestResolve_EndsWithItsContext(t *testing.T) {
	dns := newNameServer(t)
	dns.Put("silent.example.org", egresstest.Record{Silent: true})
	eachDialer(t, "public", func(t *testing.T, by Dialer) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		before := dns.Count("silent.example.org")
		ended := make(chan error)
		go func() {
			_, err := by.Resolve(ctx, "silent.example.org")
			ended <- err
		}()
		for dns.Count("silent.example.org") == before {
			if _, err := by.Resolve(t.Context(), "unknown.example.org"); !errors.Is(err, sockets.ErrNoName) {
				t.Error(err)
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, sockets.ErrTryAgain) {
			t.Errorf("got %v", err)
		}
	})
}

func TestResolve_LooksNothingUpThatIsNotAllowed(t *testing.T) {
	dns := newNameServer(t)
	for _, name := range []string{"a.example.org", "example.org", "example.com"} {
		dns.Set(name, "93.184.216.34")
	}
	g := NewGuard(policy(t, "*.example.org"))
	for name, want := range map[string]int{"example.org": 0, "example.com": 0, "a.example.org": 2, "localhost": 0, "b.localhost": 0, "127.0.0.1": 0, "a b.org": 0} {
		_, _ = g.Resolve(t.Context(), name, Direct{})
		if n := dns.Count(name); n != want { // once for each kind of address
			t.Errorf("%s was asked for %d times, want %d", name, n, want)
		}
	}
}

// A name that has another address when it is looked up again leads nowhere else in
// between.
func TestResolve_Rebinding(t *testing.T) {
	dns, there := newNameServer(t), echo(t)
	names := broker(t, "*.example.org")
	for _, c := range []struct {
		what, rules string
		by          Dialer
	}{
		{"here", "*.example.org", Direct{}},
		{"here, where all that is public is allowed", "public", Direct{}},
		{"in the broker, if it is not noticed here", "*.example.org,127.0.0.0/8", names},
	} {
		dns.Set("a.example.org", "93.184.216.34")
		session := NewSession(SessionConfig{Guard: NewGuard(policy(t, c.rules)), Dialer: c.by})
		if found, err := session.Resolve(t.Context(), "a.example.org"); err != nil || len(found) != 1 {
			t.Fatal(c.what, found, err)
		}
		dns.Set("a.example.org", there.Addr().String())
		_, err := session.Connect(t.Context(), sockets.Stream, there)
		wantRefusal(t, err, "a loopback address")
		_, err = session.Resolve(t.Context(), "a.example.org")
		wantRefusal(t, err, "a loopback address")
		_, err = session.Connect(t.Context(), sockets.Stream, there)
		wantRefusal(t, err, "a loopback address")
		if n := session.Connections(); n != 0 {
			t.Errorf("%s: %d connections", c.what, n)
		}
	}
}

// One name with very many addresses neither breaks the broker nor pushes out what is
// known of others.
func TestResolve_ManyAddresses(t *testing.T) {
	dns := newNameServer(t)
	var many []string
	for n := range 2000 {
		many = append(many, fmt.Sprintf("2606:4700::%x", n+1))
	}
	dns.Set("many.example.org", many...)
	dns.Set("one.example.org", "93.184.216.34")
	eachDialer(t, "*.example.org", func(t *testing.T, by Dialer) {
		g := NewGuard(policy(t, "*.example.org"))
		for range 3 {
			for name, least := range map[string]int{"one.example.org": 1, "many.example.org": 10} {
				found, err := g.Resolve(t.Context(), name, by)
				if err != nil || len(found) < least || len(found) > maxAddresses {
					t.Fatalf("%s has %d addresses, %v", name, len(found), err)
				}
				for _, a := range found {
					if !reaches(g, a) {
						t.Fatalf("%s of %s is not reached", a, name)
					}
				}
			}
		}
		if !reaches(g, netip.MustParseAddr("93.184.216.34")) {
			t.Error("the other name's address is forgotten")
		}
	})
}
