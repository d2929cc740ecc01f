package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"vivarium/host/roomtest"
)

// What a store in memory forgets it forgets on time, whoever asks first.
func TestMemory_ForgetsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s := t.Context(), Memory(Config{LogAge: time.Hour, DeadAge: 2 * time.Hour})
		defer s.Close()
		var numbers []uint64
		for n := range 4 { // one each 20 minutes
			check(t, s.Logs.Append(ctx, "f", fmt.Append(nil, n)))
			numbers = append(numbers, must(s.Letters.Add(ctx, Item{FunctionID: "f", Body: make([]byte, 100)}))(t))
			time.Sleep(20 * time.Minute)
		}
		if got := readLog(t, s, "f", time.Time{}); got != "123" {
			t.Errorf("of an hour there is %q", got)
		}
		if got := readLog(t, s, "f", time.Now().Add(-30*time.Minute)); got != "3" {
			t.Errorf("of half an hour there is %q", got)
		}
		if got := readLog(t, s, "f", time.Now().Add(time.Minute)); got != "" {
			t.Errorf("of the future there is %q", got)
		}
		time.Sleep(30 * time.Minute)
		batches, average, err := s.Logs.Sizes(ctx)
		if err != nil || !maps.Equal(batches, map[string]uint64{"f": 1}) || average != batchBytes+1 {
			t.Errorf("there are %v of %d bytes, %v", batches, average, err)
		}
		time.Sleep(30*time.Minute + time.Second) // the first two letters are too old
		if got := sequences(t, s, 9, 0); !slices.Equal(got, numbers[2:]) {
			t.Errorf("letters: %v, want %v", got, numbers[2:])
		}
		if _, err := s.Letters.Get(ctx, numbers[1]); !errors.Is(err, ErrNotFound) {
			t.Errorf("an old letter: %v", err)
		}
		if batches, average, err := s.Logs.Sizes(ctx); err != nil || len(batches) != 0 || average != 0 {
			t.Errorf("there are %v of %d bytes, %v", batches, average, err)
		}
		time.Sleep(2 * time.Hour)
		if used, _, err := s.Letters.Use(ctx); err != nil || used != 0 {
			t.Errorf("%d bytes, %v", used, err)
		}
	})
}

// Items of a line come in order; one that is put off comes when it is due, before those
// that nobody has had.
func TestMemory_ItemsComeWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s, line := t.Context(), Memory(Config{}), Line{FunctionID: "f"}
		for n := range 6 {
			check(t, s.Queue.Add(ctx, Item{FunctionID: "f", Body: fmt.Append(nil, n)}))
		}
		given := must(s.Queue.Take(ctx, line, 4))(t)
		given[0].Later(3 * time.Minute)
		given[1].Later(time.Minute)
		given[2].Later(2 * time.Minute)
		check(t, given[3].Done(ctx), given[3].Done(ctx))
		given[3].Later(0) // which is gone
		for _, c := range []struct {
			after  time.Duration
			n      int
			want   string
			finish bool
		}{
			{0, 0, "", false}, {0, 1, "4", true}, {59 * time.Second, 1, "5", true}, {0, 9, "", false},
			{2 * time.Second, 9, "1", true}, {time.Minute, 9, "2", false},
			{ackWait - time.Second, 9, "", false}, {2 * time.Second, 9, "2", false}, // nobody has reported on it
			{28 * time.Second, 9, "0", true}, {ackWait, 9, "2", true},
		} {
			time.Sleep(c.after)
			got := ""
			for _, i := range must(s.Queue.Take(ctx, line, c.n))(t) {
				if got += string(i.Body); c.finish {
					check(t, i.Done(ctx))
				}
			}
			if got != c.want {
				t.Errorf("after %v more came %q, want %q", c.after, got, c.want)
			}
		}
		// What is due comes before what nobody has had.
		check(t, s.Queue.Add(ctx, Item{FunctionID: "f", Body: []byte("a")}))
		must(s.Queue.Take(ctx, line, 1))(t)[0].Later(time.Minute)
		check(t, s.Queue.Add(ctx, Item{FunctionID: "f", Body: []byte("b")}))
		time.Sleep(time.Minute)
		if i := must(s.Queue.Take(ctx, line, 1))(t)[0]; string(i.Body) != "a" || i.Done(ctx) != nil {
			t.Errorf("first came %q", i.Body)
		}
		if n := must(s.Queue.Len(ctx))(t); n != 1 {
			t.Errorf("%d are left", n)
		}
	})
}

// A letter makes room for itself among the oldest, unless it never fits.
func TestMemory_LettersMakeJustEnoughRoom(t *testing.T) {
	ctx, s := t.Context(), Memory(Config{QueueBytes: 10_000})
	add := func(n int) (uint64, error) { return s.Letters.Add(ctx, Item{FunctionID: "f", Body: make([]byte, n)}) }
	for range 4 { // 2,384 bytes each
		_ = must(add(2000))(t)
	}
	if got := sequences(t, s, 9, 0); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("kept %v", got)
	}
	if _, err := add(10_000); !errors.Is(err, ErrUnavailable) {
		t.Errorf("more than there can be: %v", err)
	}
	if got := sequences(t, s, 9, 0); len(got) != 4 {
		t.Errorf("for nothing were dropped all but %v", got)
	}
	if n := must(add(50))(t); n != 5 || len(sequences(t, s, 9, 0)) != 5 {
		t.Errorf("a small one is number %d of %v", n, sequences(t, s, 9, 0))
	}
	_ = must(add(4000))(t)
	if got := sequences(t, s, 9, 0); !slices.Equal(got, []uint64{3, 4, 5, 6}) {
		t.Errorf("kept %v", got)
	}
	_ = must(add(9000))(t)
	if got := sequences(t, s, 9, 0); !slices.Equal(got, []uint64{7}) {
		t.Errorf("kept %v", got)
	}
}

// Buckets and code share their room; what is replaced or deleted gives its own back.
func TestMemory_BucketsAndCodeShareTheirRoom(t *testing.T) {
	ctx, s := t.Context(), Memory(Config{MaxBytes: 10_000})
	used := func() int64 { return s.backend.(*memory).room.used }
	check(t, s.Functions.Put(ctx, "key", make([]byte, 4000)))
	name := must(s.Code.Put(ctx, make([]byte, 4000)))(t)
	if _, err := s.Code.Put(ctx, make([]byte, 4001)); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "delete old versions") {
		t.Errorf("more code: %v", err)
	}
	before := used()
	if _, err := s.Versions.Create(ctx, "other", make([]byte, 4000)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("another value: %v", err)
	}
	if _, err := s.Versions.Get(ctx, "other"); !errors.Is(err, ErrNotFound) || used() != before {
		t.Errorf("what is refused is there: %v, %d bytes are taken, before %d", err, used(), before)
	}
	check(t, s.Functions.Put(ctx, "key", make([]byte, 5000))) // in place of the other
	if err := s.Functions.Put(ctx, "key", make([]byte, 6000)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a larger value: %v", err)
	}
	e := must(s.Functions.Get(ctx, "key"))(t)
	if len(e.Value) != 5000 {
		t.Errorf("the value has %d bytes", len(e.Value))
	}
	check(t, s.Functions.DeleteRevision(ctx, "key", e.Revision), s.Code.Delete(ctx, name), s.Code.Delete(ctx, name))
	if used() != 0 {
		t.Errorf("%d bytes are taken by nothing", used())
	}
}

// Parts of archives that were never complete go once they are old enough, those of the others
// stay: somebody who shares the servers could be about to complete one.
func TestCode_PartsOfArchivesAreCollected(t *testing.T) {
	url := "nats://" + startShared(t)
	for _, cfg := range []Config{{Dir: t.TempDir()}, {URL: url}} {
		s, ctx := open(t, cfg), t.Context()
		j := s.backend.(*jet)
		archive := make([]byte, 300<<10)
		_, _ = rand.Read(archive)
		name := must(s.Code.Put(ctx, archive))(t)
		chunk := j.names.code() + "C.unfinished"
		for range 3 {
			_ = must(j.js.Publish(ctx, chunk, make([]byte, 64<<10)))(t)
		}
		stream := must(j.js.Stream(ctx, j.names.codeStream()))(t)
		for _, c := range []struct {
			age  time.Duration
			left int
		}{{time.Hour, 1}, {0, 0}} {
			if n, err := s.Code.Collect(ctx, c.age, map[string]bool{name: true}); err != nil || n != 0 {
				t.Errorf("collected %d, %v", n, err)
			}
			info := must(stream.Info(ctx, jetstream.WithSubjectFilter(chunk)))(t)
			if len(info.State.Subjects) != c.left {
				t.Errorf("%+v: parts of %d archives are left after %v, want %d", cfg, len(info.State.Subjects), c.age, c.left)
			}
		}
		if got, err := s.Code.Get(ctx, name); err != nil || !bytes.Equal(got, archive) {
			t.Errorf("the whole one has %d bytes, %v", len(got), err)
		}
	}
}

// An archive gets a second for each MiB besides the usual patience.
func TestCodeTimeout_GrowsWithTheArchive(t *testing.T) {
	for size, want := range map[int]time.Duration{0: opTimeout, 1<<20 - 1: opTimeout, 5 << 20: opTimeout + 5*time.Second} {
		if got := codeTimeout(size); got != want {
			t.Errorf("%d bytes get %v, want %v", size, got, want)
		}
	}
}

// A directory that can't be used costs the copies, not the code.
func TestCodeCache_WithoutItsDirectory(t *testing.T) {
	var log bytes.Buffer
	dir, ctx := filepath.Join(t.TempDir(), "code"), t.Context()
	c, err := newCodeCache(Memory(Config{}).Code, dir, slog.New(slog.NewTextHandler(&log, nil)))
	check(t, err, os.Remove(dir), os.WriteFile(dir, nil, 0o600))
	name := must(c.Put(ctx, []byte("code")))(t)
	if got, err := c.Get(ctx, name); err != nil || string(got) != "code" {
		t.Errorf("got %q, %v", got, err)
	}
	if n := strings.Count(log.String(), "an archive is not cached"); n != 2 {
		t.Errorf("the operator is told %d times: %s", n, log.String())
	}
	check(t, c.Delete(ctx, name))
	if _, err := newCodeCache(c.Code, filepath.Join(dir, "within"), nil); err == nil {
		t.Error("a directory within a file is made")
	}
	if _, err := Open(ctx, Config{URL: "nats://" + startShared(t), CodeCache: filepath.Join(dir, "within")}); err == nil ||
		!strings.Contains(err.Error(), "directory of archives") {
		t.Errorf("opened: %v", err)
	}
}

// Processes that share a directory have each other's copies, and none that is half written.
func TestCodeCache_IsSharedByProcesses(t *testing.T) {
	dir, ctx, s := t.TempDir(), t.Context(), Memory(Config{})
	var using sync.WaitGroup
	for range 3 {
		c, err := newCodeCache(s.Code, dir, discard)
		check(t, err)
		for n := range 4 {
			archive := bytes.Repeat([]byte{byte(n)}, 200<<10)
			using.Go(func() {
				for range 10 {
					name, err := c.Put(ctx, archive)
					if err != nil {
						t.Error(err)
					}
					if got, err := c.Get(ctx, name); err != nil || !bytes.Equal(got, archive) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
					c.mu.Lock()
					err = c.trim(500 << 10)
					c.mu.Unlock()
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	using.Wait()
	s.Close() // what is left are whole copies
	c, err := newCodeCache(s.Code, dir, discard)
	check(t, err)
	for _, e := range must(os.ReadDir(dir))(t) {
		if got, err := c.Get(ctx, e.Name()); err != nil || CodeName(got) != e.Name() {
			t.Errorf("%s: %d bytes, %v", e.Name(), len(got), err)
		}
	}
}

// A link that nobody else uses is never stale, and one that was lost tells all who wait.
func TestLink_TellsAllWhoWait(t *testing.T) {
	l := newLink(0, patience)
	l.fresh = time.Now().Add(-time.Hour)
	if err := l.stale(); err != nil {
		t.Errorf("our own server: %v", err)
	}
	var waiting sync.WaitGroup
	for range 5 {
		again := l.reconnected()
		waiting.Go(func() { <-again })
	}
	before := l.reconnected()
	l.reconnect()
	waiting.Wait()
	<-before
	select {
	case <-l.reconnected():
		t.Error("the next loss is told before it comes")
	default:
	}
	l.close()
	if !errors.Is(l.using.Err(), context.Canceled) {
		t.Error("it is used after its end")
	}
}

// A watch that goes on through a reconnection passes on nothing that is known, and all
// that is new.
func TestWatch_ComparesWithoutRepeatingItself(t *testing.T) {
	s, ctx := open(t, Config{Dir: t.TempDir()}), t.Context()
	for n := range 5 {
		check(t, s.Keys.Put(ctx, fmt.Sprint("key", n), []byte("1")))
	}
	w := &watched{entries: map[string]Entry{}}
	told := 0
	stop := must(s.Keys.Watch(ctx, func(e Entry) { told++; w.see(e) }, func() {}))(t)
	for n := range 3 {
		s.backend.(*jet).link.reconnect()
		time.Sleep(100 * time.Millisecond) // in which it compares, mostly
		check(t, s.Keys.Put(ctx, fmt.Sprint("key", 3*n), []byte("2")))
		model := map[string]Entry{}
		for _, e := range must(s.Keys.All(ctx))(t) {
			model[e.Key] = e
		}
		roomtest.Until(t, "what is new is told", func() bool { return w.differs(model) == "" })
	}
	stop()
	if told != 8 {
		t.Errorf("%d entries are told, want 8", told)
	}
}
