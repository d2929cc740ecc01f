package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// A token is worth what its key is worth, as long as there is the key.
func TestRing_TokensActForTheirKeys(t *testing.T) {
	ring := newKeys(t, store.Memory(store.Config{}))
	mustCreate(t, ring, access.AllTenants, access.RoleAdmin)
	for _, role := range access.Roles {
		k, secret := mustCreate(t, ring, "acme", role)
		p, err := ring.Authenticate(secret)
		if err != nil {
			t.Fatal(err)
		}
		token, err := ring.Issue(p, k.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := p
		want.Token = true
		if got, err := ring.Authenticate(token.AccessToken); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		} else if _, err := ring.Issue(got, k.ID); fault.Of(err) != fault.Forbidden {
			t.Errorf("a token makes another one: %v", err)
		}
		if _, err := ring.Authenticate(token.AccessToken + "A"); fault.Of(err) != fault.Unauthenticated {
			t.Errorf("a token that was changed: %v", err)
		}
		if err := ring.Delete(t.Context(), access.Operator, k.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := ring.Authenticate(token.AccessToken); fault.Of(err) != fault.Unauthenticated {
			t.Errorf("the token of a key that was deleted: %+v, %v", got, err)
		}
	}
}

// A function may do what its service account may, and never more than who deploys.
func TestRing_FunctionsActForTheirServiceAccounts(t *testing.T) {
	ring := newKeys(t, store.Memory(store.Config{}))
	operator, _ := mustCreate(t, ring, access.AllTenants, access.RoleAdmin)
	admin, _ := mustCreate(t, ring, "acme", access.RoleAdmin)
	invoker, _ := mustCreate(t, ring, "acme", access.RoleInvoker)
	for _, c := range []struct {
		account string
		want    access.Principal // none: refused
	}{
		{"robot", access.Principal{KeyID: "robot", Tenant: "acme", Role: access.RoleInvoker, Token: true}},
		{admin.ID, access.Principal{KeyID: admin.ID, Tenant: "acme", Role: access.RoleDeployer, Token: true}},
		{invoker.ID, access.Principal{KeyID: invoker.ID, Tenant: "acme", Role: access.RoleInvoker, Token: true}},
		{operator.ID, access.Principal{}},
		{"aje" + strings.Repeat("x", 17), access.Principal{}}, // a key that was deleted
	} {
		token := ring.tokens.Issue("acme", c.account, "d4e1", time.Now())
		got, err := ring.Authenticate(token.AccessToken)
		if got != c.want || (err == nil) != (c.want != access.Principal{}) {
			t.Errorf("%s: got %+v, %v", c.account, got, err)
		}
		// Not even its account's own.
		if _, err := ring.Issue(got, got.KeyID); err == nil {
			t.Errorf("%s: the function got another token", c.account)
		}
	}
	theirs := ring.tokens.Issue("umbrella", admin.ID, "d4e1", time.Now())
	if got, err := ring.Authenticate(theirs.AccessToken); fault.Of(err) != fault.Unauthenticated {
		t.Errorf("another tenant names our key: %+v, %v", got, err)
	}
}

func TestRing_AssertionsIdentifyWhoSignedThem(t *testing.T) {
	ring := newKeys(t, store.Memory(store.Config{}))
	_, _ = mustCreate(t, ring, access.AllTenants, access.RoleAdmin)
	private, public := signingKey(t, 2048)
	k, secret, err := ring.Create(t.Context(), access.Operator, Spec{Tenant: "acme", Role: access.RoleDeployer, PublicKey: public})
	if err != nil || secret != "" {
		t.Fatal(secret, err)
	}
	plain, _ := mustCreate(t, ring, "acme", access.RoleAdmin)
	stranger, _ := signingKey(t, 2048)
	now := time.Now()
	good := jwt.RegisteredClaims{
		Issuer: k.ID, Audience: jwt.ClaimStrings{"here"}, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
	}
	sign := func(method jwt.SigningMethod, id any, key any, change func(*jwt.RegisteredClaims)) string {
		t.Helper()
		claims := good
		change(&claims)
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"] = id
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	type claims = *jwt.RegisteredClaims
	at := func(after time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(now.Add(after)) }
	as := func(claims) {}
	want := access.Principal{KeyID: k.ID, Tenant: "acme", Role: access.RoleDeployer}
	if got, err := ring.Assert(sign(jwt.SigningMethodPS256, k.ID, private, as), "there", "here"); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for what, assertion := range map[string]string{
		"another's signature":  sign(jwt.SigningMethodPS256, k.ID, stranger, as),
		"another algorithm":    sign(jwt.SigningMethodRS256, k.ID, private, as),
		"the public half":      sign(jwt.SigningMethodHS256, k.ID, []byte(public), as),
		"none":                 sign(jwt.SigningMethodNone, k.ID, jwt.UnsafeAllowNoneSignatureType, as),
		"an unknown key":       sign(jwt.SigningMethodPS256, "aje", private, as),
		"no key":               sign(jwt.SigningMethodPS256, 5, private, as),
		"a key with a secret":  sign(jwt.SigningMethodPS256, plain.ID, private, as),
		"another issuer":       sign(jwt.SigningMethodPS256, k.ID, private, func(c claims) { c.Issuer = plain.ID }),
		"another audience":     sign(jwt.SigningMethodPS256, k.ID, private, func(c claims) { c.Audience = jwt.ClaimStrings{"elsewhere"} }),
		"no end":               sign(jwt.SigningMethodPS256, k.ID, private, func(c claims) { c.ExpiresAt = nil }),
		"no beginning":         sign(jwt.SigningMethodPS256, k.ID, private, func(c claims) { c.IssuedAt = nil }),
		"it has ended":         sign(jwt.SigningMethodPS256, k.ID, private, func(c claims) { c.ExpiresAt = at(-time.Hour) }),
		"it is to come":        sign(jwt.SigningMethodPS256, k.ID, private, func(c claims) { c.IssuedAt = at(30 * time.Minute) }),
		"it lasts for a day":   sign(jwt.SigningMethodPS256, k.ID, private, func(c claims) { c.ExpiresAt = at(24 * time.Hour) }),
		"no assertion at all":  "a.b.c",
		"an assertion of ours": ring.tokens.Issue("acme", k.ID, "", now).AccessToken,
	} {
		if got, err := ring.Assert(assertion, "here"); fault.Of(err) != fault.Unauthenticated || got != (access.Principal{}) {
			t.Errorf("%s: got %+v, %v", what, got, err)
		}
	}
}

func TestRing_PublicHalvesAreStrongEnough(t *testing.T) {
	ring := newKeys(t, store.Memory(store.Config{}))
	_, _ = mustCreate(t, ring, access.AllTenants, access.RoleAdmin)
	_, weak := signingKey(t, 1024)
	_, strong := signingKey(t, 2048)
	for what, public := range map[string]string{
		"weak": weak, "two": strong + strong, "no PEM": "key", "damaged": strings.ReplaceAll(strong, "MII", "AAA"),
	} {
		spec := Spec{Tenant: "acme", Role: access.RoleInvoker, PublicKey: public}
		if _, _, err := ring.Create(t.Context(), access.Operator, spec); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// signingKey returns both halves of a key, the public one as PEM.
func signingKey(t *testing.T, bits int) (*rsa.PrivateKey, string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}
