package logs

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// eachBook runs a test with books of one store in memory, and of one on disk.
func eachBook(t *testing.T, cfg store.Config, test func(t *testing.T, s *store.Store)) {
	t.Run("memory", func(t *testing.T) {
		s := store.Memory(cfg)
		t.Cleanup(s.Close)
		test(t, s)
	})
	t.Run("jetstream", func(t *testing.T) {
		cfg.Dir = t.TempDir()
		s, err := store.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		test(t, s)
	})
}

// The store bounds all logs together, without regard to tenants.
func TestBook_NoTenantsLogPushesOutAnothers(t *testing.T) {
	eachBook(t, store.Config{LogBytes: 4 << 20}, func(t *testing.T, s *store.Store) {
		b := newBook(t, s, quota.Defaults())
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
		if got := read(t, b, quiet, Query{}); len(got) != 10 {
			t.Errorf("%d entries are left of who has little, want 10", len(got))
		}
	})
}

// A tally is what follows from adding it all up.
func TestTally_AddsUp(t *testing.T) {
	type log struct{ tenant, function string }
	tl, model := tally{tenants: map[string]map[string]*storedLog{}}, map[log][]int64{}
	sum := func(tenant string) (n int64) {
		for l, sizes := range model {
			if tenant == "" || l.tenant == tenant {
				for _, size := range sizes {
					n += size
				}
			}
		}
		return n
	}
	tenants, functions := []string{"a", "b", "c"}, []string{"f", "g", "h"}
	for range 5000 {
		l := log{tenants[rand.IntN(3)], functions[rand.IntN(3)]}
		switch n := rand.IntN(20); {
		case n < 14:
			size := int64(batchBytes + rand.IntN(10_000))
			tl.add(l.tenant, l.function, size, 1)
			model[l] = append(model[l], size)
		case n < 15:
			tl.forget(l.tenant, l.function)
			delete(model, l)
		default:
			limit, capacity := int64(rand.IntN(100_000)), int64(rand.IntN(200_000))
			others, all, had := map[string]int64{}, sum(""), sum(l.tenant)
			for _, tenant := range tenants {
				others[tenant] = sum(tenant)
			}
			o, keep, ok := tl.surplus(l.tenant, limit, capacity)
			if ok != (had > limit || all > capacity) {
				t.Fatalf("%d of %d, all %d of %d: surplus is %v", had, limit, all, capacity, ok)
			}
			if !ok {
				break
			}
			of := log{o.Tenant, o.Function}
			if had > limit && o.Tenant != l.tenant {
				t.Fatalf("%s has %d of %d, but %s is to lose something", l.tenant, had, limit, o.Tenant)
			}
			for tenant, n := range others {
				if had <= limit && n > others[o.Tenant] {
					t.Fatalf("%s has %d, %s has %d and is to lose something", tenant, n, o.Tenant, others[o.Tenant])
				}
			}
			if keep < 0 || keep >= len(model[of]) {
				t.Fatalf("%d batches of %d are to be kept", keep, len(model[of]))
			}
			tl.trim(o.Tenant, o.Function, keep)
			model[of] = model[of][len(model[of])-keep:]
			if keep > 0 && had > limit && sum(l.tenant) > limit {
				t.Fatalf("%s has %d, more than %d, though something is left of its longest log", l.tenant, sum(l.tenant), limit)
			}
		}
		if tl.all != sum("") {
			t.Fatalf("all have %d, want %d", tl.all, sum(""))
		}
		for _, tenant := range append(tenants, "nobody") {
			if tl.size(tenant) != sum(tenant) {
				t.Fatalf("%s has %d, want %d", tenant, tl.size(tenant), sum(tenant))
			}
		}
	}
	for _, tenant := range tenants {
		for _, function := range functions {
			tl.forget(tenant, function)
		}
	}
	tl.forget("a", "f")
	if tl.all != 0 || len(tl.tenants) != 0 {
		t.Errorf("%d bytes of %d tenants are left", tl.all, len(tl.tenants))
	}
}

// A tenant's quota is for its functions together; the longest log is cut, at its old
// end.
func TestBook_TheLongestLogOfATenantIsCut(t *testing.T) {
	eachBook(t, store.Config{}, func(t *testing.T, s *store.Store) {
		const limit = 1 << 20
		b := newBook(t, s, quota.Amounts{quota.LogBytes: limit})
		short, long, other := Owner{Tenant: "t", Function: "short"}, Owner{Tenant: "t", Function: "long"}, Owner{Tenant: "u", Function: "o"}
		text := strings.Repeat("x", 60<<10)
		for _, o := range []Owner{short, other} {
			for range 3 {
				b.Add(o, Entry{FunctionID: o.Function, Message: text})
			}
		}
		for n := range 60 {
			b.Add(long, Entry{FunctionID: "long", RequestID: fmt.Sprint(n), Message: text})
			b.Flush(t.Context())
			if kept := b.Kept("t"); kept > limit {
				t.Fatalf("%d bytes are kept, %d may be", kept, limit)
			}
		}
		var ids []string
		err := b.Read(t.Context(), long, Query{}, func(entries []Entry, _ bool) error {
			for _, e := range entries {
				ids = append(ids, e.RequestID)
			}
			return nil
		})
		if err != nil || len(ids) < 8 || len(ids) > 14 {
			t.Fatalf("%d entries are left, %v", len(ids), err)
		}
		for n, id := range ids {
			if id != fmt.Sprint(60-len(ids)+n) {
				t.Errorf("entry %d of %d is number %s", n, len(ids), id)
			}
		}
		for _, o := range []Owner{short, other} {
			if got := read(t, b, o, Query{}); len(got) != 3 {
				t.Errorf("%s has %d entries, want all 3", o.Function, len(got))
			}
		}
	})
}

// What an earlier process has stored counts, unless nobody knows whose it is.
func TestBook_CountsWhatIsThere(t *testing.T) {
	eachBook(t, store.Config{}, func(t *testing.T, s *store.Store) {
		one := newBook(t, s, quota.Amounts{})
		for n := range 10 {
			for _, id := range []string{"f", "g", "orphan"} {
				one.Add(Owner{Tenant: "t", Function: id}, Entry{FunctionID: id, Message: strings.Repeat(fmt.Sprint(n), 10<<10)})
			}
			one.Flush(t.Context())
		}
		two := newBook(t, s, quota.Amounts{quota.LogBytes: 100 << 10})
		tenants := map[string]string{"f": "a", "g": "b"}
		if err := two.Load(t.Context(), func(id string) string { return tenants[id] }); err != nil {
			t.Fatal(err)
		}
		for _, tenant := range []string{"a", "b"} {
			if n := two.Kept(tenant); n < 100<<10 || n > 120<<10 {
				t.Errorf("%s has %d bytes", tenant, n)
			}
		}
		if two.Kept("t") != 0 || two.Kept("") != 0 {
			t.Error("who is not known has something")
		}
		f := Owner{Tenant: "a", Function: "f"}
		add(two, f, "one more")
		two.Flush(t.Context())
		if got := read(t, two, f, Query{}); len(got) < 2 || len(got) > 10 || got[len(got)-1] != "one more" {
			t.Errorf("%d entries are left of the one that was beyond its quota", len(got))
		}
		if n := two.Kept("a"); n > 100<<10 {
			t.Errorf("%d bytes still count", n)
		}
		two.Forget("b", "g")
		if n := two.Kept("b"); n != 0 {
			t.Errorf("%d bytes count of what another process has deleted", n)
		}
	})
}

// A log goes with its function, or stays and counts if the store does not delete it.
func TestBook_Drop(t *testing.T) {
	moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, m *moodyLogs, _ *lines) {
		f, g := Owner{Tenant: "t", Function: "f"}, Owner{Tenant: "t", Function: "g"}
		add(b, f, "of f")
		add(b, g, "of g")
		b.Flush(t.Context())
		both := b.Kept("t")
		m.failing.Store(true)
		if err := b.Drop(t.Context(), f); fault.Of(err) != fault.Unavailable || b.Kept("t") != both {
			t.Errorf("the store is away: %v, %d bytes count of %d", err, b.Kept("t"), both)
		}
		if err := b.Load(t.Context(), nil); fault.Of(err) != fault.Unavailable {
			t.Errorf("taking stock: %v", err)
		}
		if err := b.Drop(t.Context(), Owner{Tenant: "t", Function: "f", Transient: true}); err != nil {
			t.Errorf("nothing of it is in the store: %v", err)
		}
		m.failing.Store(false)
		if err := b.Drop(t.Context(), f); err != nil || b.Kept("t") == 0 || b.Kept("t") >= both {
			t.Errorf("%v, %d bytes count of %d", err, b.Kept("t"), both)
		}
		if f, g := read(t, b, f, Query{}), read(t, b, g, Query{}); len(f) != 0 || len(g) != 1 {
			t.Errorf("there is %q, and of the other %q", f, g)
		}
		if err := b.Drop(t.Context(), f); err != nil {
			t.Errorf("dropped again: %v", err)
		}
	})
}

// A log that could not be cut is cut with the next batch.
func TestBook_CutsLaterWhatTheStoreDidNotCut(t *testing.T) {
	const limit = 100 << 10
	moodyBook(t, quota.Amounts{quota.LogBytes: limit}, func(t *testing.T, b *Book, m *moodyLogs, _ *lines) {
		o, text := Owner{Tenant: "t", Function: "f"}, strings.Repeat("x", 30<<10)
		m.uncut.Store(true)
		for range 6 {
			add(b, o, text)
			b.Flush(t.Context())
		}
		if n := b.Kept("t"); n < 180<<10 {
			t.Errorf("%d bytes count", n)
		}
		m.uncut.Store(false)
		add(b, o, "the last")
		b.Flush(t.Context())
		if got := read(t, b, o, Query{}); len(got) < 2 || len(got) > 3 || got[len(got)-1] != "the last" || b.Kept("t") > limit {
			t.Errorf("%d entries are left, %d bytes", len(got), b.Kept("t"))
		}
	})
}
