package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"vivarium/host/roomtest"
)

func numbers(t *testing.T, b Bucket) *Mirror[int] {
	t.Helper()
	m := must(NewMirror(t.Context(), b, func(e Entry) (int, bool) {
		n, err := strconv.Atoi(string(e.Value))
		return n, err == nil
	}))(t)
	t.Cleanup(m.Close)
	return m
}

// What this process does it knows at once, whatever news of before arrive meanwhile; what
// another does it learns.
func TestMirror_IsTheBucket(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		ctx := t.Context()
		ours, theirs := numbers(t, a.Functions), numbers(t, b.Functions)
		model := map[string]int{}
		for step := range 200 {
			key := fmt.Sprint("k", rand.IntN(3))
			old := ours.Get(key)
			switch _, there := model[key]; {
			case !there:
				check(t, ours.Create(ctx, key, step))
				model[key] = step
			case rand.IntN(2) == 0:
				check(t, ours.Update(ctx, key, step, old))
				model[key] = step
			default:
				check(t, ours.Delete(ctx, key))
				delete(model, key)
			}
			if d := numbersDiffer(ours, model); d != "" {
				t.Fatalf("step %d: %s", step, d)
			}
			if old != nil && !errors.Is(ours.Update(ctx, key, -1, old), ErrRevision) {
				t.Fatalf("step %d: what has gone is updated", step)
			}
		}
		roomtest.Until(t, "the other knows", func() bool { return numbersDiffer(theirs, model) == "" })
		for key := range model {
			check(t, theirs.Delete(ctx, key))
		}
		check(t, theirs.Create(ctx, "k0", 1))
		roomtest.Until(t, "this one knows", func() bool { return numbersDiffer(ours, map[string]int{"k0": 1}) == "" })
	})
}

func numbersDiffer(m *Mirror[int], model map[string]int) string {
	got := m.Select(func(*int) bool { return true })
	if len(got) != len(model) {
		return fmt.Sprintf("%d keys, want %d", len(got), len(model))
	}
	for key, n := range model {
		if r := m.Get(key); r == nil || r.Record != n {
			return fmt.Sprintf("%s: %+v, want %d", key, r, n)
		}
	}
	return ""
}

// A record that can't be read leaves the one before.
func TestMirror_KeepsWhatCouldBeRead(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		ctx := t.Context()
		m := numbers(t, a.Functions)
		check(t, m.Create(ctx, "k", 1), b.Functions.Put(ctx, "k", []byte("?")), b.Functions.Put(ctx, "next", []byte("2")))
		roomtest.Until(t, "the news are known", func() bool { return m.Get("next") != nil })
		if r := m.Get("k"); r == nil || r.Record != 1 {
			t.Errorf("got %+v", r)
		}
		if _, err := m.Fetch(ctx, "k"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("fetched: %v", err)
		}
		if r, err := m.Fetch(ctx, "none"); r != nil || err != nil {
			t.Errorf("none is there: %+v, %v", r, err)
		}
		if r, err := m.Fetch(ctx, "next"); err != nil || r.Record != 2 {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// News arrive in order, but may be of before what this process has done since.
func TestMirror_NewsMayBeLate(t *testing.T) {
	ctx, s := t.Context(), Memory(Config{})
	t.Cleanup(s.Close)
	m := numbers(t, s.Functions)
	m.unwatch() // they arrive by hand
	m.unwatch = func() {}
	check(t, m.Create(ctx, "k", 1))
	first := must(s.Functions.Get(ctx, "k"))(t)
	check(t, m.Update(ctx, "k", 2, m.Get("k")))
	second := must(s.Functions.Get(ctx, "k"))(t)
	m.learn(first)
	if r := m.Get("k"); r.Record != 2 {
		t.Errorf("got %+v", r)
	}
	check(t, m.Delete(ctx, "k"))
	m.learn(second)
	if r := m.Get("k"); r != nil {
		t.Errorf("deleted, and there again: %+v", r)
	}
	m.learn(Entry{Key: "k", Revision: second.Revision + 1, Deleted: true})
	m.learn(Entry{Key: "k", Revision: second.Revision + 2, Value: []byte("3")})
	if r := m.Get("k"); r == nil || r.Record != 3 {
		t.Errorf("somebody else made it again: %+v", r)
	}
	m.learn(Entry{Key: "k", Revision: second.Revision + 3, Deleted: true})
	m.keep("k", 3, second.Revision+2)
	if r := m.Get("k"); r != nil {
		t.Errorf("somebody else deleted it before its maker was told: %+v", r)
	}
}
