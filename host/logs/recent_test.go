package logs

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vivarium/host/quota"
	"vivarium/host/store"
)

// newBook returns a book of a store, which the test closes.
func newBook(t *testing.T, s *store.Store, limits quota.Amounts) *Book {
	t.Helper()
	b := New(Config{Store: s, Ledger: quota.New(quota.Config{Defaults: limits}), Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(b.Close)
	return b
}

func memoryBook(t *testing.T) *Book {
	s := store.Memory(store.Config{})
	t.Cleanup(s.Close)
	return newBook(t, s, quota.Amounts{})
}

// wantCounted checks what a book says to hold in memory.
func wantCounted(t *testing.T, b *Book) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := 0
	for tenant, l := range b.recent {
		size := 0
		for _, e := range l.entries {
			size += e.memorySize()
		}
		if all += size; size != l.size || size > 2*maxRecentBytes || len(l.entries) > 2*maxRecent {
			t.Errorf("%s has %d entries of %d bytes, and counts %d", tenant, len(l.entries), size, l.size)
		}
	}
	if all != b.inMemory || all > maxRecentAll {
		t.Errorf("all have %d bytes, and count %d", all, b.inMemory)
	}
}

// Of a transient function's entries the newest stay, in order, within bounds for their
// number and for their size.
func TestBook_KeepsTheNewestInMemory(t *testing.T) {
	for what, c := range map[string]struct{ size, entries, least int }{
		"of many":       {1, 5*maxRecent/2 + 7, maxRecent},
		"of large ones": {1 << 20, 50, maxRecentBytes/(1<<20) - 1},
	} {
		t.Run(what, func(t *testing.T) {
			b, o, text := memoryBook(t), Owner{Tenant: "t", Function: "f", Transient: true}, strings.Repeat("x", c.size)
			for n := range c.entries {
				b.Add(o, Entry{FunctionID: "f", RequestID: strconv.Itoa(n), Message: text})
			}
			wantCounted(t, b)
			var got []string
			err := b.Follow(t.Context(), o, Query{}, func(e Entry) error {
				if got = append(got, e.RequestID); e.RequestID == strconv.Itoa(c.entries-1) {
					return errors.ErrUnsupported
				}
				return nil
			})
			if err != errors.ErrUnsupported || len(got) < c.least || len(got) > 2*c.least+2 {
				t.Fatalf("%d are left, %v, want at least %d", len(got), err, c.least)
			}
			for n, id := range got {
				if id != strconv.Itoa(c.entries-len(got)+n) {
					t.Fatalf("entry %d of %d is %s", n, len(got), id)
				}
			}
		})
	}
}

// A follower that is slow misses what was displaced meanwhile, and nothing else.
func TestBook_ASlowFollowerGoesOnWithWhatIsLeft(t *testing.T) {
	b, o := memoryBook(t), Owner{Tenant: "t", Function: "f", Transient: true}
	added := 0
	add := func(n int) {
		for range n {
			b.Add(o, Entry{FunctionID: "f", RequestID: strconv.Itoa(added)})
			added++
		}
	}
	add(1)
	last, missed := -1, 0
	err := b.Follow(t.Context(), o, Query{}, func(e Entry) error {
		n, err := strconv.Atoi(e.RequestID)
		switch {
		case n == last+1:
		case n > last && n <= added-maxRecent: // the newest are never displaced
			missed++
		default:
			t.Fatalf("%d of %d follows %d", n, added, last)
		}
		switch last = n; {
		case n < added-1:
			return err
		case missed == 3:
			return errors.ErrUnsupported
		}
		add(5*maxRecent/2 + 1) // while the follower is at it
		return err
	})
	if err != errors.ErrUnsupported || last != added-1 {
		t.Errorf("the last is %d of %d, %v", last, added, err)
	}
}

// When memory is full, whoever has most loses, and by half: not who comes next.
func TestBook_WhoHasMostInMemoryMakesRoom(t *testing.T) {
	b, text := memoryBook(t), strings.Repeat("x", 1<<20)
	small := Owner{Tenant: "small", Function: "f", Transient: true}
	add(b, small, "one", "two")
	for n := range 40 { // each within its own bound, but not all together
		o := Owner{Tenant: fmt.Sprint("large", n), Function: "f", Transient: true}
		for range 15 {
			b.Add(o, Entry{FunctionID: "f", Message: text})
		}
		if got := read(t, b, o, Query{}); len(got) == 0 {
			t.Errorf("%s has nothing", o.Tenant)
		}
	}
	wantCounted(t, b)
	add(b, small, "three")
	if got := read(t, b, small, Query{}); strings.Join(got, " ") != "one two three" {
		t.Errorf("who has little has %q", got)
	}
}

// One tenant's functions share its memory; others neither see nor displace it.
func TestBook_MemoryIsATenantsOwn(t *testing.T) {
	b := memoryBook(t)
	var owners []Owner
	for _, tenant := range []string{"a", "b"} {
		for _, function := range []string{"f", "g"} {
			owners = append(owners, Owner{Tenant: tenant, Function: function, Transient: true})
		}
	}
	for n := range 5 {
		for _, o := range owners {
			add(b, o, fmt.Sprint(o.Tenant, o.Function, n))
		}
	}
	for _, o := range owners {
		want := o.Tenant + o.Function
		if got := read(t, b, o, Query{Limit: 2}); !slices.Equal(got, []string{want + "3", want + "4"}) {
			t.Errorf("%s has %q", want, got)
		}
		if b.Kept(o.Tenant) != 0 {
			t.Errorf("%s has something in the store", o.Tenant)
		}
	}
	for _, o := range []Owner{{"c", "f", true}, {"a", "h", true}, {"a", "f", false}} {
		if got := read(t, b, o, Query{}); len(got) != 0 {
			t.Errorf("%+v has %q", o, got)
		}
	}
}
