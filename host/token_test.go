package host

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestToken_IsValidUntilItExpires(t *testing.T) {
	issuer, err := newTokenIssuer(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	v := &Version{FunctionID: "d4e", VersionSpec: VersionSpec{ServiceAccountID: "aje1"}}
	token := issuer.issue(v, now)
	if token.TokenType != "Bearer" || token.ExpiresIn != 3600 {
		t.Errorf("got %+v", token)
	}
	claims, err := issuer.verify(token.AccessToken, now.Add(TokenLifetime-time.Second))
	if want := (TokenClaims{"aje1", "d4e", now, now.Add(time.Hour)}); err != nil || claims != want {
		t.Errorf("got %+v, %v, want %+v", claims, err, want)
	}
	if _, err := issuer.verify(token.AccessToken, now.Add(TokenLifetime)); !errors.Is(err, ErrToken) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an hour later: got %v, want it expired", err)
	}
	if token := issuer.issue(&Version{}, now); token != nil {
		t.Errorf("no service account: got %+v, want none", token)
	}
}

func TestToken_RefusesWhatIsNotItsOwn(t *testing.T) {
	issuer, _ := newTokenIssuer(nil)
	stranger, _ := newTokenIssuer(nil)
	now := time.Now()
	v := &Version{VersionSpec: VersionSpec{ServiceAccountID: "aje1"}}
	good := issuer.issue(v, now).AccessToken
	parts := strings.Split(good, ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"aje2","iat":1,"exp":99999999999}`))
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, token := range map[string]string{
		"another host's":    stranger.issue(v, now).AccessToken,
		"another payload":   parts[0] + "." + other + "." + parts[2],
		"no signature":      parts[0] + "." + parts[1] + ".",
		"alg none":          none + "." + parts[1] + ".",
		"a signed header":   none + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(issuer.sign(none+"."+parts[1])),
		"another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"a bit more":        good + "A",
		"nothing":           "",
		"dots":              "..",
	} {
		if claims, err := issuer.verify(token, now); !errors.Is(err, ErrToken) {
			t.Errorf("%s: got %+v, %v, want %v", name, claims, err, ErrToken)
		}
	}
}

func TestToken_AConfiguredKeyIsSharedAndLongEnough(t *testing.T) {
	key := []byte(strings.Repeat("k", tokenKeySize))
	one, err := newTokenIssuer(key)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := newTokenIssuer(key)
	token := one.issue(&Version{VersionSpec: VersionSpec{ServiceAccountID: "aje1"}}, time.Now())
	if _, err := two.verify(token.AccessToken, time.Now()); err != nil {
		t.Errorf("two hosts with one key: %v", err)
	}
	if _, err := newTokenIssuer(key[1:]); err == nil {
		t.Error("a short key: got no error")
	}
}
