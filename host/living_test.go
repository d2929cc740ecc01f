package host

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/run"
	"vivarium/host/store"
)

// archiveOf makes a zip file of main.py with this source.
func archiveOf(t testing.TB, source string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("main.py")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(source)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// answering is a function's source whose handler returns a string.
func answering(text string) string {
	return fmt.Sprintf("def handler(event, context): return %q\n", text)
}

// create makes a function and fails the test when that does not work.
func (h *testHost) create(name string) catalog.FunctionInfo {
	h.t.Helper()
	f, err := h.CreateFunction(h.t.Context(), catalog.FunctionSpec{Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

// version makes a version and fails the test when that does not work.
func (h *testHost) version(function, source string, spec catalog.VersionSpec, tags ...string) *catalog.Version {
	h.t.Helper()
	if spec.Entrypoint == "" {
		spec.Entrypoint = "main.handler"
	}
	v, err := h.CreateVersion(h.t.Context(), function, spec, archiveOf(h.t, source), tags)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// openStore opens the store in dir; the caller closes it.
func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eachStore runs a test with a host in memory and with one on a store.
func eachStore(t *testing.T, test func(t *testing.T, h *testHost)) {
	t.Run("in memory", func(t *testing.T) { test(t, newTestHost(t, Config{})) })
	t.Run("on a store", func(t *testing.T) {
		s := openStore(t, t.TempDir())
		t.Cleanup(s.Close)
		test(t, newTestHost(t, Config{Store: s}))
	})
}

func wantError[E error](t *testing.T, err error, containing string) {
	t.Helper()
	if _, ok := errors.AsType[E](err); !ok || !strings.Contains(err.Error(), containing) {
		t.Errorf("got %v (%T), want %T with %q", err, err, *new(E), containing)
	}
}

func TestFunction_LivesFromCreatingToDeleting(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		f := h.create("first")
		if _, err := h.Resolve("first", ""); err == nil {
			t.Error("a function without versions can be called")
		}
		_, err := h.CreateFunction(ctx, catalog.FunctionSpec{Name: "first"})
		wantError[*fault.ConflictError](t, err, "exists already")

		h.version("first", answering("one"), catalog.VersionSpec{})
		h.want("first", "", `"one"`)
		h.want(f.ID, "", `"one"`)

		name, text := "second", "what it does"
		info, err := h.UpdateFunction(ctx, f.ID, catalog.FunctionUpdate{
			Name: &name, Description: &text, Labels: map[string]string{"team": "blue"},
		})
		if err != nil || info.Name != name || info.Description != text || info.Labels["team"] != "blue" {
			t.Errorf("updated: %+v, %v", info, err)
		}
		h.want("second", "", `"one"`)
		if _, err := h.GetFunction("first"); err == nil {
			t.Error("the old name still leads there")
		}
		h.create("first") // which is free now

		if err := h.DeleteFunction(ctx, "second"); err != nil {
			t.Fatal(err)
		}
		_, err = h.GetFunction(f.ID)
		wantError[*fault.NotFoundError](t, err, f.ID)
		_, err = h.raw("second", "")
		wantError[*fault.NotFoundError](t, err, "second")
		h.create("second")
	})
}

func TestFunction_BrokenRulesAreNamed(t *testing.T) {
	h := newTestHost(t, Config{})
	ctx := t.Context()
	for field, spec := range map[string]catalog.FunctionSpec{
		"name":        {Name: "Upper"},
		"description": {Name: "fun", Description: strings.Repeat("x", 601)},
		"labels":      {Name: "fun", Labels: map[string]string{"Upper": ""}},
	} {
		_, err := h.CreateFunction(ctx, spec)
		wantError[*fault.InvalidError](t, err, field+": ")
	}
	f := h.create("fun")
	code := archiveOf(t, answering(""))
	for field, spec := range map[string]catalog.VersionSpec{
		"runtime":                               {Entrypoint: "a.b", Runtime: "cobol85"},
		"memory":                                {Entrypoint: "a.b", MemoryMB: 8192},
		"async_invocation_config.retries_count": {Entrypoint: "a.b", Async: &catalog.AsyncConfig{Retries: 101}},
	} {
		_, err := h.CreateVersion(ctx, f.ID, spec, code, nil)
		wantError[*fault.InvalidError](t, err, field+": ")
	}
	good := catalog.VersionSpec{Entrypoint: "main.handler"}
	_, err := h.CreateVersion(ctx, f.ID, good, []byte("no zip"), nil)
	wantError[*fault.InvalidError](t, err, "content: is no zip")
	_, err = h.CreateVersion(ctx, f.ID, good, code, []string{"Upper"})
	wantError[*fault.InvalidError](t, err, "tag: ")
	_, err = h.CreateVersion(ctx, f.ID, good, code, strings.Split("a b c d e f g h i j k", " "))
	wantError[*fault.InvalidError](t, err, "at most 10 are allowed")
	_, err = h.CreateVersion(ctx, f.ID, good, code, []string{catalog.LatestTag})
	wantError[*fault.ConflictError](t, err, "set by the service")
	_, err = h.CreateVersion(ctx, "nobody", good, code, nil)
	wantError[*fault.NotFoundError](t, err, "nobody")
	if versions, _, err := h.ListVersions(access.AllTenants, f.ID, 0, ""); err != nil || len(versions) != 0 {
		t.Errorf("versions are left behind: %v, %v", versions, err)
	}
}

func TestTags_MoveAndTellTheirHistory(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		h.create("fun")
		one := h.version("fun", answering("one"), catalog.VersionSpec{}, "prod")
		two := h.version("fun", answering("two"), catalog.VersionSpec{}, "prod")
		tagged := func(tag, want string) {
			t.Helper()
			r, err := h.Invoke(ctx, run.Invocation{Function: "fun", Tag: tag, Received: time.Now(), Raw: true})
			if err != nil || string(r.Body) != want {
				t.Errorf("tag %s: got %v, %v, want %s", tag, r, err, want)
			}
		}
		tagged("prod", `"two"`)
		if info, _ := h.GetVersion(one.ID); info.Status != catalog.StatusObsolete {
			t.Errorf("a version without tags is %s", info.Status)
		}
		if info, err := h.SetTag(ctx, one.ID, "prod"); err != nil || info.Status != catalog.StatusActive {
			t.Errorf("rolled back: %+v, %v", info, err)
		}
		tagged("prod", `"one"`)
		tagged("", `"two"`)
		_, err := h.RemoveTag(ctx, two.ID, "prod")
		wantError[*fault.NotFoundError](t, err, "tag prod")
		_, err = h.SetTag(ctx, two.ID, catalog.LatestTag)
		wantError[*fault.ConflictError](t, err, "set by the service")

		events, err := h.TagHistory("fun")
		var got []string
		for _, e := range events {
			if e.Tag == "prod" {
				got = append(got, e.VersionID)
			}
		}
		if want := []string{one.ID, two.ID, one.ID}; err != nil || !slices.Equal(got, want) {
			t.Errorf("history of prod: got %v, %v, want %v", got, err, want)
		}
		wantError[*fault.ConflictError](t, h.DeleteVersion(ctx, two.ID, false), "$latest")
		if err := h.DeleteVersion(ctx, two.ID, true); err != nil {
			t.Fatal(err)
		}
		tagged("", `"one"`) // what is the newest now
		if info, err := h.GetVersionByTag("fun", "prod"); err != nil || !slices.Equal(info.Tags, []string{catalog.LatestTag, "prod"}) {
			t.Errorf("by tag: %+v, %v", info, err)
		}
	})
}

func TestTags_CallsFinishOnTheVersionTheyBeganOn(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		h.create("fun")
		h.version("fun", "import time\ndef handler(e, c):\n    time.sleep(1)\n    return 'old'\n", catalog.VersionSpec{})
		old, err := h.Resolve("fun", "")
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		calls.Go(func() { h.want("fun", "", `"old"`) })
		for { // until the call is there
			if _, live, _ := h.instances(old); live > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		h.version("fun", answering("new"), catalog.VersionSpec{})
		h.want("fun", "", `"new"`)
		if err := h.DeleteVersion(t.Context(), old.ID, false); err != nil { // waits for the call
			t.Error(err)
		}
		calls.Wait()
	})
}

func TestDeleteFunction_DrainsAndRefusesTheRest(t *testing.T) {
	h := newTestHost(t, Config{})
	f := h.create("fun")
	v := h.version("fun", "import time\ndef handler(e, c):\n    time.sleep(1)\n    return 'done'\n", catalog.VersionSpec{})
	var calls sync.WaitGroup
	calls.Go(func() { h.want("fun", "", `"done"`) })
	for {
		if _, live, _ := h.instances(v); live > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.DeleteFunction(impatient, "fun"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deleting while a call runs: %v", err)
	}
	_, err := h.raw("fun", "")
	wantError[*fault.NotFoundError](t, err, "fun")
	_, err = h.CreateVersion(t.Context(), f.ID, catalog.VersionSpec{Entrypoint: "a.b"}, archiveOf(t, ""), nil)
	wantError[*fault.ConflictError](t, err, "is being deleted")
	_, err = h.SetTag(t.Context(), v.ID, "prod")
	wantError[*fault.ConflictError](t, err, "is being deleted")
	if err := h.DeleteFunction(t.Context(), "fun"); err != nil {
		t.Error(err)
	}
	calls.Wait()
}

func TestScalingPolicy_BoundsItsTagsVersion(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		h.create("fun")
		v := h.version("fun", "import time\ndef handler(e, c): time.sleep(0.5)\n", catalog.VersionSpec{Timeout: time.Minute})
		wantError[*fault.InvalidError](t, h.SetScalingPolicy(ctx, "fun", ScalingPolicy{
			Tag: catalog.LatestTag, ProvisionedInstances: 2, ZoneInstancesLimit: 1}), "provisioned_instances_count")
		policy := ScalingPolicy{Tag: catalog.LatestTag, ZoneRequestsLimit: 2, ZoneInstancesLimit: 1}
		if err := h.SetScalingPolicy(ctx, "fun", policy); err != nil {
			t.Fatal(err)
		}
		var busy, fine int
		var mu sync.Mutex
		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() {
				_, err := h.raw("fun", "")
				mu.Lock()
				defer mu.Unlock()
				if err == fault.ErrBusy {
					busy++
				} else if err == nil {
					fine++
				}
			})
		}
		calls.Wait()
		if fine != 2 || busy != 3 {
			t.Errorf("of 5 calls %d got through and %d met a limit, want 2 and 3", fine, busy)
		}
		if _, live, _ := h.instances(v); live != 1 {
			t.Errorf("%d instances, want 1", live)
		}
		if err := h.RemoveScalingPolicy(ctx, "fun", catalog.LatestTag); err != nil {
			t.Fatal(err)
		}
		if policies, err := h.ListScalingPolicies("fun"); err != nil || len(policies) != 0 {
			t.Errorf("policies: %v, %v", policies, err)
		}
	})
}

func TestLists_GoPageByPage(t *testing.T) {
	h := newTestHost(t, Config{})
	for i := range 7 {
		h.create(fmt.Sprintf("fun-%d", i))
	}
	var names []string
	token, pages := "", 0
	for {
		page, next, err := h.ListFunctions(access.AllTenants, 3, token, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page {
			names = append(names, f.Name)
		}
		pages++
		if token = next; token == "" {
			break
		}
	}
	if len(names) != 7 || pages != 3 || !slices.IsSorted(names) {
		t.Errorf("%d pages with %v", pages, names)
	}
	if page, _, err := h.ListFunctions(access.AllTenants, 0, "", `name="fun-3"`); err != nil || len(page) != 1 || page[0].Name != "fun-3" {
		t.Errorf("filtered: %v, %v", page, err)
	}
	_, _, err := h.ListFunctions(access.AllTenants, 0, "", `status=ACTIVE`)
	wantError[*fault.InvalidError](t, err, "filter: ")
	_, _, err = h.ListFunctions(access.AllTenants, 1001, "", "")
	wantError[*fault.InvalidError](t, err, "page_size: ")
	_, _, err = h.ListFunctions(access.AllTenants, 0, "!", "")
	wantError[*fault.InvalidError](t, err, "page_token: ")
	var versions []*catalog.Version
	for i := range 5 {
		versions = append(versions, h.version("fun-0", answering(fmt.Sprint(i)), catalog.VersionSpec{}))
	}
	slices.Reverse(versions)
	first, token, err := h.ListVersions(access.AllTenants, "fun-0", 3, "")
	if err != nil {
		t.Fatal(err)
	}
	second, token, err := h.ListVersions(access.AllTenants, "fun-0", 3, token)
	all := append(first, second...)
	if err != nil || token != "" || !slices.EqualFunc(all, versions, func(a VersionInfo, b *catalog.Version) bool { return a.ID == b.ID }) {
		t.Errorf("versions: %v, %v", all, err)
	}
}

func TestVersions_ObsoleteOnesGoAfterAWhile(t *testing.T) {
	h := newTestHost(t, Config{KeepObsolete: 50 * time.Millisecond})
	h.create("fun")
	old := h.version("fun", answering("old"), catalog.VersionSpec{})
	h.version("fun", answering("new"), catalog.VersionSpec{})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := h.GetVersion(old.ID); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is still there")
		}
	}
	h.want("fun", "", `"new"`)
}

// What the store tells of a function late, after it was deleted, does not bring it
// back.
func TestDeleteFunction_OldNewsDoNotBringItBack(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		f := h.create("fun")
		h.version("fun", answering("here"), catalog.VersionSpec{})
		record, err := h.cfg.Store.Functions.Get(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // of which some are deleted before the news of them have come
			other := h.create("other")
			if err := h.DeleteFunction(t.Context(), "other"); err != nil {
				t.Fatal(err)
			}
			if got, err := h.GetFunction(other.ID); err == nil {
				t.Fatalf("it is there again: %+v", got)
			}
		}
		if err := h.DeleteFunction(t.Context(), "fun"); err != nil {
			t.Fatal(err)
		}
		h.Host.mu.Lock()
		h.gone[f.ID] = true // as before the news of the deletion
		h.Host.mu.Unlock()
		if err := h.apply(t.Context(), record, nil, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := h.GetFunction(f.ID); err == nil {
			t.Errorf("old news brought it back: %+v", got)
		}
	})
}

// lateBucket answers a change only when the host has acted on the news of it.
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
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	late := &lateBucket{Bucket: s.Functions}
	s.Functions = late
	h := newTestHost(t, Config{Store: s})
	f := h.create("fun")
	late.acted = func(key string) bool {
		_, err := h.GetFunction(key)
		return err != nil
	}
	if err := h.DeleteFunction(t.Context(), "fun"); err != nil {
		t.Fatal(err)
	}
	if got, err := h.GetFunction(f.ID); err == nil {
		t.Errorf("it is there again: %+v", got)
	}
	if _, err := h.CreateFunction(t.Context(), catalog.FunctionSpec{Name: "fun"}); err != nil {
		t.Errorf("its name: %v", err)
	}
}
