package host

import (
	"slices"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// createFor makes a function of a tenant.
func (h *testHost) createFor(tenant, name string) catalog.FunctionInfo {
	h.t.Helper()
	f, err := h.Catalog().CreateFunction(h.t.Context(), access.Operator, catalog.FunctionSpec{Tenant: tenant, Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

func member(tenant string) access.Principal {
	return access.Principal{KeyID: "aje-" + tenant, Tenant: tenant, Role: access.RoleDeployer}
}

func TestTenants_TimersAreTheirOwn(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		ours, theirs := h.create("fun"), h.createFor("acme", "fun")
		a, err := h.events.CreateTimer(ctx, access.Operator, events.TimerSpec{Name: "beat", Function: ours.ID, Cron: "@yearly"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := h.events.CreateTimer(ctx, access.Operator, events.TimerSpec{Name: "beat", Function: theirs.ID, Cron: "@yearly"})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			p    access.Principal
			name string
			want string
		}{
			{access.Operator, "beat", a.ID}, {access.Operator, "acme/beat", b.ID}, {access.Operator, b.ID, b.ID}, {member("acme"), "beat", b.ID},
			{member("acme"), a.ID, ""}, {member("default"), "beat", a.ID}, {member("default"), "acme/beat", ""},
			{member("umbrella"), "beat", ""}, {access.Principal{}, "beat", ""}, {access.Principal{}, a.ID, ""},
		} {
			timer, err := h.events.Timer(c.p, c.name)
			if timer.ID != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%s for %q: got %s, %v, want %s", c.name, c.p.Tenant, timer.ID, err, c.want)
			}
		}
		if timers, err := h.events.Timers(member("acme"), ""); err != nil || len(timers) != 1 || timers[0].ID != b.ID {
			t.Errorf("got %+v, %v", timers, err)
		}
		if timers, err := h.events.Timers(member(""), ""); err != nil || len(timers) != 0 {
			t.Errorf("nobody's: %+v, %v", timers, err)
		}
		if err := h.Catalog().DeleteFunction(ctx, access.Operator, theirs.ID); err != nil {
			t.Fatal(err)
		}
		if timers, _ := h.events.Timers(access.Operator, ""); len(timers) != 1 || timers[0].ID != a.ID {
			t.Errorf("left are %+v", timers)
		}
	})
}

func TestTenants_OutcomesAndDeadLettersStayWithin(t *testing.T) {
	h := storedHost(t)
	ours, theirs := h.create("target"), h.createFor("acme", "target")
	h.version(ours.ID, "def handler(event, context): print('ours', event)\n", catalog.VersionSpec{})
	h.version(theirs.ID, "def handler(event, context): print('theirs', event)\n", catalog.VersionSpec{})
	fun := h.createFor("acme", "fun")
	h.version(fun.ID, answering("named"), catalog.VersionSpec{Async: &catalog.AsyncConfig{Success: "target"}})
	h.async(fun.ID, "1")
	h.emptied()
	_, err := h.Catalog().CreateVersion(t.Context(), access.Operator, fun.ID,
		catalog.VersionSpec{Entrypoint: "main.handler", Async: &catalog.AsyncConfig{Success: ours.ID}}, archiveOf(t, ""), nil)
	wantError[*fault.NotFoundError](t, err, ours.ID)
	lost := h.createFor("acme", "lost")
	h.version(fun.ID, answering("stolen"), catalog.VersionSpec{Async: &catalog.AsyncConfig{Success: "lost"}})
	if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, lost.ID); err != nil {
		t.Fatal(err)
	}
	h.async(fun.ID, "2")
	h.emptied()
	if len(h.log("theirs named")) != 1 || len(h.log("ours")) != 0 {
		t.Errorf("the log has %q, %q", h.log("theirs"), h.log("ours"))
	}
	letters, _, err := h.events.DeadLetters(t.Context(), member("acme"), "", 0, "")
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters: %+v, %v", letters, err)
	}
	if others, _, err := h.events.DeadLetters(t.Context(), member(access.DefaultTenant), "", 0, ""); err != nil || len(others) != 0 {
		t.Errorf("the other tenant's: %+v, %v", others, err)
	}
	for _, tenant := range []string{access.DefaultTenant, ""} {
		_, err := h.events.ReplayDeadLetter(t.Context(), member(tenant), letters[0].ID)
		wantError[*fault.NotFoundError](t, err, "dead letter "+letters[0].ID)
	}
	if _, err := h.events.ReplayDeadLetter(t.Context(), member("acme"), letters[0].ID); err != nil {
		t.Error(err)
	}
}

// Ceilings survive the host, another host learns of changes, and one that can't be read
// allows nothing.
func TestTenants_CeilingsAreKeptInTheStore(t *testing.T) {
	s := keptStore(t)
	h := newTestHost(t, Config{Store: s})
	set := func(ceiling string) {
		if err := h.Tenants().SetCeiling(t.Context(), access.Operator, "acme", ceiling); err != nil {
			t.Fatal(err)
		}
	}
	set("example.org")
	if err := h.Tenants().SetQuotas(t.Context(), access.Operator, "acme", map[quota.Quota]int64{quota.Functions: 1}); err != nil {
		t.Fatal(err) // is another record
	}
	other := newTestHost(t, Config{Store: s})
	of := func() string {
		q, err := other.Tenants().Quotas(t.Context(), member("acme"), "")
		if err != nil || q.Limits[quota.Functions] != 1 {
			t.Fatalf("got %+v, %v", q, err)
		}
		return q.Ceiling.String()
	}
	if of() != "example.org" {
		t.Errorf("the ceiling is %q", of())
	}
	set("")
	roomtest.Until(t, "nothing is allowed", func() bool { return of() == "" })
	set("*")
	roomtest.Until(t, "there is no ceiling", func() bool { return of() == "*" })
	set("example.org")
	roomtest.Until(t, "the ceiling is another", func() bool { return of() == "example.org" })
	for _, damaged := range []string{`"a b"`, `{"some": "thing"}`} {
		if err := s.Quotas.Put(t.Context(), ceilingKey+"acme", []byte(damaged)); err != nil {
			t.Fatal(err)
		}
		roomtest.Until(t, "a damaged ceiling allows nothing", func() bool { return of() == "" })
		set("*")
		roomtest.Until(t, "there is no ceiling again", func() bool { return of() == "*" })
	}
}

// A tenant that has nothing but a ceiling is among all; the playground, whose ceiling is
// a setting of the server, is not.
func TestTenants_AllHasThoseWithACeiling(t *testing.T) {
	h := newTestHost(t, Config{})
	named := func() (names []string) {
		for _, of := range h.allTenants() {
			names = append(names, of.Tenant+" "+of.Ceiling.String())
		}
		return names
	}
	for ceiling, want := range map[string][]string{"example.org": {"acme example.org"}, "": {"acme "}, "*": nil} {
		if err := h.Tenants().SetCeiling(t.Context(), access.Operator, "acme", ceiling); err != nil {
			t.Fatal(err)
		}
		if got := named(); !slices.Equal(got, want) {
			t.Errorf("with the ceiling %q: %q, want %q", ceiling, got, want)
		}
	}
}
