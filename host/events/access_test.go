package events

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
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
	"UpdateTimer": {access.RoleDeployer, func(e *testEvents, p access.Principal, about belongings) error {
		_, err := e.UpdateTimer(e.t.Context(), p, about.timer, TimerUpdate{Labels: map[string]string{"a": "b"}})
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

// The methods that are no operations are for the program alone.
func TestEvents_EachOperationTakesItsRoleAndKeepsToTheTenant(t *testing.T) {
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Events](), operations, "Start", "Close", "Drop", "Queued", "TimerCounts") {
		for _, role := range roomtest.Roles {
			e := inMemory(t)
			theirs, ours := e.furnish("umbrella"), e.furnish("acme")
			p := access.Principal{Tenant: "acme", Role: role}
			if err := o.call(e, p, theirs); fault.Of(err) != roomtest.Refused(o.role, role) {
				t.Errorf("%s by %q about another tenant's: got %v", name, role, err)
			}
			roomtest.CheckOwn(t, name, o.role, role, o.call(e, p, ours))
			if n := len(e.clock.all()); role == "" && n != 2 {
				t.Errorf("%s without a key: %d timers are left, want 2", name, n)
			}
			e.Close()
		}
	}
}
