package host

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/store"
)

// restart runs a test on a host, and then another one on a new host that has
// the same directory.
func restart(t *testing.T, before, after func(h *testHost)) {
	t.Helper()
	dir := t.TempDir()
	for _, test := range []func(h *testHost){before, after} {
		s := openStore(t, dir)
		h := newTestHost(t, Config{Store: s, ImageDir: filepath.Join(dir, "images")})
		test(h)
		h.Close()
		s.Close()
	}
}

func TestRestart_FunctionsLiveOn(t *testing.T) {
	var one, two *catalog.Version
	restart(t, func(h *testHost) {
		h.create("fun")
		one = h.version("fun", answering("one"), catalog.VersionSpec{
			Timeout: time.Second, MemoryMB: 256, Environment: map[string]string{"A": "B"}}, "prod")
		two = h.version("fun", answering("two"), catalog.VersionSpec{})
		h.want("fun", "", `"two"`)
		if err := h.SetScalingPolicy(t.Context(), "fun", ScalingPolicy{Tag: "prod", ZoneInstancesLimit: 3}); err != nil {
			t.Fatal(err)
		}
		h.create("gone")
		h.version("gone", answering("gone"), catalog.VersionSpec{})
		if err := h.DeleteFunction(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
	}, func(h *testHost) {
		h.want("fun", "", `"two"`)
		v, err := h.Resolve("fun", "prod")
		if err != nil || v.ID != one.ID || v.Timeout != time.Second || v.MemoryMB != 256 || v.Environment["A"] != "B" {
			t.Errorf("prod: %+v, %v", v, err)
		}
		if n := h.runner.Room(v.ID); n != 3 {
			t.Errorf("its policy: there is room for %d instances", n)
		}
		if _, err := h.SetTag(t.Context(), one.ID, "stable"); err != nil {
			t.Error(err)
		}
		if info, err := h.GetFunction("fun"); err != nil || info.Latest.ID != two.ID || info.Tags["stable"] != one.ID {
			t.Errorf("got %+v, %v", info, err)
		}
		_, err = h.GetFunction("gone")
		wantError[*fault.NotFoundError](t, err, "gone")
		h.create("gone")
		archive, err := h.VersionArchive(t.Context(), one.ID)
		if err != nil || string(archive) != string(archiveOf(t, answering("one"))) {
			t.Errorf("archive: %d bytes, %v", len(archive), err)
		}
	})
}

func TestRestart_LeftoversAreCollected(t *testing.T) {
	restart(t, func(h *testHost) {
		ctx, s := t.Context(), h.cfg.Store
		fun := h.create("fun")
		h.version("fun", answering("kept"), catalog.VersionSpec{})
		// What attempts leave that are cut off after each step.
		name, err := s.Code.Put(ctx, []byte("half"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Versions.Create(ctx, "d4vhalf", encodeRecord(versionRecord{ID: "d4vhalf", FunctionID: fun.ID, SHA256: name})); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Names.Create(ctx, "half", []byte("d4ehalf")); err != nil {
			t.Fatal(err)
		}
		f := h.create("going")
		h.version("going", answering("going"), catalog.VersionSpec{})
		e, err := s.Functions.Get(ctx, f.ID)
		if err != nil {
			t.Fatal(err)
		}
		r := h.functions[f.ID].snapshot(h.Host)
		r.Status = catalog.StatusDeleting
		h.Close() // so that only the next one sees it
		if _, err := s.Functions.Update(ctx, f.ID, encodeRecord(r), e.Revision); err != nil {
			t.Fatal(err)
		}
	}, func(h *testHost) {
		ctx, s := t.Context(), h.cfg.Store
		h.want("fun", "", `"kept"`)
		_, err := h.GetVersion("d4vhalf")
		wantError[*fault.NotFoundError](t, err, "d4vhalf")
		h.drains.Wait() // for going to go
		h.create("half")
		h.create("going")
		for bucket, want := range map[store.Bucket]int{s.Versions: 1, s.Names: 3, s.Functions: 3} {
			if all, err := bucket.All(ctx); err != nil || len(all) != want {
				t.Errorf("%d keys where %d should be: %v, %v", len(all), want, all, err)
			}
		}
		if names, err := s.Code.Names(ctx); err != nil || len(names) != 1 {
			t.Errorf("archives: %v, %v", names, err)
		}
	})
}

func TestStore_TwoHostsSeeEachOthersChanges(t *testing.T) {
	s := openStore(t, t.TempDir())
	t.Cleanup(s.Close)
	a, b := newTestHost(t, Config{Store: s}), newTestHost(t, Config{Store: s})
	eventually := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	f := a.create("fun")
	v := a.version("fun", answering("one"), catalog.VersionSpec{})
	eventually("b has no version", func() bool { _, err := b.Resolve("fun", ""); return err == nil })
	b.want("fun", "", `"one"`)
	// Both change the same function at once: nothing is lost.
	for i := range 5 {
		if _, err := a.SetTag(t.Context(), v.ID, fmt.Sprintf("a%d", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.SetTag(t.Context(), v.ID, fmt.Sprintf("b%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually("a has not all tags", func() bool { info, _ := a.GetFunction("fun"); return len(info.Tags) == 11 })
	eventually("b has not all tags", func() bool { info, _ := b.GetFunction("fun"); return len(info.Tags) == 11 })
	if err := b.DeleteFunction(t.Context(), f.ID); err != nil {
		t.Fatal(err)
	}
	eventually("a still has it", func() bool { _, err := a.GetFunction(f.ID); return err != nil })
	a.create("fun")
}

// startFunctions is how many stored functions the start is measured with.
const startFunctions = 1000

func TestStart_WithManyFunctionsIsQuick(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	h := newTestHost(t, Config{Store: s})
	archive := archiveOf(t, answering("here"))
	name, err := s.Code.Put(t.Context(), archive)
	if err != nil {
		t.Fatal(err)
	}
	// Straight into the store, which spares half of the time.
	for i := range startFunctions {
		f := newFunction(catalog.FunctionSpec{Name: fmt.Sprintf("fun-%d", i)}).record
		v := versionRecord{ID: catalog.NewID(catalog.VersionPrefix), CreatedAt: time.Now(), SHA256: name, Size: int64(len(archive)),
			Spec: catalog.VersionSpec{Entrypoint: "main.handler"}.WithDefaults()}
		f.Versions, f.Tags[catalog.LatestTag] = []versionEntry{{ID: v.ID}}, v.ID
		for _, r := range []struct {
			bucket store.Bucket
			key    string
			value  []byte
		}{{s.Names, f.Name, []byte(f.ID)}, {s.Versions, v.ID, encodeRecord(v)}, {s.Functions, f.ID, encodeRecord(f)}} {
			if _, err := r.bucket.Create(t.Context(), r.key, r.value); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.Close()
	s.Close()
	start := time.Now()
	s = openStore(t, dir)
	t.Cleanup(s.Close)
	opened := time.Since(start)
	h = newTestHost(t, Config{Store: s})
	took := time.Since(start)
	t.Logf("store %v, all %v", opened, took)
	if took > 15*time.Second { // the aim is 2 s, on a machine that does nothing else
		t.Errorf("the start took %v", took)
	}
	if n := len(h.Functions()); n != startFunctions {
		t.Errorf("%d functions", n)
	}
	start = time.Now()
	h.want("fun-999", "", `"here"`)
	t.Logf("first answer after %v", time.Since(start))
}
