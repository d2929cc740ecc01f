package access

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestToken_IsValidUntilItExpires(t *testing.T) {
	issuer, err := NewTokens()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	token := issuer.Issue("acme", "aje1", "d4e", now)
	if token.TokenType != "Bearer" || token.ExpiresIn != 3600 {
		t.Errorf("got %+v", token)
	}
	claims, err := issuer.Verify(token.AccessToken, now.Add(TokenLifetime-time.Second))
	if want := (TokenClaims{"acme", "aje1", "d4e", now, now.Add(time.Hour)}); err != nil || claims != want {
		t.Errorf("got %+v, %v, want %+v", claims, err, want)
	}
	if _, err := issuer.Verify(token.AccessToken, now.Add(TokenLifetime)); !errors.Is(err, ErrToken) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an hour later: got %v, want it expired", err)
	}
	if token := issuer.Issue("acme", "", "d4e", now); token != nil {
		t.Errorf("no service account: got %+v, want none", token)
	}
}

func TestToken_RefusesWhatIsNotItsOwn(t *testing.T) {
	issuer, _ := NewTokens()
	stranger, _ := NewTokens()
	now := time.Now()
	good := issuer.Issue("acme", "aje1", "d4e", now).AccessToken
	parts := strings.Split(good, ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"aje2","iat":1,"exp":99999999999}`))
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, token := range map[string]string{
		"another host's":    stranger.Issue("acme", "aje1", "d4e", now).AccessToken,
		"another payload":   parts[0] + "." + other + "." + parts[2],
		"no signature":      parts[0] + "." + parts[1] + ".",
		"alg none":          none + "." + parts[1] + ".",
		"a signed header":   none + "." + parts[1] + "." + sign(issuer.keys[0], none+"."+parts[1]),
		"another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"a bit more":        good + "A",
		"nothing":           "",
		"dots":              "..",
	} {
		if claims, err := issuer.Verify(token, now); !errors.Is(err, ErrToken) {
			t.Errorf("%s: got %+v, %v, want %v", name, claims, err, ErrToken)
		}
	}
}

func TestToken_AConfiguredKeyIsSharedAndLongEnough(t *testing.T) {
	key := []byte(strings.Repeat("k", tokenKeySize))
	one, err := NewTokens(key)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := NewTokens(key)
	token := one.Issue("acme", "aje1", "d4e", time.Now())
	if _, err := two.Verify(token.AccessToken, time.Now()); err != nil {
		t.Errorf("two hosts with one key: %v", err)
	}
	if _, err := NewTokens(key, key[1:]); err == nil {
		t.Error("a short key: got no error")
	}
	other := []byte(strings.Repeat("o", tokenKeySize))
	for what, c := range map[string]struct {
		keys [][]byte
		want error
	}{
		"a former key": {[][]byte{other, key}, nil}, "a key that is no more": {[][]byte{other}, ErrToken},
	} {
		later, err := NewTokens(c.keys...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := later.Verify(token.AccessToken, time.Now()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", what, err)
		}
		if _, err := one.Verify(later.Issue("acme", "aje1", "d4e", time.Now()).AccessToken, time.Now()); err == nil {
			t.Errorf("%s: still signs", what)
		}
	}
}

// Service accounts belong to a tenant: no id can make a token look like another
// tenant's.
func TestToken_NamesItsTenant(t *testing.T) {
	issuer, _ := NewTokens()
	now := time.Now()
	seen := map[[2]string]bool{}
	for _, v := range []struct{ tenant, account string }{
		{"acme", "robot"}, {"umbrella", "robot"}, {"umbrella", "acme/robot"},
	} {
		claims, err := issuer.Verify(issuer.Issue(v.tenant, v.account, "d4e", now).AccessToken, now)
		if err != nil || claims.Tenant != v.tenant || claims.ServiceAccountID != v.account {
			t.Errorf("got %+v, %v, want tenant %s and account %s", claims, err, v.tenant, v.account)
		}
		seen[[2]string{claims.Tenant, claims.ServiceAccountID}] = true
	}
	if len(seen) != 3 {
		t.Errorf("got %v, want three that differ", seen)
	}
	old := tokenHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"robot","iat":1,"exp":99999999999}`))
	if _, err := issuer.Verify(old+"."+sign(issuer.keys[0], (old)), now); !errors.Is(err, ErrToken) {
		t.Errorf("without a tenant: got %v, want %v", err, ErrToken)
	}
}
