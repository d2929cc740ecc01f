// Package keys has the keys by which callers show who they are.
//
// # Vocabulary
//
//   - Key: lets its holder act for a tenant, in a role of package access.
//   - Secret: what the holder shows. The ring has its hash alone.
//   - Ring: all keys of a store.
//
// # Flow
//
// Ring.Authenticate makes a Principal of a secret, which every operation of the host
// takes; Ring.Revoked tells those that last of the key's end.
package keys

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// Key lets its holder act for a tenant. Its secret is known to the holder alone.
type Key struct {
	ID          string      `json:"id"`
	Tenant      string      `json:"tenant"` // or AllTenants
	Role        access.Role `json:"role"`
	Description string      `json:"description,omitempty"`
	CreatedAt   time.Time   `json:"created_at"`
	// PublicKey, as PEM, checks what the holder of a signing key signs, see Ring.Assert.
	// Such a key has no secret.
	PublicKey string `json:"public_key,omitempty"`
}

// Spec says what key to make.
type Spec struct {
	Tenant      string      // or AllTenants; empty means the tenant of who makes it
	Role        access.Role // may be empty for the first key, which is an admin's
	Description string
	PublicKey   string // PEM; empty for a key with a secret
}

// keyRecord is the stored form of a key. The secret has 256 random bits, so its
// plain hash tells nothing that would help to guess it.
type keyRecord struct {
	Key
	Hash []byte `json:"sha256"` // of the secret
}

const (
	keyPrefix     = "aje" // of ids
	secretPrefix  = "viv_"
	secretBytes   = 32
	maxTenantKeys = 1000
)

// Ring is all keys of a server. With a store, hosts that share it know of each
// other's new and deleted keys at once. Safe for concurrent use.
//
// As long as there is a key, there is one of AllTenants and RoleAdmin: else
// nobody could manage the others.
type Ring struct {
	store   *store.Store
	bucket  store.Bucket
	tokens  *access.Tokens
	unwatch func()
	// unknown is what the secret of a key that there is not is compared with, so
	// that this takes as long.
	unknown []byte

	write sync.Mutex   // held while a key is made or deleted; it may block on the store
	mu    sync.RWMutex // guards the maps; nothing blocks under it
	byID  map[string]keyRecord
	// going are those that this host deletes: what the store still tells of their
	// creation comes too late.
	going map[string]bool
	// revoked are closed when the key of that id is deleted.
	revoked map[string]chan struct{}
}

// Open returns the keys of a store, whose holders get their tokens of tokens. Close it
// before the store.
//
// # Errors
//
// ErrUnavailable.
func Open(ctx context.Context, s *store.Store, tokens *access.Tokens) (*Ring, error) {
	k := &Ring{
		byID: map[string]keyRecord{}, going: map[string]bool{}, revoked: map[string]chan struct{}{},
		unknown: make([]byte, sha256.Size), unwatch: func() {},
	}
	_, _ = rand.Read(k.unknown) // never fails
	k.store, k.tokens = s, tokens
	k.bucket = k.store.Keys
	stop, err := k.bucket.Watch(ctx, func(e store.Entry) {
		if e.Deleted {
			k.forget(e.Key)
			k.stay(e.Key)
			return
		}
		var r keyRecord
		if err := json.Unmarshal(e.Value, &r); err != nil || r.ID != e.Key {
			// Nobody has it, but it counts: a key that can't be read must not
			// make a server that anybody may use.
			r = keyRecord{Key: Key{ID: e.Key}}
		}
		k.keep(r)
	}, func() {})
	if err != nil {
		return nil, err
	}
	k.unwatch = stop
	return k, nil
}

// Close ends the news from the store.
func (k *Ring) Close() { k.unwatch() }

func (k *Ring) keep(r keyRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.going[r.ID] {
		k.byID[r.ID] = r
	}
}

// stay takes it back that this host deletes a key, or notes that the store knows it.
func (k *Ring) stay(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.going, id)
}

func (k *Ring) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.byID, id)
	if gone := k.revoked[id]; gone != nil {
		close(gone)
		delete(k.revoked, id)
	}
}

// Exist reports whether there are keys, or may have been: a store that has lost some makes
// no server that anybody may use.
func (k *Ring) Exist() bool {
	if k.Damage() != nil {
		return true
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.byID) > 0
}

// Damage says why there may be keys that are not known: a *store.DamageError, or
// nil.
func (k *Ring) Damage() error {
	return k.bucket.Damage()
}

// Revoked returns what is closed when the key that p has shown is deleted; nil
// when p has shown none.
func (k *Ring) Revoked(p access.Principal) <-chan struct{} {
	if p.KeyID == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.byID[p.KeyID]; !ok {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	if k.revoked[p.KeyID] == nil {
		k.revoked[p.KeyID] = make(chan struct{})
	}
	return k.revoked[p.KeyID]
}

// Authenticate returns who has a secret, or a token. It takes as long for a key that there
// is not. It does not ask the store, but relies on it having answered lately: a key may
// have been deleted elsewhere.
//
// # Errors
//
// ErrUnauthenticated; ErrUnavailable when the store has not answered for too long.
func (k *Ring) Authenticate(secret string) (access.Principal, error) {
	if strings.Count(secret, ".") == 2 {
		return k.bearer(secret)
	}
	id, random, ok := splitSecret(secret)
	if !ok {
		return access.Principal{}, fault.ErrUnauthenticated
	}
	k.mu.RLock()
	r, known := k.byID[id]
	k.mu.RUnlock()
	if !known {
		r.Hash = k.unknown
	}
	hash := sha256.Sum256(random)
	if equal := subtle.ConstantTimeCompare(hash[:], r.Hash) == 1; !equal || !known {
		return access.Principal{}, fault.ErrUnauthenticated
	}
	if err := k.store.Fresh(); err != nil {
		return access.Principal{}, err
	}
	return access.Principal{KeyID: r.ID, Tenant: r.Tenant, Role: r.Role}, nil
}

// splitSecret returns the id and the random bytes that a secret's text has:
// viv_ID_BASE64URL. One secret has one text only.
func splitSecret(secret string) (id string, random []byte, ok bool) {
	const idEnd = len(secretPrefix) + catalog.IDLength
	if len(secret) != idEnd+1+base64.RawURLEncoding.EncodedLen(secretBytes) ||
		!strings.HasPrefix(secret, secretPrefix) || secret[idEnd] != '_' {
		return "", nil, false
	}
	random, err := base64.RawURLEncoding.Strict().DecodeString(secret[idEnd+1:])
	return secret[len(secretPrefix):idEnd], random, err == nil
}

// Create makes a key and returns its secret, which nobody can learn again; empty for one
// with a public half. The
// admin of a tenant makes keys of this tenant only.
//
// # Errors
//
// *ForbiddenError, *InvalidError; *ConflictError for a first key that could not
// manage the others, or when the tenant has too many; ErrUnavailable.
func (k *Ring) Create(ctx context.Context, by access.Principal, spec Spec) (key Key, secret string, err error) {
	if spec.Tenant == "" {
		spec.Tenant = by.Tenant
	}
	if err := by.Allow("CreateKey"); err != nil {
		return Key{}, "", err
	}
	if !by.ActsFor(spec.Tenant) {
		return Key{}, "", &fault.ForbiddenError{Reason: "your key belongs to tenant " + by.Tenant + " and acts for this tenant only"}
	}
	k.write.Lock()
	defer k.write.Unlock()
	k.mu.RLock()
	none := len(k.byID) == 0
	k.mu.RUnlock()
	if spec.Role == "" && none {
		spec.Role = access.RoleAdmin
	}
	if err := spec.validate(); err != nil {
		return Key{}, "", err
	}
	r := keyRecord{Key: Key{
		ID: catalog.NewID(keyPrefix), Tenant: spec.Tenant, Role: spec.Role, Description: spec.Description, CreatedAt: time.Now().UTC(),
		PublicKey: spec.PublicKey,
	}}
	k.mu.RLock()
	first := !r.operates() && !k.operated("")
	count := 0
	for _, other := range k.byID {
		if other.Tenant == spec.Tenant {
			count++
		}
	}
	k.mu.RUnlock()
	switch {
	case first:
		return Key{}, "", fault.Conflictf("key", "of tenant "+spec.Tenant, "would be the first: make one of all tenants (*) with the "+
			"role admin before, else nobody could manage keys")
	case count >= maxTenantKeys:
		return Key{}, "", fault.Conflictf("tenant", spec.Tenant, "has %d keys already; delete some", count)
	}
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // never fails
	if r.PublicKey == "" {
		hash := sha256.Sum256(random)
		r.Hash = hash[:]
		secret = secretPrefix + r.ID + "_" + base64.RawURLEncoding.EncodeToString(random)
	}
	if _, err := k.bucket.Create(ctx, r.ID, store.Record(r)); err != nil {
		return Key{}, "", err
	}
	k.keep(r)
	return r.Key, secret, nil
}

// List lists the keys that an admin may manage, by tenant and age.
//
// # Errors
//
// *ForbiddenError.
func (k *Ring) List(by access.Principal) ([]Key, error) {
	if err := by.Allow("ListKeys"); err != nil {
		return nil, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	keys := []Key{}
	for _, r := range k.byID {
		if by.ActsFor(r.Tenant) {
			keys = append(keys, r.Key)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return keys, nil
}

// Delete deletes a key: who holds it is unknown from then on.
//
// # Errors
//
// *ForbiddenError; *NotFoundError, also for another tenant's; *ConflictError for
// the last key that could manage the others; ErrUnavailable.
func (k *Ring) Delete(ctx context.Context, by access.Principal, id string) error {
	if err := by.Allow("DeleteKey"); err != nil {
		return err
	}
	k.write.Lock()
	defer k.write.Unlock()
	k.mu.RLock()
	r, known := k.byID[id]
	last := known && r.operates() && !k.operated(id) && len(k.byID) > 1
	k.mu.RUnlock()
	switch {
	case !known || !by.ActsFor(r.Tenant):
		return &fault.NotFoundError{Thing: "key", Name: id}
	case last:
		return fault.Conflictf("key", id, "is the last one of all tenants with the role admin: make another one before, or delete the others")
	}
	k.mu.Lock()
	k.going[id] = true
	k.mu.Unlock()
	if err := k.bucket.Delete(ctx, id); err != nil {
		k.stay(id)
		return err
	}
	k.forget(id)
	return nil
}

// operates reports whether a key can manage all others.
func (r *keyRecord) operates() bool {
	return r.Tenant == access.AllTenants && r.Role == access.RoleAdmin
}

// operated reports whether there is a key, but for the given one, that can manage all
// others. The caller holds the mutex.
func (k *Ring) operated(without string) bool {
	for id, r := range k.byID {
		if id != without && r.operates() {
			return true
		}
	}
	return false
}

func (s Spec) validate() error {
	if s.Tenant != access.AllTenants {
		if err := catalog.ValidateTenant("tenant", s.Tenant); err != nil {
			return err
		}
	}
	if !slices.Contains(access.Roles, s.Role) {
		return fault.Invalidf("role", "%.80q must be one of %v", s.Role, access.Roles)
	}
	if s.PublicKey != "" {
		if _, err := parseSigning(s.PublicKey); err != nil {
			return err
		}
	}
	return catalog.ValidateDescription(s.Description)
}
