package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"
)

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestOpen_RefusesADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	_, err := Open(t.Context(), Config{Dir: dir})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want a LockedError with this process", err)
	}
	s.Close()
	open(t, Config{Dir: dir})
}

func TestOpen_SaysWhatIsWrong(t *testing.T) {
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("neither directory nor URL: no error")
	}
	_, err := Open(t.Context(), Config{URL: "nats://127.0.0.1:1"})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
	narrow, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	narrow.Start()
	defer func() { narrow.Shutdown(); narrow.WaitForShutdown() }()
	if !narrow.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	if _, err := Open(t.Context(), Config{URL: narrow.ClientURL()}); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("messages are too small: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Dir: file}); err == nil {
		t.Error("a file for a directory: no error")
	}
}

func TestClose_LeavesNoGoroutines(t *testing.T) {
	warm := open(t, Config{Dir: t.TempDir()}) // what starts once and stays
	warm.Close()
	before := runtime.NumGoroutine()
	for range 3 {
		s := open(t, Config{Dir: t.TempDir()})
		stop, err := s.Functions.Watch(t.Context(), func(Entry) {}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Queue.Take(t.Context(), Line{FunctionID: "f"}, 1); err != nil {
			t.Fatal(err)
		}
		stop()
		s.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestBucket_ChangesOnlyWhatIsAsItWas(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ctx, b := t.Context(), s.Functions
	first, err := b.Create(ctx, "key", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "key", nil); !errors.Is(err, ErrRevision) {
		t.Errorf("created twice: %v", err)
	}
	if _, err := b.Update(ctx, "key", []byte("two"), first); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Update(ctx, "key", []byte("three"), first); !errors.Is(err, ErrRevision) {
		t.Errorf("an old revision: %v", err)
	}
	s.Close()

	b = open(t, Config{Dir: dir}).Functions
	if e, err := b.Get(ctx, "key"); err != nil || string(e.Value) != "two" {
		t.Errorf("opened again: %s, %v", e.Value, err)
	}
	for range 2 {
		if err := b.Delete(ctx, "key"); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Get(ctx, "key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if _, err := b.Create(ctx, "key", []byte("four")); err != nil {
		t.Errorf("created after it was deleted: %v", err)
	}
}

func TestBucket_WatchTellsWhatIsThereAndWhatComes(t *testing.T) {
	b := open(t, Config{Dir: t.TempDir()}).Functions
	ctx := t.Context()
	if _, err := b.Create(ctx, "old", []byte("1")); err != nil {
		t.Fatal(err)
	}
	seen := make(chan Entry, 10)
	stop, err := b.Watch(ctx, func(e Entry) { seen <- e }, func() { seen <- Entry{Key: "present"} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := b.Create(ctx, "new", []byte("2")); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(ctx, "old"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		key     string
		deleted bool
	}{{"old", false}, {"present", false}, {"new", false}, {"old", true}} {
		select {
		case e := <-seen:
			if e.Key != want.key || e.Deleted != want.deleted {
				t.Errorf("got %+v, want %+v", e, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no news of %+v", want)
		}
	}
}

func TestCode_IsWhatItsNameSays(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ctx := t.Context()
	archive := make([]byte, 1<<20+1) // several pieces
	_, _ = rand.Read(archive)
	name, err := s.Code.Put(ctx, archive)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Code.Put(ctx, archive); err != nil || again != name {
		t.Errorf("stored again: %s, %v", again, err)
	}
	other, err := s.Code.Put(ctx, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Code.Get(ctx, strings.Repeat("0", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a name of nothing: %v", err)
	}
	missing := map[string]bool{name: true, strings.Repeat("0", 64): true}
	if n, err := s.Code.Collect(ctx, 0, missing); !errors.Is(err, ErrCorrupt) || n != 0 {
		t.Errorf("one that is kept is missing: collected %d, %v, want none", n, err)
	}
	if n, err := s.Code.Collect(ctx, 0, map[string]bool{name: true}); err != nil || n != 1 {
		t.Errorf("collected %d, %v, want 1", n, err)
	}
	if _, err := s.Code.Get(ctx, other); !errors.Is(err, ErrNotFound) {
		t.Errorf("collected, but: %v", err)
	}
	if got, err := s.Code.Get(ctx, name); err != nil || !bytes.Equal(got, archive) {
		t.Errorf("kept: %v", err)
	}
	s.Close()
	damage(t, dir, archive[1000:1064])
	s = open(t, Config{Dir: dir})
	if _, err := s.Code.Get(ctx, name); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnavailable) {
		t.Errorf("damaged: %v", err)
	}
	if _, err := s.Code.Put(ctx, archive); err != nil {
		t.Errorf("stored anew: %v", err)
	}
	if got, err := s.Code.Get(ctx, name); err != nil || !bytes.Equal(got, archive) {
		t.Errorf("mended: %v", err)
	}
}

// damage changes the bytes, wherever the server keeps them.
func damage(t *testing.T, dir string, what []byte) {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if i := bytes.Index(b, what); i >= 0 {
			found = true
			b[i] ^= 1
			return os.WriteFile(path, b, 0o600)
		}
		return nil
	})
	if err != nil || !found {
		t.Fatalf("not damaged: %v", err)
	}
}

func TestStore_FullIsUnavailableAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, MaxBytes: 24 << 20, LogBytes: 1 << 20, QueueBytes: 1 << 20})
	ctx := t.Context()
	small, err := s.Code.Put(ctx, []byte("small"))
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 32<<20)
	_, _ = rand.Read(big)
	if _, err := s.Code.Put(ctx, big); !errors.Is(err, ErrUnavailable) {
		t.Errorf("more than there is room for: %v", err)
	}
	if got, err := s.Code.Get(ctx, small); err != nil || string(got) != "small" {
		t.Errorf("what was there: %s, %v", got, err)
	}
	if _, err := s.Code.Put(ctx, []byte("another")); err != nil {
		t.Errorf("small again: %v", err)
	}
}

// A disk can't be filled here; `go tool task soak` does that. What a full one
// makes of the streams is left away, too: this is what mends it.
func TestMender_OpensAllAnewAndLosesNothing(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	ctx := t.Context()
	if _, err := s.Functions.Create(ctx, "f", []byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := s.Logs.Append(ctx, "f", []byte("before")); err != nil {
		t.Fatal(err)
	}
	take(t, s, Line{FunctionID: "f"}, 0)
	before := s.backend.(*jet).server.JetStreamConfig()
	s.backend.(*jet).server.Errorf("what can't be written: %v", &os.PathError{Op: "write", Path: "x", Err: unix.ENOSPC})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		// Until it is mended, the new call is refused, or lost.
		if s.Queue.Add(ctx, Item{ID: "1", FunctionID: "f", Body: []byte("after")}) == nil && s.backend.(*jet).conn.Stats().Reconnects > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not mended")
		}
	}
	if got := take(t, s, Line{FunctionID: "f"}, 1)[0]; string(got.Body) != "after" || got.Done(ctx) != nil {
		t.Errorf("got %q from the queue", got.Body)
	}
	if e, err := s.Functions.Get(ctx, "f"); err != nil || string(e.Value) != "before" {
		t.Errorf("got %q, %v from the bucket", e.Value, err)
	}
	log := ""
	if err := s.Logs.Read(ctx, "f", time.Time{}, false, func(b []byte) error { log += string(b); return nil }); err != nil || log != "before" {
		t.Errorf("got %q, %v from the log", log, err)
	}
	if after := s.backend.(*jet).server.JetStreamConfig(); after == nil || *after != *before {
		t.Errorf("opened with %+v, before with %+v", after, before)
	}
}

// take takes as many items out of a line, waiting for them; with 0 it wants none.
func take(t *testing.T, s *Store, l Line, n int) (items []Item) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		more, err := s.Queue.Take(t.Context(), l, max(n-len(items), 1))
		if items = append(items, more...); err == nil && len(items) == n {
			return items
		}
		if n == 0 || time.Now().After(deadline) {
			t.Fatalf("got %d items of line %v, %v, want %d", len(items), l, err, n)
		}
	}
}

func TestQueue_LinesDoNotWaitForEachOther(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	ctx := t.Context()
	for range 20 {
		for _, i := range []Item{{FunctionID: "f"}, {FunctionID: "f", Timer: true}, {FunctionID: "g"}} {
			if err := s.Queue.Add(ctx, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(t, s, Line{"f", false}, 20) // and nobody is done with them
	if i := take(t, s, Line{"f", true}, 1)[0]; !i.Timer || i.FunctionID != "f" {
		t.Errorf("got %+v", i)
	}
	take(t, s, Line{"g", false}, 1)
	want := map[Line]uint64{{"f", false}: 20, {"f", true}: 20, {"g", false}: 20}
	if got, err := s.Queue.Lines(ctx); err != nil || !maps.Equal(got, want) {
		t.Errorf("lines: %v, %v, want %v", got, err, want)
	}
	if err := s.Queue.Drop(ctx, "f"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Queue.Len(ctx); err != nil || n != 20 {
		t.Errorf("%d are left, %v, want 20", n, err)
	}
}

// Lines that nobody asks for leave nothing behind in the server, and are there
// again when somebody does.
func TestQueue_ForgetsLinesThatAreOfNoUse(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	for n := range 20 {
		l := Line{FunctionID: fmt.Sprint("f", n)}
		if err := s.Queue.Add(t.Context(), Item{FunctionID: l.FunctionID}); err != nil {
			t.Fatal(err)
		}
		if err := take(t, s, l, 1)[0].Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		info, err := s.Queue.(*jetQueue).stream.Info(t.Context())
		if err == nil && info.State.Consumers == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server still knows %d, %v", info.State.Consumers, err)
		}
	}
	if err := s.Queue.Add(t.Context(), Item{FunctionID: "f0"}); err != nil {
		t.Fatal(err)
	}
	take(t, s, Line{FunctionID: "f0"}, 1)
}

// A folder of before lines: all calls were in one, with one worker for all.
func TestQueue_TakesOverOneLineForAll(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ctx := t.Context()
	if _, err := s.backend.(*jet).js.UpdateStream(ctx, jetstream.StreamConfig{
		Name: prefix + "queue", Subjects: []string{queueSubject + "*"}, Retention: jetstream.WorkQueuePolicy,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Queue.(*jetQueue).stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	if err := s.Queue.Add(ctx, Item{FunctionID: "f", Body: []byte("before")}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, Config{Dir: dir})
	if i := take(t, s, Line{FunctionID: "f"}, 1)[0]; string(i.Body) != "before" {
		t.Errorf("got %q", i.Body)
	}
	if err := s.Queue.Add(ctx, Item{FunctionID: "f", Timer: true}); err != nil {
		t.Error(err)
	}
}

func TestQueue_GivesOutUntilDone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ctx := t.Context()
	for _, id := range []string{"a", "a", "b"} { // the second a is the first one again
		if err := s.Queue.Add(ctx, Item{ID: id, FunctionID: "f", Body: []byte(id), Notes: map[string]string{"Tag": "prod"}}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = open(t, Config{Dir: dir})
	given := take(t, s, Line{FunctionID: "f"}, 2)
	first, second := given[0], given[1]
	if string(first.Body) != "a" || string(second.Body) != "b" || first.FunctionID != "f" || first.Notes["Tag"] != "prod" {
		t.Errorf("got %+v and %+v", first, second)
	}
	first.Later(50 * time.Millisecond)
	if err := second.Done(ctx); err != nil {
		t.Error(err)
	}
	again := take(t, s, Line{FunctionID: "f"}, 1)[0]
	if err := again.Done(ctx); err != nil || string(again.Body) != "a" {
		t.Errorf("put off: %s, %v", again.Body, err)
	}
	if n, err := s.Queue.Len(ctx); err != nil || n != 0 {
		t.Errorf("%d are left, %v", n, err)
	}
}

func TestLog_IsReadFromATimeOnAndFollowed(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	ctx := t.Context()
	if err := s.Logs.Read(ctx, "f", time.Time{}, false, func([]byte) error { return errors.New("called") }); err != nil {
		t.Errorf("an empty log: %v", err)
	}
	appendLog := func(function, batch string) {
		t.Helper()
		if err := s.Logs.Append(ctx, function, []byte(batch)); err != nil {
			t.Fatal(err)
		}
	}
	appendLog("f", "one")
	appendLog("g", "another's")
	time.Sleep(10 * time.Millisecond)
	middle := time.Now()
	appendLog("f", "two")
	read := func(since time.Time) (text string) {
		t.Helper()
		if err := s.Logs.Read(ctx, "f", since, false, func(b []byte) error { text += string(b); return nil }); err != nil {
			t.Error(err)
		}
		return text
	}
	if got := read(time.Time{}); got != "onetwo" {
		t.Errorf("all: %q", got)
	}
	if got := read(middle); got != "two" {
		t.Errorf("since the middle: %q", got)
	}
	following, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	enough := errors.New("enough")
	err := s.Logs.Read(following, "f", middle, true, func(b []byte) error {
		if string(b) == "two" {
			appendLog("f", "three")
			return nil
		}
		return enough
	})
	if err != enough {
		t.Errorf("following: %v", err)
	}
	if err := s.Logs.Delete(ctx, "f"); err != nil || read(time.Time{}) != "" {
		t.Errorf("deleted: %v", err)
	}
	if info, err := s.Logs.(*jetLogs).stream.Info(ctx); err != nil || info.State.Consumers != 0 {
		t.Errorf("the server still has the readers: %+v, %v", info.State, err)
	}
}

func TestDead_AreListedAndRemoved(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	ctx := t.Context()
	for _, id := range []string{"f", "g", "f"} {
		if _, err := s.Letters.Add(ctx, Item{FunctionID: id, Body: []byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(after uint64, ids ...string) (sequences []uint64) {
		t.Helper()
		if err := s.Letters.List(ctx, ids, after, func(i Item) bool {
			sequences = append(sequences, i.Sequence)
			return len(sequences) < 2
		}); err != nil {
			t.Error(err)
		}
		return sequences
	}
	if got := list(0, "f"); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("of one function: %v", got)
	}
	for range 2 {
		if err := s.Letters.Delete(ctx, 1); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Letters.Get(ctx, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
	if got := list(0); !slices.Equal(got, []uint64{2, 3}) {
		t.Errorf("of all: %v", got)
	}
	if got := list(2, "f", "g"); !slices.Equal(got, []uint64{3}) {
		t.Errorf("after the second: %v", got)
	}
	sizes := 0
	if err := s.Letters.Sizes(ctx, func(id string, sequence uint64, bytes int64) { sizes += int(bytes) - letterBytes }); err != nil || sizes != 2 {
		t.Errorf("bodies of %d bytes, %v, want 2", sizes, err)
	}
	if err := s.Letters.Drop(ctx, "f", 3); err != nil {
		t.Fatal(err)
	}
	if got := list(0); !slices.Equal(got, []uint64{2}) {
		t.Errorf("without those of a function: %v", got)
	}
}
