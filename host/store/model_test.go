package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/roomtest"
)

// eachModel runs a test that does at random what can be done, with each store that
// there is. Reopen closes what is durable and opens it again.
func eachModel(t *testing.T, test func(t *testing.T, s *Store, reopen func() *Store)) {
	t.Run("jetstream", func(t *testing.T) {
		cfg := Config{Dir: t.TempDir()}
		s := open(t, cfg)
		test(t, s, func() *Store {
			s.Close()
			s = open(t, cfg)
			return s
		})
	})
	t.Run("memory", func(t *testing.T) {
		s := Memory(Config{})
		t.Cleanup(s.Close)
		test(t, s, func() *Store { return s })
	})
}

func pick[T any](from ...T) T { return from[rand.IntN(len(from))] }

// watched is what somebody knows of a bucket who watches it.
type watched struct {
	mu      sync.Mutex
	entries map[string]Entry
	last    uint64
	faults  []string
}

func (w *watched) see(e Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Revision <= w.last {
		w.faults = append(w.faults, fmt.Sprintf("%s: revision %d after %d", e.Key, e.Revision, w.last))
	}
	w.last = e.Revision
	if delete(w.entries, e.Key); !e.Deleted {
		w.entries[e.Key] = e
	}
}

// differs says in what it differs from what there is, empty if in nothing.
func (w *watched) differs(model map[string]Entry) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) > 0 {
		return strings.Join(w.faults, ", ")
	}
	return entriesDiffer(slices.Collect(maps.Values(w.entries)), model)
}

func entriesDiffer(got []Entry, want map[string]Entry) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d keys, want %d", len(got), len(want))
	}
	for _, e := range got {
		if x, ok := want[e.Key]; !ok || !bytes.Equal(e.Value, x.Value) || e.Revision != x.Revision || e.Deleted || e.Created.IsZero() {
			return fmt.Sprintf("got %+v, want %+v", e, x)
		}
	}
	return ""
}

func TestBucket_IsAMap(t *testing.T) {
	eachModel(t, func(t *testing.T, s *Store, reopen func() *Store) {
		ctx, model, last := t.Context(), map[string]Entry{}, uint64(0)
		given := map[uint64]bool{0: true} // all revisions that callers were told
		keys := []string{"a", "b", "tenant/c", "d-e_f=1", "A"}
		for range 3 {
			b, w := s.Functions, &watched{entries: map[string]Entry{}}
			stop, err := b.Watch(ctx, w.see, func() {})
			check(t, err)
			// All that was there is told before Watch returns.
			if d := w.differs(model); d != "" {
				t.Error("at the beginning of Watch:", d)
			}
			for step := range 120 {
				key, value := pick(keys...), []byte(fmt.Sprint("value ", step, strings.Repeat("x", rand.IntN(100))))
				old, there := model[key]
				kept := bytes.Clone(value)
				change := func(revision uint64) {
					if revision <= last {
						t.Fatalf("revision %d after %d", revision, last)
					}
					given[revision] = true
					last, model[key] = revision, Entry{Key: key, Value: kept, Revision: revision}
				}
				switch what := pick("create", "update", "stale", "put", "delete", "delete it", "get"); what {
				case "create":
					revision, err := b.Create(ctx, key, value)
					if there != errors.Is(err, ErrRevision) || !there && err != nil {
						t.Fatalf("create %s, there: %v: %v", key, there, err)
					}
					if err == nil {
						change(revision)
					}
				case "update":
					if !there {
						break
					}
					revision, err := b.Update(ctx, key, value, old.Revision)
					check(t, err)
					change(revision)
				case "stale":
					wrong := pick(old.Revision+1, old.Revision-1, last+1, 1, 0)
					// Others may be a deletion's, which nobody gives for a value's.
					if there && wrong == old.Revision || !there && !given[wrong] || wrong > 1<<60 {
						break
					}
					if _, err := b.Update(ctx, key, value, wrong); !errors.Is(err, ErrRevision) {
						t.Fatalf("update %s of revision %d (there: %v) as %d: %v", key, old.Revision, there, wrong, err)
					}
					if err := b.DeleteRevision(ctx, key, wrong); !errors.Is(err, ErrRevision) {
						t.Fatalf("delete %s of revision %d (there: %v) as %d: %v", key, old.Revision, there, wrong, err)
					}
				case "put":
					check(t, b.Put(ctx, key, value))
					e, err := b.Get(ctx, key)
					check(t, err)
					change(e.Revision)
				case "delete":
					check(t, b.Delete(ctx, key))
					delete(model, key)
				case "delete it":
					err := b.DeleteRevision(ctx, key, old.Revision)
					if there != (err == nil) || !there && !errors.Is(err, ErrRevision) {
						t.Fatalf("delete %s of revision %d (there: %v): %v", key, old.Revision, there, err)
					}
					delete(model, key)
				}
				value[0] = '?' // which is the caller's
				e, err := b.Get(ctx, key)
				switch want, there := model[key]; {
				case !there && !errors.Is(err, ErrNotFound):
					t.Fatalf("get %s, which is not there: %+v, %v", key, e, err)
				case there && (err != nil || entriesDiffer([]Entry{e}, map[string]Entry{key: want}) != ""):
					t.Fatalf("get %s: %+v, %v, want %+v", key, e, err, want)
				}
			}
			roomtest.Until(t, "who watches knows all", func() bool { return w.differs(model) == "" })
			stop()
			if d := w.differs(model); d != "" {
				t.Error("Watch:", d)
			}
			s = reopen()
			all, err := s.Functions.All(ctx)
			check(t, err, s.Functions.Damage())
			if d := entriesDiffer(all, model); d != "" {
				t.Fatal("All, opened again:", d)
			}
			for _, e := range all {
				last = max(last, e.Revision)
			}
		}
	})
}

func TestLetters_AreAList(t *testing.T) {
	eachModel(t, func(t *testing.T, s *Store, reopen func() *Store) {
		ctx, model, known, last := t.Context(), []Item{}, map[string]uint64{}, uint64(0)
		functions := []string{"f", "g", "h"}
		for range 3 {
			l := s.Letters
			for range 80 {
				at := 0
				if len(model) > 0 {
					at = rand.IntN(len(model))
				}
				switch pick("add", "add", "add", "add again", "delete", "drop", "list", "get") {
				case "add":
					i := Item{FunctionID: pick(functions...), Body: []byte(strings.Repeat("b", rand.IntN(2000)))}
					i.Notes = map[string]string{"Tag": fmt.Sprint(rand.IntN(9))}
					if rand.IntN(2) == 0 {
						i.ID = fmt.Sprint("id", rand.Uint64())
					}
					sequence, err := l.Add(ctx, i)
					check(t, err)
					if sequence <= last {
						t.Fatalf("sequence %d after %d", sequence, last)
					}
					last, i.Sequence = sequence, sequence
					if i.ID != "" {
						known[i.ID] = sequence
					}
					model = append(model, i)
				case "add again":
					for id, want := range known {
						sequence, err := l.Add(ctx, Item{ID: id, FunctionID: pick(functions...)})
						if err != nil || sequence != want {
							t.Fatalf("%s is number %d, and then %d, %v", id, want, sequence, err)
						}
						break
					}
				case "delete":
					sequence := last + 1
					if len(model) > 0 {
						sequence = model[at].Sequence
						model = slices.Delete(model, at, at+1)
					}
					check(t, l.Delete(ctx, sequence), l.Delete(ctx, sequence))
				case "drop":
					if len(model) > 0 && rand.IntN(3) == 0 {
						of := model[at]
						check(t, l.Drop(ctx, of.FunctionID, of.Sequence))
						model = slices.DeleteFunc(model, func(i Item) bool {
							return i.FunctionID == of.FunctionID && i.Sequence <= of.Sequence
						})
					}
				case "list":
					wanted, after := functions[:rand.IntN(3)], uint64(0)
					if len(model) > 0 {
						after = model[at].Sequence
					}
					wantLetters(t, s, model, wanted, pick(0, after))
				case "get":
					if len(model) > 0 {
						i, err := l.Get(ctx, model[at].Sequence)
						check(t, err)
						wantItem(t, i, model[at])
					}
					if i, err := l.Get(ctx, last+1); !errors.Is(err, ErrNotFound) {
						t.Fatalf("got %+v, %v", i, err)
					}
				}
			}
			wantLetters(t, s, model, nil, 0)
			var sizes []string
			check(t, s.Letters.Sizes(ctx, func(id string, sequence uint64, n int64) {
				sizes = append(sizes, fmt.Sprint(id, sequence, " ", n))
			}))
			for n, i := range model {
				if want := fmt.Sprint(i.FunctionID, i.Sequence, " ", LetterSize(i)); len(sizes) != len(model) || sizes[n] != want {
					t.Fatalf("sizes: %q, want %s at %d of %d", sizes, want, n, len(model))
				}
			}
			s = reopen()
			wantLetters(t, s, model, nil, 0)
			known = map[string]uint64{} // a store that is opened again knows IDs of what it has
			for _, i := range model {
				if i.ID != "" {
					known[i.ID] = i.Sequence
				}
			}
		}
	})
}

func wantItem(t *testing.T, got, want Item) {
	t.Helper()
	if got.FunctionID != want.FunctionID || got.ID != want.ID || !bytes.Equal(got.Body, want.Body) || got.Notes["Tag"] != want.Notes["Tag"] ||
		want.Sequence > 0 && got.Sequence != want.Sequence || got.Stored.IsZero() {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// wantLetters lists dead letters, and stops in the middle once.
func wantLetters(t *testing.T, s *Store, model []Item, functions []string, after uint64) {
	t.Helper()
	var want, got []Item
	for _, i := range model {
		if i.Sequence > after && (len(functions) == 0 || slices.Contains(functions, i.FunctionID)) {
			want = append(want, i)
		}
	}
	for _, most := range []int{len(want) + 1, len(want)/2 + 1} {
		got = nil
		check(t, s.Letters.List(t.Context(), functions, after, func(i Item) bool {
			got = append(got, i)
			return len(got) < most
		}))
		if len(got) != min(most, len(want)) {
			t.Fatalf("of %q after %d: %d letters, want %d", functions, after, len(got), min(most, len(want)))
		}
		for n := range got {
			wantItem(t, got[n], want[n])
		}
	}
}

func TestLogs_AreListsOfBatches(t *testing.T) {
	eachModel(t, func(t *testing.T, s *Store, reopen func() *Store) {
		ctx, model := t.Context(), map[string][]string{}
		functions := []string{"f", "g", "h"}
		for range 3 {
			for step := range 60 {
				id := pick(functions...)
				switch pick("append", "append", "append", "trim", "delete", "read") {
				case "append":
					batch := []byte(fmt.Sprint(step, strings.Repeat("é", rand.IntN(3000)), "\n"))
					model[id] = append(model[id], string(batch))
					check(t, s.Logs.Append(ctx, id, batch))
					batch[0] = '?' // which is the caller's
				case "trim":
					keep := rand.IntN(8)
					check(t, s.Logs.Trim(ctx, id, keep))
					model[id] = model[id][max(0, len(model[id])-keep):]
				case "delete":
					if rand.IntN(4) == 0 {
						check(t, s.Logs.Delete(ctx, id))
						model[id] = nil
					}
				case "read":
					stop, most, seen := errors.New("stop"), 1+rand.IntN(3), 0
					err := s.Logs.Read(ctx, id, time.Time{}, false, func([]byte) error {
						if seen++; seen == most {
							return stop
						}
						return nil
					})
					if n := len(model[id]); seen != min(most, n) || n >= most && !errors.Is(err, stop) || n < most && err != nil {
						t.Fatalf("%d of %d batches, to stop after %d: %v", seen, n, most, err)
					}
				}
			}
			s = reopen()
			batches, average, err := s.Logs.Sizes(ctx)
			check(t, err)
			for _, id := range functions {
				if got, want := readLog(t, s, id, time.Time{}), strings.Join(model[id], ""); got != want {
					t.Fatalf("the log of %s has %d bytes, want %d", id, len(got), len(want))
				}
				if n := batches[id]; n != uint64(len(model[id])) || n > 0 && average <= 0 {
					t.Fatalf("%s has %d batches of %d bytes, want %d", id, n, average, len(model[id]))
				}
			}
		}
	})
}

// queued is a queue that is kept by hand: of each line what waits, in order, what was
// given back, and what is given out.
type queued struct {
	fresh, back, given map[Line][]Item
}

func (q *queued) size(l Line) int { return len(q.fresh[l]) + len(q.back[l]) + len(q.given[l]) }

func TestQueue_IsALineForEachFunction(t *testing.T) {
	eachModel(t, func(t *testing.T, s *Store, reopen func() *Store) {
		ctx := t.Context()
		q := &queued{map[Line][]Item{}, map[Line][]Item{}, map[Line][]Item{}}
		lines := []Line{{"f", false}, {"f", true}, {"g", false}, {"h", true}}
		// give takes n items of those that there are.
		give := func(l Line, n int) {
			items := take(t, s, l, n)
			next := 0 // of those that nobody has had yet
			for _, i := range items {
				if next < len(q.fresh[l]) && bytes.Equal(i.Body, q.fresh[l][next].Body) {
					wantItem(t, i, q.fresh[l][next])
					next++
					continue
				}
				at := slices.IndexFunc(q.back[l], func(b Item) bool { return bytes.Equal(b.Body, i.Body) })
				if at < 0 {
					t.Fatalf("%v gives out %.40q, which is not its turn", l, i.Body)
				}
				wantItem(t, i, q.back[l][at])
				q.back[l] = slices.Delete(q.back[l], at, at+1)
			}
			q.fresh[l] = q.fresh[l][next:]
			q.given[l] = append(q.given[l], items...)
		}
		for range 3 {
			for step := range 80 {
				l := pick(lines...)
				switch pick("add", "add", "add", "take", "done", "done", "later", "drop", "count") {
				case "add":
					i := Item{
						FunctionID: l.FunctionID, Timer: l.Timer, Notes: map[string]string{"Tag": fmt.Sprint(step)},
						Body: []byte(fmt.Sprint(rand.Uint64(), strings.Repeat("x", rand.IntN(500)))),
					}
					if rand.IntN(3) == 0 {
						i.ID = fmt.Sprint("id", rand.Uint64())
						check(t, s.Queue.Add(ctx, i)) // the second is the same one
					}
					check(t, s.Queue.Add(ctx, i))
					q.fresh[l] = append(q.fresh[l], i)
				case "take":
					if n := len(q.fresh[l]) + len(q.back[l]); n > 0 {
						give(l, 1+rand.IntN(n))
					}
				case "done":
					if given := q.given[l]; len(given) > 0 {
						check(t, given[0].Done(ctx))
						q.given[l] = given[1:]
					}
				case "later":
					if given := q.given[l]; len(given) > 0 {
						given[0].Later(0)
						q.back[l], q.given[l] = append(q.back[l], given[0]), given[1:]
					}
				case "drop":
					if rand.IntN(8) == 0 {
						check(t, s.Queue.Drop(ctx, l.FunctionID))
						for _, timer := range []bool{false, true} {
							l := Line{l.FunctionID, timer}
							q.fresh[l], q.back[l], q.given[l] = nil, nil, nil
						}
					}
				case "count":
					wantQueue(t, s, q, lines)
				}
			}
			for _, l := range lines { // what is given out would come again after half a minute
				if len(q.back[l]) > 0 {
					give(l, len(q.fresh[l])+len(q.back[l]))
				}
				for _, i := range q.given[l] {
					check(t, i.Done(ctx))
				}
				q.given[l] = nil
			}
			s = reopen()
			wantQueue(t, s, q, lines)
		}
		for _, l := range lines {
			if n := len(q.fresh[l]); n > 0 {
				give(l, n)
			}
			take(t, s, l, 0)
		}
	})
}

func wantQueue(t *testing.T, s *Store, q *queued, lines []Line) {
	t.Helper()
	want, all, sizes := map[Line]uint64{}, uint64(0), map[string]Queued{}
	for _, l := range lines {
		n := uint64(q.size(l))
		if all += n; n > 0 {
			want[l] = n
			size := sizes[l.FunctionID]
			size.Items += int64(n)
			sizes[l.FunctionID] = size
		}
	}
	got, err := s.Queue.Lines(t.Context())
	n, err2 := s.Queue.Len(t.Context())
	known, err3 := s.Queue.Sizes(t.Context())
	if cmp.Or(err, err2, err3) != nil || n != all || !maps.Equal(got, want) || len(known) != len(sizes) {
		t.Fatalf("lines %v, %d in all, sizes %v, %v; want %v, %d", got, n, known, cmp.Or(err, err2, err3), want, all)
	}
	for id, size := range sizes {
		if known[id].Items != size.Items {
			t.Fatalf("%s has %d items, want %d", id, known[id].Items, size.Items)
		}
	}
}
