package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"vivarium/host/roomtest"
	"vivarium/host/store/storetest"
)

// deafened returns a store whose connection can be made to bring no answers any more, and
// one that reaches the same servers by another.
func deafened(t *testing.T) (deaf, other *Store, deafen func(), hear func()) {
	to := startShared(t)
	var mu sync.Mutex
	silent, heard := false, sync.NewCond(&mu)
	c := layCable(t, to, func(w io.Writer, r io.Reader) {
		buffer := make([]byte, 1<<16)
		for {
			n, err := r.Read(buffer)
			mu.Lock()
			for silent && err == nil {
				heard.Wait()
			}
			mu.Unlock()
			if _, e := w.Write(buffer[:n]); e != nil || err != nil {
				return
			}
		}
	})
	set := func(to bool) {
		mu.Lock()
		defer mu.Unlock()
		silent = to
		heard.Broadcast()
	}
	t.Cleanup(func() { set(false) })
	deaf = open(t, Config{URL: "nats://" + c.Address(), patience: 2 * time.Minute})
	other = open(t, Config{URL: "nats://" + to})
	return deaf, other, func() { set(true) }, func() {
		c.Cut(true) // what was on its way is lost
		set(false)
		c.Cut(false)
	}
}

// A change whose answer was lost is made once, and is not taken for somebody else's when it
// is tried again.
func TestChanges_WhoseAnswerIsLost(t *testing.T) {
	s, other, deafen, hear := deafened(t)
	ctx, line := t.Context(), Line{FunctionID: "f"}
	check(t, s.Keys.Put(ctx, "deleted", []byte("1")), s.Keys.Put(ctx, "again", []byte("1")), s.Keys.Delete(ctx, "again"))
	first := must(s.Keys.Create(ctx, "updated", []byte("1")))(t)
	there := func(key string) func() bool {
		return func() bool {
			e, err := other.Keys.Get(ctx, key)
			return err == nil && string(e.Value) == "2"
		}
	}
	gone := func(key string) func() bool {
		return func() bool {
			_, err := other.Keys.Get(ctx, key)
			return errors.Is(err, ErrNotFound)
		}
	}
	one := []byte("2")
	for _, c := range []struct {
		what   string
		change func() error
		made   func() bool
	}{
		{"create", func() error { _, err := s.Keys.Create(ctx, "created", one); return err }, there("created")},
		{"create what was deleted", func() error { _, err := s.Keys.Create(ctx, "again", one); return err }, nil},
		{"update", func() error { _, err := s.Keys.Update(ctx, "updated", one, first); return err }, there("updated")},
		{"put", func() error { return s.Keys.Put(ctx, "put", one) }, there("put")},
		{"delete", func() error { return s.Keys.DeleteRevision(ctx, "deleted", 1) }, gone("deleted")},
		{"call", func() error { return s.Queue.Add(ctx, Item{FunctionID: "f"}) },
			func() bool { n, err := other.Queue.Len(ctx); return err == nil && n == 1 }},
		{"letter", func() error { _, err := s.Letters.Add(ctx, Item{FunctionID: "f"}); return err },
			func() bool { n, _, err := other.Letters.Use(ctx); return err == nil && n > 0 }},
		{"lines", func() error { return s.Logs.Append(ctx, "f", []byte("line\n")) },
			func() bool { return readLog(t, other, "f", time.Time{}) != "" }},
	} {
		deafen()
		done := make(chan error, 1)
		go func() { done <- c.change() }()
		if c.made != nil { // otherwise the first answer that is lost is a refusal
			roomtest.Until(t, c.what+" has been done", c.made)
		}
		hear()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	_, records, err := other.Keys.(*jetBucket).state(ctx)
	check(t, err)
	if last, _, err := other.Keys.(*jetBucket).state(ctx); err != nil || last != 9 || records != 5 {
		t.Errorf("%d changes were made, and %d records are there, %v; want 9 and 5", last, records, err)
	}
	take(t, other, line, 1)
	take(t, other, line, 0)
	if n := len(sequences(t, other, 10, 0)); n != 1 {
		t.Errorf("there are %d letters", n)
	}
	if got := readLog(t, other, "f", time.Time{}); got != "line\n" {
		t.Errorf("the log is %q", got)
	}
	if got := s.Queue.(*jetQueue).backlog.bytes; len(got) != 0 {
		t.Errorf("the backlog of calls without a body is %v", got)
	}
}

// Nobody is told that a change has failed, or waits for ever, when one of three servers dies,
// or stands still, in the middle of changes; and each change is made once.
func TestChanges_OutliveAServer(t *testing.T) {
	servers := storetest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Replicas: 3, patience: 2 * time.Minute}
	a, b := openShared(t, cfg), openShared(t, cfg)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	made := &counts{}
	var changing sync.WaitGroup
	defer changing.Wait()
	defer end()
	for n, s := range []*Store{a, b, a, b} {
		key := fmt.Sprint("counter", n)
		revision := must(s.Functions.Create(ctx, key, nil))(t)
		changing.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				var err error
				if revision, err = changeAll(s, key, i, revision); err != nil {
					t.Errorf("%s, %d: %v", key, i, err)
					return
				}
				made.add(1)
			}
		})
	}
	more := func() func() bool {
		was := made.get()
		return func() bool { return made.get() > was+20 || t.Failed() }
	}
	roomtest.Until(t, "changes are made", more())
	for _, hurt := range []struct {
		what       string
		hurt, mend func(*storetest.Server)
	}{
		{"dies", (*storetest.Server).Kill, (*storetest.Server).Start},
		{"stands still", (*storetest.Server).Stop, (*storetest.Server).Continue},
	} {
		leader := leaderOf(t, a, a.backend.(*jet).names.bucketStream("functions"))
		one := servers.Named(leader)
		hurt.hurt(one)
		roomtest.Until(t, "changes are made though the leader "+hurt.what, more())
		hurt.mend(one)
		roomtest.Until(t, "changes are made when it is back", more())
	}
	end()
	changing.Wait()
	if n, err := b.Queue.Len(t.Context()); err != nil || int64(n) != made.get() {
		t.Errorf("%d calls are queued, %v, want %d", n, err, made.get())
	}
}

// changeAll makes one change of each kind, each of which can only succeed once. It returns
// the revision of the key's value, whose last one is given: what can be read may be older.
func changeAll(s *Store, key string, i int, last uint64) (uint64, error) {
	ctx := context.Background() // what has begun ends
	last, err := s.Functions.Update(ctx, key, nil, last)
	if err != nil {
		return 0, fmt.Errorf("update: %w", err)
	}
	name := fmt.Sprint(key, ".", i)
	revision, err := s.Names.Create(ctx, name, nil)
	if err != nil {
		return 0, fmt.Errorf("create: %w", err)
	}
	if err := s.Names.DeleteRevision(ctx, name, revision); err != nil {
		return 0, fmt.Errorf("delete: %w", err)
	}
	if _, err := s.Code.Put(ctx, []byte(name)); err != nil {
		return 0, fmt.Errorf("code: %w", err)
	}
	if err := s.Queue.Add(ctx, Item{FunctionID: key}); err != nil {
		return 0, fmt.Errorf("queue: %w", err)
	}
	return last, nil
}

// counts is a number that several goroutines add to.
type counts struct {
	mu sync.Mutex
	n  int64
}

func (c *counts) add(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
}

func (c *counts) get() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// openShared opens a store as soon as its servers can be used.
func openShared(t testing.TB, cfg Config) *Store {
	t.Helper()
	var s *Store
	roomtest.Until(t, "the servers can be used", func() (ok bool) {
		var err error
		s, err = Open(t.Context(), cfg)
		return err == nil
	})
	t.Cleanup(s.Close)
	return s
}

// leaderOf returns the name of the server that decides on a stream.
func leaderOf(t testing.TB, s *Store, stream string) (name string) {
	t.Helper()
	roomtest.Until(t, "there is a leader", func() bool {
		i, err := s.backend.(*jet).js.Stream(t.Context(), stream)
		if err != nil || i.CachedInfo().Cluster == nil {
			return false
		}
		name = i.CachedInfo().Cluster.Leader
		return name != ""
	})
	return name
}
