package keys

import (
	"reflect"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

// The methods that are no operations are for the program alone.
func TestRing_EachOperationTakesItsRoleAndKeepsToTheTenant(t *testing.T) {
	ring := newKeys(t, store.Memory(store.Config{}))
	mustCreate(t, ring, access.AllTenants, access.RoleAdmin)
	theirs, _ := mustCreate(t, ring, "umbrella", access.RoleInvoker)
	operations := map[string]struct {
		role    access.Role
		foreign fault.Kind // of the error about another tenant's key
		call    func(p access.Principal, tenant, id string) error
	}{
		"Create": {access.RoleAdmin, fault.Forbidden, func(p access.Principal, tenant, _ string) error {
			_, _, err := ring.Create(t.Context(), p, Spec{Tenant: tenant, Role: access.RoleInvoker})
			return err
		}},
		"List": {access.RoleAdmin, fault.NotFound, func(p access.Principal, tenant, _ string) error {
			keys, err := ring.List(p)
			for _, k := range keys {
				if k.Tenant == tenant {
					return err
				}
			}
			if err == nil {
				err = &fault.NotFoundError{Thing: "key"}
			}
			return err
		}},
		"Issue": {access.RoleAdmin, fault.NotFound, func(p access.Principal, _, id string) error {
			_, err := ring.Issue(p, id)
			return err
		}},
		"Delete": {access.RoleAdmin, fault.NotFound, func(p access.Principal, _, id string) error {
			return ring.Delete(t.Context(), p, id)
		}},
	}
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Ring](), operations, "Authenticate", "Assert", "Exist", "Damage", "Revoked", "Close") {
		for _, role := range roomtest.Roles {
			ours, _ := mustCreate(t, ring, "acme", access.RoleInvoker)
			p := access.Principal{Tenant: "acme", Role: role}
			roomtest.CheckOwn(t, name, o.role, role, o.call(p, "acme", ours.ID))
			refused := roomtest.Refused(o.role, role)
			if refused == fault.NotFound {
				refused = o.foreign
			}
			if err := o.call(p, "umbrella", theirs.ID); fault.Of(err) != refused {
				t.Errorf("%s by %q about another tenant's: got %v", name, role, err)
			}
		}
	}
}
