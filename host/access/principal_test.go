package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vivarium/host/fault"
)

// issued is when tokens of these tests are.
var issued = time.Unix(1_700_000_000, 0)

func TestRole_Includes(t *testing.T) {
	const none, other = Role(""), Role("root")
	for _, c := range []struct {
		have Role
		may  string // what of all roles it includes
	}{
		{RoleInvoker, "invoker"}, {RoleDeployer, "invoker deployer"}, {RoleAdmin, "invoker deployer admin"}, {none, ""}, {other, ""}, {"Admin", ""},
	} {
		for _, need := range append(Roles, none, other, "ADMIN") {
			want := need != none && strings.Contains(" "+c.may+" ", " "+string(need)+" ")
			if got := c.have.Includes(need); got != want {
				t.Errorf("%q includes %q: %v", c.have, need, got)
			}
		}
	}
}

func TestPrincipal_ActsFor(t *testing.T) {
	for _, c := range []struct {
		mine, of string
		want     bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"a", "*", false}, {"", "", false}, {"", "a", false}, {"*", "a", true}, {"*", "", true},
		{"a", "A", false}, {"a", "a ", false}, {"a*", "a", false},
	} {
		if got := (Principal{Tenant: c.mine}).ActsFor(c.of); got != c.want {
			t.Errorf("who is of %q acts for %q: %v", c.mine, c.of, got)
		}
	}
}

// Each operation is allowed to its role and those above it, and refused to all others.
func TestPrincipal_Allow(t *testing.T) {
	for operation, least := range needs {
		for _, role := range append(Roles, "", "root", RoleOperator) {
			for _, tenant := range []string{"a", "", AllTenants} {
				p := Principal{KeyID: "k", Tenant: tenant, Role: role}
				err := p.Allow(operation)
				what := fmt.Sprintf("%q of %q asks for %s, which takes %q: %v", role, tenant, operation, least, err)
				switch {
				case least == "":
					if err != nil {
						t.Error(what)
					}
				case role == "":
					if err != fault.ErrUnauthenticated {
						t.Error(what)
					}
				case least == RoleOperator && role == RoleAdmin && tenant == AllTenants, role.Includes(least):
					if err != nil {
						t.Error(what)
					}
				default:
					if fault.Of(err) != fault.Forbidden || least != RoleOperator && !strings.Contains(err.Error(), "the role "+string(least)) {
						t.Error(what)
					}
				}
			}
		}
		if err := Operator.Allow(operation); err != nil || operation.Role() != least {
			t.Errorf("%s: %v", operation, err)
		}
	}
	if !(Principal{}).Anonymous() || Operator.Anonymous() {
		t.Error("somebody unknown is somebody")
	}
}

// An operation that the table lacks is a mistake, and no operation for everybody.
func TestOperation_MustBeInTheTable(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("there is no such operation, and it takes a role")
		}
	}()
	_ = Operator.Allow("Nothing")
}

func TestPrincipal_InATenant(t *testing.T) {
	for _, c := range []struct{ of, in, want, home string }{
		{"a", "a", "a", "a"}, {"a", "b", "", ""}, {"a", AllTenants, "", ""}, {AllTenants, "b", "b", "b"},
		{AllTenants, AllTenants, AllTenants, DefaultTenant}, {"", "a", "", ""}, {"", "", "", ""},
	} {
		p := Principal{KeyID: "k", Tenant: c.of, Role: RoleAdmin}.In(c.in)
		if p != (Principal{KeyID: "k", Tenant: c.want, Role: RoleAdmin}) || p.Home() != c.home {
			t.Errorf("of %q, in %q: got %+v at home in %q", c.of, c.in, p, p.Home())
		}
	}
}

func TestPrincipalOf_IsWhoTheContextSays(t *testing.T) {
	p, q := Principal{KeyID: "k1", Tenant: "a", Role: RoleInvoker}, Principal{KeyID: "k2", Tenant: "b", Role: RoleAdmin}
	ctx := WithPrincipal(t.Context(), p)
	inner, cancel := context.WithCancel(WithPrincipal(ctx, q))
	cancel()
	for want, ctx := range map[Principal]context.Context{{}: t.Context(), p: ctx, q: inner} {
		if got := PrincipalOf(ctx); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// A token has one spelling: nothing that differs from what was issued is valid.
func TestToken_HasOneSpelling(t *testing.T) {
	issuer, err := NewTokens()
	if err != nil {
		t.Fatal(err)
	}
	now := issued
	good := issuer.Issue("acme", "aje1", "d4e", now).AccessToken
	refuse := func(token string) {
		t.Helper()
		if claims, err := issuer.Verify(token, now); !errors.Is(err, ErrToken) || claims != (TokenClaims{}) {
			t.Errorf("%q: got %+v, %v", token, claims, err)
		}
	}
	const alphabet = "AQgwaz09-_.=+/ \n\r\x00"
	for at := range good {
		refuse(good[:at])
		refuse(good[:at] + good[at+1:])
		for _, c := range []byte(alphabet) {
			if c != good[at] {
				refuse(good[:at] + string(c) + good[at+1:])
			}
			if with := good[:at] + string(c) + good[at:]; with != good {
				refuse(with)
			}
		}
	}
	for _, c := range []byte(alphabet) {
		refuse(good + string(c))
	}
	refuse(strings.ToUpper(good))
	refuse(good + "." + good)
	if _, err := issuer.Verify(good, now); err != nil {
		t.Error(err)
	}
}

// What a token says is what it was issued for, or nothing.
func FuzzToken(f *testing.F) {
	f.Add("acme", "aje1", "d4e", 60)
	f.Add("a", "b/c", "\xff", -5)
	f.Add("a", "\xcf", "\x80", -5) // which are a letter together
	f.Add("a", "b", "c", 1<<62)
	issuer, err := NewTokens()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, tenant, account, function string, seconds int) {
		seconds = int(int32(seconds)) // as much as a Duration can hold
		token := issuer.Issue(tenant, account, function, issued)
		if account == "" {
			if token != nil {
				t.Errorf("got %+v without an account", token)
			}
			return
		}
		claims, err := issuer.Verify(token.AccessToken, issued.Add(time.Duration(seconds)*time.Second))
		isText := utf8.ValidString(tenant) && utf8.ValidString(account) && utf8.ValidString(function)
		if tenant == "" || strings.Contains(tenant, "/") || !isText {
			return // names that there are not
		}
		want := TokenClaims{tenant, account, function, issued, issued.Add(TokenLifetime)}
		if seconds >= int(TokenLifetime/time.Second) {
			want = TokenClaims{}
		}
		if claims != want || (err == nil) != (want != TokenClaims{}) {
			t.Errorf("got %+v, %v, want %+v", claims, err, want)
		}
	})
}
