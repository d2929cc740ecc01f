package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// keyBytes is how long the operator's keys are.
const keyBytes = 32

// maxKeys bounds the keys that there are at once.
const maxKeys = 8

// Keyring has the operator's keys. The first encrypts, all decrypt. Nil has none. Safe
// for concurrent use.
type Keyring struct {
	keys   []sealer
	tokens [][]byte // derived from each
}

// sealer encrypts with one key, with AES-256-GCM.
type sealer struct {
	id   string // tells which key it is, and nothing about it
	aead cipher.AEAD
}

// ParseKeys reads keys, in hexadecimal or base64, with spaces or line ends between them.
//
// # Errors
//
// One that says which of them is wrong; it has nothing of the keys.
func ParseKeys(text string) (*Keyring, error) {
	r := &Keyring{}
	words := strings.Fields(text)
	switch {
	case len(words) == 0:
		return nil, errors.New("there is no key; make one with: openssl rand -base64 32")
	case len(words) > maxKeys:
		return nil, fmt.Errorf("there are %d keys, at most %d are allowed", len(words), maxKeys)
	}
	for n, word := range words {
		key, err := hex.DecodeString(word)
		if err != nil {
			key, err = base64.StdEncoding.DecodeString(word)
		}
		if err != nil || len(key) != keyBytes {
			return nil, fmt.Errorf("key %d is not %d bytes in base64 or hexadecimal; make one with: openssl rand -base64 32", n+1, keyBytes)
		}
		s, err := newSealer(key)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(r.keys, func(other sealer) bool { return other.id == s.id }) {
			return nil, fmt.Errorf("key %d is there already", n+1)
		}
		tokens, err := hkdf.Key(sha256.New, key, nil, "vivarium tokens", keyBytes)
		if err != nil {
			return nil, err
		}
		r.keys, r.tokens = append(r.keys, s), append(r.tokens, tokens)
	}
	return r, nil
}

// TokenKeys returns what the tokens of service accounts are signed with (access.NewTokens),
// which is derived from the keys and tells nothing of them: none of Nil.
func (r *Keyring) TokenKeys() [][]byte {
	if r == nil {
		return nil
	}
	return r.tokens
}

// newSealer derives what encrypts from a key, and apart from it, what names it.
func newSealer(key []byte) (sealer, error) {
	inner, err := hkdf.Key(sha256.New, key, nil, "vivarium secrets, encryption", keyBytes)
	if err != nil {
		return sealer{}, err
	}
	name, err := hkdf.Key(sha256.New, key, nil, "vivarium secrets, name of the key", 8)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(inner)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{hex.EncodeToString(name), aead}, err
}

// seal encrypts a text for a place: it can be opened only there.
func (r *Keyring) seal(text []byte, place string) (key string, sealed []byte) {
	s := r.keys[0]
	return s.id, s.aead.Seal(nil, nil, text, []byte(place))
}

// open decrypts what seal has made of a text for the same place.
//
// # Errors
//
// errKey, or one that means that it was damaged or moved.
func (r *Keyring) open(key string, sealed []byte, place string) ([]byte, error) {
	if r != nil {
		for _, s := range r.keys {
			if s.id == key {
				return s.aead.Open(nil, nil, sealed, []byte(place))
			}
		}
	}
	return nil, errKey
}

// first returns the name of the key that encrypts; empty if there is none.
func (r *Keyring) first() string {
	if r == nil {
		return ""
	}
	return r.keys[0].id
}

// errKey means that this server does not have the key.
var errKey = errors.New("it is encrypted with a key that this server does not have; add that to its --secrets-key-file")
