package host

import (
	"errors"
	"path/filepath"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// createFor makes a function of a tenant.
func (h *testHost) createFor(tenant, name string) catalog.FunctionInfo {
	h.t.Helper()
	f, err := h.CreateFunction(h.t.Context(), catalog.FunctionSpec{Tenant: tenant, Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

func member(tenant string) access.Principal {
	return access.Principal{KeyID: "aje-" + tenant, Tenant: tenant, Role: access.RoleDeployer}
}

func TestTenants_NamesAreTheirOwn(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		ours, theirs, free := h.create("same"), h.createFor("acme", "same"), h.createFor("umbrella", "other")
		_, err := h.CreateFunction(ctx, catalog.FunctionSpec{Tenant: "acme", Name: "same"})
		wantError[*fault.ConflictError](t, err, "function same exists already")
		h.version(ours.ID, answering("ours"), catalog.VersionSpec{})
		h.version(theirs.ID, answering("theirs"), catalog.VersionSpec{})
		h.want("same", "", `"ours"`)
		h.want("default/same", "", `"ours"`)
		h.want("acme/same", "", `"theirs"`)

		for _, c := range []struct {
			p    access.Principal
			name string
			want string // an id; empty for none
		}{
			{access.Operator, "same", ours.ID}, {access.Operator, "acme/same", theirs.ID}, {access.Operator, theirs.ID, theirs.ID},
			{member("default"), "same", ours.ID}, {member("acme"), "same", theirs.ID}, {member("acme"), theirs.ID, theirs.ID},
			{member("acme"), ours.ID, ""}, {member("default"), theirs.ID, ""}, {member("default"), "acme/same", ""},
			{member("acme"), "acme/same", ""}, {member("acme"), "other", ""}, {member("umbrella"), "same", ""},
			{member("nobody"), "same", ""}, {access.Principal{}, "same", ""}, {access.Principal{}, ours.ID, ""}, {access.Principal{}, "", ""},
		} {
			f, err := h.Find(c.p, c.name)
			if f.ID != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%s for %q: got %s, %v, want %s", c.name, c.p.Tenant, f.ID, err, c.want)
			}
		}

		// A name is free again for its tenant once it is given up.
		name := "renamed"
		if _, err := h.UpdateFunction(ctx, theirs.ID, catalog.FunctionUpdate{Name: &name}); err != nil {
			t.Fatal(err)
		}
		h.want("acme/renamed", "", `"theirs"`)
		h.want("same", "", `"ours"`)
		h.createFor("acme", "same")
		if err := h.DeleteFunction(ctx, theirs.ID); err != nil {
			t.Fatal(err)
		}
		h.createFor("acme", "renamed")

		// Lists are a tenant's own, and so are the tokens of their pages.
		page, next, err := h.ListFunctions("umbrella", 1, "", "")
		if err != nil || len(page) != 1 || page[0].ID != free.ID || next != "" {
			t.Errorf("the list is %+v, %q, %v", page, next, err)
		}
		if versions, _, err := h.ListVersions("acme", "", 0, ""); err != nil || len(versions) != 0 {
			t.Errorf("versions: %+v, %v", versions, err)
		}
		_, _, err = h.ListVersions("acme", ours.ID, 0, "")
		wantError[*fault.NotFoundError](t, err, ours.ID)
		_, err = h.CreateFunction(ctx, catalog.FunctionSpec{Tenant: "a/b", Name: "fun"})
		wantError[*fault.InvalidError](t, err, "folder_id")
	})
}

func TestTenants_WhoMayCall(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ours, theirs := h.create("fun"), h.createFor("acme", "fun")
		public := true
		open, err := h.UpdateFunction(t.Context(), h.create("open").ID, catalog.FunctionUpdate{Public: &public})
		if err != nil || !open.Public {
			t.Fatalf("got %+v, %v", open, err)
		}
		theirOpen := h.createFor("acme", "theirs")
		if _, err := h.UpdateFunction(t.Context(), theirOpen.ID, catalog.FunctionUpdate{Public: &public}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			p    access.Principal
			name string
			want string // an id; empty for none
		}{
			{access.Operator, "fun", ours.ID}, {access.Operator, theirs.ID, theirs.ID},
			{member("acme"), "fun", theirs.ID}, {member("acme"), ours.ID, ""}, {member("acme"), open.ID, open.ID},
			{member("acme"), "open", ""}, {member("default"), "open", open.ID}, {member("default"), "theirs", ""},
			{access.Principal{}, "open", open.ID}, {access.Principal{}, open.ID, open.ID},
			{access.Principal{}, theirOpen.ID, theirOpen.ID},
			{access.Principal{}, "theirs", ""}, {access.Principal{}, "fun", ""}, {access.Principal{}, ours.ID, ""},
			{access.Principal{}, "nobodys", ""}, {access.Principal{}, "", ""},
		} {
			id, err := h.Callable(c.p, c.name)
			var missing *fault.NotFoundError
			switch {
			case id != c.want, (err == nil) != (c.want != ""):
				t.Errorf("%s for %q: got %s, %v, want %s", c.name, c.p.Tenant, id, err, c.want)
			case err != nil && c.p.Anonymous() != errors.Is(err, fault.ErrUnauthenticated),
				err != nil && c.p.Anonymous() == errors.As(err, &missing):
				t.Errorf("%s for %q: got %v", c.name, c.p.Tenant, err)
			}
		}
		public = false
		if _, err := h.UpdateFunction(t.Context(), open.ID, catalog.FunctionUpdate{Public: &public}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Callable(access.Principal{}, "open"); !errors.Is(err, fault.ErrUnauthenticated) {
			t.Errorf("no longer public: %v", err)
		}
	})
}

func TestTenants_TimersAreTheirOwn(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		ours, theirs := h.create("fun"), h.createFor("acme", "fun")
		a, err := h.events.CreateTimer(ctx, TimerSpec{Name: "beat", Function: ours.ID, Cron: "@yearly"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := h.events.CreateTimer(ctx, TimerSpec{Name: "beat", Function: theirs.ID, Cron: "@yearly"})
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
			timer, err := h.events.FindTimer(c.p, c.name)
			if timer.ID != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%s for %q: got %s, %v, want %s", c.name, c.p.Tenant, timer.ID, err, c.want)
			}
		}
		if timers, err := h.events.ListTimers("acme", ""); err != nil || len(timers) != 1 || timers[0].ID != b.ID {
			t.Errorf("got %+v, %v", timers, err)
		}
		if timers, err := h.events.ListTimers("", ""); err != nil || len(timers) != 0 {
			t.Errorf("nobody's: %+v, %v", timers, err)
		}
		if err := h.DeleteFunction(ctx, theirs.ID); err != nil {
			t.Fatal(err)
		}
		if timers, _ := h.events.ListTimers(access.AllTenants, ""); len(timers) != 1 || timers[0].ID != a.ID {
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
	h.version(fun.ID, answering("stolen"), catalog.VersionSpec{Async: &catalog.AsyncConfig{Success: ours.ID}})
	h.async(fun.ID, "2")
	h.emptied()
	if len(h.log("theirs named")) != 1 || len(h.log("ours")) != 0 {
		t.Errorf("the log has %q, %q", h.log("theirs"), h.log("ours"))
	}
	letters, _, err := h.events.ListDeadLetters(t.Context(), "acme", "", 0, "")
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters: %+v, %v", letters, err)
	}
	if others, _, err := h.events.ListDeadLetters(t.Context(), catalog.DefaultTenant, "", 0, ""); err != nil || len(others) != 0 {
		t.Errorf("the other tenant's: %+v, %v", others, err)
	}
	for tenant, found := range map[string]bool{"acme": true, access.AllTenants: true, catalog.DefaultTenant: false, "": false} {
		if _, err := h.events.FindDeadLetter(t.Context(), member(tenant), letters[0].ID); (err == nil) != found {
			t.Errorf("for %q: %v", tenant, err)
		}
	}
}

func TestTenants_LiveOn(t *testing.T) {
	dir := t.TempDir()
	var id string
	s := openStore(t, dir)
	h := newTestHost(t, Config{Store: s, ImageDir: filepath.Join(dir, "images")})
	id = h.createFor("acme", "fun").ID
	h.create("fun")
	// As it was when names were claimed without the tenant.
	if err := s.Names.Delete(t.Context(), "acme/fun"); err != nil {
		t.Fatal(err)
	}
	h.Close()
	s.Close()

	s = openStore(t, dir)
	defer s.Close()
	h = newTestHost(t, Config{Store: s, ImageDir: filepath.Join(dir, "images")})
	defer h.Close()
	if f, err := h.Find(member("acme"), "fun"); err != nil || f.ID != id {
		t.Errorf("got %+v, %v", f, err)
	}
	if e, err := s.Names.Get(t.Context(), "acme/fun"); err != nil || string(e.Value) != id {
		t.Errorf("the claim: %s, %v", e.Value, err)
	}
}

// BenchmarkFind shows that a function of another tenant takes as long not to be
// found as one that there is not.
func BenchmarkFind(b *testing.B) {
	h := newTestHost(b, Config{})
	theirs := h.createFor("acme", "fun")
	for range 999 {
		h.createFor("umbrella", "")
	}
	p := member("default")
	for name, id := range map[string]string{"another tenant's": theirs.ID, "nobody's": catalog.NewID(catalog.FunctionPrefix)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := h.Callable(p, id); err == nil {
					b.Fatal("found")
				}
			}
		})
	}
}
