// Package secrets keeps texts that functions get as environment variables, and nobody
// else gets to see: tokens, passwords.
//
// # Vocabulary
//
//   - Secret: a name in a tenant, and its versions, as the cloud's Lockbox has them.
//   - Version: immutable entries, which are keys with values. A change makes a new one.
//   - Reference: what a function's version says of an entry, catalog.SecretReference. It
//     names the secret's version, so a change reaches a function when it is deployed again.
//   - Keyring: the operator's keys. Without one nothing can be kept.
//
// # Where values are
//
// In the store, and in this process, entries are encrypted with AES-256-GCM, each version by
// itself and bound to its place. They are decrypted when an instance of a function
// loads its module, and are then in the memory of that instance alone: a version that
// refers to secrets has no image of its loaded module (package run), since images are
// files. No operation returns a value.
package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// Limits of secrets.
const (
	maxEntries  = 32       // of a version
	maxValue    = 4096     // bytes of a value: more does not fit in an environment
	maxText     = 16 << 10 // bytes of a version's keys and values
	maxVersions = 20       // of a secret
)

// Secret is a secret as everybody who may use it sees it: without values.
type Secret struct {
	ID          string    `json:"id"`
	Tenant      string    `json:"tenant"`
	Name        string    `json:"name"` // unique in the tenant; the rules are those of functions' names
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	Versions    []Version `json:"versions"` // oldest first
}

// Version is one version of a secret.
type Version struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	Keys      []string  `json:"keys"` // by name
	KeyID     string    `json:"key_id"`
	// Sealed are the entries, a JSON object, encrypted. No operation returns them.
	Sealed []byte `json:"sealed,omitempty"`
}

// current returns the version that a reference without one means.
func (s *Secret) current() *Version { return &s.Versions[len(s.Versions)-1] }

// place says where a version's entries belong: elsewhere they can't be decrypted.
func (s *Secret) place(v *Version) string { return s.Tenant + "\x00" + s.ID + "\x00" + v.ID }

func (s *Secret) reference() string { return catalog.Reference(s.Tenant, s.Name) }

// shown returns s without what is encrypted.
func (s *Secret) shown() Secret {
	shown := *s
	shown.Versions = slices.Clone(s.Versions)
	for i := range shown.Versions {
		shown.Versions[i].Sealed = nil
	}
	return shown
}

// Prefixes of ids.
const (
	secretPrefix  = "e6q"
	versionPrefix = "e6v"
)

// Config tells Open what a vault works with.
type Config struct {
	Store  *store.Store // the caller closes it, after the vault
	Ledger *quota.Ledger
	Keys   *Keyring // nil: nothing can be kept, or used
	// Used reports whether a version of a function refers to a version of a secret.
	Used func(versionID string) bool
	Log  *slog.Logger // receives what only the operator can mend
}

// Vault is all secrets of a store. Hosts that share it learn of each other's changes at
// once. Safe for concurrent use.
type Vault struct {
	cfg     Config
	secrets *store.Mirror[Secret] // by reference
	write   sync.Mutex            // held while a secret is changed; it may block on the store
}

// entry is a secret of the mirror's.
type entry = store.Mirrored[Secret]

// Open returns the secrets of a store. What is encrypted with another key than the first
// is encrypted again with that. Close the vault before the store.
//
// # Errors
//
// fault.ErrUnavailable.
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	v := &Vault{cfg: cfg}
	secrets, err := store.NewMirror(ctx, cfg.Store.Secrets, v.decode)
	if err != nil {
		return nil, err
	}
	v.secrets = secrets
	if err := cfg.Store.Secrets.Damage(); err != nil {
		cfg.Log.Error("secrets are lost; set them again", "error", err)
	}
	v.rotate(ctx)
	return v, nil
}

// Close ends the news from the store.
func (v *Vault) Close() { v.secrets.Close() }

func (v *Vault) decode(e store.Entry) (Secret, bool) {
	var s Secret
	if err := json.Unmarshal(e.Value, &s); err != nil || s.reference() != e.Key || len(s.Versions) == 0 {
		v.cfg.Log.Error("a secret can't be read; delete it and set it again", "secret", e.Key)
		return Secret{}, false
	}
	return s, true
}

// rotate encrypts again what is not encrypted with the first key.
func (v *Vault) rotate(ctx context.Context) {
	for _, e := range v.all() {
		changed := e.Record
		changed.Versions = slices.Clone(changed.Versions)
		rotated := false
		for i := range changed.Versions {
			version := &changed.Versions[i]
			if version.KeyID == v.cfg.Keys.first() {
				continue
			}
			text, err := v.cfg.Keys.open(version.KeyID, version.Sealed, changed.place(version))
			if err != nil {
				v.cfg.Log.Error("a secret can't be used", "secret", changed.reference(), "version", version.ID, "error", err)
				continue
			}
			version.KeyID, version.Sealed = v.cfg.Keys.seal(text, changed.place(version))
			rotated = true
		}
		if rotated {
			// Another host may have done it, which is as good.
			_ = v.secrets.Update(ctx, changed.reference(), changed, e)
		}
	}
}

// all returns all secrets, by reference.
func (v *Vault) all() []*entry {
	all := v.secrets.Select(func(*Secret) bool { return true })
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.Record.reference(), b.Record.reference()) })
	return all
}

// Counts returns how many versions of secrets each tenant has.
func (v *Vault) Counts() map[string]int64 {
	counts := map[string]int64{}
	for _, e := range v.all() {
		counts[e.Record.Tenant] += int64(len(e.Record.Versions))
	}
	return counts
}

// Spec says what a secret is to have.
type Spec struct {
	Name        string
	Description *string           // nil: as it was
	Entries     map[string]string // values by key, besides those that the current version has
	Only        bool              // no others
}

// entryKey is what keys of entries are.
var entryKey = regexp.MustCompile(`^[-_./0-9a-zA-Z]{1,256}$`)

func (s Spec) validate() error {
	if err := catalog.ValidateName(s.Name); err != nil {
		return err
	}
	if s.Description != nil {
		if err := catalog.ValidateDescription(*s.Description); err != nil {
			return err
		}
	}
	if len(s.Entries) == 0 {
		return fault.Invalidf("entries", "there are none; give at least one key with its value")
	}
	for key, value := range s.Entries {
		switch {
		case !entryKey.MatchString(key):
			return fault.Invalidf("entries", "the key %.80q must be 1 to 256 letters, digits and characters of -_./", key)
		case len(value) > maxValue:
			return fault.Invalidf("entries", "the value of %s has %d bytes, at most %d are allowed", key, len(value), maxValue)
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return fault.Invalidf("entries", "the value of %s must be UTF-8 text without NUL", key)
		}
	}
	return nil
}

// SetSecret makes a new version of a secret, which is made if there is none of the name.
//
// # Errors
//
// *fault.InvalidError, *fault.ConflictError, also without a key of the operator's;
// *quota.Error, fault.ErrUnavailable. None has anything of the values.
func (v *Vault) SetSecret(ctx context.Context, p access.Principal, spec Spec) (Secret, error) {
	if err := p.Allow("SetSecret"); err != nil {
		return Secret{}, err
	}
	if err := spec.validate(); err != nil {
		return Secret{}, err
	}
	if v.cfg.Keys == nil {
		return Secret{}, fault.Conflictf("secret", spec.Name, "can't be kept: this server has no key to encrypt it with; "+
			"its operator makes one with openssl rand -base64 32 and starts it with --secrets-key-file FILE")
	}
	tenant := p.Home()
	if err := catalog.ValidateTenant("folder_id", tenant); err != nil {
		return Secret{}, err
	}
	v.write.Lock()
	defer v.write.Unlock()
	reference := catalog.Reference(tenant, spec.Name)
	old, err := v.secrets.Fetch(ctx, reference)
	if errors.Is(err, store.ErrCorrupt) {
		return Secret{}, fault.Conflictf("secret", reference, "can't be read; delete it and set it again")
	} else if err != nil {
		return Secret{}, err
	}
	if err := v.cfg.Ledger.Check(tenant, quota.Secrets, v.Counts()[tenant], 1); err != nil {
		return Secret{}, err
	}
	changed, err := v.changed(old, tenant, spec)
	if err != nil {
		return Secret{}, err
	}
	if old == nil {
		err = v.secrets.Create(ctx, reference, changed)
	} else {
		err = v.secrets.Update(ctx, reference, changed, old)
	}
	if err != nil {
		return Secret{}, err
	}
	return changed.shown(), nil
}

// changed returns what a secret becomes.
func (v *Vault) changed(old *entry, tenant string, spec Spec) (Secret, error) {
	now := time.Now().UTC()
	s := Secret{ID: catalog.NewID(secretPrefix), Tenant: tenant, Name: spec.Name, CreatedAt: now}
	entries := map[string]string{}
	if old != nil {
		s = old.Record
		s.Versions = v.worthKeeping(s.Versions)
		if len(s.Versions) >= maxVersions {
			return Secret{}, fault.Conflictf("secret", s.Name, "has %d versions that functions use; delete old versions of those", len(s.Versions))
		}
		if !spec.Only {
			current, err := v.entries(&old.Record, old.Record.current())
			if err != nil {
				return Secret{}, fault.Conflictf("secret", s.Name, "can't be added to: %v", err)
			}
			entries = current
		}
	}
	if spec.Description != nil {
		s.Description = *spec.Description
	}
	maps.Copy(entries, spec.Entries)
	size := 0
	for key, value := range entries {
		size += len(key) + len(value)
	}
	switch {
	case len(entries) > maxEntries:
		return Secret{}, fault.Invalidf("entries", "there would be %d, at most %d are allowed", len(entries), maxEntries)
	case size > maxText:
		return Secret{}, fault.Invalidf("entries", "keys and values would have %d bytes together, at most %d are allowed", size, maxText)
	}
	version := Version{ID: catalog.NewID(versionPrefix), CreatedAt: now, Keys: slices.Sorted(maps.Keys(entries))}
	version.KeyID, version.Sealed = v.cfg.Keys.seal(store.Record(entries), s.place(&version))
	s.Versions = append(s.Versions, version)
	return s, nil
}

// worthKeeping returns versions without the oldest that no function uses, as far as it
// takes to have room for another one.
func (v *Vault) worthKeeping(versions []Version) []Version {
	kept := slices.Clone(versions)
	for i := 0; len(kept) >= maxVersions && i < len(kept)-1; {
		if v.cfg.Used(kept[i].ID) {
			i++
			continue
		}
		kept = slices.Delete(kept, i, i+1)
	}
	return kept
}

// entries decrypts a version.
func (v *Vault) entries(s *Secret, version *Version) (map[string]string, error) {
	text, err := v.cfg.Keys.open(version.KeyID, version.Sealed, s.place(version))
	if err != nil {
		return nil, err
	}
	entries := map[string]string{}
	return entries, json.Unmarshal(text, &entries)
}

// Secrets lists the secrets within p's reach, by tenant and name.
func (v *Vault) Secrets(p access.Principal) ([]Secret, error) {
	if err := p.Allow("Secrets"); err != nil {
		return nil, err
	}
	secrets := []Secret{}
	for _, e := range v.all() {
		if p.ActsFor(e.Record.Tenant) {
			secrets = append(secrets, e.Record.shown())
		}
	}
	return secrets, nil
}

// DeleteSecret deletes a secret by id or name. Instances that have it keep it until they
// end; new ones of versions that refer to it fail.
//
// # Errors
//
// *fault.NotFoundError, fault.ErrUnavailable.
func (v *Vault) DeleteSecret(ctx context.Context, p access.Principal, idOrName string) (Secret, error) {
	if err := p.Allow("DeleteSecret"); err != nil {
		return Secret{}, err
	}
	v.write.Lock()
	defer v.write.Unlock()
	e := v.find(p, idOrName)
	if e == nil {
		return Secret{}, &fault.NotFoundError{Thing: "secret", Name: idOrName}
	}
	if err := v.secrets.Delete(ctx, e.Record.reference()); err != nil {
		return Secret{}, err
	}
	return e.Record.shown(), nil
}

// find returns what p means by an id or a name; nil if there is no such secret within
// its reach.
func (v *Vault) find(p access.Principal, idOrName string) *entry {
	if found := v.secrets.Select(func(s *Secret) bool { return p.ActsFor(s.Tenant) && s.ID == idOrName }); len(found) > 0 {
		return found[0]
	}
	return v.secrets.Get(catalog.Reference(p.Home(), idOrName))
}
