package secrets

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

// keyText returns the text of a key.
func keyText(fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, keyBytes))
}

func mustKeys(t *testing.T, text string) *Keyring {
	t.Helper()
	k, err := ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testVault is a vault whose log can be read.
type testVault struct {
	*Vault
	log  *bytes.Buffer
	used map[string]bool
}

func open(t *testing.T, s *store.Store, keys *Keyring) *testVault {
	t.Helper()
	v := &testVault{log: &bytes.Buffer{}, used: map[string]bool{}}
	var err error
	v.Vault, err = Open(t.Context(), Config{
		Store: s, Keys: keys, Log: slog.New(slog.NewTextHandler(v.log, nil)), Used: func(id string) bool { return v.used[id] },
		Ledger: quota.New(quota.Config{Defaults: quota.Amounts{quota.Secrets: 30}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func (v *testVault) set(t *testing.T, tenant, name string, entries map[string]string) Secret {
	t.Helper()
	s, err := v.SetSecret(t.Context(), access.Operator.In(tenant), Spec{Name: name, Entries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// value returns what a version of a tenant gets of a reference.
func (v *testVault) value(tenant string, r catalog.SecretReference) (string, error) {
	r.Variable = "V"
	values, err := v.Values(&catalog.Version{Tenant: tenant, VersionSpec: catalog.VersionSpec{Secrets: []catalog.SecretReference{r}}})
	return values["V"], err
}

// pinned returns a reference to the current version.
func (v *testVault) pinned(t *testing.T, tenant, name, key string) catalog.SecretReference {
	t.Helper()
	pinned, _, err := v.Pin(tenant, []catalog.SecretReference{{ID: name, Key: key, Variable: "V"}})
	if err != nil {
		t.Fatal(err)
	}
	return pinned[0]
}

func TestVault_AVersionKeepsItsValue(t *testing.T) {
	s := store.Memory(store.Config{})
	v := open(t, s, mustKeys(t, keyText(1)))
	v.set(t, "acme", "telegram", map[string]string{"token": "first", "other": "o"})
	first := v.pinned(t, "acme", "telegram", "token")
	v.set(t, "acme", "telegram", map[string]string{"token": "second"})
	second := v.pinned(t, "acme", "telegram", "token")
	for want, r := range map[string]catalog.SecretReference{"first": first, "second": second, "o": v.pinned(t, "acme", "telegram", "other")} {
		if got, err := v.value("acme", r); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	alone := Spec{Name: "telegram", Entries: map[string]string{"token": "x"}, Only: true}
	if only, err := v.SetSecret(t.Context(), access.Operator.In("acme"), alone); err != nil || len(only.current().Keys) != 1 {
		t.Errorf("only: %+v, %v", only, err)
	}
	// Another tenant can't name it, nor use it.
	if _, _, err := v.Pin("umbrella", []catalog.SecretReference{{ID: first.ID, Key: "token"}}); fault.Of(err) != fault.NotFound {
		t.Errorf("another tenant's: %v", err)
	}
	if got, err := v.value("umbrella", first); fault.Of(err) != fault.Function || got != "" {
		t.Errorf("another tenant got %q, %v", got, err)
	}
	if _, err := v.DeleteSecret(t.Context(), access.Operator.In("acme"), "telegram"); err != nil {
		t.Fatal(err)
	}
	got, err := v.value("acme", second)
	if e, ok := errors.AsType[*fault.FunctionError](err); !ok || e.Type != "SecretNotFound" || got != "" {
		t.Errorf("a deleted one: %q, %v", got, err)
	}
}

// Nothing of a value is in the store, in lists, or in errors and the log.
func TestVault_ShowsNoValue(t *testing.T) {
	const value = "s3cr3t-value-that-is-long"
	s := store.Memory(store.Config{})
	v := open(t, s, mustKeys(t, keyText(1)))
	made := v.set(t, "acme", "telegram", map[string]string{"token": value})
	stored, err := s.Secrets.All(t.Context())
	if err != nil || len(stored) != 1 {
		t.Fatalf("%d, %v", len(stored), err)
	}
	list, err := v.Secrets(access.Operator)
	if err != nil || len(list) != 1 || len(list[0].Versions[0].Sealed) > 0 || len(made.Versions[0].Sealed) > 0 {
		t.Errorf("the list is %+v, %v", list, err)
	}
	_, tooLong := v.SetSecret(t.Context(), access.Operator, Spec{Name: "telegram", Entries: map[string]string{"token": strings.Repeat(value, 500)}})
	_, notText := v.SetSecret(t.Context(), access.Operator, Spec{Name: "telegram", Entries: map[string]string{"token": value + "\xff"}})
	_, _, noKey := v.Pin("acme", []catalog.SecretReference{{ID: "telegram", Key: "none"}})
	other := open(t, s, mustKeys(t, keyText(2)))
	_, cannot := other.value("acme", v.pinned(t, "acme", "telegram", "token"))
	for _, err := range []error{tooLong, notText, noKey, cannot} {
		if err == nil {
			t.Error("no error")
		}
	}
	all := fmt.Sprint(string(stored[0].Value), list, made, tooLong, notText, noKey, cannot, v.log, other.log)
	for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value))[:20], keyText(1)[:20]} {
		if strings.Contains(all, form) {
			t.Errorf("%s is in %s", form, all)
		}
	}
	if !strings.Contains(cannot.Error(), "--secrets-key-file") || !strings.Contains(other.log.String(), "can't be used") {
		t.Errorf("the wrong key: %v, log %s", cannot, other.log)
	}
	if fault.Of(cannot) != fault.Internal {
		t.Errorf("the wrong key is %v's fault", fault.Of(cannot))
	}
}

// What somebody who can write to the store moves elsewhere is of no use there.
func TestVault_EntriesAreBoundToTheirPlace(t *testing.T) {
	s := store.Memory(store.Config{})
	v := open(t, s, mustKeys(t, keyText(1)))
	theirs, ours := v.set(t, "umbrella", "one", map[string]string{"k": "theirs"}), v.set(t, "acme", "two", map[string]string{"k": "ours"})
	r := v.pinned(t, "acme", "two", "k")
	e, err := s.Secrets.Get(t.Context(), theirs.reference())
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.NewReplacer(theirs.ID, ours.ID, "umbrella", "acme", `"one"`, `"two"`, theirs.Versions[0].ID, ours.Versions[0].ID).Replace(string(e.Value))
	if err := s.Secrets.Put(t.Context(), ours.reference(), []byte(moved)); err != nil {
		t.Fatal(err)
	}
	again := open(t, s, mustKeys(t, keyText(1)))
	if got, err := again.value("acme", r); err == nil {
		t.Errorf("got %q", got)
	}
}

func TestVault_Rotates(t *testing.T) {
	s := store.Memory(store.Config{})
	old := open(t, s, mustKeys(t, keyText(1)))
	old.set(t, "acme", "telegram", map[string]string{"token": "x"})
	old.set(t, "acme", "telegram", map[string]string{"token": "y"})
	r := old.pinned(t, "acme", "telegram", "token")
	both := open(t, s, mustKeys(t, keyText(2)+"\n"+keyText(1)+"\n"))
	if got, err := both.value("acme", r); err != nil || got != "y" {
		t.Errorf("with both keys: %q, %v", got, err)
	}
	only := open(t, s, mustKeys(t, keyText(2)))
	if got, err := only.value("acme", r); err != nil || got != "y" || only.log.Len() > 0 {
		t.Errorf("with the new key: %q, %v, log %s", got, err, only.log)
	}
	if _, err := open(t, s, mustKeys(t, keyText(1))).value("acme", r); err == nil {
		t.Error("the old key still decrypts")
	}
}

func TestKeyring_SignsTokensWithWhatItDerives(t *testing.T) {
	one, both := mustKeys(t, keyText(1)).TokenKeys(), mustKeys(t, keyText(2)+"\n"+keyText(1)).TokenKeys()
	if len(one) != 1 || len(both) != 2 || !bytes.Equal(one[0], both[1]) || bytes.Equal(both[0], both[1]) ||
		bytes.Equal(one[0], bytes.Repeat([]byte{1}, keyBytes)) {
		t.Errorf("got %x, %x", one, both)
	}
	if keys := (*Keyring)(nil).TokenKeys(); keys != nil {
		t.Errorf("of none: %x", keys)
	}
}

func TestVault_BoundsWhatIsKept(t *testing.T) {
	v := open(t, store.Memory(store.Config{}), mustKeys(t, keyText(1)))
	many := map[string]string{}
	for n := range maxEntries + 1 {
		many[fmt.Sprint(n)] = ""
	}
	large := map[string]string{}
	for n := range 5 {
		large[fmt.Sprint(n)] = strings.Repeat("x", maxValue)
	}
	for name, c := range map[string]struct {
		entries map[string]string
		want    string
	}{
		"none-at-all": {nil, "entries: there are none"}, "many": {many, "entries: there would be 33"}, "large": {large, "entries: keys and values"},
		"Bad": {map[string]string{"k": "v"}, "name: "}, "bad-key": {map[string]string{"a b": "v"}, `entries: the key "a b"`},
		"nul": {map[string]string{"k": "a\x00"}, "entries: the value of k must be"},
	} {
		_, err := v.SetSecret(t.Context(), access.Operator, Spec{Name: name, Entries: c.entries})
		if fault.Of(err) != fault.Invalid || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Old versions that nobody uses make room; those that are used stay.
	first := v.set(t, "acme", "often", map[string]string{"k": "first"})
	kept := v.pinned(t, "acme", "often", "k")
	v.used[kept.VersionID] = true
	for n := range maxVersions + 5 {
		v.set(t, "acme", "often", map[string]string{"k": fmt.Sprint(n)})
	}
	if got, err := v.value("acme", kept); err != nil || got != "first" {
		t.Errorf("the version that is used: %q, %v", got, err)
	}
	if n := v.Counts()["acme"]; n != maxVersions {
		t.Errorf("there are %d versions", n)
	}
	for n := range 10 {
		v.set(t, "acme", fmt.Sprintf("fill-%d", n), map[string]string{"k": "v"})
	}
	_, err := v.SetSecret(t.Context(), access.Operator.In("acme"), Spec{Name: "beyond", Entries: map[string]string{"k": "v"}})
	if _, ok := errors.AsType[*quota.Error](err); !ok {
		t.Errorf("beyond the quota: %v", err)
	}
	v.set(t, "umbrella", "beyond", map[string]string{"k": "v"})
	if _, err := v.DeleteSecret(t.Context(), access.Operator.In("acme"), first.ID); err != nil {
		t.Fatal(err)
	}
	v.set(t, "acme", "beyond", map[string]string{"k": "v"})
}

func TestVault_WithoutAKeyNothingIsKept(t *testing.T) {
	s := store.Memory(store.Config{})
	v := open(t, s, nil)
	_, err := v.SetSecret(t.Context(), access.Operator, Spec{Name: "telegram", Entries: map[string]string{"k": "v"}})
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "--secrets-key-file") {
		t.Errorf("got %v", err)
	}
	if all, _ := s.Secrets.All(t.Context()); len(all) > 0 {
		t.Errorf("%d are kept", len(all))
	}
}

func TestParseKeys_SaysWhatIsWrongAndNotTheKey(t *testing.T) {
	hexKey := strings.Repeat("0a", keyBytes)
	for text, want := range map[string]string{
		"": "there is no key", " \n": "there is no key", "short": "key 1 is not 32 bytes", keyText(1) + " bad!": "key 2 is not", keyText(1) + "\n" + keyText(1): "key 2 is there already",
		strings.Repeat(keyText(1)+"\n", 9): "there are 9 keys", hexKey[2:]: "key 1 is not",
	} {
		_, err := ParseKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "bad!") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if k := mustKeys(t, hexKey+"\n"+keyText(3)); len(k.keys) != 2 {
		t.Errorf("%d keys", len(k.keys))
	}
}

// operations ask for each operation, about a tenant's secret.
var operations = map[string]struct {
	role access.Role
	call func(t *testing.T, v *testVault, p access.Principal, tenant string) error
}{
	"SetSecret": {access.RoleDeployer, func(t *testing.T, v *testVault, p access.Principal, tenant string) error {
		if p.Tenant != tenant && p.Role.Includes(access.RoleDeployer) { // there is no way to name another tenant's
			return &fault.NotFoundError{}
		}
		_, err := v.SetSecret(t.Context(), p, Spec{Name: "telegram", Entries: map[string]string{"k": "v"}})
		return err
	}},
	"Secrets": {access.RoleDeployer, func(t *testing.T, v *testVault, p access.Principal, tenant string) error {
		all, err := v.Secrets(p)
		for _, s := range all {
			if s.Tenant == tenant {
				return err
			}
		}
		if err == nil {
			err = &fault.NotFoundError{}
		}
		return err
	}},
	"DeleteSecret": {access.RoleDeployer, func(t *testing.T, v *testVault, p access.Principal, tenant string) error {
		_, err := v.DeleteSecret(t.Context(), p, v.secrets.Get(catalog.Reference(tenant, "telegram")).Record.ID)
		return err
	}},
}

func TestVault_EachOperationTakesItsRoleAndKeepsToTheTenant(t *testing.T) {
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Vault](), operations, "Close", "Counts", "Pin", "Values") {
		for _, role := range roomtest.Roles {
			v := open(t, store.Memory(store.Config{}), mustKeys(t, keyText(1)))
			v.set(t, "acme", "telegram", map[string]string{"k": "v"})
			v.set(t, "umbrella", "telegram", map[string]string{"k": "v"})
			p := access.Principal{Tenant: "acme", Role: role}
			if err := o.call(t, v, p, "umbrella"); fault.Of(err) != roomtest.Refused(o.role, role) {
				t.Errorf("%s by %q about another tenant's: got %v", name, role, err)
			}
			roomtest.CheckOwn(t, name, o.role, role, o.call(t, v, p, "acme"))
			if v.secrets.Get(catalog.Reference("umbrella", "telegram")) == nil {
				t.Errorf("%s by %q: another tenant's is gone", name, role)
			}
		}
	}
}

// On a real store, another host learns of a change, and a restart keeps it.
func TestVault_OnAStore(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	one, two := open(t, s, mustKeys(t, keyText(1))), open(t, s, mustKeys(t, keyText(1)))
	one.set(t, "acme", "telegram", map[string]string{"token": "x"})
	r := one.pinned(t, "acme", "telegram", "token")
	roomtest.Until(t, "the other vault knows it", func() bool {
		got, err := two.value("acme", r)
		return err == nil && got == "x"
	})
	one.Close()
	two.Close()
	s.Close()
	if s, err = store.Open(t.Context(), store.Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if got, err := open(t, s, mustKeys(t, keyText(1))).value("acme", r); err != nil || got != "x" {
		t.Errorf("after a restart: %q, %v", got, err)
	}
}
