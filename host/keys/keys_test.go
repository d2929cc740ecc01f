package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

func wantError[E error](t *testing.T, err error, containing string) {
	t.Helper()
	if _, ok := errors.AsType[E](err); !ok || !strings.Contains(err.Error(), containing) {
		t.Errorf("got %v (%T), want %T with %q", err, err, *new(E), containing)
	}
}

// openStore opens the store in dir; the caller closes it.
func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newKeys returns the keys of a store.
func newKeys(t testing.TB, s *store.Store) *Ring {
	t.Helper()
	tokens, err := access.NewTokens()
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(t.Context(), s, tokens)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// eachKeys runs a test with keys in memory and with keys of a store.
func eachKeys(t *testing.T, test func(t *testing.T, k *Ring)) {
	t.Run("in memory", func(t *testing.T) { test(t, newKeys(t, store.Memory(store.Config{}))) })
	t.Run("on a store", func(t *testing.T) {
		s := openStore(t, t.TempDir())
		t.Cleanup(s.Close)
		test(t, newKeys(t, s))
	})
}

// mustCreate makes a key as the operator.
func mustCreate(t testing.TB, k *Ring, tenant string, role access.Role) (Key, string) {
	t.Helper()
	key, secret, err := k.Create(t.Context(), access.Operator, Spec{Tenant: tenant, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return key, secret
}

func TestKeys_TheSecretSaysWhoAsks(t *testing.T) {
	eachKeys(t, func(t *testing.T, k *Ring) {
		if k.Exist() {
			t.Error("there are keys before the first")
		}
		first, operator, err := k.Create(t.Context(), access.Operator, Spec{})
		if err != nil || first.Tenant != access.AllTenants || first.Role != access.RoleAdmin {
			t.Fatalf("the first key: %+v, %v", first, err)
		}
		key, secret := mustCreate(t, k, "acme", access.RoleDeployer)
		all := access.Principal{KeyID: first.ID, Tenant: access.AllTenants, Role: access.RoleAdmin}
		if p, err := k.Authenticate(operator); err != nil || p != all {
			t.Errorf("got %+v, %v", p, err)
		}
		p, err := k.Authenticate(secret)
		if err != nil || p != (access.Principal{KeyID: key.ID, Tenant: "acme", Role: access.RoleDeployer}) {
			t.Errorf("got %+v, %v", p, err)
		}
		gone := k.Revoked(p)
		select {
		case <-gone:
			t.Error("a key that there is counts as deleted")
		case <-k.Revoked(access.Operator):
			t.Error("who has shown no key has lost one")
		default:
		}
		if err := k.Delete(t.Context(), access.Operator, key.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Authenticate(secret); !errors.Is(err, fault.ErrUnauthenticated) {
			t.Errorf("a deleted key: %v", err)
		}
		<-gone
		<-k.Revoked(p)
	})
}

func TestKeys_NoOtherTextIsTheSecret(t *testing.T) {
	k := newKeys(t, store.Memory(store.Config{}))
	_, secret := mustCreate(t, k, access.AllTenants, access.RoleAdmin)
	_, other := mustCreate(t, k, "acme", access.RoleAdmin)
	id, random := secret[:25], secret[25:]
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", random[42])
	// The last character has two bits that no byte has.
	malleable := random[:42] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1])
	for _, text := range []string{
		"", "viv_", id, random, secret[:67], secret + "A", secret + "=", " " + secret, strings.ToUpper(secret), id + strings.ToUpper(random),
		id + malleable, id + "\n" + random[1:], id + "\r\n" + random[:41], id + other[25:], other[:25] + random,
		"viv_aje00000000000000000_" + random, "viv-" + secret[4:], secret[:24] + "-" + random, id + strings.Repeat("A", 43),
		strings.Repeat("A", 1<<16),
	} {
		if p, err := k.Authenticate(text); !errors.Is(err, fault.ErrUnauthenticated) || p != (access.Principal{}) {
			t.Errorf("%.80q: got %+v, %v", text, p, err)
		}
	}
	if _, err := k.Authenticate(secret); err != nil {
		t.Error(err)
	}
}

func TestKeys_AnAdminManagesOwnTenantOnly(t *testing.T) {
	eachKeys(t, func(t *testing.T, k *Ring) {
		ctx := t.Context()
		root, _ := mustCreate(t, k, access.AllTenants, access.RoleAdmin)
		theirs, _ := mustCreate(t, k, "other", access.RoleInvoker)
		admin := access.Principal{KeyID: "x", Tenant: "acme", Role: access.RoleAdmin}
		own, _, err := k.Create(ctx, admin, Spec{Role: access.RoleInvoker, Description: "for ci"})
		if err != nil || own.Tenant != "acme" || own.Description != "for ci" {
			t.Fatalf("got %+v, %v", own, err)
		}
		for _, tenant := range []string{access.AllTenants, "other", "acme/x"} {
			_, _, err = k.Create(ctx, admin, Spec{Tenant: tenant, Role: access.RoleInvoker})
			wantError[*fault.ForbiddenError](t, err, "to tenant acme")
		}
		_, _, err = k.Create(ctx, access.Principal{KeyID: "x", Tenant: "acme", Role: access.RoleDeployer}, Spec{Role: access.RoleInvoker})
		wantError[*fault.ForbiddenError](t, err, "role admin")
		_, _, err = k.Create(ctx, access.Principal{}, Spec{Tenant: "acme", Role: access.RoleInvoker})
		if !errors.Is(err, fault.ErrUnauthenticated) {
			t.Errorf("nobody: got %v", err)
		}
		for _, spec := range []Spec{{Role: "root"}, {}, {Role: access.RoleInvoker, Description: "\xff"}} {
			_, _, err = k.Create(ctx, admin, spec)
			wantError[*fault.InvalidError](t, err, "")
		}
		if keys, err := k.List(admin); err != nil || len(keys) != 1 || keys[0] != own {
			t.Errorf("the tenant's: %+v, %v", keys, err)
		}
		if keys, err := k.List(access.Operator); err != nil || len(keys) != 3 {
			t.Errorf("all: %+v, %v", keys, err)
		}
		_, err = k.List(access.Principal{KeyID: "x", Tenant: "acme", Role: access.RoleDeployer})
		wantError[*fault.ForbiddenError](t, err, "role admin")
		var messages []string
		for _, id := range []string{root.ID, theirs.ID, "aje-nobodys"} {
			err := k.Delete(ctx, admin, id)
			wantError[*fault.NotFoundError](t, err, "key "+id)
			messages = append(messages, strings.ReplaceAll(err.Error(), id, ""))
		}
		if messages[0] != messages[2] || messages[1] != messages[2] {
			t.Errorf("keys of others can be told from none: %q", messages)
		}
		wantError[*fault.ForbiddenError](t, k.Delete(ctx, access.Principal{KeyID: "x", Tenant: "acme", Role: access.RoleDeployer}, own.ID), "role admin")
		if err := k.Delete(ctx, admin, own.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestKeys_OneThatManagesTheOthersIsAlwaysThere(t *testing.T) {
	eachKeys(t, func(t *testing.T, k *Ring) {
		ctx := t.Context()
		for _, spec := range []Spec{{Tenant: "acme", Role: access.RoleAdmin}, {Tenant: access.AllTenants, Role: access.RoleDeployer}} {
			_, _, err := k.Create(ctx, access.Operator, spec)
			wantError[*fault.ConflictError](t, err, "would be the first")
		}
		root, _ := mustCreate(t, k, access.AllTenants, access.RoleAdmin)
		other, _ := mustCreate(t, k, "acme", access.RoleAdmin)
		wantError[*fault.ConflictError](t, k.Delete(ctx, access.Operator, root.ID), "is the last one")
		second, _ := mustCreate(t, k, access.AllTenants, access.RoleAdmin)
		for _, id := range []string{root.ID, other.ID, second.ID} {
			if err := k.Delete(ctx, access.Operator, id); err != nil {
				t.Error(err)
			}
		}
		if k.Exist() {
			t.Error("keys are left")
		}
	})
}

func TestKeys_HostsThatShareAStoreKnowTheSame(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	one, two := newKeys(t, s), newKeys(t, s)
	key, secret := mustCreate(t, one, access.AllTenants, access.RoleAdmin)
	roomtest.Until(t, "the key is known everywhere", func() bool { _, err := two.Authenticate(secret); return err == nil })
	if err := two.Delete(t.Context(), access.Operator, key.ID); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "the deleted key is known nowhere", func() bool { _, err := one.Authenticate(secret); return err != nil && !one.Exist() })

	// What is on the disk lets nobody in.
	kept, secret := mustCreate(t, one, access.AllTenants, access.RoleAdmin)
	roomtest.Until(t, "the next key is known everywhere", func() bool { _, err := two.Authenticate(secret); return err == nil })
	e, err := s.Keys.Get(t.Context(), kept.ID)
	random, _ := base64.RawURLEncoding.DecodeString(secret[25:])
	if err != nil || bytes.Contains(e.Value, []byte(secret[25:])) || bytes.Contains(e.Value, random) ||
		bytes.Contains(e.Value, []byte(base64.StdEncoding.EncodeToString(random))) {
		t.Errorf("the record is %s, %v", e.Value, err)
	}

	// A record that can't be read makes no server that anybody may use.
	if _, err := s.Keys.Update(t.Context(), kept.ID, []byte(`{"id": 1}`), e.Revision); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "a damaged key lets nobody in", func() bool { _, err := two.Authenticate(secret); return err != nil })
	if !two.Exist() {
		t.Error("a damaged key does not count")
	}
	one.Close()
	two.Close()
	s.Close()
	s = openStore(t, dir)
	t.Cleanup(s.Close)
	again := newKeys(t, s)
	if _, err := again.Authenticate(secret); err == nil || !again.Exist() {
		t.Errorf("after a restart: %v, keys exist: %v", err, again.Exist())
	}
}

func TestRole_EachIncludesTheOnesBefore(t *testing.T) {
	for i, have := range access.Roles {
		for j, need := range access.Roles {
			if have.Includes(need) != (j <= i) {
				t.Errorf("%s includes %s: %v", have, need, have.Includes(need))
			}
		}
		if have.Includes("") || access.Role("").Includes(have) || access.Role("root").Includes(have) {
			t.Errorf("%s and none", have)
		}
	}
}

// BenchmarkAuthenticate measures secrets of a key that there is, of one that
// there is not, and of one with another secret.
func BenchmarkAuthenticate(b *testing.B) {
	k := newKeys(b, store.Memory(store.Config{}))
	_, secret := mustCreate(b, k, access.AllTenants, access.RoleAdmin)
	for i := range 999 {
		mustCreate(b, k, fmt.Sprintf("tenant-%d", i), access.RoleInvoker)
	}
	for name, text := range map[string]string{
		"right": secret, "wrong": secret[:25] + strings.Repeat("A", 43), "unknown": "viv_aje00000000000000000_" + secret[25:],
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = k.Authenticate(text)
			}
		})
	}
}
