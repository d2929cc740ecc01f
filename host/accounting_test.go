package host

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/quota"
)

// TestUnpack_AsksBeforeItTakes has a small archive hold much more than there is
// memory for.
func TestUnpack_AsksBeforeItTakes(t *testing.T) {
	const most = 32 << 20
	h := newTestHost(t, Config{Store: keptStore(t), Quotas: quota.Amounts{quota.Memory: most}})
	if _, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "bomb"}); err != nil {
		t.Fatal(err)
	}
	archive, err := (&attack{archive: "zeros large 64\n"}).build()
	if err != nil {
		t.Fatal(err)
	}
	before := heapSize()
	_, err = h.Catalog().CreateVersion(t.Context(), access.Operator, "bomb", catalog.VersionSpec{Entrypoint: "main.handler"}, archive, nil)
	wantQuota(t, err, access.DefaultTenant, quota.Memory, most)
	if grown := heapSize() - before; grown > most {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if n := h.ledger.Total(quota.Memory); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// TestTexts_AreBounded sends a megabyte in every field of a record that is a
// text.
func TestTexts_AreBounded(t *testing.T) {
	h := newTestHost(t, Config{Store: keptStore(t)})
	if _, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: "known"}); err != nil {
		t.Fatal(err)
	}
	archive := archiveOf(t, "def handler(event, context): return 1")
	long := string(bytes.Repeat([]byte("a"), 1<<20))
	version := func(change func(*catalog.VersionSpec)) func() error {
		return func() error {
			spec := catalog.VersionSpec{Entrypoint: "main.handler"}
			change(&spec)
			_, err := h.Catalog().CreateVersion(t.Context(), access.Operator, "known", spec, archive, nil)
			return err
		}
	}
	timer := func(change func(*events.TimerSpec)) func() error {
		return func() error {
			spec := events.TimerSpec{Name: "timer", Function: "known", Cron: "@yearly"}
			change(&spec)
			_, err := h.events.CreateTimer(t.Context(), access.Operator, spec)
			return err
		}
	}
	for name, send := range map[string]func() error{
		"description":     version(func(s *catalog.VersionSpec) { s.Description = long }),
		"runtime":         version(func(s *catalog.VersionSpec) { s.Runtime = long }),
		"entry point":     version(func(s *catalog.VersionSpec) { s.Entrypoint = "main." + long }),
		"environment":     version(func(s *catalog.VersionSpec) { s.Environment = map[string]string{"A": long} }),
		"variable":        version(func(s *catalog.VersionSpec) { s.Environment = map[string]string{long: ""} }),
		"service account": version(func(s *catalog.VersionSpec) { s.ServiceAccountID = long }),
		"log level":       version(func(s *catalog.VersionSpec) { s.MinLogLevel = logs.Level(long) }),
		"success":         version(func(s *catalog.VersionSpec) { s.Async = &catalog.AsyncConfig{Success: long} }),
		"failure":         version(func(s *catalog.VersionSpec) { s.Async = &catalog.AsyncConfig{Failure: long} }),
		"timer's name":    timer(func(s *events.TimerSpec) { s.Name = long }),
		"function":        timer(func(s *events.TimerSpec) { s.Function = long }),
		"expression":      timer(func(s *events.TimerSpec) { s.Cron = "1" + strings.Repeat(",1", 1<<19) + " * * * *" }),
		"time zone":       timer(func(s *events.TimerSpec) { s.TimeZone = long }),
		"timer's tag":     timer(func(s *events.TimerSpec) { s.Tag = long }),
		"payload":         timer(func(s *events.TimerSpec) { s.Payload = long }),
		"tag": func() error {
			_, err := h.Catalog().CreateVersion(t.Context(), access.Operator, "known", catalog.VersionSpec{Entrypoint: "main.handler"}, archive, []string{long})
			return err
		},
		"tags": func() error {
			_, err := h.Catalog().CreateVersion(t.Context(), access.Operator, "known",
				catalog.VersionSpec{Entrypoint: "main.handler"}, archive, make([]string, 1<<16))
			return err
		},
		"name": func() error {
			_, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: long})
			return err
		},
		"tenant": func() error {
			_, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Tenant: long})
			return err
		},
		"label": func() error {
			_, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Labels: map[string]string{"a": long}})
			return err
		},
		"policy's tag": func() error {
			return h.Catalog().SetScalingPolicy(t.Context(), access.Operator, "known", catalog.ScalingPolicy{Tag: long})
		},
	} {
		err := send()
		if e, ok := errors.AsType[*fault.InvalidError](err); !ok || len(e.Error()) > 1000 {
			t.Errorf("%s: got %.200v, want a short InvalidError", name, err)
		}
	}
}
