package keys

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// Bounds of the public half of a key whose holder signs, in bits.
const (
	minSigning = 2048
	maxSigning = 8192
)

// Assertions, by which the holder of a signing key asks for a token, are valid for at
// most an hour, and clocks may differ by a minute.
const (
	maxAssertion = time.Hour
	clockSkew    = time.Minute
)

// Issue returns a token by which who has a key may act for access.TokenLifetime, unless
// the key is deleted before. The holder gets it for the own key, and an admin for any
// of the tenant. Who has shown a token gets none: else it would not end, and a function's
// would become more than it is.
//
// # Errors
//
// *fault.ForbiddenError; *fault.NotFoundError, also for another tenant's key.
func (k *Ring) Issue(by access.Principal, id string) (*access.Token, error) {
	own := id != "" && id == by.KeyID
	if by.Token {
		return nil, &fault.ForbiddenError{Reason: "a token makes no other tokens; show the key itself"}
	}
	if !own {
		if err := by.Allow("IssueToken"); err != nil {
			return nil, err
		}
	}
	k.mu.RLock()
	r, known := k.byID[id]
	k.mu.RUnlock()
	if !known || !own && !by.ActsFor(r.Tenant) {
		return nil, &fault.NotFoundError{Thing: "service account", Name: id}
	}
	return k.tokens.Issue(r.Tenant, r.ID, "", time.Now()), nil
}

// Assert returns who has signed an assertion: a JSON Web Token, signed with PS256 by a key
// that has a public half, for one of the audiences.
//
// # Errors
//
// fault.ErrUnauthenticated; fault.ErrUnavailable as for Authenticate.
func (k *Ring) Assert(assertion string, audiences ...string) (access.Principal, error) {
	var found keyRecord
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(assertion, &claims, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		k.mu.RLock()
		found = k.byID[id]
		k.mu.RUnlock()
		return parseSigning(found.PublicKey)
	}, jwt.WithValidMethods([]string{"PS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew),
		jwt.WithAudience(audiences...))
	if err != nil || claims.Issuer != found.ID || claims.IssuedAt == nil ||
		claims.ExpiresAt.Sub(claims.IssuedAt.Time) > maxAssertion+clockSkew {
		return access.Principal{}, fault.ErrUnauthenticated
	}
	if err := k.store.Fresh(); err != nil {
		return access.Principal{}, err
	}
	return access.Principal{KeyID: found.ID, Tenant: found.Tenant, Role: found.Role}, nil
}

// parseSigning returns the public half of a signing key from its PEM text.
func parseSigning(text string) (*rsa.PublicKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block != nil && len(strings.TrimSpace(string(rest))) == 0 {
		if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			if key, ok := key.(*rsa.PublicKey); ok && key.N.BitLen() >= minSigning && key.N.BitLen() <= maxSigning {
				return key, nil
			}
		}
	}
	return nil, fault.Invalidf("public_key", "must be one RSA key of %d to %d bits, as PEM: -----BEGIN PUBLIC KEY-----", minSigning, maxSigning)
}

// bearer returns who has a token: the holder of the key that it was issued for, or the
// service account that a function acts for.
//
// A service account is a key when it has the id of one: the function then has the key's
// role, but at most that of who deploys, since no more is needed to deploy it. Under any
// other name it may call the functions of its tenant.
func (k *Ring) bearer(token string) (access.Principal, error) {
	claims, err := k.tokens.Verify(token, time.Now())
	if err != nil {
		return access.Principal{}, fault.ErrUnauthenticated
	}
	k.mu.RLock()
	r, known := k.byID[claims.ServiceAccountID]
	k.mu.RUnlock()
	switch {
	case known && r.Tenant == claims.Tenant:
		p := access.Principal{KeyID: r.ID, Tenant: r.Tenant, Role: r.Role, Token: true}
		if claims.FunctionID != "" && p.Role.Includes(access.RoleDeployer) {
			p.Role = access.RoleDeployer
		}
		return p, k.store.Fresh()
	case claims.FunctionID == "" || isKeyID(claims.ServiceAccountID): // a key that was deleted, or another tenant's
		return access.Principal{}, fault.ErrUnauthenticated
	}
	return access.Principal{KeyID: claims.ServiceAccountID, Tenant: claims.Tenant, Role: access.RoleInvoker, Token: true}, nil
}

// isKeyID reports whether a key might have had this id.
func isKeyID(id string) bool { return len(id) == catalog.IDLength && strings.HasPrefix(id, keyPrefix) }
