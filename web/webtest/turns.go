package webtest

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/web/manage"
)

// TakeTurn has what a tenant asks for wait until it is done.
func TakeTurn(t testing.TB, desk *manage.Desk, tenant string) (done func()) {
	t.Helper()
	done, err := desk.Turn(requestOf(t, t.Context(), tenant))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TurnTaken reports whether something that a tenant asked for is being worked on.
func TurnTaken(t testing.TB, desk *manage.Desk, tenant string) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := requestOf(t, ctx, tenant)
	for range 64 { // who has left gets a turn that is free, or none, with equal chances
		if done, err := desk.Turn(r); err == nil {
			done()
			return false
		}
	}
	return true
}

// CheckTurns has two tenants, acme and umbrella, ask for the same, which is answered with
// what begins with want. While the server works for acme, its request waits; the other's
// doesn't.
func CheckTurns(t *testing.T, desk *manage.Desk, ask func(tenant string) string, want string) {
	t.Helper()
	done := TakeTurn(t, desk, "acme")
	answered := make(chan string, 1)
	go func() { answered <- ask("acme") }()
	for range 5 {
		if got := ask("umbrella"); !strings.HasPrefix(got, want) {
			t.Errorf("another tenant: got %s, want %s", got, want)
		}
	}
	select {
	case got := <-answered:
		t.Errorf("it did not wait: %s", got)
		answered <- got
	default:
	}
	done()
	if got := <-answered; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func requestOf(t testing.TB, ctx context.Context, tenant string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(access.WithPrincipal(ctx, access.Operator.In(tenant)), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
