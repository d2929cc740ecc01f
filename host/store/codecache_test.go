package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vivarium/host/roomtest"
)

// TestCodeCache_HasCodeWithoutTheServers cuts a process off, with what it has used and
// with what it has not.
func TestCodeCache_HasCodeWithoutTheServers(t *testing.T) {
	to, ctx, dir := startShared(t), t.Context(), filepath.Join(t.TempDir(), "code")
	here := open(t, Config{URL: "nats://" + to})
	others := must(here.Code.Put(ctx, []byte("read once")))(t)
	unread := must(here.Code.Put(ctx, []byte("never read")))(t)
	cable := layCable(t, to, nil)
	there := open(t, Config{URL: "nats://" + cable.Address(), CodeCache: dir})
	own := must(there.Code.Put(ctx, []byte("stored here")))(t)
	damaged := must(there.Code.Put(ctx, []byte("damaged here")))(t)
	deleted := must(there.Code.Put(ctx, []byte("deleted")))(t)
	must(there.Code.Get(ctx, others))(t)
	check(t, there.Code.Delete(ctx, deleted), os.WriteFile(filepath.Join(dir, damaged), []byte("damaged"), 0o600))
	if _, err := there.Code.Get(ctx, deleted); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}

	cable.Cut(true)
	for name, want := range map[string]string{own: "stored here", others: "read once"} {
		if got, err := there.Code.Get(ctx, name); err != nil || string(got) != want {
			t.Errorf("without the servers: got %q, %v; want %q", got, err, want)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, 2*opTimeout)
	defer cancel()
	if _, err := there.Code.Get(bounded, unread); !errors.Is(err, ErrUnavailable) || bounded.Err() != nil {
		t.Errorf("never read: %v", err)
	}
	hurried, leave := context.WithTimeout(ctx, time.Second)
	defer leave()
	if _, err := there.Code.Get(hurried, damaged); !errors.Is(err, ErrUnavailable) {
		t.Errorf("damaged: %v", err)
	}

	cable.Cut(false)
	roomtest.Until(t, "the damaged copy is replaced", func() bool {
		got, err := there.Code.Get(ctx, damaged)
		return err == nil && string(got) == "damaged here"
	})
}

func TestCodeCache_KeepsWhatWasUsedLast(t *testing.T) {
	c, err := newCodeCache(Memory(Config{}).Code, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 4 {
		names = append(names, must(c.Put(t.Context(), bytes.Repeat([]byte{byte(i)}, 100)))(t))
		long := time.Now().Add(time.Duration(i-10) * time.Hour)
		check(t, os.Chtimes(filepath.Join(c.dir, names[i]), long, long))
	}
	must(c.Get(t.Context(), names[0]))(t)
	check(t, c.trim(250))
	for i, want := range []bool{true, false, false, true} {
		if _, err := os.Stat(filepath.Join(c.dir, names[i])); (err == nil) != want {
			t.Errorf("archive %d: %v", i, err)
		}
	}
}
