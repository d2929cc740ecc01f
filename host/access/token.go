package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TokenLifetime is how long the token in a call's context is valid: as long as
// a call may take. The contract (§5) allows up to twelve hours.
const TokenLifetime = time.Hour

// tokenKeySize is the size of generated keys, and the minimum for configured
// ones, in bytes.
const tokenKeySize = 32

// ErrToken means that a token is not one of ours, or is no longer valid.
var ErrToken = errors.New("invalid token")

// TokenClaims is the contents of a token. Service accounts belong to a tenant:
// the same id in another tenant is another account.
type TokenClaims struct {
	Tenant           string // of the function
	ServiceAccountID string // unique only within Tenant
	FunctionID       string // the function it was given to
	IssuedAt         time.Time
	ExpiresAt        time.Time
}

// Token is the value of context.token if the version has a service account.
type Token struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	TokenType   string `json:"token_type"`
}

// tokenDocument is a token's payload, with RFC 7519's names.
type tokenDocument struct {
	Subject  string `json:"sub"` // TENANT/SERVICE-ACCOUNT; a tenant's name has no slash
	Function string `json:"function_id"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// Tokens issues and verifies tokens. Safe for concurrent use.
type Tokens struct{ keys [][]byte }

// NewTokens returns an issuer that signs with the first of its keys, of 32 bytes or more,
// and accepts what was signed with any; without keys, with a generated one.
func NewTokens(keys ...[]byte) (*Tokens, error) {
	if len(keys) == 0 {
		key := make([]byte, tokenKeySize)
		_, _ = rand.Read(key) // never fails
		return &Tokens{[][]byte{key}}, nil
	}
	for _, key := range keys {
		if len(key) < tokenKeySize {
			return nil, fmt.Errorf("host: token key: has %d bytes; give it at least %d", len(key), tokenKeySize)
		}
	}
	return &Tokens{keys}, nil
}

// tokenHeader is the header of every token: a JSON Web Token signed with
// HMAC-SHA256. No other header is accepted, so no token can choose how it is
// verified.
var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// Issue returns a token for one call of a tenant's function, or nil if the
// function has no service account.
func (t *Tokens) Issue(tenant, serviceAccountID, functionID string, now time.Time) *Token {
	if serviceAccountID == "" {
		return nil
	}
	payload, err := json.Marshal(tokenDocument{tenant + "/" + serviceAccountID, functionID, now.Unix(), now.Add(TokenLifetime).Unix()})
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(payload)
	return &Token{
		AccessToken: signed + "." + sign(t.keys[0], signed),
		ExpiresIn:   int(TokenLifetime / time.Second),
		TokenType:   "Bearer",
	}
}

// sign returns the signature of a text, as text: decoded, a signature has other spellings,
// with line breaks in it.
func sign(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Verify returns a token's claims.
//
// # Errors
//
// ErrToken, wrapped, if t did not issue the token or it is no longer valid.
func (t *Tokens) Verify(token string, now time.Time) (TokenClaims, error) {
	end := strings.LastIndexByte(token, '.')
	if end < 0 {
		return TokenClaims{}, fmt.Errorf("%w: it does not have three parts", ErrToken)
	}
	ours := func(key []byte) bool { return hmac.Equal([]byte(token[end+1:]), []byte(sign(key, token[:end]))) }
	if !slices.ContainsFunc(t.keys, ours) {
		return TokenClaims{}, fmt.Errorf("%w: the signature is not ours", ErrToken)
	}
	header, payload, _ := strings.Cut(token[:end], ".")
	var d tokenDocument
	text, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil || header != tokenHeader || json.Unmarshal(text, &d) != nil {
		return TokenClaims{}, fmt.Errorf("%w: it can't be decoded", ErrToken)
	}
	tenant, account, ok := strings.Cut(d.Subject, "/")
	if !ok || tenant == "" || account == "" {
		return TokenClaims{}, fmt.Errorf("%w: it names no tenant", ErrToken)
	}
	claims := TokenClaims{tenant, account, d.Function, time.Unix(d.Issued, 0), time.Unix(d.Expires, 0)}
	if !now.Before(claims.ExpiresAt) {
		return TokenClaims{}, fmt.Errorf("%w: it expired at %s", ErrToken, claims.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return claims, nil
}
