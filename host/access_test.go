package host

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/run"
)

// property is a tenant, and what it has that operations are about.
type property struct{ tenant, function string }

// oneCall is what the ids of the tenants' calls have after those of their functions.
const oneCall = ".6613a53d0d80f4af19d"

// furnish gives a tenant a function that can be called, with a log.
func (h *testHost) furnish(tenant string) property {
	h.t.Helper()
	f := h.createFor(tenant, "fun")
	v := h.version(f.ID, answering("here"), catalog.VersionSpec{Async: &catalog.AsyncConfig{}})
	h.history.Keep(history.Made{
		Owner: f.LogOwner(), Event: []byte("1"),
		Call: history.Call{ID: f.ID + oneCall, VersionID: v.ID, Kind: history.Raw, Received: time.Now()},
	})
	h.book.Add(f.LogOwner(), logs.Entry{Time: time.Now(), FunctionID: f.ID, Message: "an entry"})
	return property{tenant, f.ID}
}

// unlisted is how a list fails that lacks what it is asked about.
var unlisted = &fault.NotFoundError{Thing: "list"}

// listed returns unlisted unless something is in a list that could be made.
func listed(err error, in bool) error {
	if err == nil && !in {
		return unlisted
	}
	return err
}

// operation is how a test asks for an operation, and which role it takes.
type operation struct {
	role access.Role
	call func(h *testHost, p access.Principal, about property) error
}

// operations are all of the host's own, by method.
var operations = map[string]operation{
	"Resolve": {access.RoleInvoker, func(h *testHost, p access.Principal, about property) error {
		_, err := h.Resolve(p, about.function, "")
		return err
	}},
	"Invoke": {access.RoleInvoker, func(h *testHost, p access.Principal, about property) error {
		_, err := h.Invoke(h.t.Context(), p, run.Invocation{
			Function: about.function, RequestID: uuid.NewString(), Received: time.Now(), Raw: true, Body: []byte("1")})
		return err
	}},
	"InvokeAsync": {access.RoleInvoker, func(h *testHost, p access.Principal, about property) error {
		_, err := h.InvokeAsync(h.t.Context(), p, run.Invocation{Function: about.function, Body: []byte("1")})
		return err
	}},
	"ReadLogs": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		return h.ReadLogs(h.t.Context(), p, about.function, logs.Query{}, func(entries []logs.Entry, _ bool) error {
			return listed(nil, len(entries) > 0)
		})
	}},
	"FollowLogs": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		enough := errors.New("enough")
		err := h.FollowLogs(h.t.Context(), p, about.function, logs.Query{}, func(logs.Entry) error { return enough })
		if err == enough {
			return nil
		}
		return err
	}},
	"FunctionFigures": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		_, err := h.FunctionFigures(p, about.function, 1)
		return err
	}},
	"Figures": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		functions, _ := h.catalog.Functions(access.Operator) // who may see all
		all, err := h.Figures(p, functions, 1)
		return listed(err, slices.ContainsFunc(all, func(f run.FunctionFigures) bool { return f.FunctionID == about.function }))
	}},
}

// tenantOperations are those of its tenants.
var tenantOperations = map[string]operation{
	"Quotas": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		q, err := h.Tenants().Quotas(h.t.Context(), p, about.tenant)
		return listed(err, q.Tenant == about.tenant)
	}},
	"All": {access.RoleOperator, func(h *testHost, p access.Principal, about property) error {
		all, err := h.Tenants().All(p)
		return listed(err, slices.ContainsFunc(all, func(q TenantQuotas) bool { return q.Tenant == about.tenant }))
	}},
	"SetQuotas": {access.RoleOperator, func(h *testHost, p access.Principal, about property) error {
		return h.Tenants().SetQuotas(h.t.Context(), p, about.tenant, map[quota.Quota]int64{quota.Timers: 7})
	}},
	"SetCeiling": {access.RoleOperator, func(h *testHost, p access.Principal, about property) error {
		return h.Tenants().SetCeiling(h.t.Context(), p, about.tenant, "example.org")
	}},
}

// callOperations are those of its calls.
var callOperations = map[string]operation{
	"List": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		calls, err := h.Calls().List(h.t.Context(), p, about.function, history.Query{})
		return listed(err, len(calls) > 0)
	}},
	"Get": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		_, err := h.Calls().Get(h.t.Context(), p, about.function+oneCall)
		return err
	}},
	"Replay": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		_, err := h.Calls().Replay(h.t.Context(), p, about.function+oneCall, Replay{})
		return err
	}},
}

// aboutSession makes an operation of one that is about a session: a new one each time.
func aboutSession(call func(s *Sessions, ctx context.Context, p access.Principal, id string) error) operation {
	return operation{access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		id := run.SessionPrefix + "0000000000000000"
		if all := h.Runner().Sessions(); about.tenant != "nobody" {
			info, err := all.Create(h.t.Context(), about.tenant, run.SessionSpec{})
			if err != nil {
				h.t.Fatal(err)
			}
			id = info.ID
			defer func() { _ = all.End(about.tenant, id) }() // the operation may have ended it
		}
		err := call(h.Sessions(), h.t.Context(), p, id)
		if e, ok := errors.AsType[*fault.NotFoundError](err); ok {
			return &fault.NotFoundError{Thing: e.Thing, Name: strings.ReplaceAll(e.Name, id, "ID")}
		}
		return err
	}}
}

// sessionOperations are those of its sessions.
var sessionOperations = map[string]operation{
	"Create": {access.RoleDeployer, func(h *testHost, p access.Principal, about property) error {
		s, err := h.Sessions().Create(h.t.Context(), p.In(about.tenant), run.SessionSpec{})
		if err == nil {
			err = h.Runner().Sessions().End(about.tenant, s.ID)
		}
		return err
	}},
	"List": aboutSession(func(s *Sessions, _ context.Context, p access.Principal, id string) error {
		all, err := s.List(p)
		return listed(err, slices.ContainsFunc(all, func(i run.SessionInfo) bool { return i.ID == id }))
	}),
	"Get": aboutSession(func(s *Sessions, _ context.Context, p access.Principal, id string) error {
		_, err := s.Get(p, id)
		return err
	}),
	"Run": aboutSession(func(s *Sessions, ctx context.Context, p access.Principal, id string) error {
		r, err := s.Run(ctx, p, id, run.Snippet{Code: "1"})
		if err == nil {
			r.Release()
		}
		return err
	}),
	"Fork": aboutSession(func(s *Sessions, ctx context.Context, p access.Principal, id string) error {
		fork, err := s.Fork(ctx, p, id)
		if err == nil {
			err = s.End(p, fork.ID)
		}
		return err
	}),
	"Interrupt": aboutSession(func(s *Sessions, _ context.Context, p access.Principal, id string) error { return s.Interrupt(p, id) }),
	"End":       aboutSession(func(s *Sessions, _ context.Context, p access.Principal, id string) error { return s.End(p, id) }),
	"WriteFile": aboutSession(func(s *Sessions, ctx context.Context, p access.Principal, id string) error {
		return s.WriteFile(ctx, p, id, "f", nil)
	}),
	"ReadFile": aboutSession(func(s *Sessions, ctx context.Context, p access.Principal, id string) error {
		_, give, err := s.ReadFile(ctx, p, id, "/usr/lib/python3.13/os.py")
		if err == nil {
			give()
		}
		return err
	}),
}

// The methods that are no operations lead to the rooms, or are for the program alone.
// Of what is another tenant's, a caller is told the same as of what does not exist.
func TestHost_EachOperationTakesItsRoleAndKeepsToTheTenant(t *testing.T) {
	h := newTestHost(t, Config{})
	ours, theirs := h.furnish("acme"), h.furnish("umbrella")
	none := property{"nobody", catalog.NewID(catalog.FunctionPrefix)}
	limits := func() (text string) { // what only the operator changes
		for _, q := range h.allTenants() {
			text += fmt.Sprintln(q.Tenant, q.Limits, q.Ceiling)
		}
		return text
	}
	test := func(name string, o operation) {
		before := limits()
		for _, role := range roomtest.Roles {
			p := access.Principal{KeyID: "aje", Tenant: "acme", Role: role}
			said := map[string]bool{}
			for _, about := range []property{theirs, none, {"umbrella", "umbrella/fun"}} {
				err := o.call(h, p, about)
				if err == nil || fault.Of(err) != roomtest.Refused(o.role, role) {
					t.Errorf("%s by %q about what is not acme's: got %v", name, role, err)
					continue
				}
				said[strings.NewReplacer(about.function, "ID", about.tenant, "TENANT").Replace(err.Error())] = true
			}
			if len(said) > 1 {
				t.Errorf("%s by %q tells what is another's from what is nobody's: %v", name, role, said)
			}
			roomtest.CheckOwn(t, name, o.role, role, o.call(h, p, ours))
		}
		if after := limits(); after != before {
			t.Errorf("%s has changed\n%s\nto\n%s", name, before, after)
		}
		// Who acts for nobody, though in the highest role, and who acts for all.
		if err := o.call(h, access.Operator.In("acme").In("umbrella"), ours); err == nil {
			t.Errorf("%s works for who acts for nobody", name)
		}
		for _, about := range []property{ours, theirs} {
			if err := o.call(h, access.Operator, about); err != nil {
				t.Errorf("%s by the operator: got %v", name, err)
			}
		}
	}
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Host](), operations,
		"Catalog", "Runner", "Events", "Keys", "Secrets", "Accounts", "Tokens", "Ledger", "Tenants", "Calls", "Sessions", "Ready", "Stats", "Node", "Operations", "Close") {
		test(name, o)
	}
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Tenants](), tenantOperations) {
		test(name, o)
	}
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Calls](), callOperations) {
		test(name, o)
	}
	for name, o := range roomtest.Operations(t, reflect.TypeFor[*Sessions](), sessionOperations) {
		test(name, o)
	}
}
