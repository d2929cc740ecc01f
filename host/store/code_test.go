package store

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCode_IsKeptByItsName(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, c := t.Context(), s.Code
		archive := make([]byte, 1<<20+1) // several chunks
		_, _ = rand.Read(archive)
		nothing := strings.Repeat("0", 64)
		if n, err := c.Collect(ctx, 0, nil); err != nil || n != 0 {
			t.Errorf("collected %d, %v where nothing is", n, err)
		}
		name, other := must(c.Put(ctx, archive))(t), must(c.Put(ctx, []byte("other")))(t)
		if again, err := c.Put(ctx, archive); err != nil || again != name || name != CodeName(archive) {
			t.Errorf("stored again: %s, %v", again, err)
		}
		if _, err := c.Get(ctx, nothing); !errors.Is(err, ErrNotFound) {
			t.Errorf("a name of nothing: %v", err)
		}
		if n, err := c.Collect(ctx, 0, map[string]bool{name: true, nothing: true}); !errors.Is(err, ErrCorrupt) || n != 0 {
			t.Errorf("one that is kept is missing: collected %d, %v, want none", n, err)
		}
		if n, err := c.Collect(ctx, time.Hour, nil); err != nil || n != 0 {
			t.Errorf("collected %d that are new, %v", n, err)
		}
		if n, err := c.Collect(ctx, 0, map[string]bool{name: true}); err != nil || n != 1 {
			t.Errorf("collected %d, %v, want 1", n, err)
		}
		if _, err := c.Get(ctx, other); !errors.Is(err, ErrNotFound) {
			t.Errorf("collected, but: %v", err)
		}
		if got, err := c.Get(ctx, name); err != nil || !bytes.Equal(got, archive) {
			t.Errorf("kept: %v", err)
		}
		if names, err := c.Names(ctx); err != nil || !slices.Equal(names, []string{name}) {
			t.Errorf("names: %v, %v", names, err)
		}
		check(t, c.Delete(ctx, name), c.Delete(ctx, name))
		if _, err := c.Get(ctx, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted, but: %v", err)
		}
	})
}
