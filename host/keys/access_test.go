package keys

import (
	"reflect"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// Every method of a ring is either an operation, which takes its role and keeps to the
// caller's tenant, or listed as one that nobody asks for from outside.
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
		"Delete": {access.RoleAdmin, fault.NotFound, func(p access.Principal, _, id string) error {
			return ring.Delete(t.Context(), p, id)
		}},
	}
	apart := map[string]bool{"Authenticate": true, "Exist": true, "Damage": true, "Revoked": true, "Close": true}
	for method := range reflect.TypeFor[*Ring]().Methods() {
		o, ok := operations[method.Name]
		if ok == apart[method.Name] {
			t.Errorf("%s: say what it refuses, or that it is no operation", method.Name)
		}
		if !ok {
			continue
		}
		for _, role := range append([]access.Role{""}, access.Roles...) {
			ours, _ := mustCreate(t, ring, "acme", access.RoleInvoker)
			p := access.Principal{Tenant: "acme", Role: role}
			err := o.call(p, "acme", ours.ID)
			foreign := o.call(p, "umbrella", theirs.ID)
			switch {
			case role == "":
				if fault.Of(err) != fault.Unauthenticated || fault.Of(foreign) != fault.Unauthenticated {
					t.Errorf("%s by nobody: got %v and %v", method.Name, err, foreign)
				}
			case !role.Includes(o.role):
				if fault.Of(err) != fault.Forbidden || fault.Of(foreign) != fault.Forbidden {
					t.Errorf("%s by %s: got %v and %v", method.Name, role, err, foreign)
				}
			default:
				if err != nil || fault.Of(foreign) != o.foreign {
					t.Errorf("%s by %s: got %v; of another tenant's %v", method.Name, role, err, foreign)
				}
			}
		}
	}
}
