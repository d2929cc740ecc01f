package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// Entries come back as they were, in batches of whole lines that are neither too many
// nor too large.
func TestBook_StoresWholeEntriesInFewBatches(t *testing.T) {
	eachBook(t, store.Config{}, func(t *testing.T, s *store.Store) {
		b, o := newBook(t, s, quota.Amounts{}), Owner{Tenant: "t", Function: "f"}
		var want []Entry
		for n := range 3000 {
			e := Entry{
				Time: time.Now().UTC(), FunctionID: "f", VersionID: "v", RequestID: fmt.Sprint(n), Level: Levels[n%len(Levels)], System: n%7 == 0,
				Message: strings.Repeat("\x00\n\"é", rand.IntN(100)),
			}
			if n%3 == 0 {
				e.StreamName, e.Payload = "stream", []byte(fmt.Sprintf(`{"n":%d}`, n))
			}
			want = append(want, e)
			b.Add(o, e)
		}
		b.Add(o, Entry{Payload: []byte("{")}) // can't be
		var got []Entry
		if err := b.Read(t.Context(), o, Query{Limit: MaxLimit}, func(e []Entry, _ bool) error { got = e; return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d entries, want %d", len(got), len(want))
		}
		for n := range got {
			if fmt.Sprint(got[n]) != fmt.Sprint(want[n]) {
				t.Fatalf("entry %d: got %+v, want %+v", n, got[n], want[n])
			}
		}
		batches, total := 0, 0
		err := s.Logs.Read(t.Context(), "f", time.Time{}, false, func(batch []byte) error {
			if len(batch) > batchSize || !bytes.HasSuffix(batch, []byte("\n")) {
				t.Errorf("a batch of %d bytes", len(batch))
			}
			batches, total = batches+1, total+len(batch)
			return nil
		})
		if err != nil || batches > 2*total/batchSize+10 {
			t.Errorf("%d bytes are in %d batches, %v", total, batches, err)
		}
	})
}

// What others have written into the store does not hide what is ours.
func TestBook_SkipsWhatIsNotItsOwn(t *testing.T) {
	eachBook(t, store.Config{}, func(t *testing.T, s *store.Store) {
		b, o := newBook(t, s, quota.Amounts{}), Owner{Tenant: "t", Function: "f"}
		add(b, o, "before")
		b.Flush(t.Context())
		for _, batch := range []string{"", "\n", "{\n", "no JSON", "[]\n{\"message\":\"between\",\"timestamp\":\"2026-01-02T03:04:05Z\"}\n3\n"} {
			if err := s.Logs.Append(t.Context(), "f", []byte(batch)); err != nil {
				t.Fatal(err)
			}
		}
		add(b, o, "after")
		if got := read(t, b, o, Query{}); !slices.Equal(got, []string{"before", "between", "after"}) {
			t.Errorf("got %q", got)
		}
	})
}

// Readers pay for what they hold until they are done with it.
func TestRead_CountsAgainstItsTenant(t *testing.T) {
	const most = 3 << 20
	moodyBook(t, quota.Amounts{quota.Memory: most}, func(t *testing.T, b *Book, _ *moodyLogs, _ *lines) {
		o, other := Owner{Tenant: "t", Function: "f"}, Owner{Tenant: "u", Function: "g"}
		for _, o := range []Owner{o, other} {
			for range 30 {
				add(b, o, strings.Repeat("x", 30<<10))
			}
		}
		full := errors.New("the reader's own")
		err := b.Read(t.Context(), o, Query{}, func(entries []Entry, cut bool) error {
			if held := b.ledger.State("t").Use[quota.Memory]; len(entries) != 30 || cut || held < 900<<10 || held > most {
				t.Errorf("%d entries, cut: %v, count as %d", len(entries), cut, held)
			}
			again := b.Read(t.Context(), o, Query{}, func([]Entry, bool) error { t.Error("read twice at once"); return nil })
			if fault.Of(again) != fault.OverQuota {
				t.Errorf("reading more at once: %v", again)
			}
			if got := read(t, b, other, Query{}); len(got) != 30 {
				t.Errorf("the other tenant gets %d entries", len(got))
			}
			if got := read(t, b, o, Query{Limit: 1}); len(got) != 1 {
				t.Errorf("few entries beside: %d", len(got))
			}
			return full
		})
		if err != full {
			t.Errorf("got %v", err)
		}
		if got := read(t, b, o, Query{}); len(got) != 30 {
			t.Errorf("afterwards: %d entries", len(got))
		}
	})
}

// What Read cuts off is the oldest, and it says so; a limit that was asked for is no cut.
func TestRead_KeepsTheNewest(t *testing.T) {
	for _, transient := range []bool{false, true} {
		moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, _ *moodyLogs, _ *lines) {
			o := Owner{Tenant: "t", Function: "f", Transient: transient}
			large := strings.Repeat("x", 512<<10)
			for n := range 1200 {
				e := Entry{Time: time.Now(), FunctionID: "f", RequestID: fmt.Sprint(n)}
				if n >= 1000 && n < 1100 {
					e.Message = "x"
				}
				b.Add(o, e)
			}
			for what, c := range map[string]struct {
				q           Query
				entries     int
				first, last string
				cut         bool
			}{
				"a hundred":  {Query{Limit: 100}, 100, "1100", "1199", false},
				"one":        {Query{Limit: 1}, 1, "1199", "1199", false},
				"nothing":    {Query{Contains: "y"}, 0, "", "", false},
				"of many":    {Query{RequestID: "7"}, 1, "7", "7", false},
				"some":       {Query{Contains: "x"}, 100, "1000", "1099", false},
				"all":        {Query{Limit: MaxLimit}, 1200, "0", "1199", false},
				"by default": {Query{}, DefaultLimit, "200", "1199", false},
			} {
				err := b.Read(t.Context(), o, c.q, func(got []Entry, cut bool) error {
					if len(got) != c.entries || cut != c.cut ||
						len(got) > 0 && (got[0].RequestID != c.first || got[len(got)-1].RequestID != c.last) {
						t.Errorf("transient: %v, %s: got %d entries, cut: %v", transient, what, len(got), cut)
					}
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			for range MaxBytes/len(large) + 1 {
				b.Add(o, Entry{Time: time.Now(), FunctionID: "f", Message: large})
				b.Flush(t.Context()) // all of them would not fit beside what waits
			}
			err := b.Read(t.Context(), o, Query{Contains: "xx"}, func(got []Entry, cut bool) error {
				if most := MaxBytes / len(large); !cut || len(got) > most || len(got) < most-2 {
					t.Errorf("more than fits: %d entries, cut: %v", len(got), cut)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A query that makes no sense is refused before anything is waited for or counted.
func TestRead_RefusesQueriesThatMakeNoSense(t *testing.T) {
	moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, m *moodyLogs, _ *lines) {
		m.failing.Store(true)
		for _, transient := range []bool{false, true} {
			o := Owner{Tenant: "t", Function: "f", Transient: transient}
			add(b, o, "waits")
			for field, q := range map[string]Query{
				"level": {MinLevel: "warn"}, "limit": {Limit: MaxLimit + 1}, "until": {Since: time.Unix(9, 0), Until: time.Unix(8, 0)},
			} {
				start := time.Now()
				for what, err := range map[string]error{
					"read":   b.Read(t.Context(), o, q, func([]Entry, bool) error { t.Error("used"); return nil }),
					"follow": b.Follow(t.Context(), o, q, func(Entry) error { t.Error("used"); return nil }),
				} {
					if invalid, ok := errors.AsType[*fault.InvalidError](err); !ok || invalid.Field != field {
						t.Errorf("%s, %s: got %v", what, field, err)
					}
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("%s: waited for %v", field, took)
				}
			}
		}
		m.failing.Store(false)
	})
}

// Each follower's reason to end is told, and nothing else.
func TestFollow_EndsWithTheReason(t *testing.T) {
	moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, m *moodyLogs, _ *lines) {
		for _, transient := range []bool{false, true} {
			o := Owner{Tenant: "t", Function: "f", Transient: transient}
			add(b, o, "there")
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := b.Follow(short, o, Query{}, func(Entry) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("transient: %v, a while: %v", transient, err)
			}
			cancel()
		}
		m.failing.Store(true)
		err := b.Follow(t.Context(), Owner{Tenant: "t", Function: "f"}, Query{}, func(Entry) error { return nil })
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("the store is away: %v", err)
		}
		m.failing.Store(false)
		b.Close()
		for _, transient := range []bool{false, true} {
			o := Owner{Tenant: "t", Function: "f", Transient: transient}
			if err := b.Follow(t.Context(), o, Query{}, func(Entry) error { return nil }); err != fault.ErrClosed {
				t.Errorf("transient: %v, closed: %v", transient, err)
			}
		}
	})
}

// Everybody at once: functions log, tenants read, follow and drop. Nothing is lost, comes
// twice or in another order, and all that was taken is given back.
func TestBook_ManyAtOnce(t *testing.T) {
	eachBook(t, store.Config{}, func(t *testing.T, s *store.Store) {
		const writers, each = 8, 300
		b := newBook(t, s, quota.Amounts{})
		var writing, reading sync.WaitGroup
		done := errors.New("done")
		for n := range writers {
			o := Owner{Tenant: fmt.Sprint("t", n%3), Function: fmt.Sprint("f", n), Transient: n%2 == 0}
			check := func(next int, e Entry) int {
				if e.RequestID != fmt.Sprint(next) || e.FunctionID != o.Function {
					t.Errorf("%s: entry %s of %s, want %d", o.Function, e.RequestID, e.FunctionID, next)
				}
				return next + 1
			}
			writing.Go(func() {
				for n := range each {
					b.Add(o, Entry{Time: time.Now(), FunctionID: o.Function, RequestID: fmt.Sprint(n)})
					if n%50 == 0 {
						b.Flush(t.Context())
					}
				}
			})
			reading.Go(func() {
				next := 0
				err := b.Follow(t.Context(), o, Query{}, func(e Entry) error {
					if next = check(next, e); next == each {
						return done
					}
					return nil
				})
				if err != done {
					t.Errorf("following %s ends with %v", o.Function, err)
				}
			})
			reading.Go(func() {
				for range 5 {
					err := b.Read(t.Context(), o, Query{}, func(entries []Entry, _ bool) error {
						for n, e := range entries {
							check(n, e)
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
			writing.Go(func() {
				gone := Owner{Tenant: o.Tenant, Function: fmt.Sprint("gone", n)}
				for range 5 {
					add(b, gone, "x")
					b.Flush(t.Context())
					if err := b.Drop(t.Context(), gone); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		reading.Wait()
		b.Close()
		wantCounted(t, b)
		if held := b.ledger.Held(quota.LogBuffer) + b.ledger.Held(quota.LogStream); held != 0 || b.size != 0 || len(b.sizes) != 0 {
			t.Errorf("%d are held, %d bytes wait, of %v", held, b.size, b.sizes)
		}
	})
}

// Two processes share a store: each follows what the other logs.
func TestBook_FollowsWhatAnotherProcessLogs(t *testing.T) {
	eachBook(t, store.Config{}, func(t *testing.T, s *store.Store) {
		here, there, o := newBook(t, s, quota.Amounts{}), newBook(t, s, quota.Amounts{}), Owner{Tenant: "t", Function: "f"}
		add(here, o, "0")
		enough, n := errors.New("enough"), 0
		err := there.Follow(t.Context(), o, Query{}, func(e Entry) error {
			if e.Message != fmt.Sprint(n) {
				t.Errorf("got %q, want %d", e.Message, n)
			}
			if n++; n == 10 {
				return enough
			}
			add(here, o, fmt.Sprint(n))
			return nil
		})
		if err != enough {
			t.Error(err)
		}
		if got := read(t, there, o, Query{}); len(got) != 10 {
			t.Errorf("got %q", got)
		}
	})
}
