package store

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	if locked, ok := errors.AsType[*LockedError](err); !ok || locked.PID != os.Getpid() || !strings.Contains(err.Error(), dir) {
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

func TestOpen_FindsWhatWasThere(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, Config{Dir: dir})
	revision := must(s.Functions.Create(ctx, "key", []byte("value")))(t)
	name := must(s.Code.Put(ctx, []byte("code")))(t)
	check(t, s.Logs.Append(ctx, "f", []byte("log")), s.Queue.Add(ctx, Item{FunctionID: "f", Body: []byte("call")}))
	letter := must(s.Letters.Add(ctx, Item{FunctionID: "f", Body: []byte("letter")}))(t)
	s.Close()

	s = open(t, Config{Dir: dir})
	if e, err := s.Functions.Get(ctx, "key"); err != nil || string(e.Value) != "value" || e.Revision != revision {
		t.Errorf("in the bucket: %+v, %v", e, err)
	}
	if got, err := s.Code.Get(ctx, name); err != nil || string(got) != "code" {
		t.Errorf("code: %q, %v", got, err)
	}
	if got := readLog(t, s, "f", time.Time{}); got != "log" {
		t.Errorf("log: %q", got)
	}
	if i := take(t, s, Line{FunctionID: "f"}, 1)[0]; string(i.Body) != "call" || i.Done(ctx) != nil {
		t.Errorf("in the queue: %+v", i)
	}
	if i, err := s.Letters.Get(ctx, letter); err != nil || string(i.Body) != "letter" {
		t.Errorf("dead letter: %+v, %v", i, err)
	}
}

func TestCode_IsWhatItsNameSays(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ctx := t.Context()
	archive := make([]byte, 1<<20+1) // several chunks
	_, _ = rand.Read(archive)
	name := must(s.Code.Put(ctx, archive))(t)
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

// Storing an archive again purges the chunks that somebody may be reading.
func TestCode_MayBeReplacedWhileItIsRead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ctx := t.Context()
	archive := make([]byte, 1<<20+1)
	_, _ = rand.Read(archive)
	name := must(s.Code.Put(ctx, archive))(t)
	s.Close()
	damage(t, dir, archive[1000:1064]) // keeps who reads it waiting
	s = open(t, Config{Dir: dir})
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() {
		if got, err := s.Code.Get(ctx, name); err != nil || !bytes.Equal(got, archive) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
	time.Sleep(100 * time.Millisecond) // it has begun, most likely
	meta := jetstream.ObjectMeta{Name: name}
	_ = must(s.Code.(*jetCode).objects.Put(ctx, meta, bytes.NewReader(archive)))(t)
}

// damage changes bytes wherever the server keeps them.
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

// A disk can't be filled here; `go tool task soak` does that. Nor can its
// effect on the streams be shown; this tests the repair alone.
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
		// Until the repair, the new call is refused or lost.
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

// Idle lines leave nothing behind in the server, and are back when they are
// used again.
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

// A data folder from before lines: all calls in one, with one worker for all.
func TestQueue_TakesOverOneLineForAll(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ctx := t.Context()
	if _, err := s.backend.(*jet).js.UpdateStream(ctx, jetstream.StreamConfig{
		Name: names(DefaultPrefix).stream("queue"), Subjects: []string{names(DefaultPrefix).queue() + "*"}, Retention: jetstream.WorkQueuePolicy,
	}); err != nil {
		t.Fatal(err)
	}
	workers := jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy}
	if _, err := s.Queue.(*jetQueue).stream.CreateConsumer(ctx, workers); err != nil {
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
