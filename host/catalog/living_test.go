package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
	"vivarium/host/store"
)

func TestFunction_LivesFromCreatingToDeleting(t *testing.T) {
	c, ctx := open(t, memory(t)), t.Context()
	f := c.create("", "first")
	_, err := c.Resolve(access.Operator, "first", "")
	wantError[*fault.NotFoundError](t, err, "tag $latest not found for function first")
	_, err = c.CreateFunction(ctx, access.Operator, FunctionSpec{Name: "first"})
	wantError[*fault.ConflictError](t, err, "exists already")
	v := c.version("first", "one")
	name, text := "second", "what it does"
	info, err := c.UpdateFunction(ctx, access.Operator, f.ID, FunctionUpdate{Name: &name, Description: &text,
		Labels: map[string]string{"team": "blue"}})
	if err != nil || info.Name != name || info.Description != text || info.Labels["team"] != "blue" || info.Latest == nil || info.Latest.ID != v.ID {
		t.Errorf("updated: %+v, %v", info, err)
	}
	if info.Revision <= f.Revision {
		t.Errorf("a change has left the revision at %d", info.Revision)
	}
	_, err = c.Function(access.Operator, "first")
	wantError[*fault.NotFoundError](t, err, "first")
	c.create("", "first") // which is free now
	if err := c.DeleteFunction(ctx, access.Operator, "second"); err != nil {
		t.Fatal(err)
	}
	_, err = c.Function(access.Operator, f.ID)
	wantError[*fault.NotFoundError](t, err, f.ID)
	if !slices.Equal(c.dropped, []string{f.ID}) || len(c.versions()) != 0 {
		t.Errorf("dropped %v; still run %v", c.dropped, c.versions())
	}
	for what, b := range map[string]store.Bucket{"versions": c.store.Versions, "names": c.store.Names, "functions": c.store.Functions} {
		all, err := b.All(ctx)
		if want := map[string]int{"names": 1, "functions": 1}[what]; err != nil || len(all) != want {
			t.Errorf("%s: %d are left, want %d, %v", what, len(all), want, err)
		}
	}
	if codes, err := c.store.Code.Names(ctx); err != nil || len(codes) != 0 {
		t.Errorf("archives are left: %v, %v", codes, err)
	}
	c.create("", "second")
}

func TestFunction_BrokenRulesAreNamed(t *testing.T) {
	c, ctx := open(t, memory(t)), t.Context()
	for field, spec := range map[string]FunctionSpec{
		"name":        {Name: "Upper"},
		"description": {Name: "fun", Description: strings.Repeat("x", 601)},
		"labels":      {Name: "fun", Labels: map[string]string{"Upper": ""}},
		"folder_id":   {Name: "fun", Tenant: "a/b"},
	} {
		_, err := c.CreateFunction(ctx, access.Operator, spec)
		wantError[*fault.InvalidError](t, err, field+": ")
	}
	f := c.create("", "fun")
	for field, spec := range map[string]VersionSpec{
		"entrypoint":                             {},
		"runtime":                                {Entrypoint: "a.b", Runtime: "cobol85"},
		"memory":                                 {Entrypoint: "a.b", MemoryMB: 8192},
		"async_invocation_config.retries_count":  {Entrypoint: "a.b", Async: &AsyncConfig{Retries: 101}},
		"async_invocation_config.success_target": {Entrypoint: "a.b", Async: &AsyncConfig{Success: strings.Repeat("x", 200)}},
	} {
		_, err := c.CreateVersion(ctx, access.Operator, f.ID, spec, []byte("code"), nil)
		wantError[*fault.InvalidError](t, err, field+": ")
	}
	good := VersionSpec{Entrypoint: "main.handler"}
	for rule, tags := range map[string][]string{
		"must be a lower-case letter": {"Upper"}, "at most 10 are allowed": strings.Split("a b c d e f g h i j k", " "),
	} {
		_, err := c.CreateVersion(ctx, access.Operator, f.ID, good, []byte("code"), tags)
		wantError[*fault.InvalidError](t, err, rule)
	}
	_, err := c.CreateVersion(ctx, access.Operator, f.ID, good, []byte("code"), []string{LatestTag})
	wantError[*fault.ConflictError](t, err, "set by the service")
	for _, p := range []ScalingPolicy{
		{Tag: "Upper"}, {Tag: "prod", ZoneInstancesLimit: -1}, {Tag: "prod", ZoneRequestsLimit: -1}, {Tag: "prod", ProvisionedInstances: 1e6},
		{Tag: "prod", ProvisionedInstances: 2, ZoneInstancesLimit: 1},
	} {
		wantError[*fault.InvalidError](t, c.SetScalingPolicy(ctx, access.Operator, f.ID, p), "")
	}
	if all, err := c.Versions(access.Operator, f.ID); err != nil || len(all) != 0 || len(c.versions()) != 0 {
		t.Errorf("versions are left behind: %v, %v, %v", all, c.versions(), err)
	}
}

func TestTags_MoveAndTellTheirHistory(t *testing.T) {
	c, ctx := open(t, memory(t)), t.Context()
	c.create("", "fun")
	one, two := c.version("fun", "one", "prod"), c.version("fun", "two", "prod")
	tagged := func(tag, want string) {
		t.Helper()
		if v, err := c.Resolve(access.Operator, "fun", tag); err != nil || v.ID != want {
			t.Errorf("tag %q: got %v, %v, want %s", tag, v, err, want)
		}
	}
	tagged("prod", two.ID)
	if info, _ := c.Version(access.Operator, one.ID); info.Status != StatusObsolete {
		t.Errorf("a version without tags is %s", info.Status)
	}
	if info, err := c.SetTag(ctx, access.Operator, one.ID, "prod"); err != nil || info.Status != StatusActive {
		t.Errorf("rolled back: %+v, %v", info, err)
	}
	tagged("prod", one.ID)
	tagged("", two.ID)
	_, err := c.RemoveTag(ctx, access.Operator, two.ID, "prod")
	wantError[*fault.NotFoundError](t, err, "tag prod")
	_, err = c.SetTag(ctx, access.Operator, two.ID, LatestTag)
	wantError[*fault.ConflictError](t, err, "set by the service")
	events, err := c.TagHistory(access.Operator, "fun")
	var got []string
	for _, e := range events {
		if e.Tag == "prod" {
			got = append(got, e.VersionID)
		}
	}
	if want := []string{one.ID, two.ID, one.ID}; err != nil || !slices.Equal(got, want) {
		t.Errorf("history of prod: got %v, %v, want %v", got, err, want)
	}
	wantError[*fault.ConflictError](t, c.DeleteVersion(ctx, access.Operator, two.ID, false), "$latest")
	if err := c.DeleteVersion(ctx, access.Operator, two.ID, true); err != nil {
		t.Fatal(err)
	}
	tagged("", one.ID) // what is the newest now
	if info, err := c.VersionByTag(access.Operator, "fun", "prod"); err != nil || !slices.Equal(info.Tags, []string{LatestTag, "prod"}) {
		t.Errorf("by tag: %+v, %v", info, err)
	}
	for i := range maxTags {
		_, err = c.SetTag(ctx, access.Operator, one.ID, fmt.Sprintf("t%d", i))
	}
	wantError[*fault.InvalidError](t, err, "more than 10 tags")
	if !slices.Equal(c.versions(), []string{one.ID}) {
		t.Errorf("run %v", c.versions())
	}
}

func TestScalingPolicy_FollowsItsTag(t *testing.T) {
	c, ctx := open(t, memory(t)), t.Context()
	c.create("", "fun")
	one := c.version("fun", "one", "prod")
	limited := func(id string, want Limits) {
		t.Helper()
		c.mu.Lock()
		defer c.mu.Unlock()
		if got := c.limits[id]; got == nil || *got != want {
			t.Errorf("limits: got %+v, want %+v", got, want)
		}
	}
	limited(one.ID, Limits{Instances: DefaultMaxInstances})
	if err := c.SetScalingPolicy(ctx, access.Operator, "fun", ScalingPolicy{Tag: "prod", ProvisionedInstances: 2,
		ZoneInstancesLimit: 3, ZoneRequestsLimit: 4}); err != nil {
		t.Fatal(err)
	}
	limited(one.ID, Limits{Ready: 2, Instances: 3, Requests: 4})
	two := c.version("fun", "two", "prod")
	limited(one.ID, Limits{Instances: DefaultMaxInstances})
	limited(two.ID, Limits{Ready: 2, Instances: 3, Requests: 4})
	wantError[*fault.NotFoundError](t, c.RemoveScalingPolicy(ctx, access.Operator, "fun", LatestTag), "tag $latest")
	if err := c.RemoveScalingPolicy(ctx, access.Operator, "fun", "prod"); err != nil {
		t.Fatal(err)
	}
	limited(two.ID, Limits{Instances: DefaultMaxInstances})
	if all, err := c.ScalingPolicies(access.Operator, "fun"); err != nil || len(all) != 0 {
		t.Errorf("policies: %v, %v", all, err)
	}
}

func TestCreateVersion_LeavesNothingWhenItFails(t *testing.T) {
	s := memory(t)
	full := &failingBucket{Bucket: s.Functions}
	s.Functions = full
	ledger := quota.New(quota.Config{Defaults: quota.Amounts{quota.Functions: 2, quota.Versions: 1}})
	c := open(t, s, func(cfg *Config) { cfg.Ledger = ledger })
	c.create("", "fun")
	c.create("", "other")
	_, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{})
	wantError[*quota.Error](t, err, "quota of functions")
	full.err = store.ErrNotFound // of no kind that leaves anything in doubt
	if _, err := c.CreateVersion(t.Context(), access.Operator, "fun", VersionSpec{Entrypoint: "a.b"}, []byte("code"), nil); err == nil {
		t.Error("a record that was not stored makes a version")
	}
	full.err = nil
	if all, err := s.Versions.All(t.Context()); err != nil || len(all) != 0 || len(c.versions()) != 0 {
		t.Errorf("left are %v, %v, %v", all, c.versions(), err)
	}
	c.version("fun", "code")
	_, err = c.CreateVersion(t.Context(), access.Operator, "other", VersionSpec{Entrypoint: "a.b"}, []byte("code"), nil)
	wantError[*quota.Error](t, err, "quota of versions")
	_, err = c.CreateVersion(t.Context(), access.Operator, "fun",
		VersionSpec{Entrypoint: "a.b", Async: &AsyncConfig{Failure: "missing"}}, []byte("code"), nil)
	wantError[*fault.NotFoundError](t, err, "function missing")
}

// A version whose archive can't be unpacked, or whose code does not load, is not made; one
// that may be broken is, and says so.
func TestCreateVersion_RefusesCodeThatIsOfNoUse(t *testing.T) {
	c := open(t, memory(t))
	c.create("", "fun")
	create := func(ctx context.Context, spec VersionSpec) (VersionInfo, error) {
		spec.Entrypoint = "main.handler"
		return c.CreateVersion(ctx, access.Operator, "fun", spec, []byte("code"), []string{"prod"})
	}
	nothing := func(what string) {
		t.Helper()
		f, err := c.Function(access.Operator, "fun")
		versions, _ := c.store.Versions.All(t.Context())
		codes, _ := c.store.Code.Names(t.Context())
		if err != nil || len(f.Tags) != 0 || len(versions)+len(codes) != 0 || len(c.versions()) != 0 ||
			len(c.records.admissions.versions) != 0 {
			t.Errorf("%s: %+v, %v; the store has %v, %v; run %v", what, f, err, versions, codes, c.versions())
		}
	}
	c.note(func() { c.unpacked = fault.Invalidf("content", "is no zip file") })
	_, err := create(t.Context(), VersionSpec{})
	wantError[*fault.InvalidError](t, err, "content: ")
	nothing("no archive")
	c.note(func() {
		c.unpacked, c.prepared = nil, &fault.FunctionError{Type: "SyntaxError", Message: "invalid syntax"}
	})
	_, err = create(t.Context(), VersionSpec{})
	wantError[*fault.FunctionError](t, err, "invalid syntax")
	nothing("it does not load")
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := create(gone, VersionSpec{AllowBroken: true}); err != fault.ErrCancelled {
		t.Errorf("who asked is gone: %v", err)
	}
	nothing("who asked is gone")
	v, err := create(t.Context(), VersionSpec{AllowBroken: true})
	if err != nil || v.LoadError == nil || v.LoadError.Type != "SyntaxError" || !slices.Equal(v.Tags, []string{LatestTag, "prod"}) {
		t.Errorf("it may be broken: %+v, %v", v, err)
	}
	if v, err := c.Version(access.Operator, v.ID); err != nil || v.LoadError != nil {
		t.Errorf("afterwards: %+v, %v", v, err)
	}
}

// A transient function is refused what a stored one is.
func TestDeployTransient_RefusesWhatBreaksARule(t *testing.T) {
	c := open(t, memory(t))
	good := VersionSpec{Entrypoint: "a.b"}
	for field, d := range map[string]struct {
		name string
		spec VersionSpec
	}{"name": {"Bad", good}, "memory": {"fun", VersionSpec{Entrypoint: "a.b", MemoryMB: 1}}, "entrypoint": {"fun", VersionSpec{}}} {
		_, err := c.DeployTransient(access.Operator, d.name, d.spec, nil)
		wantError[*fault.InvalidError](t, err, field+": ")
	}
	_, err := c.DeployTransient(access.Operator.In("acme").In("umbrella"), "fun", good, nil)
	wantError[*fault.NotFoundError](t, err, "folder")
	v, err := c.DeployTransient(member("acme"), "fun", good, nil)
	if err != nil || v.Tenant != "acme" {
		t.Errorf("got %+v, %v", v, err)
	}
	f, err := c.Function(member("acme"), "fun")
	if owner := f.LogOwner(); err != nil || !owner.Transient || owner != v.LogOwner() {
		t.Errorf("its log is %+v's, %v", owner, err)
	}
	c.Close()
	if _, err := c.DeployTransient(member("acme"), "fun", good, nil); err != fault.ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

// failingBucket refuses changes with an error, if there is one.
type failingBucket struct {
	store.Bucket
	err error
}

func (b *failingBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if b.err != nil {
		return 0, b.err
	}
	return b.Bucket.Update(ctx, key, value, revision)
}

func TestCopyVersion_TakesTheCode(t *testing.T) {
	c := open(t, memory(t))
	c.create("", "fun")
	c.create("", "other")
	v := c.version("fun", "the code")
	copied, err := c.CopyVersion(t.Context(), access.Operator, "other", VersionSpec{Entrypoint: "a.b"}, v.ID, []string{"prod"})
	if err != nil || copied.SHA256 != v.SHA256 || copied.FunctionName != "other" || !slices.Equal(copied.Tags, []string{LatestTag, "prod"}) {
		t.Errorf("got %+v, %v", copied, err)
	}
	if err := c.DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
		t.Fatal(err)
	}
	if code, err := c.Archive(t.Context(), access.Operator, copied.ID); err != nil || string(code) != "the code" {
		t.Errorf("after the source is deleted: %q, %v", code, err)
	}
	use, err := c.Use(access.Operator)
	if want := (quota.Amounts{quota.Functions: 1, quota.Versions: 1, quota.CodeBytes: 8}); err != nil || use[access.DefaultTenant] != want {
		t.Errorf("use: %v, %v", use, err)
	}
}

func TestDeploy_MakesWhatNoStoreHas(t *testing.T) {
	s := memory(t)
	c := open(t, s)
	one, err := c.DeployTransient(access.Operator, "fun", VersionSpec{Entrypoint: "a.b"}, nil)
	if err != nil || !one.Transient {
		t.Fatalf("got %+v, %v", one, err)
	}
	two, err := c.DeployTransient(access.Operator, "fun", VersionSpec{Entrypoint: "a.b"}, nil)
	if err != nil || two.FunctionID != one.FunctionID {
		t.Fatalf("got %+v, %v", two, err)
	}
	if err := c.Retire(t.Context(), access.Operator, "fun"); err != nil || !slices.Equal(c.versions(), []string{two.ID}) {
		t.Errorf("left are %v, %v", c.versions(), err)
	}
	_, err = c.Archive(t.Context(), access.Operator, two.ID)
	wantError[*fault.NotFoundError](t, err, "archive of version")
	for _, b := range []store.Bucket{s.Functions, s.Versions, s.Names} {
		if all, err := b.All(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("the store has %v, %v", all, err)
		}
	}
	s.Durable = true
	c.create("", "stored")
	_, err = c.DeployTransient(access.Operator, "stored", VersionSpec{Entrypoint: "a.b"}, nil)
	wantError[*fault.ConflictError](t, err, "is a stored one")
	if err := c.DeleteFunction(t.Context(), access.Operator, "fun"); err != nil || len(c.versions()) != 0 {
		t.Errorf("left are %v, %v", c.versions(), err)
	}
}

func TestDeleteFunction_WaitsForCallsAndRefusesTheRest(t *testing.T) {
	c, ctx := open(t, memory(t)), t.Context()
	f := c.create("", "fun")
	v := c.version("fun", "code")
	c.note(func() { c.holding = make(chan struct{}) }) // a call goes on
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.DeleteFunction(impatient, access.Operator, "fun"); !errors.Is(err, context.Canceled) {
		t.Errorf("deleting while a call goes on: %v", err)
	}
	_, err := c.Resolve(access.Operator, "fun", "")
	wantError[*fault.NotFoundError](t, err, "fun")
	_, err = c.VersionByTag(access.Operator, "fun", "")
	wantError[*fault.NotFoundError](t, err, "fun")
	_, err = c.CreateVersion(ctx, access.Operator, f.ID, VersionSpec{Entrypoint: "a.b"}, nil, nil)
	wantError[*fault.ConflictError](t, err, "is being deleted")
	_, err = c.SetTag(ctx, access.Operator, v.ID, "prod")
	wantError[*fault.ConflictError](t, err, "is being deleted")
	if info, err := c.Version(access.Operator, v.ID); err != nil || info.Status != StatusDeleting {
		t.Errorf("its version: %+v, %v", info, err)
	}
	c.note(func() { close(c.holding); c.holding = nil })
	if err := c.DeleteFunction(ctx, access.Operator, f.ID); err != nil && fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
	roomtest.Until(t, "it is gone", func() bool { _, err := c.Function(access.Operator, f.ID); return err != nil })
}

// lostAnswers is a bucket of a store whose answers to updates are lost.
type lostAnswers struct {
	store.Bucket
	takes bool // it makes them
}

func (b *lostAnswers) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if b.takes {
		if _, err := b.Bucket.Update(ctx, key, value, revision); err != nil {
			return 0, err
		}
	}
	return 0, store.ErrUnavailable
}

// A version whose making ends with nobody knowing if the store has it runs only if it has.
func TestCreateVersion_RunsWhatTheStoreTook(t *testing.T) {
	for _, takes := range []bool{false, true} {
		t.Run(fmt.Sprint(takes), func(t *testing.T) {
			s := memory(t)
			s.Functions = &lostAnswers{s.Functions, takes}
			c := open(t, s)
			c.create("", "fun")
			_, err := c.CreateVersion(t.Context(), access.Operator, "fun", VersionSpec{Entrypoint: "main.handler"}, []byte("code"), nil)
			if !errors.Is(err, fault.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if takes {
				roomtest.Until(t, "the version is there", func() bool { _, err := c.Resolve(access.Operator, "fun", ""); return err == nil })
			}
			versions, err := c.Versions(access.Operator, "fun")
			if err != nil || len(versions) != len(c.versions()) || takes != (len(versions) == 1) {
				t.Errorf("there are %v, %v; %v run", versions, err, c.versions())
			}
		})
	}
}

// Whatever of a function could not be removed is removed by who deletes it again.
func TestDeleteFunction_CanBeTriedAgain(t *testing.T) {
	c := open(t, memory(t))
	f := c.create("", "fun")
	c.version("fun", "code")
	c.note(func() { c.dropping = store.ErrUnavailable })
	if err := c.DeleteFunction(t.Context(), access.Operator, "fun"); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if info, err := c.Function(access.Operator, "fun"); err != nil || info.Status != StatusDeleting {
		t.Errorf("got %+v, %v", info, err)
	}
	c.note(func() { c.dropping = nil })
	if err := c.DeleteFunction(t.Context(), access.Operator, f.ID); err != nil {
		t.Error(err)
	}
	c.create("", "fun")
}

func TestVersions_ObsoleteOnesGoAfterAWhile(t *testing.T) {
	c := open(t, memory(t), func(cfg *Config) { cfg.KeepObsolete = 20 * time.Millisecond })
	c.create("", "fun")
	old, tagged, latest := c.version("fun", "old"), c.version("fun", "tagged", "prod"), c.version("fun", "new")
	roomtest.Until(t, "the old one is gone", func() bool { _, err := c.Version(access.Operator, old.ID); return err != nil })
	time.Sleep(50 * time.Millisecond)
	for _, v := range []VersionInfo{tagged, latest} {
		if _, err := c.Version(access.Operator, v.ID); err != nil {
			t.Error(err)
		}
	}
}

func TestCreateFunction_OneOfManyGetsTheName(t *testing.T) {
	c := open(t, memory(t))
	var makers sync.WaitGroup
	made := make(chan FunctionInfo, 8)
	for range 8 {
		makers.Go(func() {
			f, err := c.CreateFunction(t.Context(), access.Operator, FunctionSpec{Name: "fun"})
			if err != nil {
				wantError[*fault.ConflictError](t, err, "exists already")
				return
			}
			made <- f
		})
	}
	makers.Wait()
	if all, err := c.Functions(access.Operator); err != nil || len(made) != 1 || len(all) != 1 {
		t.Errorf("made %d functions, %d are there, %v", len(made), len(all), err)
	}
}

// What was handed out stays what it was, whatever becomes of the function.
func TestFunction_WhatWasHandedOutStaysAsItWas(t *testing.T) {
	c, ctx := open(t, memory(t)), t.Context()
	labels := map[string]string{"a": "1"}
	f, err := c.CreateFunction(ctx, access.Operator, FunctionSpec{Name: "fun", Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	labels["a"] = "changed by who asked"
	v := c.version("fun", "code", "prod")
	before, _ := c.Function(access.Operator, "fun")
	history, _ := c.TagHistory(access.Operator, "fun")
	state := fmt.Sprint(f, before, before.Latest, v.Tags, history)
	name := "renamed"
	if _, err := c.UpdateFunction(ctx, access.Operator, "fun", FunctionUpdate{Name: &name, Labels: map[string]string{"b": "2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RemoveTag(ctx, access.Operator, v.ID, "prod"); err != nil {
		t.Fatal(err)
	}
	c.version("renamed", "next", "prod")
	if after := fmt.Sprint(f, before, before.Latest, v.Tags, history); after != state || before.Labels["a"] != "1" {
		t.Errorf("got\n%s\nwant\n%s", after, state)
	}
}
