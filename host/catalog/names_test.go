package catalog

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

// eachStore runs a test with a store in memory and with one on disk.
func eachStore(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, memory(t)) })
	t.Run("jetstream", func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		test(t, s)
	})
}

// rename gives a function another name.
func (c *testCatalog) rename(p access.Principal, function, name string) (FunctionInfo, error) {
	return c.UpdateFunction(c.t.Context(), p, function, FunctionUpdate{Name: &name})
}

func TestTenants_NamesAreTheirOwn(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store.Store) {
		c, ctx := open(t, s), t.Context()
		ours, theirs, free := c.create("", "same"), c.create("acme", "same"), c.create("umbrella", "other")
		_, err := c.CreateFunction(ctx, access.Operator, FunctionSpec{Tenant: "acme", Name: "same"})
		wantError[*fault.ConflictError](t, err, "function same exists already")
		for _, f := range []FunctionInfo{ours, theirs} {
			c.version(f.ID, f.ID)
		}
		for name, id := range map[string]string{"same": ours.ID, "default/same": ours.ID, "acme/same": theirs.ID} {
			if v, err := c.Resolve(access.Operator, name, ""); err != nil || v.FunctionID != id {
				t.Errorf("%s: got %v, %v, want %s", name, v, err, id)
			}
		}
		for _, a := range []struct {
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
			f, err := c.Function(a.p, a.name)
			if f.ID != a.want || (err == nil) != (a.want != "") {
				t.Errorf("%s for %q: got %s, %v, want %s", a.name, a.p.Tenant, f.ID, err, a.want)
			}
		}

		// A name is free again for its tenant once it is given up.
		if _, err := c.rename(access.Operator, theirs.ID, "renamed"); err != nil {
			t.Fatal(err)
		}
		for name, id := range map[string]string{"same": ours.ID, "acme/renamed": theirs.ID} {
			if v, err := c.Resolve(access.Operator, name, ""); err != nil || v.FunctionID != id {
				t.Errorf("%s: got %v, %v, want %s", name, v, err, id)
			}
		}
		c.create("acme", "same")
		if err := c.DeleteFunction(ctx, access.Operator, theirs.ID); err != nil {
			t.Fatal(err)
		}
		c.create("acme", "renamed")

		// Lists are a tenant's own.
		listed, err := c.Functions(member("umbrella"))
		if err != nil || len(listed) != 1 || listed[0].ID != free.ID {
			t.Errorf("the list is %+v, %v", listed, err)
		}
		if versions, err := c.Versions(member("acme"), ""); err != nil || len(versions) != 0 {
			t.Errorf("versions: %+v, %v", versions, err)
		}
		_, err = c.Versions(member("acme"), ours.ID)
		wantError[*fault.NotFoundError](t, err, ours.ID)
	})
}

// A function may go without a name, and take back the one that it has.
func TestUpdateFunction_Names(t *testing.T) {
	s := memory(t)
	c := open(t, s)
	f, other := c.create("acme", "fun"), c.create("acme", "other")
	_, err := c.rename(access.Operator, f.ID, "other")
	wantError[*fault.ConflictError](t, err, "function other exists already")
	_, err = c.rename(access.Operator, f.ID, "Bad")
	wantError[*fault.InvalidError](t, err, "name: ")
	if got, err := c.rename(access.Operator, f.ID, "fun"); err != nil || got.Name != "fun" {
		t.Errorf("its own: %+v, %v", got, err)
	}
	if got, err := c.rename(access.Operator, f.ID, ""); err != nil || got.Name != "" {
		t.Errorf("none: %+v, %v", got, err)
	}
	if got, err := c.rename(access.Operator, other.ID, "fun"); err != nil || got.Name != "fun" {
		t.Errorf("what is free now: %+v, %v", got, err)
	}
	_, err = c.Function(access.Operator, "")
	wantError[*fault.NotFoundError](t, err, "function")
	for range 3 { // as many as there may be have none
		c.create("acme", "")
	}
	if got, err := c.rename(member("acme"), f.ID, "other"); err != nil || got.Name != "other" {
		t.Errorf("as a member: %+v, %v", got, err)
	}
	_, err = c.rename(access.Operator, NewID(FunctionPrefix), "new-name")
	wantError[*fault.NotFoundError](t, err, "function")
	all, err := c.Functions(access.Operator)
	var names []string
	for _, f := range all {
		names = append(names, f.Name)
	}
	if err != nil || !slices.Equal(names, []string{"", "", "", "fun", "other"}) || !slices.IsSortedFunc(all[:3],
		func(a, b FunctionInfo) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("the list is %q, %v", names, err)
	}
	c.Close()
	open(t, s).wantTidy()
}

// Names that go round among functions, in processes that share a store, are never on two,
// and never lost: neither in the table nor in the store.
func TestNames_AreOnOneFunctionEach(t *testing.T) {
	s := memory(t)
	s.Exclusive = false
	both := []*testCatalog{open(t, s), open(t, s)}
	names := []string{"fun-a", "fun-b", "fun-c", "fun-d"}
	var ids []string
	for n := range 3 {
		ids = append(ids, both[0].create("acme", names[n]).ID)
	}
	for _, id := range ids {
		roomtest.Until(t, "both know it", func() bool { _, err := both[1].Function(access.Operator, id); return err == nil })
	}
	var workers sync.WaitGroup
	for w := range 6 {
		random := rand.New(rand.NewPCG(uint64(w), 2))
		workers.Go(func() {
			for range 50 {
				c := both[random.IntN(2)]
				_, err := c.rename(access.Operator, ids[random.IntN(3)], names[random.IntN(4)])
				if kind := fault.Of(err); err != nil && kind != fault.Conflict {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	roomtest.Until(t, "both know the same", func() bool { return both[0].state() == both[1].state() })
	all, err := both[0].Functions(access.Operator)
	taken := map[string]string{}
	for _, f := range all {
		if other := taken[f.Name]; other != "" {
			t.Errorf("%s is on %s and %s", f.Name, other, f.ID)
		}
		taken[f.Name] = f.ID
	}
	if err != nil || len(all) != 3 {
		t.Errorf("there are %+v, %v", all, err)
	}
	for _, c := range both {
		c.Close()
	}
	s.Exclusive = true
	c := open(t, s)
	c.wantTidy()
	for _, name := range names {
		if taken[name] == "" {
			c.create("acme", name)
		}
	}
}

// hookedBucket tells of a change before it makes it.
type hookedBucket struct {
	store.Bucket
	before func()
}

func (b *hookedBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	b.before()
	return b.Bucket.Update(ctx, key, value, revision)
}

// A name that another function gets in the middle of a renaming, when another process has
// released it, stays that one's.
func TestUpdateFunction_LosesANameThatIsAnothersMeanwhile(t *testing.T) {
	s := memory(t)
	hooked := &hookedBucket{s.Functions, func() {}}
	s.Functions = hooked
	c := open(t, s)
	f := c.create("", "fun")
	hooked.before = sync.OnceFunc(func() {
		if err := s.Names.Put(t.Context(), "wanted", []byte("d4eanother")); err != nil {
			t.Error(err)
		}
	})
	s.Exclusive = false
	_, err := c.rename(access.Operator, "fun", "wanted")
	wantError[*fault.ConflictError](t, err, "exists already")
	if got, err := c.Function(access.Operator, "fun"); err != nil || got.ID != f.ID || got.Name != "fun" {
		t.Errorf("then: %+v, %v", got, err)
	}
	for name, id := range map[string]string{"wanted": "d4eanother", "fun": f.ID} {
		if e, err := s.Names.Get(t.Context(), name); err != nil || string(e.Value) != id {
			t.Errorf("%s is claimed for %q, %v, want %s", name, e.Value, err, id)
		}
	}
}

// A name that a function has got back is not released by who had seen it without.
func TestRelease_KeepsWhatIsUsedOrMadeAnew(t *testing.T) {
	s := memory(t)
	c := open(t, s)
	f := c.create("acme", "fun")
	n := &c.records.naming
	n.release("acme", "fun", f.ID) // which it has
	n.release("acme", "fun", "d4eanother")
	n.release("acme", "", f.ID)
	if e, err := s.Names.Get(t.Context(), "acme/fun"); err != nil || string(e.Value) != f.ID {
		t.Errorf("the claim is %q, %v", e.Value, err)
	}
	if err := n.claim(t.Context(), "acme", "next", f.ID); err != nil {
		t.Fatal(err)
	}
	reading := &readHook{Bucket: s.Functions, after: func() {
		if err := n.claim(t.Context(), "acme", "next", f.ID); err != nil {
			t.Error(err)
		}
	}}
	s.Functions = reading
	n.release("acme", "next", f.ID) // while another process gives it that name
	if e, err := s.Names.Get(t.Context(), "acme/next"); err != nil || string(e.Value) != f.ID {
		t.Errorf("the claim that was made anew is %q, %v", e.Value, err)
	}
	reading.after = func() {}
	n.release("acme", "next", f.ID)
	if e, err := s.Names.Get(t.Context(), "acme/next"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what is of no use is claimed for %q, %v", e.Value, err)
	}
}

// readHook tells of a value that was read.
type readHook struct {
	store.Bucket
	after func()
}

func (b *readHook) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := b.Bucket.Get(ctx, key)
	b.after()
	return e, err
}

// A claim that an attempt has left is another's as long as that could be about to use it.
func TestCreateFunction_TakesOldClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		s.Exclusive = false
		c := open(t, s)
		if _, err := s.Names.Create(t.Context(), "fun", []byte("d4ehalf")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(claimAge - time.Second)
		_, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{Name: "fun"})
		wantError[*fault.ConflictError](t, err, "exists already")
		f := c.create("", "other")
		_, err = c.rename(access.Operator, f.ID, "fun")
		wantError[*fault.ConflictError](t, err, "exists already")
		time.Sleep(2 * time.Second)
		if _, err := c.rename(access.Operator, f.ID, "fun"); err != nil {
			t.Errorf("after a while: %v", err)
		}
		if e, err := s.Names.Get(t.Context(), "fun"); err != nil || string(e.Value) != f.ID {
			t.Errorf("the claim is %q, %v", e.Value, err)
		}
		// Leftovers are collected when nobody can be about to use them any more.
		if _, err := s.Names.Create(t.Context(), "left", []byte("d4eleft")); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			later time.Duration
			want  int
		}{{collectAge - time.Minute, 2}, {2 * time.Minute, 1}} {
			time.Sleep(step.later)
			c.Close()
			c = open(t, s)
			if all, err := s.Names.All(t.Context()); err != nil || len(all) != step.want {
				t.Errorf("after %v more: %d claims, %v, want %d", step.later, len(all), err, step.want)
			}
		}
		c.Close()
		s.Close()
	})
}
