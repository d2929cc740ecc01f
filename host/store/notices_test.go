package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"vivarium/host/roomtest"
)

// heardNotices are notices that have been heard. Safe for concurrent use.
type heardNotices struct {
	mu  sync.Mutex
	all []string
}

func (h *heardNotices) hear(notice []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, string(notice))
}

func (h *heardNotices) get() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

func TestNotices_AreHeardByAllInOrder(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		var one, other heardNotices
		for s, h := range map[*Store]*heardNotices{a: &one, b: &other} {
			stop := must(s.Notices.Listen(h.hear))(t)
			defer stop()
		}
		if a == b { // a map has each key once
			stop := must(a.Notices.Listen(one.hear))(t)
			defer stop()
		}
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			check(t, a.Notices.Tell([]byte(want[i])))
		}
		for _, h := range []*heardNotices{&one, &other} {
			roomtest.Until(t, "all is heard", func() bool { return slices.Equal(h.get(), want) })
		}
	})
}

func TestNotices_EndWithListenersAndStore(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		var ended, lasting heardNotices
		must(a.Notices.Listen(ended.hear))(t)()
		stop := must(a.Notices.Listen(lasting.hear))(t)
		check(t, b.Notices.Tell([]byte("x")))
		roomtest.Until(t, "who listens hears it", func() bool { return len(lasting.get()) == 1 })
		if got := ended.get(); len(got) != 0 {
			t.Errorf("who has stopped listening heard %q", got)
		}
		a.Close()
		stop()
		if err := a.Notices.Tell(nil); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a closed store: %v", err)
		}
		if _, err := a.Notices.Listen(lasting.hear); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a closed store: %v", err)
		}
	})
}
