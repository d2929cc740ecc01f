package store

import (
	"errors"
	"maps"
	"testing"
	"time"
)

// take takes n items out of a line, waiting for them; with 0 it expects none.
func take(t *testing.T, s *Store, l Line, n int) (items []Item) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		more, err := s.Queue.Take(t.Context(), l, max(n-len(items), 1))
		if items = append(items, more...); err == nil && len(items) == n {
			return items
		}
		if n == 0 || time.Now().After(deadline) {
			t.Fatalf("got %d items of line %v, %v, want %d", len(items), l, err, n)
		}
	}
}

func TestQueue_LinesDoNotWaitForEachOther(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, q := t.Context(), s.Queue
		for range 20 {
			check(t, q.Add(ctx, Item{FunctionID: "f", Body: []byte("body")}), q.Add(ctx, Item{FunctionID: "f", Timer: true}),
				q.Add(ctx, Item{FunctionID: "g"}))
		}
		f := take(t, s, Line{"f", false}, 20) // none of them done
		if i := take(t, s, Line{"f", true}, 1)[0]; !i.Timer || i.FunctionID != "f" || i.Line() != (Line{"f", true}) {
			t.Errorf("got %+v", i)
		}
		take(t, s, Line{"g", false}, 1)
		want := map[Line]uint64{{"f", false}: 20, {"f", true}: 20, {"g", false}: 20}
		if got, err := q.Lines(ctx); err != nil || !maps.Equal(got, want) {
			t.Errorf("lines: %v, %v, want %v", got, err, want)
		}
		check(t, f[0].Done(ctx))
		sizes := map[string]Queued{"f": {39, 19 * 4}, "g": {20, 0}}
		if got, err := q.Sizes(ctx); err != nil || !maps.Equal(got, sizes) {
			t.Errorf("sizes: %v, %v, want %v", got, err, sizes)
		}
		check(t, q.Drop(ctx, "f"), q.Drop(ctx, "unknown"))
		if n, err := q.Len(ctx); err != nil || n != 20 {
			t.Errorf("%d are left, %v, want 20", n, err)
		}
		take(t, s, Line{"f", false}, 0)
		f[2].Working()
		f[2].Later(0)
		check(t, f[1].Done(ctx))
		take(t, s, Line{"f", false}, 0)
		if n, err := q.Len(ctx); err != nil || n != 20 {
			t.Errorf("%d are left, %v, want 20", n, err)
		}
	})
}

func TestQueue_GivesOutUntilDone(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, q := t.Context(), s.Queue
		before := time.Now()
		for _, id := range []string{"a", "a", "b"} { // the second a is a duplicate
			body := []byte(id)
			check(t, q.Add(ctx, Item{ID: id, FunctionID: "f", Body: body, Notes: map[string]string{"Tag": "prod"}}))
			body[0] = '?' // the caller's own copy
		}
		check(t, q.Add(ctx, Item{FunctionID: "f", Body: []byte("c")}), q.Add(ctx, Item{FunctionID: "f", Body: []byte("c")}))
		given := take(t, s, Line{FunctionID: "f"}, 4)
		a, b := given[0], given[1]
		if string(a.Body) != "a" || string(b.Body) != "b" || a.ID != "a" || a.FunctionID != "f" || a.Notes["Tag"] != "prod" ||
			a.Sequence == 0 || b.Sequence <= a.Sequence || a.Stored.Before(before.Add(-time.Second)) || given[2].Notes == nil {
			t.Errorf("got %+v", given)
		}
		a.Notes["Tag"] = "mine" // the caller's own
		a.Later(50 * time.Millisecond)
		check(t, b.Done(ctx))
		again := take(t, s, Line{FunctionID: "f"}, 1)[0]
		if string(again.Body) != "a" || again.Notes["Tag"] != "prod" || again.Sequence != a.Sequence {
			t.Errorf("put off: %+v", again)
		}
		again.ID = "another" // what was handed out can be added again
		check(t, q.Add(ctx, again), again.Done(ctx), given[2].Done(ctx), given[3].Done(ctx))
		check(t, q.Add(ctx, Item{ID: "b", FunctionID: "f"})) // still remembered, though done
		check(t, take(t, s, Line{FunctionID: "f"}, 1)[0].Done(ctx))
		if n, err := q.Len(ctx); err != nil || n != 0 {
			t.Errorf("%d are left, %v", n, err)
		}
		if sizes, err := q.Sizes(ctx); err != nil || len(sizes) != 0 {
			t.Errorf("%v are left, %v", sizes, err)
		}
	})
}

func TestQueue_GivesOutAgainWhatNobodyReportsOn(t *testing.T) {
	eachStore(t, Config{ackWait: 300 * time.Millisecond}, func(t *testing.T, s *Store) {
		ctx := t.Context()
		check(t, s.Queue.Add(ctx, Item{FunctionID: "f"}))
		first := take(t, s, Line{FunctionID: "f"}, 1)[0]
		again := take(t, s, Line{FunctionID: "f"}, 1)[0]
		if again.Sequence != first.Sequence {
			t.Errorf("got %d, want %d", again.Sequence, first.Sequence)
		}
		check(t, again.Done(ctx))
	})
}

func TestQueue_FullTakesNothingUntilThereIsRoom(t *testing.T) {
	eachStore(t, Config{QueueBytes: 1 << 20}, func(t *testing.T, s *Store) {
		ctx, q := t.Context(), s.Queue
		if n := q.Capacity(); n != 1<<20 {
			t.Errorf("room for %d", n)
		}
		i := Item{FunctionID: "f", Body: make([]byte, 300<<10)}
		check(t, q.Add(ctx, i), q.Add(ctx, i), q.Add(ctx, i))
		for range 2 {
			if err := q.Add(ctx, i); !errors.Is(err, ErrUnavailable) {
				t.Errorf("one too many: %v", err)
			}
		}
		check(t, take(t, s, Line{FunctionID: "f"}, 1)[0].Done(ctx), q.Add(ctx, i))
		check(t, q.Drop(ctx, "f"), q.Add(ctx, i), q.Add(ctx, i), q.Add(ctx, i))
	})
}
