package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"vivarium/host/roomtest"
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

// What is listed is listed though the server that decides on it has just died, or stands still.
func TestLists_OutliveAServer(t *testing.T) {
	servers := storetest.Start(t, 3)
	s := openShared(t, Config{URL: servers.URL(), Replicas: 3, patience: 2 * time.Minute})
	ctx := t.Context()
	const letters = 40
	for n := range letters {
		_, err := s.Letters.Add(ctx, Item{FunctionID: "f", Body: fmt.Append(nil, n)})
		check(t, err, s.Operations.Put(ctx, Operation{ID: fmt.Sprint(n), Tenant: "t", About: "f"}))
	}
	for _, hurt := range []struct{ hurt, mend func(*storetest.Server) }{
		{(*storetest.Server).Kill, (*storetest.Server).Start}, {(*storetest.Server).Stop, (*storetest.Server).Continue},
	} {
		for stream, list := range map[string]func() (int, error){
			"dead": func() (n int, err error) {
				err = s.Letters.List(ctx, []string{"f"}, 0, func(Item) bool { n++; return true })
				return n, err
			},
			"operations": func() (int, error) {
				all, err := s.Operations.About(ctx, "t", "f")
				return len(all), err
			},
		} {
			one := servers.Named(leaderOf(t, s, s.backend.(*jet).names.stream(stream)))
			hurt.hurt(one)
			roomtest.Until(t, stream+" are listed", func() bool { // one that lags may be asked
				n, err := list()
				if err != nil {
					t.Errorf("%s: %v", stream, err)
				}
				return n == letters || err != nil
			})
			hurt.mend(one)
		}
	}
}
