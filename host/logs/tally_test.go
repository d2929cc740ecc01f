package logs

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"vivarium/host/quota"
	"vivarium/host/store"
)

// The store bounds all logs together, without regard to tenants.
func TestBook_NoTenantsLogPushesOutAnothers(t *testing.T) {
	cfg := store.Config{LogBytes: 4 << 20}
	for name, open := range map[string]func(t *testing.T) *store.Store{
		"memory": func(*testing.T) *store.Store { return store.Memory(cfg) },
		"jetstream": func(t *testing.T) *store.Store {
			cfg := cfg
			cfg.Dir = t.TempDir()
			s, err := store.Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(s.Close)
			b := New(Config{Store: s, Ledger: quota.New(quota.Config{Defaults: quota.Defaults()}), Log: slog.New(slog.DiscardHandler)})
			defer b.Close()
			// Its one log is both the oldest and the longest.
			quiet := Owner{Tenant: "quiet", Function: "quiet"}
			for range 10 {
				b.Add(quiet, Entry{Time: time.Now(), Message: strings.Repeat("x", 60<<10)})
			}
			b.Flush(t.Context())
			for n := range 80 {
				b.Add(Owner{Tenant: "loud", Function: fmt.Sprint("loud", n)}, Entry{Message: strings.Repeat("x", 100<<10)})
				b.Flush(t.Context())
			}
			if n := b.Kept("loud"); n < 1<<20 {
				t.Errorf("%d bytes are left of who has most", n)
			}
			entries := 0
			err := b.Read(t.Context(), quiet, Query{}, func(e []Entry, _ bool) error { entries = len(e); return nil })
			if err != nil || entries != 10 {
				t.Errorf("%d entries are left of who has little, %v, want 10", entries, err)
			}
		})
	}
}
