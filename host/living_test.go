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
	f, err := h.Catalog().CreateFunction(h.t.Context(), access.Operator, catalog.FunctionSpec{Name: name})
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
	v, err := h.Catalog().CreateVersion(h.t.Context(), access.Operator, function, spec, archiveOf(h.t, source), tags)
	if err != nil {
		h.t.Fatal(err)
	}
	return v.Version
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
		if _, err := h.Resolve(access.Operator, "first", ""); err == nil {
			t.Error("a function without versions can be called")
		}
		_, err := h.Catalog().CreateFunction(ctx, access.Operator, catalog.FunctionSpec{Name: "first"})
		wantError[*fault.ConflictError](t, err, "exists already")

		h.version("first", answering("one"), catalog.VersionSpec{})
		h.want("first", "", `"one"`)
		h.want(f.ID, "", `"one"`)

		name, text := "second", "what it does"
		info, err := h.Catalog().UpdateFunction(ctx, access.Operator, f.ID, catalog.FunctionUpdate{
			Name: &name, Description: &text, Labels: map[string]string{"team": "blue"},
		})
		if err != nil || info.Name != name || info.Description != text || info.Labels["team"] != "blue" {
			t.Errorf("updated: %+v, %v", info, err)
		}
		h.want("second", "", `"one"`)
		if _, err := h.Catalog().Function(access.Operator, "first"); err == nil {
			t.Error("the old name still leads there")
		}
		h.create("first") // which is free now

		if err := h.Catalog().DeleteFunction(ctx, access.Operator, "second"); err != nil {
			t.Fatal(err)
		}
		_, err = h.Catalog().Function(access.Operator, f.ID)
		wantError[*fault.NotFoundError](t, err, f.ID)
		_, err = h.raw("second", "")
		wantError[*fault.NotFoundError](t, err, "second")
		h.create("second")
	})
}

func TestTags_MoveAndTellTheirHistory(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		h.create("fun")
		one := h.version("fun", answering("one"), catalog.VersionSpec{}, "prod")
		two := h.version("fun", answering("two"), catalog.VersionSpec{}, "prod")
		tagged := func(tag, want string) {
			t.Helper()
			r, err := h.Invoke(ctx, access.Operator, run.Invocation{Function: "fun", Tag: tag, Received: time.Now(), Raw: true})
			if err != nil || string(r.Body) != want {
				t.Errorf("tag %s: got %v, %v, want %s", tag, r, err, want)
			}
		}
		tagged("prod", `"two"`)
		if info, _ := h.Catalog().Version(access.Operator, one.ID); info.Status != catalog.StatusObsolete {
			t.Errorf("a version without tags is %s", info.Status)
		}
		if info, err := h.Catalog().SetTag(ctx, access.Operator, one.ID, "prod"); err != nil || info.Status != catalog.StatusActive {
			t.Errorf("rolled back: %+v, %v", info, err)
		}
		tagged("prod", `"one"`)
		tagged("", `"two"`)
		_, err := h.Catalog().RemoveTag(ctx, access.Operator, two.ID, "prod")
		wantError[*fault.NotFoundError](t, err, "tag prod")
		_, err = h.Catalog().SetTag(ctx, access.Operator, two.ID, catalog.LatestTag)
		wantError[*fault.ConflictError](t, err, "set by the service")

		events, err := h.Catalog().TagHistory(access.Operator, "fun")
		var got []string
		for _, e := range events {
			if e.Tag == "prod" {
				got = append(got, e.VersionID)
			}
		}
		if want := []string{one.ID, two.ID, one.ID}; err != nil || !slices.Equal(got, want) {
			t.Errorf("history of prod: got %v, %v, want %v", got, err, want)
		}
		wantError[*fault.ConflictError](t, h.Catalog().DeleteVersion(ctx, access.Operator, two.ID, false), "$latest")
		if err := h.Catalog().DeleteVersion(ctx, access.Operator, two.ID, true); err != nil {
			t.Fatal(err)
		}
		tagged("", `"one"`) // what is the newest now
		if info, err := h.Catalog().VersionByTag(access.Operator, "fun", "prod"); err != nil ||
			!slices.Equal(info.Tags, []string{catalog.LatestTag, "prod"}) {
			t.Errorf("by tag: %+v, %v", info, err)
		}
	})
}

func TestTags_CallsFinishOnTheVersionTheyBeganOn(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		h.create("fun")
		h.version("fun", "import time\ndef handler(e, c):\n    time.sleep(1)\n    return 'old'\n", catalog.VersionSpec{})
		old, err := h.Resolve(access.Operator, "fun", "")
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
		if err := h.Catalog().DeleteVersion(t.Context(), access.Operator, old.ID, false); err != nil { // waits for the call
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
	if err := h.Catalog().DeleteFunction(impatient, access.Operator, "fun"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deleting while a call runs: %v", err)
	}
	_, err := h.raw("fun", "")
	wantError[*fault.NotFoundError](t, err, "fun")
	_, err = h.Catalog().CreateVersion(t.Context(), access.Operator, f.ID, catalog.VersionSpec{Entrypoint: "a.b"}, archiveOf(t, ""), nil)
	wantError[*fault.ConflictError](t, err, "is being deleted")
	_, err = h.Catalog().SetTag(t.Context(), access.Operator, v.ID, "prod")
	wantError[*fault.ConflictError](t, err, "is being deleted")
	if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "fun"); err != nil {
		t.Error(err)
	}
	calls.Wait()
}

func TestScalingPolicy_BoundsItsTagsVersion(t *testing.T) {
	eachStore(t, func(t *testing.T, h *testHost) {
		ctx := t.Context()
		h.create("fun")
		v := h.version("fun", "import time\ndef handler(e, c): time.sleep(0.5)\n", catalog.VersionSpec{Timeout: time.Minute})
		wantError[*fault.InvalidError](t, h.Catalog().SetScalingPolicy(ctx, access.Operator, "fun", catalog.ScalingPolicy{
			Tag: catalog.LatestTag, ProvisionedInstances: 2, ZoneInstancesLimit: 1}), "provisioned_instances_count")
		policy := catalog.ScalingPolicy{Tag: catalog.LatestTag, ZoneRequestsLimit: 2, ZoneInstancesLimit: 1}
		if err := h.Catalog().SetScalingPolicy(ctx, access.Operator, "fun", policy); err != nil {
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
				if errors.Is(err, fault.ErrBusy) {
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
		if err := h.Catalog().RemoveScalingPolicy(ctx, access.Operator, "fun", catalog.LatestTag); err != nil {
			t.Fatal(err)
		}
		if policies, err := h.Catalog().ScalingPolicies(access.Operator, "fun"); err != nil || len(policies) != 0 {
			t.Errorf("policies: %v, %v", policies, err)
		}
	})
}
