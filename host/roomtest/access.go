package roomtest

import (
	"iter"
	"reflect"
	"slices"
	"testing"

	"vivarium/host/access"
	"vivarium/host/fault"
)

// Roles are those of callers. Empty is that of a caller without a key.
var Roles = append([]access.Role{""}, access.Roles...)

// Operations yields those methods of a type that callers ask for, with what the test
// knows of each. It fails the test for a method that is neither in operations nor
// apart, and for an operation that is not a method.
func Operations[O any](t *testing.T, of reflect.Type, operations map[string]O, apart ...string) iter.Seq2[string, O] {
	t.Helper()
	var found []string
	for method := range of.Methods() {
		_, ok := operations[method.Name]
		if ok == slices.Contains(apart, method.Name) {
			t.Errorf("%s.%s: say in operations what it takes, or that it is no operation", of, method.Name)
		}
		if ok {
			found = append(found, method.Name)
		}
	}
	if len(found) < len(operations) {
		t.Errorf("%s has only %v of the operations", of, found)
	}
	return func(yield func(string, O) bool) {
		for _, name := range found {
			if !yield(name, operations[name]) {
				return
			}
		}
	}
}

// Refused returns the kind of the error about what a caller in a role may not reach;
// needs is the role that the operation takes. It is fault.NotFound if the caller may
// use the operation: what is another tenant's is not told from what does not exist.
func Refused(needs, role access.Role) fault.Kind {
	switch {
	case role == "":
		return fault.Unauthenticated
	case !role.Includes(needs):
		return fault.Forbidden
	}
	return fault.NotFound
}

// CheckOwn fails the test unless a caller in a role may use an operation for its own
// tenant exactly if the role includes the one that the operation needs. The error is
// that of the call.
func CheckOwn(t *testing.T, operation string, needs, role access.Role, err error) {
	t.Helper()
	if refused := Refused(needs, role); refused == fault.NotFound && err != nil ||
		refused != fault.NotFound && (err == nil || fault.Of(err) != refused) {
		t.Errorf("%s by %q for its own tenant: got %v", operation, role, err)
	}
}
