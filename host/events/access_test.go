package events

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/run"
	"vivarium/host/store"
)

// belongings are what a tenant has that operations are about.
type belongings struct{ tenant, function, timer, letter string }

// furnish gives a tenant one of each.
func (e *testEvents) furnish(tenant string) belongings {
	e.t.Helper()
	f := e.function(tenant+"/fun", catalog.AsyncConfig{}, nil)
	timer, err := e.CreateTimer(e.t.Context(), access.Operator, TimerSpec{Name: "tick", Function: f.ID, Cron: "@yearly"})
	if err != nil {
		e.t.Fatal(err)
	}
	if err := e.letters.bury(e.t.Context(), store.Item{FunctionID: f.ID, Notes: map[string]string{}}); err != nil {
		e.t.Fatal(err)
	}
	return belongings{tenant, f.ID, timer.ID, e.deadLetters(access.Operator.In(tenant))[0].ID}
}

// consistent returns the error of a list of one function's things, unless the list of
// all things tells another story.
func consistent(err error, listed bool) error {
	if listed != (err == nil) {
		return fmt.Errorf("the list of one function: %v; in the list of all: %v", err, listed)
	}
	return err
}

// operations ask for each operation, about what a tenant has.
var operations = map[string]struct {
	role access.Role
	call func(e *testEvents, p access.Principal, about belongings) error
}{
	"Invoke": {access.RoleInvoker, func(e *testEvents, p access.Principal, about belongings) error {
		_, err := e.Events.Invoke(e.t.Context(), p, run.Invocation{Function: about.function})
		return err
	}},
	"CreateTimer": {access.RoleDeployer, func(e *testEvents, p access.Principal, about belongings) error {
		_, err := e.CreateTimer(e.t.Context(), p, TimerSpec{Name: "other", Function: about.function, Cron: "@yearly"})
		return err
	}},
	"Timer": {access.RoleDeployer, func(e *testEvents, p access.Principal, about belongings) error {
		_, err := e.Timer(p, about.timer)
		return err
	}},
	"Timers": {access.RoleDeployer, func(e *testEvents, p access.Principal, about belongings) error {
		_, err := e.Timers(p, about.function)
		all, _ := e.Timers(p, "")
		return consistent(err, slices.ContainsFunc(all, func(t Timer) bool { return t.ID == about.timer }))
	}},
	"DeleteTimer": {access.RoleDeployer, func(e *testEvents, p access.Principal, about belongings) error {
		_, err := e.DeleteTimer(e.t.Context(), p, about.timer)
		return err
	}},
	"DeadLetters": {access.RoleDeployer, func(e *testEvents, p access.Principal, about belongings) error {
		_, _, err := e.DeadLetters(e.t.Context(), p, about.function, 0, "")
		all, _, _ := e.DeadLetters(e.t.Context(), p, "", 0, "")
		return consistent(err, slices.ContainsFunc(all, func(l DeadLetter) bool { return l.ID == about.letter }))
	}},
	"ReplayDeadLetter": {access.RoleDeployer, func(e *testEvents, p access.Principal, about belongings) error {
		_, err := e.ReplayDeadLetter(e.t.Context(), p, about.letter)
		return err
	}},
}

// apart are the methods that no caller from outside asks for.
var apart = map[string]bool{"Start": true, "Close": true, "Drop": true, "Queued": true, "TimerCounts": true}

// Every method is an operation with a case above, or apart. Each operation is refused
// below its role, works within the tenant, and knows what is another tenant's no better
// than what does not exist.
func TestEvents_EachOperationTakesItsRoleAndKeepsToTheTenant(t *testing.T) {
	for method := range reflect.TypeFor[*Events]().Methods() {
		o, ok := operations[method.Name]
		if ok == apart[method.Name] {
			t.Errorf("%s: say in operations what it takes, or that it is no operation", method.Name)
		}
		if !ok {
			continue
		}
		for _, role := range append([]access.Role{""}, access.Roles...) {
			e := inMemory(t)
			theirs, ours := e.furnish("umbrella"), e.furnish("acme")
			p := access.Principal{Tenant: "acme", Role: role}
			foreign, err := o.call(e, p, theirs), o.call(e, p, ours)
			switch {
			case role == "":
				if fault.Of(err) != fault.Unauthenticated || fault.Of(foreign) != fault.Unauthenticated {
					t.Errorf("%s without a key: got %v and %v", method.Name, err, foreign)
				}
			case !role.Includes(o.role):
				if fault.Of(err) != fault.Forbidden || fault.Of(foreign) != fault.Forbidden {
					t.Errorf("%s by %s: got %v and %v", method.Name, role, err, foreign)
				}
			case err != nil || fault.Of(foreign) != fault.NotFound:
				t.Errorf("%s by %s: got %v; of another tenant's %v", method.Name, role, err, foreign)
			}
			if n := len(e.clock.all()); role == "" && n != 2 {
				t.Errorf("%s without a key: %d timers are left, want 2", method.Name, n)
			}
			e.Close()
		}
	}
}
