package catalog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

func TestLoad_MakesWhatTheStoreHas(t *testing.T) {
	s := memory(t)
	c := open(t, s)
	f := c.create("acme", "fun")
	one, two := c.version(f.ID, "one", "prod"), c.version(f.ID, "two")
	if err := c.SetScalingPolicy(t.Context(), access.Operator, f.ID, ScalingPolicy{Tag: "prod", ZoneInstancesLimit: 3}); err != nil {
		t.Fatal(err)
	}
	want, _ := c.Function(access.Operator, f.ID)
	c.Close()
	if _, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{}); fault.Of(err) != fault.Closed {
		t.Errorf("a closed catalog: %v", err)
	}
	// As it was when names were claimed without the tenant.
	if err := s.Names.Delete(t.Context(), "acme/fun"); err != nil {
		t.Fatal(err)
	}

	c = open(t, s)
	got, err := c.Function(member("acme"), "fun")
	if err != nil || got.Latest == nil || got.Latest.ID != two.ID ||
		fmt.Sprint(got.Tags) != fmt.Sprint(want.Tags) || got.LogGroupID != f.LogGroupID {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if l := c.limits[one.ID]; l == nil || l.Instances != 3 {
		t.Errorf("the policy of prod: %+v", l)
	}
	if e, err := s.Names.Get(t.Context(), "acme/fun"); err != nil || string(e.Value) != f.ID {
		t.Errorf("the claim: %s, %v", e.Value, err)
	}
	if ids := []string{one.ID, two.ID}; len(c.listed) != 2 || !c.listed[ids[0]] || !c.listed[ids[1]] {
		t.Errorf("images are kept of %v, want %v", c.listed, ids)
	}
}

func TestLoad_CollectsLeftovers(t *testing.T) {
	s, ctx := memory(t), t.Context()
	c := open(t, s)
	f := c.create("", "fun")
	kept := c.version("fun", "kept")
	// What attempts leave that are cut off after each step.
	code, err := s.Code.Put(ctx, []byte("half"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Versions.Create(ctx, "d4vhalf", store.Record(versionRecord{ID: "d4vhalf", FunctionID: f.ID, SHA256: code})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Names.Create(ctx, "half", []byte("d4ehalf")); err != nil {
		t.Fatal(err)
	}
	going := c.create("", "going")
	c.version("going", "going")
	r := c.records.functions[going.ID].record
	r.Status = StatusDeleting
	e, err := s.Functions.Get(ctx, going.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // so that only the next one sees it
	if _, err := s.Functions.Update(ctx, going.ID, store.Record(r), e.Revision); err != nil {
		t.Fatal(err)
	}

	c = open(t, s)
	_, err = c.Version(access.Operator, "d4vhalf")
	wantError[*fault.NotFoundError](t, err, "d4vhalf")
	roomtest.Until(t, "going is gone", func() bool { _, err := c.Function(access.Operator, going.ID); return err != nil })
	c.create("", "half")
	c.create("", "going")
	for bucket, want := range map[store.Bucket]int{s.Versions: 1, s.Names: 3, s.Functions: 3} {
		if all, err := bucket.All(ctx); err != nil || len(all) != want {
			t.Errorf("%d keys where %d should be: %v, %v", len(all), want, all, err)
		}
	}
	roomtest.Until(t, "one archive", func() bool { names, err := s.Code.Names(ctx); return err == nil && len(names) == 1 })
	if !slices.Equal(c.dropped, []string{going.ID}) || !slices.Equal(c.versions(), []string{kept.ID}) {
		t.Errorf("dropped %v; run %v", c.dropped, c.versions())
	}
}

// What can't be read may refer to what seems to be left over.
func TestLoad_TakesNothingAwayWhenInDoubt(t *testing.T) {
	for what, damage := range map[string]func(s *store.Store, functionID, versionID string) error{
		"function": func(s *store.Store, functionID, _ string) error {
			return s.Functions.Put(t.Context(), functionID, []byte("{"))
		},
		"version": func(s *store.Store, _, versionID string) error {
			return s.Versions.Put(t.Context(), versionID, []byte("{"))
		},
		"lost": func(s *store.Store, _, versionID string) error { return s.Versions.Delete(t.Context(), versionID) },
	} {
		t.Run(what, func(t *testing.T) {
			s := memory(t)
			c := open(t, s)
			f := c.create("", "fun")
			v := c.version("fun", "code")
			if _, err := s.Names.Create(t.Context(), "left", []byte("d4eleft")); err != nil {
				t.Fatal(err)
			}
			c.Close()
			if err := damage(s, f.ID, v.ID); err != nil {
				t.Fatal(err)
			}
			c = open(t, s)
			if names, err := s.Names.All(t.Context()); err != nil || len(names) != 2 {
				t.Errorf("names: %v, %v", names, err)
			}
			if codes, err := s.Code.Names(t.Context()); err != nil || len(codes) != 1 || c.listed != nil {
				t.Errorf("archives: %v, %v; images of %v", codes, err, c.listed)
			}
			_, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{Name: "left"})
			wantError[*fault.ConflictError](t, err, "exists already")
		})
	}
}

// A name that was claimed for a function that never came is free again.
func TestCreateFunction_TakesANameThatNobodyGot(t *testing.T) {
	c := open(t, memory(t))
	if _, err := c.store.Names.Create(t.Context(), "fun", []byte("d4ehalf")); err != nil {
		t.Fatal(err)
	}
	c.store.Exclusive = false // somebody else could be about to make it
	_, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{Name: "fun"})
	wantError[*fault.ConflictError](t, err, "exists already")
	c.store.Exclusive = true
	c.create("", "fun")
}

// Processes that share a store see each other's changes, and lose none.
func TestCatalog_TwoSeeEachOthersChanges(t *testing.T) {
	eachStore(t, func(t *testing.T, s *store.Store) {
		s.Exclusive = false
		a, b := open(t, s), open(t, s)
		f := a.create("", "fun")
		v := a.version("fun", "one")
		roomtest.Until(t, "b has the version", func() bool { _, err := b.Resolve(access.Operator, "fun", ""); return err == nil })
		for i := range 5 { // of the same function at once
			if _, err := a.SetTag(t.Context(), access.Operator, v.ID, fmt.Sprintf("a%d", i)); err != nil {
				t.Fatal(err)
			}
			if _, err := b.SetTag(t.Context(), access.Operator, v.ID, fmt.Sprintf("b%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]*testCatalog{"a": a, "b": b} {
			roomtest.Until(t, name+" has all tags", func() bool { f, _ := c.Function(access.Operator, "fun"); return len(f.Tags) == 11 })
		}
		if err := b.DeleteFunction(t.Context(), access.Operator, f.ID); err != nil {
			t.Fatal(err)
		}
		roomtest.Until(t, "a has forgotten it", func() bool { _, err := a.Function(access.Operator, f.ID); return err != nil && len(a.versions()) == 0 })
		a.mu.Lock()
		if !slices.Contains(append(a.forgot, a.dropped...), f.ID) { // it may have heard in time to help
			t.Errorf("a forgot %v and dropped %v", a.forgot, a.dropped)
		}
		a.mu.Unlock()
		a.create("", "fun")
	})
}

// What the store tells of a function late, after it was deleted, does not bring it
// back.
func TestDeleteFunction_OldNewsDoNotBringItBack(t *testing.T) {
	c := open(t, memory(t))
	f := c.create("", "fun")
	c.version("fun", "code")
	record, err := c.store.Functions.Get(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 { // of which some are deleted before the news of them have come
		other := c.create("", "other")
		if err := c.DeleteFunction(t.Context(), access.Operator, "other"); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Function(access.Operator, other.ID); err == nil {
			t.Fatalf("it is there again: %+v", got)
		}
	}
	if err := c.DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
		t.Fatal(err)
	}
	roomtest.Until(t, "the news of the deletion", func() bool {
		c.records.mu.Lock()
		defer c.records.mu.Unlock()
		return !c.records.gone[f.ID]
	})
	c.records.mu.Lock()
	c.records.gone[f.ID] = true // as before that
	c.records.mu.Unlock()
	if err := c.records.apply(t.Context(), record, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Function(access.Operator, f.ID); err == nil {
		t.Errorf("old news brought it back: %+v", got)
	}
}

// lateBucket answers a change only when the catalog has acted on the news of it.
type lateBucket struct {
	store.Bucket
	acted func(key string) bool
}

func (b *lateBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, err := b.Bucket.Update(ctx, key, value, revision)
	for deadline := time.Now().Add(10 * time.Second); err == nil && !b.acted(key) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return revision, err
}

// News of a deletion may come, and be acted on, before the store's answer to it.
func TestDeleteFunction_NewsMayComeBeforeTheAnswer(t *testing.T) {
	s := memory(t)
	late := &lateBucket{Bucket: s.Functions}
	s.Functions = late
	c := open(t, s)
	f := c.create("", "fun")
	late.acted = func(key string) bool {
		_, err := c.Function(access.Operator, key)
		return err != nil
	}
	if err := c.DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Function(access.Operator, f.ID); err == nil {
		t.Errorf("it is there again: %+v", got)
	}
	if _, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{Name: "fun"}); err != nil {
		t.Errorf("its name: %v", err)
	}
}

// selectiveBucket tells of the changes that it is to tell of: of several of one key,
// the last may be the only one.
type selectiveBucket struct {
	*lateBucket
	tell func(store.Entry) bool
}

func (b *selectiveBucket) Watch(ctx context.Context, each func(store.Entry), present func()) (func(), error) {
	return b.lateBucket.Watch(ctx, func(e store.Entry) {
		if b.tell(e) {
			each(e)
		}
	}, present)
}

// A version may be deleted by another process before this one has the store's answer
// that it is made. It does not run on for ever.
func TestCreateVersion_MayBeDeletedElsewhereBeforeTheAnswer(t *testing.T) {
	s := memory(t)
	late := &lateBucket{Bucket: s.Functions, acted: func(string) bool { return true }}
	elsewhere := *s
	s.Exclusive, elsewhere.Exclusive = false, false
	s.Functions = &selectiveBucket{late, func(e store.Entry) bool { return !bytes.Contains(e.Value, []byte(`"versions"`)) }}
	here, there := open(t, s), open(t, &elsewhere)
	f := here.create("", "fun")
	roomtest.Until(t, "it is known there", func() bool { _, err := there.Function(access.Operator, f.ID); return err == nil })
	late.acted = func(string) bool {
		versions, _ := there.Versions(access.Operator, "fun")
		for _, v := range versions {
			if err := there.DeleteVersion(t.Context(), access.Operator, v.ID, true); err != nil {
				t.Error(err)
			}
		}
		known, _ := here.Function(access.Operator, "fun")
		return known.Revision > f.Revision+1
	}
	here.version("fun", "code")
	if running := here.versions(); len(running) != 0 {
		t.Errorf("still run %v", running)
	}
}

// lagging is a bucket that does not find, or not answer, some times.
type lagging struct {
	store.Bucket

	mu      sync.Mutex // guards answers
	answers []error
}

func (b *lagging) Get(ctx context.Context, key string) (store.Entry, error) {
	b.mu.Lock()
	var err error
	if len(b.answers) > 0 {
		err, b.answers = b.answers[0], b.answers[1:]
	}
	b.mu.Unlock()
	if err != nil {
		return store.Entry{}, err
	}
	return b.Bucket.Get(ctx, key)
}

// A version that a function's record lists is there, though whoever is asked does not know
// it yet, or does not answer: it is not given up.
func TestLoad_FindsVersionsThatAreListed(t *testing.T) {
	s := memory(t)
	s.Exclusive = false
	behind := *s
	late := fmt.Errorf("%w: too late", store.ErrUnavailable)
	versions := &lagging{Bucket: s.Versions, answers: []error{store.ErrNotFound, late, store.ErrNotFound, store.ErrNotFound}}
	functions := &lagging{Bucket: s.Functions, answers: []error{nil, late}}
	behind.Versions, behind.Functions = versions, functions
	here, there := open(t, s), open(t, &behind)
	here.create("", "fun")
	v := here.version("fun", "code")
	roomtest.Until(t, "the version is known", func() bool {
		found, err := there.Resolve(access.Operator, "fun", "")
		return err == nil && found.ID == v.ID
	})
	for _, b := range []*lagging{versions, functions} {
		b.mu.Lock()
		if len(b.answers) != 0 {
			t.Errorf("it was found before %v", b.answers)
		}
		b.mu.Unlock()
	}
}
