package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
)

// sequences returns the sequences that List passes on, at most n.
func sequences(t *testing.T, s *Store, n int, after uint64, ids ...string) (sequences []uint64) {
	t.Helper()
	check(t, s.Letters.List(t.Context(), ids, after, func(i Item) bool {
		sequences = append(sequences, i.Sequence)
		return len(sequences) < n
	}))
	return sequences
}

func TestLetters_AreListedAndRemoved(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, l := t.Context(), s.Letters
		if got := sequences(t, s, 2, 0); got != nil {
			t.Errorf("nothing is there: %v", got)
		}
		for n, id := range []string{"f", "g", "f"} {
			sequence, err := l.Add(ctx, Item{ID: fmt.Sprint(n), FunctionID: id, Body: []byte(id), Notes: map[string]string{"N": id}})
			again, twice := l.Add(ctx, Item{ID: fmt.Sprint(n), FunctionID: id})
			if check(t, err, twice); sequence != uint64(n+1) || again != sequence {
				t.Errorf("letter %d is %d, then %d", n, sequence, again)
			}
		}
		i, err := l.Get(ctx, 1)
		if err != nil || string(i.Body) != "f" || i.FunctionID != "f" || i.Notes["N"] != "f" || i.ID != "0" || i.Stored.IsZero() {
			t.Errorf("got %+v, %v", i, err)
		}
		i.Notes["N"] = "mine"
		check(t, l.List(ctx, nil, 0, func(i Item) bool {
			if i.Notes["N"] != i.FunctionID || string(i.Body) != i.FunctionID {
				t.Errorf("got %+v", i)
			}
			return true
		}))
		for _, c := range []struct {
			what  string
			most  int
			after uint64
			ids   []string
			want  []uint64
		}{
			{"of all", 9, 0, nil, []uint64{1, 2, 3}},
			{"of one function", 9, 0, []string{"f"}, []uint64{1, 3}},
			{"the first two", 2, 0, nil, []uint64{1, 2}},
			{"after the second", 9, 2, []string{"f", "g"}, []uint64{3}},
			{"after all that can be", 9, math.MaxUint64, nil, nil},
			{"of nobody", 9, 0, []string{"unknown"}, nil},
		} {
			if got := sequences(t, s, c.most, c.after, c.ids...); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.what, got, c.want)
			}
		}
		check(t, l.Delete(ctx, 1), l.Delete(ctx, 1), l.Delete(ctx, 9))
		if _, err := l.Get(ctx, 1); !errors.Is(err, ErrNotFound) {
			t.Errorf("removed: %v", err)
		}
		if got := sequences(t, s, 9, 0); !slices.Equal(got, []uint64{2, 3}) {
			t.Errorf("without the first: %v", got)
		}
		sizes := map[uint64]int64{}
		check(t, l.Sizes(ctx, func(id string, sequence uint64, bytes int64) { sizes[sequence] = bytes }))
		if want := LetterSize(Item{Body: []byte("f")}); !maps.Equal(sizes, map[uint64]int64{2: want, 3: want}) {
			t.Errorf("sizes are %v, want %d each", sizes, want)
		}
		check(t, l.Drop(ctx, "f", 2))
		if got := sequences(t, s, 9, 0); !slices.Equal(got, []uint64{2, 3}) {
			t.Errorf("without those of f up to 2: %v", got)
		}
		check(t, l.Drop(ctx, "f", 3))
		if got := sequences(t, s, 9, 0); !slices.Equal(got, []uint64{2}) {
			t.Errorf("without those of f: %v", got)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := l.List(ended, nil, 0, func(Item) bool { return true }); err == nil {
			t.Error("ctx has ended, and nobody says so")
		}
	})
}

func TestLetters_MakeRoom(t *testing.T) {
	eachStore(t, Config{QueueBytes: 1 << 20}, func(t *testing.T, s *Store) {
		ctx, l := t.Context(), s.Letters
		for range 10 {
			_ = must(l.Add(ctx, Item{FunctionID: "f", Body: make([]byte, 200<<10)}))(t)
		}
		if got := sequences(t, s, 20, 0); !slices.Equal(got, []uint64{6, 7, 8, 9, 10}) {
			t.Errorf("kept %v", got)
		}
		if used, capacity, err := l.Use(ctx); err != nil || used < 1000<<10 || used > capacity || capacity != 1<<20 {
			t.Errorf("%d of %d bytes are taken, %v", used, capacity, err)
		}
	})
}
