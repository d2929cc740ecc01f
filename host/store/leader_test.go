package store

import (
	"errors"
	"fmt"
	"testing"

	"vivarium/host/store/storetest"
)

// What one process has been told is done another one finds, though most of the servers that
// could be asked for it learn of it later: what has not got to one is not taken for deleted,
// and what it still has not for what is there.
func TestGet_FindsWhatOthersHaveBeenTold(t *testing.T) {
	servers := storetest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Replicas: 3}
	here, there := openShared(t, cfg), openShared(t, cfg)
	ctx := t.Context()
	for n := range 60 {
		key, archive := fmt.Sprint("made", n), fmt.Append(nil, n)
		check(t, here.Versions.Put(ctx, key, nil), here.Versions.Put(ctx, "changed", archive))
		if _, err := there.Versions.Get(ctx, key); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if e, err := there.Versions.Get(ctx, "changed"); err != nil || string(e.Value) != string(archive) {
			t.Fatalf("changed to %s: %s, %v", archive, e.Value, err)
		}
		check(t, here.Versions.Delete(ctx, key))
		if _, err := there.Versions.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%s, deleted: %v", key, err)
		}
		name := must(here.Code.Put(ctx, archive))(t)
		if got, err := there.Code.Get(ctx, name); err != nil || string(got) != string(archive) {
			t.Fatalf("archive %s: %s, %v", archive, got, err)
		}
		check(t, here.Code.Delete(ctx, name))
		if _, err := there.Code.Get(ctx, name); !errors.Is(err, ErrNotFound) {
			t.Fatalf("archive %s, deleted: %v", archive, err)
		}
	}
}
