package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vivarium/host/roomtest"
)

// discard is a log that nobody reads.
var discard = slog.New(slog.DiscardHandler)

func TestMarks_OutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "marks") // in a directory that is not there yet
	m := openMarks(path, discard)
	if _, ok, wrong := m.get("a"); ok || wrong != nil {
		t.Errorf("there is one: %v", wrong)
	}
	a, b := markOf(7, map[string]uint64{"x": 1, "y": 7}), mark{Revision: 9, Keys: -1}
	m.set("a", mark{Revision: 1})
	m.set("a", a)
	m.set("b", b)
	m.flush()
	m.flush()
	again := openMarks(path, discard)
	for bucket, want := range map[string]mark{"a": a, "b": b} {
		if got, ok, wrong := again.get(bucket); !ok || wrong != nil || got != want {
			t.Errorf("%s: got %+v, %v, %v, want %+v", bucket, got, ok, wrong, want)
		}
	}
	// What is as it was is not written again.
	check(t, os.Remove(path))
	again.set("a", a)
	again.flush()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written again: %v", err)
	}
	again.set("a", b)
	roomtest.Until(t, "it is written by itself", func() bool { _, err := os.Stat(path); return err == nil })
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Marks that can't be read say so, and are not overwritten: they may be all that tells of
// a loss.
func TestMarks_ThatCantBeRead(t *testing.T) {
	for _, text := range []string{"", "{", "null", `{"a":{"revision":"x"}}`, "[]"} {
		path := filepath.Join(t.TempDir(), "marks")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		m := openMarks(path, discard)
		if _, ok, wrong := m.get("a"); ok || wrong == nil || !strings.Contains(wrong.Error(), path) {
			t.Errorf("%q: %v, %v", text, ok, wrong)
		}
		m.set("a", mark{Revision: 1})
		m.flush()
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("%q is now %q, %v", text, kept, err)
		}
	}
	if m := openMarks(t.TempDir(), discard); m.wrong == nil { // a directory
		t.Error("a directory is read")
	}
	none := openMarks("", discard)
	none.set("a", mark{Revision: 1})
	none.flush()
	if _, ok, wrong := none.get("a"); ok || wrong != nil {
		t.Errorf("without a file: %v, %v", ok, wrong)
	}
}

func TestMarks_ThatCantBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	var log bytes.Buffer
	m := openMarks(filepath.Join(file, "marks"), slog.New(slog.NewTextHandler(&log, nil)))
	m.wrong = nil // that the file is none is found already
	m.set("a", mark{Revision: 1})
	m.flush()
	if !strings.Contains(log.String(), "write marks") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestMarkOf_TellsContentsApart(t *testing.T) {
	keys := map[string]uint64{}
	for n := range 100 {
		keys[fmt.Sprint("key", n)] = uint64(n + 1)
	}
	m, again := markOf(200, keys), map[string]uint64{}
	for n := 99; n >= 0; n-- {
		again[fmt.Sprint("key", n)] = uint64(n + 1)
	}
	if markOf(200, again) != m {
		t.Error("the order of keys counts")
	}
	for what, change := range map[string]func(map[string]uint64){
		"a key less":         func(k map[string]uint64) { delete(k, "key5") },
		"another revision":   func(k map[string]uint64) { k["key5"]++ },
		"revisions exchange": func(k map[string]uint64) { k["key5"], k["key6"] = k["key6"], k["key5"] },
		"another key":        func(k map[string]uint64) { k["key100"] = k["key5"]; delete(k, "key5") },
	} {
		other := map[string]uint64{}
		for key, revision := range keys {
			other[key] = revision
		}
		if change(other); markOf(200, other) == m {
			t.Errorf("%s: the same mark", what)
		}
	}
}

func TestReplaceFile_IsAllOrNothing(t *testing.T) {
	path, full := filepath.Join(t.TempDir(), "file"), errors.New("full")
	check(t, replaceFile(path, []byte("old"), nil))
	if err := replaceFile(path, []byte("new"), func(*os.File) error { return full }); err != full {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "old" {
		t.Errorf("after a failure: %q, %v", text, err)
	}
	var writers sync.WaitGroup
	for n := range 8 {
		text := bytes.Repeat([]byte{byte('a' + n)}, 10_000)
		writers.Go(func() {
			for range 20 {
				if err := replaceFile(path, text, nil); err != nil {
					t.Error(err)
				}
				got, err := os.ReadFile(path)
				if err != nil || len(got) != len(text) && string(got) != "old" ||
					len(bytes.Trim(got, string(got[:1]))) != 0 && string(got) != "old" {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
			}
		})
	}
	writers.Wait()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := replaceFile(filepath.Join(path, "within"), nil, nil); err == nil {
		t.Error("a file within a file is written")
	}
}

// Of a store that was damaged between two starts, the bucket in question says so; the
// others do not, and all of them can be used.
func TestDamage_IsFoundWhenTheStoreIsOpened(t *testing.T) {
	stream := func(dir, bucket string) string {
		found := ""
		check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == names(DefaultPrefix).bucketStream(bucket) {
				found = path
			}
			return err
		}))
		return found
	}
	for what, c := range map[string]struct {
		damage func(dir, older string) error
		bucket string // that is damaged; empty for none
		reason string
	}{
		"a bucket is gone": {func(dir, _ string) error { return os.RemoveAll(stream(dir, "keys")) },
			"keys", "the last change is number 0; it was 3"},
		"its end is gone": {func(dir, older string) error {
			to := stream(dir, "keys")
			return errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(stream(older, "keys"))))
		}, "keys", "the last change is number 1; it was 3"},
		"the marks are gone": {func(dir, _ string) error { return os.Remove(filepath.Join(dir, "marks")) }, "", ""},
		"what has no marks, and what never had anything, is gone": {func(dir, _ string) error {
			return errors.Join(os.RemoveAll(stream(dir, "timers")), os.RemoveAll(stream(dir, "quotas")))
		}, "", ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx, dir, older := t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "older")
			s := open(t, Config{Dir: dir, Log: discard})
			check(t, s.Keys.Put(ctx, "one", []byte("the first one")), s.Timers.Put(ctx, "timer", nil), s.Functions.Put(ctx, "f", []byte("there")))
			s.Close()
			check(t, os.CopyFS(older, os.DirFS(dir)))
			s = open(t, Config{Dir: dir, Log: discard})
			check(t, s.Keys.Put(ctx, "two", []byte("the second one")), s.Keys.Put(ctx, "three", nil))
			s.Close()
			check(t, c.damage(dir, older))

			s = open(t, Config{Dir: dir, Log: discard})
			for _, b := range s.buckets() {
				err := (*b.into).Damage()
				damaged, ok := errors.AsType[*DamageError](err)
				switch {
				case b.name != c.bucket && err != nil:
					t.Errorf("%s: got %v", b.name, err)
				case b.name == c.bucket && (!ok || damaged.Bucket != b.name || !strings.Contains(damaged.Reason, c.reason) ||
					damaged.Marks != filepath.Join(dir, "marks")):
					t.Errorf("%s: got %v, want %q", b.name, err, c.reason)
				}
			}
			if e, err := s.Functions.Get(ctx, "f"); err != nil || string(e.Value) != "there" {
				t.Errorf("what is whole: %q, %v", e.Value, err)
			}
			check(t, s.Keys.Put(ctx, "four", nil))
			s.Close()
			// Changes do not make the loss be forgotten; that is for the operator.
			s = open(t, Config{Dir: dir, Log: discard})
			if err := s.Keys.Damage(); (err != nil) != (c.bucket == "keys") {
				t.Errorf("opened again: %v", err)
			}
			s.Close()
			check(t, os.RemoveAll(filepath.Join(dir, "marks")))
			s = open(t, Config{Dir: dir, Log: discard})
			if err := s.Keys.Damage(); err != nil {
				t.Errorf("the marks are removed: %v", err)
			}
			s.Close()
		})
	}
}

// A record that can't be read is missed by nobody but who asks for it.
func TestBucket_UnreadableRecordsHideNoOthers(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, Config{Dir: dir, Log: discard})
	for n := range 10 {
		check(t, s.Functions.Put(ctx, fmt.Sprint("key", n), []byte(fmt.Sprint("the value of number ", n))))
	}
	check(t, s.Functions.Delete(ctx, "key9"))
	s.Close()
	damage(t, dir, []byte("the value of number 4"))
	s = open(t, Config{Dir: dir, Log: discard})
	if err := s.Functions.Damage(); err == nil || !strings.Contains(err.Error(), "functions are damaged") {
		t.Errorf("got %v", err)
	}
	known := map[string]string{}
	for _, e := range must(s.Functions.All(ctx))(t) {
		known[e.Key] = string(e.Value)
	}
	for n := range 9 {
		if got := known[fmt.Sprint("key", n)]; n != 4 && got != fmt.Sprint("the value of number ", n) {
			t.Errorf("key%d is %q", n, got)
		}
	}
	if len(known) != 8 {
		t.Errorf("there are %v", known)
	}
}

// A record that can't be read is not taken for absent, and nothing is stored in its
// place: the server would lose that when it starts again.
func TestBucket_UnreadableRecordsAreNotReplaced(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, Config{Dir: dir, Log: discard})
	check(t, s.Functions.Put(ctx, "key", []byte("the value of key")), s.Functions.Put(ctx, "other", nil))
	s.Close()
	damage(t, dir, []byte("the value of key"))
	s = open(t, Config{Dir: dir, Log: discard})
	_, get := s.Functions.Get(ctx, "key")
	_, create := s.Functions.Create(ctx, "key", nil)
	for what, err := range map[string]error{
		"get": get, "create": create, "put": s.Functions.Put(ctx, "key", nil), "delete": s.Functions.Delete(ctx, "key"),
	} {
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "the record of key is unreadable; restore") {
			t.Errorf("%s: %v", what, err)
		}
	}
	check(t, s.Functions.Put(ctx, "other", []byte("new")), s.Functions.Put(ctx, "third", nil))
}

func TestDamageError_SaysWhatToDo(t *testing.T) {
	e := &DamageError{Bucket: "keys", Reason: "lost"}
	if got := e.Error(); !strings.Contains(got, "keys are damaged: lost; restore the store from a backup") || strings.Contains(got, "remove") {
		t.Error(got)
	}
	if e.Marks = "/data/marks"; !strings.Contains(e.Error(), "remove /data/marks") {
		t.Error(e)
	}
}
