package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/host/fault"
	"vivarium/host/roomtest"
)

// eachPair runs a test with two who use one store: two processes with servers elsewhere,
// and two parts of one process in memory.
func eachPair(t *testing.T, test func(t *testing.T, a, b *Store)) {
	t.Run("jetstream", func(t *testing.T) {
		url := "nats://" + startShared(t)
		test(t, open(t, Config{URL: url}), open(t, Config{URL: url}))
	})
	t.Run("memory", func(t *testing.T) {
		s := Memory(Config{})
		t.Cleanup(s.Close)
		test(t, s, s)
	})
}

// What several change at once ends as if one had come after the other: no change is lost,
// a key is created once, a value is deleted by one, and who watches sees where it ends.
func TestBucket_ChangesOfSeveralComeOneAfterTheOther(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		const workers, each = 6, 25
		ctx, all := t.Context(), []*Store{a, b}
		check(t, a.Functions.Put(ctx, "counter", []byte("0")))
		w := &watched{entries: map[string]Entry{}}
		stop := must(b.Functions.Watch(ctx, w.see, func() {}))(t)
		defer stop()
		var working sync.WaitGroup
		var mu sync.Mutex
		made, deleted := map[string]int{}, map[string]int{}
		note := func(in map[string]int, key string, err error) {
			if errors.Is(err, ErrRevision) {
				return
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			in[key]++
		}
		for n := range workers {
			s := all[n%2].Functions
			working.Go(func() {
				for step := range each {
					for { // add one to the counter
						e, err := s.Get(ctx, "counter")
						if err != nil {
							t.Error(err)
							return
						}
						value, _ := strconv.Atoi(string(e.Value))
						_, err = s.Update(ctx, "counter", fmt.Append(nil, value+1), e.Revision)
						if err == nil {
							break
						}
						if !errors.Is(err, ErrRevision) {
							t.Error(err)
							return
						}
					}
					key := fmt.Sprint("key", step)
					_, err := s.Create(ctx, key, []byte(key))
					note(made, key, err)
					if e, err := s.Get(ctx, key); err == nil && step%2 == 0 {
						note(deleted, key, s.DeleteRevision(ctx, key, e.Revision))
					}
				}
			})
		}
		working.Wait()
		model := map[string]Entry{}
		for _, e := range must(a.Functions.All(ctx))(t) {
			model[e.Key] = e
		}
		if got := string(model["counter"].Value); got != fmt.Sprint(workers*each) {
			t.Errorf("the counter is %s, want %d", got, workers*each)
		}
		for step := range each {
			key := fmt.Sprint("key", step)
			there := 0
			if _, ok := model[key]; ok {
				there = 1
			}
			if made[key]-deleted[key] != there || made[key] == 0 {
				t.Errorf("%s was made %d times and deleted %d times; there: %d", key, made[key], deleted[key], there)
			}
		}
		roomtest.Until(t, "who watches knows all", func() bool { return w.differs(model) == "" })
	})
}

// Several consume a line: each item is one's, and all are done once.
func TestQueue_SeveralConsumeALine(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		const items = 120
		ctx, line := t.Context(), Line{FunctionID: "f"}
		var working sync.WaitGroup
		var mu sync.Mutex
		done := map[string]int{}
		for n, s := range []*Store{a, b} {
			working.Go(func() {
				for i := range items / 2 {
					if err := s.Queue.Add(ctx, Item{FunctionID: "f", Body: fmt.Append(nil, n, "-", i)}); err != nil {
						t.Error(err)
					}
				}
			})
			for range 2 {
				working.Go(func() {
					for {
						given, err := s.Queue.Take(ctx, line, 1+rand.IntN(5))
						if err != nil {
							t.Error(err)
							return
						}
						for _, i := range given {
							if err := i.Done(ctx); err != nil {
								t.Error(err)
							}
							mu.Lock()
							done[string(i.Body)]++
							mu.Unlock()
						}
						mu.Lock()
						all := len(done)
						mu.Unlock()
						if all == items {
							return
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
		}
		working.Wait()
		for body, n := range done {
			if n != 1 {
				t.Errorf("%s is done %d times", body, n)
			}
		}
		for _, s := range []*Store{a, b} {
			if n, err := s.Queue.Len(ctx); err != nil || n != 0 {
				t.Errorf("%d are left, %v", n, err)
			}
			if lines, err := s.Queue.Lines(ctx); err != nil || len(lines) != 0 {
				t.Errorf("lines are left: %v, %v", lines, err)
			}
		}
		// What is dropped by one, the other does not get; what it has, it may still finish.
		check(t, a.Queue.Add(ctx, Item{FunctionID: "f"}), a.Queue.Add(ctx, Item{FunctionID: "f"}))
		given := take(t, b, line, 1)
		check(t, a.Queue.Drop(ctx, "f"))
		take(t, b, line, 0)
		check(t, given[0].Done(ctx))
	})
}

// Dead letters and logs are the same for all who use the store.
func TestStore_LettersAndLogsOfSeveral(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		const each = 30
		ctx := t.Context()
		var writing sync.WaitGroup
		for n, s := range []*Store{a, b} {
			writing.Go(func() {
				for i := range each {
					letter := Item{ID: fmt.Sprint(n, ".", i), FunctionID: fmt.Sprint("f", n), Body: fmt.Append(nil, i)}
					if _, err := s.Letters.Add(ctx, letter); err != nil {
						t.Error(err)
					}
					if err := s.Logs.Append(ctx, "f", fmt.Appendf(nil, "%d %d\n", n, i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		enough := errors.New("enough")
		seen := map[string]int{}
		err := b.Logs.Read(ctx, "f", time.Time{}, true, func(batch []byte) error {
			who, number, _ := strings.Cut(strings.TrimSpace(string(batch)), " ")
			if number != fmt.Sprint(seen[who]) {
				t.Errorf("%s logs %s, want %d", who, number, seen[who])
			}
			if seen[who]++; seen["0"]+seen["1"] == 2*each {
				return enough
			}
			return nil
		})
		if err != enough {
			t.Error(err)
		}
		writing.Wait()
		if readLog(t, a, "f", time.Time{}) != readLog(t, b, "f", time.Time{}) {
			t.Error("they read another log")
		}
		ours, theirs := sequences(t, a, 1000, 0), sequences(t, b, 1000, 0)
		if !slices.Equal(ours, theirs) || len(ours) != 2*each || !slices.IsSorted(ours) {
			t.Errorf("letters: %v and %v", ours, theirs)
		}
		if again, err := b.Letters.Add(ctx, Item{ID: "0.0", FunctionID: "f0"}); err != nil || !slices.Contains(ours, again) {
			t.Errorf("one that the other has added is number %d, %v", again, err)
		}
		// One removes while the other lists.
		left := 0
		check(t, a.Letters.List(ctx, []string{"f0"}, 0, func(i Item) bool {
			if err := b.Letters.Delete(ctx, i.Sequence); err != nil {
				t.Error(err)
			}
			left++
			return true
		}))
		if left != each {
			t.Errorf("%d are listed, want %d", left, each)
		}
		check(t, a.Letters.Drop(ctx, "f1", ours[len(ours)-1]))
		if left := sequences(t, b, 1000, 0); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// The same archive, stored by many at once, is there once and whole.
func TestCode_IsStoredByManyAtOnce(t *testing.T) {
	eachPair(t, func(t *testing.T, a, b *Store) {
		ctx, archive := t.Context(), bytes.Repeat([]byte("code"), 100_000)
		var storing sync.WaitGroup
		for n := range 8 {
			s := []*Store{a, b}[n%2]
			storing.Go(func() {
				name, err := s.Code.Put(ctx, archive)
				if err != nil || name != CodeName(archive) {
					t.Errorf("%s, %v", name, err)
				}
				if got, err := s.Code.Get(ctx, name); err != nil || !bytes.Equal(got, archive) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		storing.Wait()
		if names, err := b.Code.Names(ctx); err != nil || len(names) != 1 {
			t.Errorf("there are %v, %v", names, err)
		}
		if n, err := a.Code.Collect(ctx, 0, map[string]bool{CodeName(archive): true}); err != nil || n != 0 {
			t.Errorf("%d are collected, %v", n, err)
		}
		empty := must(b.Code.Put(ctx, nil))(t)
		if got, err := a.Code.Get(ctx, empty); err != nil || len(got) != 0 {
			t.Errorf("nothing at all: %d bytes, %v", len(got), err)
		}
	})
}

// Items and letters carry any bytes, and notes of any text.
func TestItems_CarryAnyBytes(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for n, body := range [][]byte{nil, {0}, []byte("\r\n\r\n"), bytes.Repeat([]byte{0xff, 0, '\n'}, 500_000)} {
			notes := map[string]string{"Text": "ünï cödé", "Empty": "", "Long": strings.Repeat("x", 5000), "Spaces": "a  b"}
			i := Item{FunctionID: fmt.Sprint("f", n), Body: body, Notes: notes}
			check(t, s.Queue.Add(ctx, i))
			got := take(t, s, i.Line(), 1)[0]
			letter := must(s.Letters.Get(ctx, must(s.Letters.Add(ctx, i))(t)))(t)
			for what, got := range map[string]Item{"queue": got, "letters": letter} {
				if !bytes.Equal(got.Body, body) || len(got.Notes) != len(notes) {
					t.Errorf("%s: %d bytes, want %d; %d notes", what, len(got.Body), len(body), len(got.Notes))
				}
				for name, text := range notes {
					if got.Notes[name] != text {
						t.Errorf("%s: %s is %.50q, want %.50q", what, name, got.Notes[name], text)
					}
				}
			}
			check(t, got.Done(ctx))
		}
	})
}

// A caller whose context has ended is not kept, and nothing is half done.
func TestStore_EndsWithItsCaller(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	ctx := t.Context()
	check(t, s.Functions.Put(ctx, "key", []byte("value")), s.Logs.Append(ctx, "f", []byte("log")))
	sequence := must(s.Letters.Add(ctx, Item{FunctionID: "f"}))(t)
	gone, leave := context.WithCancel(ctx)
	leave()
	_, got := s.Functions.Get(gone, "key")
	_, created := s.Functions.Create(gone, "other", nil)
	_, watched := s.Functions.Watch(gone, func(Entry) {}, func() { t.Error("all is present") })
	_, all := s.Functions.All(gone)
	_, code := s.Code.Put(gone, []byte("code"))
	_, letter := s.Letters.Get(gone, sequence)
	_, length := s.Queue.Len(gone)
	for what, err := range map[string]error{
		"get": got, "create": created, "watch": watched, "all": all, "code": code, "letter": letter, "length": length,
		"put": s.Functions.Put(gone, "other", nil), "delete": s.Functions.Delete(gone, "key"),
		"log": s.Logs.Append(gone, "f", nil), "read": s.Logs.Read(gone, "f", time.Time{}, false, func([]byte) error { return nil }),
		"drop": s.Letters.Drop(gone, "f", sequence), "queue": s.Queue.Add(gone, Item{FunctionID: "f"}), "ready": s.Ready(gone),
		"list": s.Letters.List(gone, nil, 0, func(Item) bool { t.Error("listed"); return true }),
	} {
		if err == nil || fault.Of(err) != fault.Cancelled {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if e, err := s.Functions.Get(ctx, "key"); err != nil || string(e.Value) != "value" {
		t.Errorf("then: %q, %v", e.Value, err)
	}
	check(t, s.Functions.Damage(), s.Ready(ctx))
}

func TestFailure_IsWhatCallersOfOtherRoomsKnow(t *testing.T) {
	cause := errors.New("the cause")
	err := unavailable("queue", cause)
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, fault.ErrUnavailable) || !errors.Is(err, cause) ||
		fault.Of(err) != fault.Unavailable ||
		errors.Is(err, ErrNotFound) || unavailable("queue", nil) != nil || err.Error() != "store: unavailable: queue: the cause" {
		t.Errorf("got %v", err)
	}
	if fault.Of(ErrRevision) != fault.Unavailable || errors.Is(ErrRevision, ErrUnavailable) || fault.Of(ErrNotFound) != fault.Internal {
		t.Error("the errors' kinds are others")
	}
	defer func() {
		if recover() == nil {
			t.Error("what can't be a record is one")
		}
	}()
	Record(func() {})
}

// The server's complaints go into the log, and a full disk to who mends that, once.
func TestServerLog_TellsOfAFullDisk(t *testing.T) {
	var text bytes.Buffer
	full := make(chan struct{}, 1)
	l := serverLog{slog.New(slog.NewTextHandler(&text, nil)), full}
	for n, c := range []struct {
		args []any
		full bool
	}{
		{[]any{errors.New("something else")}, false}, {[]any{"no space left on device"}, false}, {nil, false},
		{[]any{"x", &os.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}}, true}, {[]any{fmt.Errorf("wrapped: %w", unix.EDQUOT)}, true},
		{[]any{unix.EIO}, false},
	} {
		for range 3 { // it does not wait for anybody
			l.Errorf(strings.Repeat("%v ", len(c.args)), c.args...)
		}
		select {
		case <-full:
			if !c.full {
				t.Errorf("complaint %d: the disk is full", n)
			}
		default:
			if c.full {
				t.Errorf("complaint %d says nothing of the disk", n)
			}
		}
		if len(full) != 0 {
			t.Errorf("complaint %d is told several times", n)
		}
	}
	l.Warnf("a %s", "warning")
	l.Fatalf("an %s", "end")
	l.Noticef("noise")
	l.Debugf("noise")
	l.Tracef("noise")
	for _, want := range []string{`level=WARN msg="store: a warning"`, `level=ERROR msg="store: an end"`, "something else"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(text.String(), "noise") {
		t.Error("the log has noise")
	}
	if m := (&mender{dir: filepath.Join(t.TempDir(), "missing")}); m.mend() {
		t.Error("a disk that is not there has room")
	}
}

func TestGivers_AreKeptWhileTheyAreOfUse(t *testing.T) {
	g := givers{used: map[Line]giver{}}
	line := func(n int) Line { return Line{FunctionID: fmt.Sprint("f", n)} }
	g.put(line(1), nil, time.Hour)
	if _, ok := g.of(line(1), time.Hour); !ok {
		t.Error("it is not known")
	}
	if _, ok := g.of(Line{"f1", true}, time.Hour); ok {
		t.Error("the timers' line is known")
	}
	if _, ok := g.of(line(1), 0); ok {
		t.Error("what the server has forgotten is known")
	}
	g.forget(line(1))
	if _, ok := g.of(line(1), time.Hour); ok {
		t.Error("forgotten, and known")
	}
	for n := range maxGivers {
		g.put(line(n), nil, time.Hour)
	}
	g.put(line(maxGivers), nil, time.Hour) // all of them are in use
	if n := len(g.used); n != maxGivers+1 {
		t.Errorf("%d are kept", n)
	}
	time.Sleep(time.Millisecond)
	g.put(line(maxGivers+1), nil, time.Microsecond)
	if n := len(g.used); n != 1 {
		t.Errorf("%d are kept that are of no use", n)
	}
}

func TestConfig_Defaults(t *testing.T) {
	c := Config{Dir: "data"}.withDefaults()
	if c.LogAge != 72*time.Hour || c.LogBytes != 1<<30 || c.CallBytes != 256<<20 || c.QueueBytes != 1<<30 || c.DeadAge != 14*24*time.Hour ||
		c.MaxStale != 30*time.Second ||
		c.Log == nil || c.Marks != filepath.Join("data", "marks") || c.ackWait != ackWait || c.markerTTL != markerTTL || c.patience != patience {
		t.Errorf("got %+v", c)
	}
	if c := (Config{URL: "nats://x"}).withDefaults(); c.Marks != "" {
		t.Errorf("marks of servers elsewhere are in %q", c.Marks)
	}
	own := Config{
		Dir: "data", Marks: "m", LogAge: 1, LogBytes: 2, CallBytes: 7, QueueBytes: 3, DeadAge: 4, MaxStale: 5, Replicas: 6, Log: discard,
		ackWait: 7, markerTTL: 8, patience: 9,
	}
	if got := own.withDefaults(); got != own {
		t.Errorf("got %+v, want %+v", got, own)
	}
	_, err := Open(t.Context(), Config{URL: "nats://" + startShared(t), Replicas: 3})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("three copies on one server: %v", err)
	}
}
