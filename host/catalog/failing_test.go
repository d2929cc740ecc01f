package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

// faults decides which call of a store fails.
type faults struct {
	store *store.Store // without the failures

	mu     sync.Mutex // guards all below
	in     int        // calls until the one that fails; 0: none does
	taken  bool       // it fails after it has taken effect
	broken string     // what failed
}

// next makes the n-th call from now on fail, after it has taken effect or instead.
func (f *faults) next(n int, taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in, f.taken, f.broken = n, taken, ""
}

// failed returns which call has failed; empty when none has.
func (f *faults) failed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

// meet makes a call of the store, or lets it fail.
func (f *faults) meet(what string, call func() error) error {
	f.mu.Lock()
	f.in--
	fails, taken := f.in == 0, f.taken
	if fails {
		f.broken = what
	}
	f.mu.Unlock()
	if !fails {
		return call()
	}
	if taken {
		if err := call(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: out of order", store.ErrUnavailable)
}

// faultyBucket is a bucket whose changes and reads may fail.
type faultyBucket struct {
	store.Bucket
	name string
	*faults
}

func (b *faultyBucket) Get(ctx context.Context, key string) (e store.Entry, err error) {
	return e, b.meet("get of "+b.name, func() error { e, err = b.Bucket.Get(ctx, key); return err })
}

func (b *faultyBucket) Create(ctx context.Context, key string, value []byte) (n uint64, err error) {
	return n, b.meet("create of "+b.name, func() error { n, err = b.Bucket.Create(ctx, key, value); return err })
}

func (b *faultyBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (n uint64, err error) {
	return n, b.meet("update of "+b.name, func() error { n, err = b.Bucket.Update(ctx, key, value, revision); return err })
}

func (b *faultyBucket) Delete(ctx context.Context, key string) error {
	return b.meet("delete of "+b.name, func() error { return b.Bucket.Delete(ctx, key) })
}

// faultyCode is code whose changes and reads may fail.
type faultyCode struct {
	store.Code
	*faults
}

func (c *faultyCode) Put(ctx context.Context, archive []byte) (name string, err error) {
	return name, c.meet("put of code", func() error { name, err = c.Code.Put(ctx, archive); return err })
}

func (c *faultyCode) Get(ctx context.Context, name string) (archive []byte, err error) {
	return archive, c.meet("get of code", func() error { archive, err = c.Code.Get(ctx, name); return err })
}

func (c *faultyCode) Delete(ctx context.Context, name string) error {
	return c.meet("delete of code", func() error { return c.Code.Delete(ctx, name) })
}

// faulty returns a store whose calls may fail.
func faulty(t testing.TB) (*store.Store, *faults) {
	s := memory(t)
	whole := *s
	f := &faults{store: &whole}
	s.Functions, s.Versions = &faultyBucket{s.Functions, "functions", f}, &faultyBucket{s.Versions, "versions", f}
	s.Names, s.Code = &faultyBucket{s.Names, "names", f}, &faultyCode{s.Code, f}
	return s, f
}

// wantTidy checks that a store has what a catalog lists, and nothing else: after a start,
// whatever came before.
func (c *testCatalog) wantTidy() {
	c.t.Helper()
	functions, err := c.Functions(access.Operator)
	if err != nil {
		c.t.Fatal(err)
	}
	versions, err := c.Versions(access.Operator, "")
	if err != nil {
		c.t.Fatal(err)
	}
	want := map[string]map[string]bool{"functions": {}, "versions": {}, "names": {}, "code": {}}
	for _, f := range functions {
		want["functions"][f.ID] = true
		if f.Name != "" {
			want["names"][Reference(f.Tenant, f.Name)+" is "+f.ID] = true
		}
	}
	for _, v := range versions {
		want["versions"][v.ID], want["code"][v.SHA256] = true, true
	}
	for what, bucket := range map[string]store.Bucket{
		"functions": c.store.Functions, "versions": c.store.Versions, "names": c.store.Names,
	} {
		entries, err := bucket.All(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		got := map[string]bool{}
		for _, e := range entries {
			if what == "names" {
				e.Key += " is " + string(e.Value)
			}
			got[e.Key] = true
		}
		if !maps.Equal(got, want[what]) {
			c.t.Errorf("the store has the %s %v, want %v", what, got, want[what])
		}
	}
	names, err := c.store.Code.Names(c.t.Context())
	if err != nil || len(names) != len(want["code"]) || slices.ContainsFunc(names, func(n string) bool { return !want["code"][n] }) {
		c.t.Errorf("the store has the code %v, %v, want %v", names, err, want["code"])
	}
}

// changes are what somebody asks for whose store fails in between, about a function "fun"
// with the versions one, which is prod, and two.
var changes = map[string]func(c *testCatalog, one, two string) error{
	"create function": func(c *testCatalog, _, _ string) error {
		_, err := c.CreateFunction(c.t.Context(), access.Operator, FunctionSpec{Name: "other"})
		return err
	},
	"rename function": func(c *testCatalog, _, _ string) error {
		name := "renamed"
		_, err := c.UpdateFunction(c.t.Context(), access.Operator, "fun", FunctionUpdate{Name: &name})
		return err
	},
	"publish function": func(c *testCatalog, _, _ string) error {
		_, err := c.SetPublic(c.t.Context(), access.Operator, "fun", true, "")
		return err
	},
	"delete function": func(c *testCatalog, _, _ string) error {
		return c.DeleteFunction(c.t.Context(), access.Operator, "fun")
	},
	"create version": func(c *testCatalog, _, _ string) error {
		_, err := c.CreateVersion(c.t.Context(), access.Operator, "fun", VersionSpec{Entrypoint: "a.b"}, []byte("three"), []string{"prod"})
		return err
	},
	"copy version": func(c *testCatalog, one, _ string) error {
		_, err := c.CopyVersion(c.t.Context(), access.Operator, "fun", VersionSpec{Entrypoint: "a.b"}, one, nil)
		return err
	},
	"delete version": func(c *testCatalog, _, two string) error {
		return c.DeleteVersion(c.t.Context(), access.Operator, two, true)
	},
	"move tag": func(c *testCatalog, _, two string) error {
		_, err := c.SetTag(c.t.Context(), access.Operator, two, "prod")
		return err
	},
	"remove tag": func(c *testCatalog, one, _ string) error {
		_, err := c.RemoveTag(c.t.Context(), access.Operator, one, "prod")
		return err
	},
	"set policy": func(c *testCatalog, _, _ string) error {
		return c.SetScalingPolicy(c.t.Context(), access.Operator, "fun", ScalingPolicy{Tag: "prod", ZoneInstancesLimit: 7})
	},
	"remove policy": func(c *testCatalog, _, _ string) error {
		return c.RemoveScalingPolicy(c.t.Context(), access.Operator, "fun", "prod")
	},
}

// steps are changes that the store makes in several steps, of which the first is seen.
var steps = map[string]bool{"delete function": true, "rename function": true}

// Whichever call of the store fails in the middle of a change, having taken effect or not,
// the caller is told that it is the store's fault or that all is well; what the process
// knows is what the store has, what is listed runs and nothing else, the next start knows
// the same and leaves nothing over, and who asks again gets what the change is for.
func TestCatalog_EachCallOfTheStoreMayFail(t *testing.T) {
	for what, change := range changes {
		t.Run(what, func(t *testing.T) {
			for _, taken := range []bool{false, true} {
				for n := 1; ; n++ {
					s, faults := faulty(t)
					c := open(t, s)
					c.create("", "fun")
					one, two := c.version("fun", "one", "prod"), c.version("fun", "two")
					if err := c.SetScalingPolicy(t.Context(), access.Operator, "fun",
						ScalingPolicy{Tag: "prod", ZoneInstancesLimit: 3}); err != nil {
						t.Fatal(err)
					}
					before := c.state()
					faults.next(n, taken)
					err := change(c, one.ID, two.ID)
					c.Close() // and all that it goes on with
					failed := faults.failed()
					if failed == "" {
						if err != nil || n == 1 {
							t.Fatalf("without a failure, after %d calls of the store: %v", n-1, err)
						}
						break
					}
					where := fmt.Sprintf("%s fails, taken: %v, got %v", failed, taken, err)
					if fault.Of(err) != fault.Unavailable && err != nil {
						t.Error(where)
					}
					again := open(t, faults.store)
					roomtest.Until(t, where+": what was resumed is done", func() bool {
						all, err := again.Functions(access.Operator)
						return err == nil && !slices.ContainsFunc(all, func(f FunctionInfo) bool { return f.Status == StatusDeleting })
					})
					// What the caller was told is so.
					if after := again.state(); err == nil && after == before || err != nil && !taken && !steps[what] && after != before {
						t.Errorf("%s, and there is\n%s\nbefore it was\n%s", where, after, before)
					}
					again.wantRunning(where)
					// Asked again, it works, unless it has worked before.
					err = change(again, one.ID, two.ID)
					switch fault.Of(err) {
					case fault.Conflict, fault.NotFound:
						if after := again.state(); after == before {
							t.Errorf("%s; then %v, though nothing has changed", where, err)
						}
					default:
						if err != nil {
							t.Errorf("%s; then: %v", where, err)
						}
					}
					again.Close()
					last := open(t, faults.store)
					roomtest.Until(t, where, func() bool { return last.state() == again.state() })
					last.wantTidy()
					last.Close()
				}
			}
		})
	}
}

// wantRunning checks that what is listed runs with the limits that it has, and nothing else.
func (c *testCatalog) wantRunning(where string) {
	c.t.Helper()
	versions, err := c.Versions(access.Operator, "")
	if err != nil {
		c.t.Fatal(err)
	}
	var listed []string
	for _, v := range versions {
		listed = append(listed, v.ID)
	}
	slices.Sort(listed)
	roomtest.Until(c.t, where+": what is listed runs, and nothing else", func() bool { return slices.Equal(c.versions(), listed) })
	for _, v := range versions {
		c.records.mu.RLock()
		want := c.records.functions[v.FunctionID].record.limits(v.Version)
		c.records.mu.RUnlock()
		c.note(func() {
			if got := c.limits[v.ID]; got == nil || *got != want {
				c.t.Errorf("%s: limits of %v: got %+v, want %+v", where, v.Tags, got, want)
			}
		})
	}
}

// While a catalog stays open, what it knows after a failure is what its store has.
func TestCatalog_KnowsAfterAFailureWhatTheStoreHas(t *testing.T) {
	for what, change := range changes {
		t.Run(what, func(t *testing.T) {
			for _, taken := range []bool{false, true} {
				for n := 1; ; n++ {
					s, faults := faulty(t)
					c := open(t, s)
					f := c.create("", "fun")
					one, two := c.version("fun", "one", "prod"), c.version("fun", "two")
					if err := c.SetScalingPolicy(t.Context(), access.Operator, "fun", ScalingPolicy{Tag: "prod"}); err != nil {
						t.Fatal(err)
					}
					faults.next(n, taken)
					err := change(c, one.ID, two.ID)
					failed := faults.failed()
					if failed == "" {
						break
					}
					where := fmt.Sprintf("%s fails, taken: %v, got %v", failed, taken, err)
					// Whatever is half done, a change that works completes it.
					text := "as it is now"
					_, err = c.UpdateFunction(t.Context(), access.Operator, f.ID, FunctionUpdate{Description: &text})
					if kind := fault.Of(err); err != nil && (what != "delete function" || kind != fault.Conflict && kind != fault.NotFound) {
						t.Fatalf("%s; then: %v", where, err)
					}
					if what == "delete function" {
						if err := c.DeleteFunction(t.Context(), access.Operator, f.ID); err != nil && fault.Of(err) != fault.NotFound {
							t.Fatalf("%s; then: %v", where, err)
						}
					}
					other := open(t, faults.store)
					roomtest.Until(t, where, func() bool { return c.state() == other.state() })
					c.wantRunning(where)
				}
			}
		})
	}
}

// A store that fails while the catalog is loaded is no reason to begin with half of it.
func TestLoad_FailsWithItsStore(t *testing.T) {
	s := memory(t)
	c := open(t, s)
	c.create("", "fun")
	c.version("fun", "code")
	c.Close()
	for what, fail := range map[string]func(*store.Store){
		"versions":  func(s *store.Store) { s.Versions = unreadable{s.Versions} },
		"functions": func(s *store.Store) { s.Functions = unreadable{s.Functions} },
	} {
		failing := *s
		fail(&failing)
		again := New(Config{Store: &failing, Runner: newRecorder()})
		if err := again.Load(t.Context()); fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: got %v", what, err)
		}
		again.Close()
		again.Close()
	}
	// Names that can't be read only keep leftovers from being removed.
	failing := *s
	failing.Names = unreadable{s.Names}
	if v, err := open(t, &failing).Resolve(access.Operator, "fun", ""); err != nil || v.FunctionName != "fun" {
		t.Errorf("names: got %v, %v", v, err)
	}
}

// unreadable is a bucket that can't be read as a whole.
type unreadable struct{ store.Bucket }

func (unreadable) All(context.Context) ([]store.Entry, error) { return nil, store.ErrUnavailable }

func (unreadable) Watch(context.Context, func(store.Entry), func()) (func(), error) {
	return nil, store.ErrUnavailable
}

// damagedBucket says that it has lost something.
type damagedBucket struct{ store.Bucket }

func (damagedBucket) Damage() error { return &store.DamageError{Bucket: "names", Reason: "lost"} }

// What a store that has lost something does not have may be referred to by what is lost.
func TestLoad_KeepsLeftoversOfADamagedStore(t *testing.T) {
	for n := range 3 {
		s := memory(t)
		c := open(t, s)
		c.create("", "fun")
		c.version("fun", "code")
		c.Close()
		name, err := s.Code.Put(t.Context(), []byte("left"))
		if err != nil {
			t.Fatal(err)
		}
		bucket := []*store.Bucket{&s.Functions, &s.Versions, &s.Names}[n]
		*bucket = damagedBucket{*bucket}
		c = open(t, s)
		if _, err := s.Code.Get(t.Context(), name); err != nil || c.listed != nil {
			t.Errorf("bucket %d: %v, images of %v are kept", n, err, c.listed)
		}
	}
}

// What others change is taken over late when it can't be read at once, and a record that
// makes no sense changes nothing.
func TestCatalog_OthersChangesThatCantBeRead(t *testing.T) {
	s := memory(t)
	c := open(t, s)
	f := c.create("", "fun")
	v := c.version("fun", "code", "prod")
	before := c.state()
	for _, value := range []string{"", "{", "3", `{"id":7}`} {
		if err := s.Functions.Put(t.Context(), f.ID, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	if after := c.state(); after != before {
		t.Errorf("there is\n%s\nbefore it was\n%s", after, before)
	}
	// A change of its own finds that record, and says so.
	text := "text"
	if _, err := c.UpdateFunction(t.Context(), access.Operator, "fun", FunctionUpdate{Description: &text}); err == nil {
		t.Error("a record that can't be read is overwritten")
	}
	// A version that is listed and that nobody has goes for deleted; the others run on.
	record := c.records.functions[f.ID].record.clone()
	record.Versions = append(record.Versions, versionEntry{ID: "d4vmissing"})
	record.Tags["missing"], record.Description = "d4vmissing", "changed elsewhere"
	if err := s.Functions.Put(t.Context(), f.ID, store.Record(&record)); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "the change is known", func() bool {
		f, err := c.Function(access.Operator, "fun")
		return err == nil && f.Description == "changed elsewhere"
	})
	if got, err := c.Resolve(access.Operator, "fun", "prod"); err != nil || got.ID != v.ID {
		t.Errorf("got %v, %v", got, err)
	}
	_, err := c.Resolve(access.Operator, "fun", "missing")
	wantError[*fault.NotFoundError](t, err, "tag missing")
	if _, err := c.SetTag(t.Context(), access.Operator, v.ID, "missing"); err != nil {
		t.Error(err)
	}
	if got, err := c.Resolve(access.Operator, "fun", "missing"); err != nil || got.ID != v.ID {
		t.Errorf("got %v, %v", got, err)
	}
}

// Code that is lost or damaged is no function's fault, and says which version lacks it.
func TestArchive_SaysWhatIsMissing(t *testing.T) {
	s, faults := faulty(t)
	c := open(t, s)
	c.create("", "fun")
	v := c.version("fun", "code")
	faults.next(1, false)
	if _, err := c.Archive(t.Context(), access.Operator, v.ID); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("the store is away: %v", err)
	}
	if b, err := c.Archive(t.Context(), access.Operator, v.ID); err != nil || string(b) != "code" {
		t.Errorf("and there again: %q, %v", b, err)
	}
	if err := faults.store.Code.Delete(t.Context(), v.SHA256); err != nil {
		t.Fatal(err)
	}
	_, err := c.Archive(t.Context(), access.Operator, v.ID)
	wantError[error](t, err, "version "+v.ID+": code")
	_, err = c.CopyVersion(t.Context(), access.Operator, "fun", VersionSpec{Entrypoint: "a.b"}, v.ID, nil)
	wantError[error](t, err, "version "+v.ID+": code")
}
