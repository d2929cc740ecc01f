package store

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"vivarium/host/roomtest"
	"vivarium/host/store/storetest"
)

// One of three servers may lose its disk, and has everything again. When all have lost theirs,
// whoever knew what was there says so, and a backup brings it back.
func TestServers_ThatAreWiped(t *testing.T) {
	servers := storetest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Replicas: 3, Marks: filepath.Join(t.TempDir(), "marks"), Log: discard}
	s := openShared(t, cfg)
	want := furnish(t, s)
	backup := filepath.Join(t.TempDir(), "backup")
	_, err := BackUp(t.Context(), cfg, backup)
	check(t, err)

	one := servers.Named(leaderOf(t, s, s.backend.(*jet).names.bucketStream("keys")))
	one.Kill()
	one.Wipe()
	one.Start()
	roomtest.Until(t, "the server has everything again", func() bool { return copied(t, s) })
	if got := shows(t, s); got != want {
		t.Errorf("with a server that was wiped: got\n%s\nwant\n%s", got, want)
	}
	s.Close()

	wipe := func() {
		for _, one := range servers.Each() {
			one.Kill()
			one.Wipe()
		}
		for _, one := range servers.Each() {
			one.Start()
		}
	}
	wipe()
	s = openShared(t, cfg)
	for _, b := range []Bucket{s.Functions, s.Keys} {
		if err := b.Damage(); !errors.As(err, new(*DamageError)) {
			t.Errorf("without anything: got %v", err)
		}
	}
	s.Close()

	wipe()
	roomtest.Until(t, "the backup is restored", func() bool {
		_, err := Restore(t.Context(), cfg, backup)
		if err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatalf("servers that have just started: %v", err)
		}
		return err == nil
	})
	s = openShared(t, cfg)
	if got := shows(t, s); got != want {
		t.Errorf("restored: got\n%s\nwant\n%s", got, want)
	}
	if err := errors.Join(s.Functions.Damage(), s.Keys.Damage()); err != nil {
		t.Errorf("restored: %v", err)
	}
}

// copied reports whether all servers have all of what a store has.
func copied(t *testing.T, s *Store) bool {
	t.Helper()
	j := s.backend.(*jet)
	streams := j.js.ListStreams(t.Context())
	n := 0
	for info := range streams.Info() {
		n++
		lags := func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline || p.Lag > 0 }
		if c := info.Cluster; c == nil || c.Leader == "" || len(c.Replicas) != 2 || slices.ContainsFunc(c.Replicas, lags) {
			return false
		}
	}
	return streams.Err() == nil && n > 10
}
