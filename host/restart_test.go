package host

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/roomtest"
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
		if err := h.Catalog().SetScalingPolicy(t.Context(), access.Operator, "fun",
			catalog.ScalingPolicy{Tag: "prod", ZoneInstancesLimit: 3}); err != nil {
			t.Fatal(err)
		}
		h.create("gone")
		h.version("gone", answering("gone"), catalog.VersionSpec{})
		if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "gone"); err != nil {
			t.Fatal(err)
		}
	}, func(h *testHost) {
		h.want("fun", "", `"two"`)
		v, err := h.Resolve(access.Operator, "fun", "prod")
		if err != nil || v.ID != one.ID || v.Timeout != time.Second || v.MemoryMB != 256 || v.Environment["A"] != "B" {
			t.Errorf("prod: %+v, %v", v, err)
		}
		if n := h.runner.Room(v.ID); n != 3 {
			t.Errorf("its policy: there is room for %d instances", n)
		}
		if _, err := h.Catalog().SetTag(t.Context(), access.Operator, one.ID, "stable"); err != nil {
			t.Error(err)
		}
		if info, err := h.Catalog().Function(access.Operator, "fun"); err != nil || info.Latest.ID != two.ID || info.Tags["stable"] != one.ID {
			t.Errorf("got %+v, %v", info, err)
		}
		_, err = h.Catalog().Function(access.Operator, "gone")
		wantError[*fault.NotFoundError](t, err, "gone")
		h.create("gone")
		archive, err := h.Catalog().Archive(t.Context(), access.Operator, one.ID)
		if err != nil || string(archive) != string(archiveOf(t, answering("one"))) {
			t.Errorf("archive: %d bytes, %v", len(archive), err)
		}
	})
}

// A deletion that was cut off is resumed while the host starts, and takes what the
// host has not loaded yet.
func TestRestart_ADeletionThatWasCutOffTakesTheTimers(t *testing.T) {
	s := keptStore(t)
	h := newTestHost(t, Config{Store: s})
	for _, name := range []string{"going", "staying"} {
		f := h.create(name)
		if _, err := h.events.CreateTimer(t.Context(), access.Operator, events.TimerSpec{Name: name, Function: f.ID, Cron: "@yearly"}); err != nil {
			t.Fatal(err)
		}
	}
	going, err := h.Catalog().Function(access.Operator, "going")
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	e, err := s.Functions.Get(t.Context(), going.ID)
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(e.Value, &record); err != nil {
		t.Fatal(err)
	}
	record["status"] = catalog.StatusDeleting
	if err := s.Functions.Put(t.Context(), going.ID, store.Record(record)); err != nil {
		t.Fatal(err)
	}

	h = newTestHost(t, Config{Store: s})
	roomtest.Until(t, "the function is gone", func() bool { _, err := h.Catalog().Function(access.Operator, going.ID); return err != nil })
	timers, err := s.Timers.All(t.Context())
	if err != nil || len(timers) != 1 || timers[0].Key != "staying" {
		t.Errorf("timers: %+v, %v, want that of the other function", timers, err)
	}
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
		type record = map[string]any
		id, version, called := catalog.NewID(catalog.FunctionPrefix), catalog.NewID(catalog.VersionPrefix), fmt.Sprintf("fun-%d", i)
		f := record{"id": id, "name": called, "tenant": access.DefaultTenant, "status": catalog.StatusActive,
			"versions": []record{{"id": version}}, "tags": record{catalog.LatestTag: version}}
		v := record{"id": version, "function_id": id, "sha256": name, "size": len(archive),
			"spec": catalog.VersionSpec{Entrypoint: "main.handler"}.WithDefaults()}
		for _, r := range []struct {
			bucket store.Bucket
			key    string
			value  []byte
		}{{s.Names, called, []byte(id)}, {s.Versions, version, store.Record(v)}, {s.Functions, id, store.Record(f)}} {
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
	if n := len(h.functions()); n != startFunctions {
		t.Errorf("%d functions", n)
	}
	start = time.Now()
	h.want("fun-999", "", `"here"`)
	t.Logf("first answer after %v", time.Since(start))
}
