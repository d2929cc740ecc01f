package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

func TestBucket_ChangesOnlyWhatIsAsItWas(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, b := t.Context(), s.Functions
		if _, err := b.Get(ctx, "key"); !errors.Is(err, ErrNotFound) {
			t.Errorf("not there yet: %v", err)
		}
		if _, err := b.Update(ctx, "key", nil, 1); !errors.Is(err, ErrRevision) {
			t.Errorf("updated what is not there: %v", err)
		}
		value := []byte("one")
		first := must(b.Create(ctx, "key", value))(t)
		copy(value, "???") // the caller's own copy
		if e, err := b.Get(ctx, "key"); err != nil || string(e.Value) != "one" || e.Revision != first ||
			e.Key != "key" || e.Created.IsZero() || e.Deleted {
			t.Errorf("got %+v, %v", e, err)
		}
		if _, err := b.Create(ctx, "key", nil); !errors.Is(err, ErrRevision) {
			t.Errorf("created twice: %v", err)
		}
		second := must(b.Update(ctx, "key", []byte("two"), first))(t)
		if second <= first {
			t.Errorf("revision %d, then %d", first, second)
		}
		if _, err := b.Update(ctx, "key", []byte("three"), first); !errors.Is(err, ErrRevision) {
			t.Errorf("an old revision: %v", err)
		}
		if e, err := b.Get(ctx, "key"); err != nil || string(e.Value) != "two" {
			t.Errorf("changed by nobody: %s, %v", e.Value, err)
		}
		check(t, b.Put(ctx, "key", []byte("whatever")), b.Put(ctx, "new", nil))
		for range 2 {
			check(t, b.Delete(ctx, "key"))
		}
		if _, err := b.Get(ctx, "key"); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
		if r := must(b.Create(ctx, "key", []byte("four")))(t); r <= second {
			t.Errorf("created with revision %d after %d", r, second)
		}
		if all, err := b.All(ctx); err != nil || len(all) != 2 || all[0].Key != "new" || all[1].Key != "key" {
			t.Errorf("got %+v, %v", all, err)
		}
		if all, err := s.Versions.All(ctx); err != nil || len(all) != 0 {
			t.Errorf("another bucket has %+v, %v", all, err)
		}
	})
}

func TestBucket_WatchTellsWhatIsThereAndWhatComes(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, b := t.Context(), s.Functions
		for _, key := range []string{"old", "older", "old"} {
			check(t, b.Put(ctx, key, []byte("1")))
		}
		seen, there := make(chan Entry, 10), []string{}
		watching, cancel := context.WithCancel(ctx)
		stop, err := b.Watch(watching, func(e Entry) {
			seen <- e
		}, func() {
			for len(seen) > 0 {
				there = append(there, (<-seen).Key)
			}
		})
		check(t, err)
		cancel() // no effect any more
		if want := []string{"older", "old"}; !slices.Equal(there, want) {
			t.Errorf("%v were there, want %v", there, want)
		}
		_ = must(b.Create(ctx, "new", []byte("2")))(t)
		check(t, b.Delete(ctx, "old"), b.Put(ctx, "new", []byte("3")))
		known, revision := map[string]string{"old": "1", "older": "1"}, uint64(0)
		for known["new"] != "3" { // earlier values may be skipped
			select {
			case e := <-seen:
				if known[e.Key] = string(e.Value); e.Deleted {
					delete(known, e.Key)
				}
				if e.Revision <= revision {
					t.Errorf("revision %d comes after %d", e.Revision, revision)
				}
				revision = e.Revision
			case <-time.After(30 * time.Second):
				t.Fatalf("told of %v", known)
			}
		}
		if want := map[string]string{"older": "1", "new": "3"}; !maps.Equal(known, want) {
			t.Errorf("told of %v, want %v", known, want)
		}
		stop()
		stop()
		check(t, b.Put(ctx, "late", nil))
		select {
		case e := <-seen:
			t.Errorf("told after stop: %+v", e)
		default:
		}
	})
}

// Writers never wait for watchers.
func TestBucket_WatchersMayBeSlow(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, b := t.Context(), s.Functions
		slow, told := make(chan struct{}), make(chan string, 1000)
		stop, err := b.Watch(ctx, func(e Entry) {
			<-slow
			told <- string(e.Value)
		}, func() {})
		check(t, err)
		defer stop()
		for n := range 100 {
			check(t, b.Put(ctx, "key", []byte(fmt.Sprint(n))))
		}
		close(slow)
		for last := ""; last != "99"; {
			select {
			case last = <-told:
			case <-time.After(10 * time.Second):
				t.Fatalf("told of %s last", last)
			}
		}
	})
}
