package run

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vivarium/host/quota"
)

// wantShare fails unless an error says that a function has its share.
func wantShare(t *testing.T, err error, q quota.Quota) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "half of its tenant's quota of "+q.String()) {
		t.Errorf("got %v, want that the function has its share of %s", err, q)
	}
}

// wantUsedUp fails unless an error says that the tenant has used up a quota.
func wantUsedUp(t *testing.T, err error, q quota.Quota) {
	t.Helper()
	if e, ok := errors.AsType[*quota.Error](err); !ok || e.Quota != q {
		t.Errorf("got %v, want that %s is used up", err, q)
	}
}

func TestTraffic_ConnectionsOfFunctionsAndTenants(t *testing.T) {
	ledger := quota.New(quota.Config{Defaults: quota.Amounts{quota.Connections: 4}})
	traffic := newTraffic(ledger)
	var releases []func()
	connect := func(tenant, function string) error {
		release, err := traffic.connect(tenant, function)
		if err == nil {
			releases = append(releases, release)
		}
		return err
	}
	for range 2 {
		if err := connect("acme", "first"); err != nil {
			t.Fatal(err)
		}
	}
	wantShare(t, connect("acme", "first"), quota.Connections)
	for _, function := range []string{"second", "second"} {
		if err := connect("acme", function); err != nil {
			t.Fatal(err)
		}
	}
	wantUsedUp(t, connect("acme", "third"), quota.Connections)
	if err := connect("umbrella", "another"); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	for _, release := range releases {
		release()
	}
	if err := connect("acme", "first"); err != nil {
		t.Error(err)
	}
	releases[len(releases)-1]()
	if len(traffic.connections) != 0 || ledger.Held(quota.Connection) != 0 {
		t.Errorf("left are %v, and %d in the ledger", traffic.connections, ledger.Held(quota.Connection))
	}
}

func TestTraffic_BytesCountForAnHour(t *testing.T) {
	ledger := quota.New(quota.Config{Defaults: quota.Amounts{quota.TrafficBytes: 100}})
	traffic := newTraffic(ledger)
	start := time.Now()
	for _, later := range []time.Duration{0, time.Hour, 5 * time.Hour} {
		now := start.Add(later)
		if err := traffic.spend("acme", "first", 50, now); err != nil {
			t.Fatal(err)
		}
		wantShare(t, traffic.spend("acme", "first", 1, now.Add(59*time.Minute)), quota.TrafficBytes)
		if err := traffic.spend("acme", "second", 50, now); err != nil {
			t.Fatal(err)
		}
		wantUsedUp(t, traffic.spend("acme", "third", 1, now), quota.TrafficBytes)
		if err := traffic.spend("umbrella", "another", 50, now); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		if use := ledger.State("acme").Use[quota.TrafficBytes]; use != 100 {
			t.Errorf("the tenant has used %d", use)
		}
	}
	traffic.endWindow(start.Add(7 * time.Hour))
	if ledger.Held(quota.Traffic) != 0 || len(traffic.bytes) != 0 {
		t.Errorf("left are %v, and %d in the ledger", traffic.bytes, ledger.Held(quota.Traffic))
	}
	ledger.SetOwn("acme", quota.Amounts{quota.TrafficBytes: -1})
	if err := traffic.spend("acme", "first", 1<<40, start.Add(8*time.Hour)); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}
