package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// furnish puts something of each kind into a store, and returns what shows returns of it.
func furnish(t *testing.T, s *Store) string {
	t.Helper()
	ctx := t.Context()
	for n := range 20 {
		_, err := s.Functions.Create(ctx, fmt.Sprint("f", n), []byte("first"))
		check(t, err)
	}
	e, err := s.Functions.Get(ctx, "f7")
	check(t, err)
	_, err = s.Functions.Update(ctx, "f7", []byte("second"), e.Revision)
	check(t, err, s.Functions.Delete(ctx, "f8"))
	_, err = s.Keys.Create(ctx, "k", []byte{0, 255})
	check(t, err)
	_, err = s.Code.Put(ctx, []byte(strings.Repeat("code", 100_000)))
	check(t, err, s.Logs.Append(ctx, "f7", []byte("a line")))
	check(t, s.Queue.Add(ctx, Item{FunctionID: "f7", Body: []byte("call"), Notes: map[string]string{"Tag": "x"}}))
	_, err = s.Letters.Add(ctx, Item{FunctionID: "f7", Body: []byte("dead")})
	check(t, err)
	return shows(t, s)
}

// shows tells what is in a store.
func shows(t *testing.T, s *Store) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var b strings.Builder
	for _, bucket := range []Bucket{s.Functions, s.Keys, s.Timers} {
		all, err := bucket.All(ctx)
		check(t, err)
		for _, e := range all {
			fmt.Fprintf(&b, "%s %d %q;", e.Key, e.Revision, e.Value)
		}
	}
	names, err := s.Code.Names(ctx)
	check(t, err)
	for _, name := range names {
		code, err := s.Code.Get(ctx, name)
		check(t, err)
		fmt.Fprintf(&b, "%s %d;", name, len(code))
	}
	check(t, s.Logs.Read(ctx, "f7", time.Time{}, false, func(line []byte) error {
		fmt.Fprintf(&b, "log %q;", line)
		return nil
	}))
	sizes, err := s.Queue.Sizes(ctx)
	check(t, err)
	fmt.Fprintf(&b, "queue %d;", sizes["f7"].Items)
	check(t, s.Letters.List(ctx, []string{"f7"}, 0, func(i Item) bool {
		fmt.Fprintf(&b, "letter %q;", i.Body)
		return true
	}))
	return b.String()
}

// Whether a store is in a folder or in servers, its backup can become one in either.
func TestBackup_IsTheStoreAnywhere(t *testing.T) {
	for _, from := range []string{"folder", "servers"} {
		source := Config{Dir: t.TempDir()}
		if from == "servers" {
			source = Config{URL: "nats://" + startShared(t)}
		}
		s := open(t, source)
		want := furnish(t, s)
		if source.Dir != "" {
			if _, err := BackUp(t.Context(), source, filepath.Join(t.TempDir(), "b")); !errors.As(err, new(*LockedError)) {
				t.Errorf("of a folder in use: got %v", err)
			}
			s.Close()
		}
		backup := filepath.Join(t.TempDir(), "new", "backup")
		made, err := BackUp(t.Context(), source, backup)
		check(t, err)
		if again, err := ReadBackup(backup); err != nil || len(again.Streams) != len(made.Streams) || len(made.Streams) < 10 {
			t.Errorf("got %v, %v", again, err)
		}
		if _, err := BackUp(t.Context(), source, backup); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("into what is there: got %v", err)
		}
		for _, to := range []Config{{Dir: filepath.Join(t.TempDir(), "data")}, {URL: "nats://" + startShared(t)}} {
			_, err := Restore(t.Context(), to, backup)
			check(t, err)
			if _, err := Restore(t.Context(), to, backup); err == nil || !strings.Contains(err.Error(), "a store already") {
				t.Errorf("into a store: got %v", err)
			}
			restored := open(t, to)
			if got := shows(t, restored); got != want {
				t.Errorf("from %s to %+v: got\n%s\nwant\n%s", from, to, got, want)
			}
			check(t, restored.Functions.Damage())
			i := take(t, restored, Line{FunctionID: "f7"}, 1)[0]
			if string(i.Body) != "call" || i.Notes["Tag"] != "x" {
				t.Errorf("the queue has %+v", i)
			}
			check(t, i.Done(t.Context()))
		}
	}
}

func TestRestore_LeavesNothingOfWhatIsDamaged(t *testing.T) {
	source := Config{Dir: t.TempDir()}
	s := open(t, source)
	want := furnish(t, s)
	s.Close()
	good := filepath.Join(t.TempDir(), "good")
	_, err := BackUp(t.Context(), source, good)
	check(t, err)
	target := Config{URL: "nats://" + startShared(t)}
	manifest := filepath.Join(good, backupFile)
	text, err := os.ReadFile(manifest)
	check(t, err)
	edit := func(old, with string) func(string) {
		return func(dir string) {
			changed := strings.Replace(string(text), old, with, 1)
			if changed == string(text) {
				t.Fatalf("%s has no %s", text, old)
			}
			check(t, os.WriteFile(filepath.Join(dir, backupFile), []byte(changed), 0o600))
		}
	}
	var b Backup
	check(t, json.Unmarshal(text, &b))
	last := b.Streams[len(b.Streams)-1].Name
	for what, c := range map[string]struct {
		change func(dir string)
		want   string
	}{
		"not complete":     {func(dir string) { check(t, os.Remove(filepath.Join(dir, backupFile))) }, "no complete backup"},
		"of the future":    {edit(`"format":1`, `"format":9`), "format 9"},
		"another's stream": {edit(`"KV_vivarium_keys"`, `"KV_others"`), "none of a store's"},
		"a way out":        {edit(`"KV_vivarium_keys"`, `"KV_vivarium_/../x"`), "none of a store's"},
		"no text":          {func(dir string) { check(t, os.WriteFile(filepath.Join(dir, backupFile), []byte("{"), 0o600)) }, "can't be read"},
		"a stream is gone": {func(dir string) { check(t, os.RemoveAll(filepath.Join(dir, last))) }, "backup"},
		"other contents":   {edit(`"messages":1`, `"messages":2`), "damaged"},
		"cut off": {func(dir string) {
			files, err := filepath.Glob(filepath.Join(dir, last, "stream.*"))
			check(t, err)
			check(t, os.Truncate(files[0], 100))
		}, "restore of " + last},
	} {
		dir := filepath.Join(t.TempDir(), "backup")
		check(t, os.CopyFS(dir, os.DirFS(good)))
		c.change(dir)
		if _, err := Restore(t.Context(), target, dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", what, err, c.want)
		}
	}
	// Nothing is in the way of the good one.
	_, err = Restore(t.Context(), target, good)
	check(t, err)
	if got := shows(t, open(t, target)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBackUp_OfNothing(t *testing.T) {
	for _, cfg := range []Config{{Dir: t.TempDir()}, {URL: "nats://" + startShared(t)}, {URL: "nats://127.0.0.1:1"}, {}} {
		dir := filepath.Join(t.TempDir(), "b")
		if _, err := BackUp(t.Context(), cfg, dir); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
		if there, _ := os.ReadDir(dir); len(there) > 0 {
			t.Errorf("%+v leaves %v", cfg, there)
		}
	}
}
