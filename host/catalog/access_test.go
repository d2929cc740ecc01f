package catalog

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

// target is what an operation is asked about: all of one tenant's.
type target struct{ tenant, function, version string }

// operation is how a test asks for an operation, and which role it takes.
type operation struct {
	role access.Role
	// call asks about the target, or for a list of all that p reaches: then
	// it fails with a *fault.NotFoundError when the target is not listed.
	call func(c *testCatalog, p access.Principal, about target) error
}

var unlisted = &fault.NotFoundError{Thing: "list"}

// operations are all operations of a catalog, by method.
var operations = map[string]operation{
	"CreateFunction": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.CreateFunction(c.t.Context(), p, FunctionSpec{Tenant: about.tenant})
		return err
	}},
	"UpdateFunction": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		text := "changed"
		_, err := c.UpdateFunction(c.t.Context(), p, about.function, FunctionUpdate{Description: &text})
		return err
	}},
	"SetPublic": {role: access.RoleAdmin, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.SetPublic(c.t.Context(), p, about.function, false, "")
		return err
	}},
	"DeleteFunction": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		return c.DeleteFunction(c.t.Context(), p, about.function)
	}},
	"Function": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.Function(p, about.function)
		return err
	}},
	"Functions": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		all, err := c.Functions(p)
		for _, f := range all {
			if f.ID == about.function {
				return err
			}
		}
		return errors.Join(err, unlisted)
	}},
	"TagHistory": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.TagHistory(p, about.function)
		return err
	}},
	"Resolve": {role: access.RoleInvoker, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.Resolve(p, about.function, "")
		return err
	}},
	"CreateVersion": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.CreateVersion(c.t.Context(), p, about.function, VersionSpec{Entrypoint: "a.b"}, []byte("new"), nil)
		return err
	}},
	"CopyVersion": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.CopyVersion(c.t.Context(), p, about.function, VersionSpec{Entrypoint: "a.b"}, about.version, nil)
		return err
	}},
	"Archive": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.Archive(c.t.Context(), p, about.version)
		return err
	}},
	"Version": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.Version(p, about.version)
		return err
	}},
	"VersionByTag": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.VersionByTag(p, about.function, "")
		return err
	}},
	"Versions": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		if _, err := c.Versions(p, about.function); err != nil {
			return err
		}
		all, err := c.Versions(p, "")
		for _, v := range all {
			if v.ID == about.version {
				return err
			}
		}
		return errors.Join(err, unlisted)
	}},
	"DeleteVersion": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		return c.DeleteVersion(c.t.Context(), p, about.version, true)
	}},
	"SetTag": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.SetTag(c.t.Context(), p, about.version, "stable")
		return err
	}},
	"RemoveTag": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.RemoveTag(c.t.Context(), p, about.version, "prod")
		return err
	}},
	"SetScalingPolicy": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		return c.SetScalingPolicy(c.t.Context(), p, about.function, ScalingPolicy{Tag: "prod"})
	}},
	"RemoveScalingPolicy": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		return c.RemoveScalingPolicy(c.t.Context(), p, about.function, LatestTag)
	}},
	"ScalingPolicies": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		_, err := c.ScalingPolicies(p, about.function)
		return err
	}},
	"DeployTransient": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		v, err := c.DeployTransient(p, "transient", VersionSpec{Entrypoint: "a.b"}, nil)
		if err == nil && v.Tenant != about.tenant { // it names none but the caller's
			return unlisted
		}
		return err
	}},
	"Retire": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		return c.Retire(c.t.Context(), p, about.function)
	}},
	"Use": {role: access.RoleDeployer, call: func(c *testCatalog, p access.Principal, about target) error {
		use, err := c.Use(p)
		if _, ok := use[about.tenant]; err == nil && !ok {
			return unlisted
		}
		return err
	}},
}

// Of what is another tenant's, a caller is told the same as of what does not exist.
func TestCatalog_EachOperationTakesItsRoleAndKeepsToTheTenant(t *testing.T) {
	for method, o := range roomtest.Operations(t, reflect.TypeFor[*Catalog](), operations, "Load", "Close") {
		t.Run(method, func(t *testing.T) {
			for _, role := range roomtest.Roles {
				refused := roomtest.Refused(o.role, role)
				c := open(t, memory(t))
				ours, theirs := c.tenant("acme"), c.tenant("umbrella")
				before := c.everything()
				p := access.Principal{KeyID: "aje", Tenant: "acme", Role: role}
				none := target{"nobody", NewID(FunctionPrefix), NewID(VersionPrefix)}
				for _, about := range []target{theirs, none, {"umbrella", "umbrella/fun", theirs.version}} {
					if err := o.call(c, p, about); fault.Of(err) != refused {
						t.Errorf("%q asks about what is not acme's: got %v", role, err)
					}
				}
				if o.role != "" && fault.Of(o.call(c, p, theirs)) == fault.NotFound {
					// The very same words, but for the names that the caller gave.
					a, b := o.call(c, p, theirs).Error(), o.call(c, p, none).Error()
					for _, r := range []target{theirs, none} {
						replace := strings.NewReplacer(r.function, "ID", r.version, "ID", r.tenant, "TENANT")
						a, b = replace.Replace(a), replace.Replace(b)
					}
					if a != b {
						t.Errorf("%q is told %q of what is another's, and %q of what is nobody's", role, a, b)
					}
				}
				if method != "DeployTransient" { // which makes something of the caller's own
					if after := c.everything(); after != before {
						t.Errorf("%q has changed something:\n%s\n%s", role, before, after)
					}
				}
				roomtest.CheckOwn(t, method, o.role, role, o.call(c, p, ours))
			}
			// Who acts for nobody, though in the highest role, and who acts for all.
			c := open(t, memory(t))
			ours := c.tenant("acme")
			nobody := access.Operator.In("acme").In("umbrella")
			if err := o.call(c, nobody, ours); fault.Of(err) != fault.NotFound && err == nil {
				t.Errorf("who acts for nobody: got %v", err)
			}
			all := access.Operator
			if method == "DeployTransient" {
				all = all.In("acme")
			}
			if err := o.call(c, all, ours); err != nil {
				t.Errorf("the operator: got %v", err)
			}
		})
	}
}

// tenant makes something of everything for a tenant.
func (c *testCatalog) tenant(tenant string) target {
	c.t.Helper()
	f := c.create(tenant, "fun")
	v := c.version(f.ID, "code", "prod")
	if err := c.SetScalingPolicy(c.t.Context(), access.Operator, f.ID, ScalingPolicy{Tag: LatestTag, ZoneInstancesLimit: 3}); err != nil {
		c.t.Fatal(err)
	}
	return target{tenant, f.ID, v.ID}
}

// everything tells of all that the store has.
func (c *testCatalog) everything() string {
	c.t.Helper()
	var text strings.Builder
	for _, b := range []store.Bucket{c.store.Functions, c.store.Versions, c.store.Names} {
		all, err := b.All(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range all {
			text.WriteString(e.Key + "=" + string(e.Value) + "\n")
		}
	}
	return text.String()
}

func TestResolve_WhoMayCall(t *testing.T) {
	c := open(t, memory(t))
	ours, theirs := c.create("", "fun"), c.create("acme", "fun")
	published, theirOpen := c.create("", "open"), c.create("acme", "theirs")
	for _, f := range []FunctionInfo{ours, theirs, published, theirOpen} {
		c.version(f.ID, f.ID)
	}
	for _, f := range []FunctionInfo{published, theirOpen} {
		if f, err := c.SetPublic(t.Context(), access.Operator, f.ID, true, ""); err != nil || !f.Public {
			t.Fatalf("got %+v, %v", f, err)
		}
	}
	nobody := access.Principal{}
	for _, call := range []struct {
		p    access.Principal
		name string
		want string // an id; empty for none
	}{
		{access.Operator, "fun", ours.ID}, {access.Operator, theirs.ID, theirs.ID},
		{member("acme"), "fun", theirs.ID}, {member("acme"), ours.ID, ""}, {member("acme"), published.ID, published.ID},
		{member("acme"), "open", ""}, {member("default"), "open", published.ID}, {member("default"), "theirs", ""},
		{nobody, "open", published.ID}, {nobody, published.ID, published.ID}, {nobody, theirOpen.ID, theirOpen.ID},
		{nobody, "theirs", ""}, {nobody, "fun", ""}, {nobody, ours.ID, ""}, {nobody, "nobodys", ""}, {nobody, "", ""},
	} {
		v, err := c.Resolve(call.p, call.name, "")
		refused := fault.NotFound
		if call.p.Anonymous() {
			refused = fault.Unauthenticated
		}
		switch {
		case call.want == "" && fault.Of(err) != refused:
			t.Errorf("%s for %q: got %v, %v", call.name, call.p.Tenant, v, err)
		case call.want != "" && (err != nil || v.FunctionID != call.want):
			t.Errorf("%s for %q: got %v, %v, want one of %s", call.name, call.p.Tenant, v, err, call.want)
		}
	}
	if _, err := c.SetPublic(t.Context(), access.Operator, published.ID, false, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resolve(nobody, "open", ""); !errors.Is(err, fault.ErrUnauthenticated) {
		t.Errorf("no longer public: %v", err)
	}
}

// BenchmarkFunction shows that a function of another tenant takes as long not to be
// found as one that there is not.
func BenchmarkFunction(b *testing.B) {
	c := open(b, memory(b))
	theirs := c.create("acme", "fun")
	for range 999 {
		c.create("umbrella", "")
	}
	for name, id := range map[string]string{"another tenant's": theirs.ID, "nobody's": NewID(FunctionPrefix)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Function(member("default"), id); err == nil {
					b.Fatal("found")
				}
			}
		})
	}
}
