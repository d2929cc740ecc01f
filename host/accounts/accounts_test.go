package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

var acme, umbrella = access.Operator.In("acme"), access.Operator.In("umbrella")

// open returns a register in which functions are those of gone's false ones.
func open(t *testing.T, s *store.Store, log *bytes.Buffer, gone map[string]bool) *Register {
	t.Helper()
	r, err := Open(t.Context(), Config{
		Store: s, Ledger: quota.New(quota.Config{Defaults: quota.Amounts{quota.ServiceAccounts: 3}}),
		Exists: func(_, id string) bool { return !gone[id] }, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func memory(t *testing.T) *store.Store {
	t.Helper()
	s := store.Memory(store.Config{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(s.Close)
	return s
}

func (r *Register) made(t *testing.T, p access.Principal, name string) Account {
	t.Helper()
	a, err := r.CreateServiceAccount(t.Context(), p, Spec{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// list tells of a tenant's accounts.
func (r *Register) list(t *testing.T, p access.Principal) string {
	t.Helper()
	all, err := r.ServiceAccounts(p)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%s %s %v %v;", a.Name, a.Description, a.Labels, a.Grants)
	}
	return b.String()
}

func TestRegister(t *testing.T) {
	s := memory(t)
	r := open(t, s, &bytes.Buffer{}, nil)
	one, theirs := r.made(t, acme, "one"), r.made(t, umbrella, "one")
	for what, refused := range map[string]struct {
		p    access.Principal
		spec Spec
		want error
	}{
		"a name that is taken":  {acme, Spec{Name: "one"}, &fault.ConflictError{}},
		"a name that is none":   {acme, Spec{Name: "O"}, &fault.InvalidError{}},
		"a label that is none":  {acme, Spec{Name: "two", Labels: map[string]string{"A": ""}}, &fault.InvalidError{}},
		"a long description":    {acme, Spec{Name: "two", Description: strings.Repeat("x", 10_000)}, &fault.InvalidError{}},
		"a tenant that is none": {access.Operator.In("A"), Spec{Name: "two"}, &fault.InvalidError{}},
		"too low a role":        {access.Principal{Tenant: "acme", Role: access.RoleInvoker, KeyID: "k"}, Spec{Name: "two"}, &fault.ForbiddenError{}},
	} {
		if _, err := r.CreateServiceAccount(t.Context(), refused.p, refused.spec); fmt.Sprintf("%T", err) != fmt.Sprintf("%T", refused.want) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	changed, err := r.UpdateServiceAccount(t.Context(), acme, one.ID, func(s *Spec) { s.Name, s.Description = "uno", "d" })
	if err != nil || changed.ID != one.ID {
		t.Errorf("got %v, %v", changed, err)
	}
	r.made(t, acme, "one") // the name is free
	if _, err := r.UpdateServiceAccount(t.Context(), acme, one.ID, func(s *Spec) { s.Name = "one" }); !isConflict(err) {
		t.Errorf("a name that is taken: got %v", err)
	}
	for what, change := range map[string]func(string) error{
		"update": func(id string) error {
			_, err := r.UpdateServiceAccount(t.Context(), acme, id, func(*Spec) {})
			return err
		},
		"delete": func(id string) error { _, err := r.DeleteServiceAccount(t.Context(), acme, id); return err },
		"bind": func(id string) error {
			_, err := r.BindServiceAccounts(t.Context(), acme, "acme", []Binding{{id, "editor"}}, nil, false)
			return err
		},
	} {
		for _, id := range []string{"", "ajenothing", theirs.ID} {
			if err := change(id); !errors.As(err, new(*fault.NotFoundError)) {
				t.Errorf("%s of %q: got %v", what, id, err)
			}
		}
	}
	r.made(t, acme, "three")
	if _, err := r.CreateServiceAccount(t.Context(), acme, Spec{Name: "four"}); !errors.As(err, new(*quota.Error)) {
		t.Errorf("one too many: got %v", err)
	}
	again := open(t, s, &bytes.Buffer{}, nil)
	for _, r := range []*Register{r, again} {
		if got, want := r.list(t, acme), "one  map[] [];three  map[] [];uno d map[] [];"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if _, err := r.DeleteServiceAccount(t.Context(), acme, one.ID); err != nil {
		t.Error(err)
	}
	if got := r.Counts(); got["acme"] != 2 || got["umbrella"] != 1 {
		t.Errorf("got %v", got)
	}
}

func isConflict(err error) bool { return errors.As(err, new(*fault.ConflictError)) }

func TestRegister_BindsAsTold(t *testing.T) {
	gone := map[string]bool{}
	r := open(t, memory(t), &bytes.Buffer{}, gone)
	one, two, theirs := r.made(t, acme, "one").ID, r.made(t, acme, "two").ID, r.made(t, umbrella, "one").ID
	bind := func(p access.Principal, resource string, add, remove []Binding, only bool) string {
		t.Helper()
		changes, err := r.BindServiceAccounts(t.Context(), p, resource, add, remove, only)
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.Bindings(p, resource)
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer(one, "one", two, "two").Replace(fmt.Sprint(all, changes))
	}
	for i, got := range []struct{ is, want string }{
		{bind(acme, "acme", []Binding{{one, "a.b"}, {two, "a.b"}, {one, "a.b"}}, nil, false), "[{one a.b} {two a.b}] {[{one a.b} {two a.b}] []}"},
		{bind(acme, "fun", []Binding{{one, "c.d"}}, nil, true), "[{one c.d}] {[{one c.d}] []}"},
		{bind(acme, "acme", nil, []Binding{{one, "a.b"}, {theirs, "a.b"}}, false), "[{two a.b}] {[] [{one a.b}]}"},
		{bind(acme, "acme", []Binding{{two, "a.b"}, {two, "e.f"}}, nil, true), "[{two a.b} {two e.f}] {[{two e.f}] []}"},
		{bind(acme, "acme", nil, nil, true), "[] {[] [{two a.b} {two e.f}]}"},
		{bind(umbrella, "acme", nil, nil, true), "[] {[] []}"}, // nothing of others'
	} {
		if got.is != got.want {
			t.Errorf("%d: got %s, want %s", i, got.is, got.want)
		}
	}
	gone["fun"] = true
	bind(acme, "acme", []Binding{{one, "g.h"}}, nil, false)
	if got, want := r.list(t, acme), "one  map[] [{acme g.h}];two  map[] [];"; got != want {
		t.Errorf("after the function: got %q, want %q", got, want)
	}
	var many []Binding
	for n := range maxGrants {
		many = append(many, Binding{one, fmt.Sprintf("role.r%d", n)})
	}
	if _, err := r.BindServiceAccounts(t.Context(), acme, "acme", many, nil, false); !isConflict(err) {
		t.Errorf("one role too many: got %v", err)
	}
	for _, role := range []string{"", "x y", strings.Repeat("x", 101), "a\n"} {
		_, err := r.BindServiceAccounts(t.Context(), acme, "acme", []Binding{{one, role}}, nil, false)
		if !errors.As(err, new(*fault.InvalidError)) {
			t.Errorf("the role %q: got %v", role, err)
		}
	}
}

// What another process stores is known at once; what can't be read is said, and is no
// account.
func TestRegister_LearnsWhatOthersStore(t *testing.T) {
	s, log := memory(t), &bytes.Buffer{}
	if _, err := s.Accounts.Create(t.Context(), "ajebroken", []byte("{")); err != nil {
		t.Fatal(err)
	}
	here, there := open(t, s, log, nil), open(t, s, &bytes.Buffer{}, nil)
	if !strings.Contains(log.String(), "account=ajebroken") {
		t.Errorf("the log has %q", log)
	}
	a := here.made(t, acme, "one")
	roomtest.Until(t, "the other knows the account", func() bool { return there.list(t, acme) != "" })
	if _, err := there.UpdateServiceAccount(t.Context(), acme, a.ID, func(s *Spec) { s.Description = "d" }); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "the change is known", func() bool { return here.list(t, acme) == "one d map[] [];" })
}

// operations ask for each operation, about an account of a tenant.
var operations = map[string]struct {
	role access.Role
	call func(t *testing.T, r *Register, p access.Principal, a Account) error
}{
	"CreateServiceAccount": {access.RoleDeployer, func(t *testing.T, r *Register, p access.Principal, a Account) error {
		if p.Tenant != a.Tenant && p.Role.Includes(access.RoleDeployer) { // there is no way to name another tenant's
			return &fault.NotFoundError{}
		}
		_, err := r.CreateServiceAccount(t.Context(), p, Spec{Name: "another"})
		return err
	}},
	"UpdateServiceAccount": {access.RoleDeployer, func(t *testing.T, r *Register, p access.Principal, a Account) error {
		_, err := r.UpdateServiceAccount(t.Context(), p, a.ID, func(*Spec) {})
		return err
	}},
	"DeleteServiceAccount": {access.RoleDeployer, func(t *testing.T, r *Register, p access.Principal, a Account) error {
		_, err := r.DeleteServiceAccount(t.Context(), p, a.ID)
		return err
	}},
	"ServiceAccounts": {access.RoleDeployer, func(_ *testing.T, r *Register, p access.Principal, a Account) error {
		all, err := r.ServiceAccounts(p)
		if err == nil && !slices.ContainsFunc(all, func(other Account) bool { return other.ID == a.ID }) {
			err = &fault.NotFoundError{}
		}
		return err
	}},
	"Bindings": {access.RoleDeployer, func(_ *testing.T, r *Register, p access.Principal, a Account) error {
		all, err := r.Bindings(p, a.Tenant)
		if err == nil && len(all) == 0 {
			err = &fault.NotFoundError{}
		}
		return err
	}},
	"BindServiceAccounts": {access.RoleAdmin, func(t *testing.T, r *Register, p access.Principal, a Account) error {
		_, err := r.BindServiceAccounts(t.Context(), p, a.Tenant, []Binding{{a.ID, "editor"}}, nil, false)
		return err
	}},
}

func TestRegister_EachOperationTakesItsRoleAndKeepsToTheTenant(t *testing.T) {
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Register](), operations, "Close", "Counts", "Check") {
		for _, role := range roomtest.Roles {
			r := open(t, memory(t), &bytes.Buffer{}, nil)
			ours, theirs := r.made(t, acme, "one"), r.made(t, umbrella, "one")
			for _, a := range []Account{ours, theirs} {
				if _, err := r.BindServiceAccounts(t.Context(), access.Operator, a.Tenant, []Binding{{a.ID, "viewer"}}, nil, false); err != nil {
					t.Fatal(err)
				}
			}
			before := r.list(t, umbrella)
			p := access.Principal{Tenant: "acme", Role: role}
			if err := o.call(t, r, p, theirs); fault.Of(err) != roomtest.Refused(o.role, role) {
				t.Errorf("%s by %q about another tenant's: got %v", name, role, err)
			}
			roomtest.CheckOwn(t, name, o.role, role, o.call(t, r, p, ours))
			if after := r.list(t, umbrella); after != before {
				t.Errorf("%s by %q: another tenant has %s, had %s", name, role, after, before)
			}
		}
	}
}
