package store

import (
	"crypto/rand"
	"errors"
	"runtime"
	"testing"
	"time"

	"vivarium/host/roomtest"
)

// eachStore tests what the interfaces promise with each implementation.
func eachStore(t *testing.T, cfg Config, test func(t *testing.T, s *Store)) {
	t.Run("jetstream", func(t *testing.T) {
		cfg.Dir = t.TempDir()
		test(t, open(t, cfg))
	})
	t.Run("memory", func(t *testing.T) {
		s := Memory(cfg)
		t.Cleanup(s.Close)
		test(t, s)
	})
}

// must fails the test on an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStore_AnswersUntilItIsClosed(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx := t.Context()
		if !s.Exclusive {
			t.Error("somebody else has it")
		}
		check(t, s.Ready(ctx), s.Functions.Damage(), s.Queue.Add(ctx, Item{FunctionID: "f"}))
		i := take(t, s, Line{FunctionID: "f"}, 1)[0]
		watched, err := s.Functions.Watch(ctx, func(Entry) {}, func() {})
		check(t, err)
		followed := make(chan error)
		go func() { followed <- s.Logs.Read(ctx, "f", time.Time{}, true, func([]byte) error { return nil }) }()
		s.Close()
		s.Close()
		watched()
		if err := <-followed; !errors.Is(err, ErrUnavailable) {
			t.Errorf("following ends with %v", err)
		}
		each := func([]byte) error { return nil }
		_, created := s.Functions.Create(ctx, "key", nil)
		_, updated := s.Functions.Update(ctx, "key", nil, 1)
		_, got := s.Functions.Get(ctx, "key")
		_, all := s.Functions.All(ctx)
		_, watch := s.Functions.Watch(ctx, func(Entry) {}, func() {})
		_, code := s.Code.Put(ctx, []byte("code"))
		_, gotCode := s.Code.Get(ctx, "code")
		_, names := s.Code.Names(ctx)
		_, collected := s.Code.Collect(ctx, 0, nil)
		_, _, logs := s.Logs.Sizes(ctx)
		_, taken := s.Queue.Take(ctx, Line{FunctionID: "f"}, 1)
		_, length := s.Queue.Len(ctx)
		_, lines := s.Queue.Lines(ctx)
		_, sizes := s.Queue.Sizes(ctx)
		_, buried := s.Letters.Add(ctx, Item{FunctionID: "f"})
		_, letter := s.Letters.Get(ctx, 1)
		_, _, use := s.Letters.Use(ctx)
		for what, err := range map[string]error{
			"ready": s.Ready(ctx), "create": created, "update": updated, "get": got, "all": all, "watch": watch,
			"put": s.Functions.Put(ctx, "key", nil), "delete": s.Functions.Delete(ctx, "key"),
			"delete a revision": s.Functions.DeleteRevision(ctx, "key", 1),
			"code put":          code, "code get": gotCode, "code names": names, "code collect": collected,
			"code delete": s.Code.Delete(ctx, "code"),
			"logs append": s.Logs.Append(ctx, "f", nil), "logs read": s.Logs.Read(ctx, "f", time.Time{}, false, each),
			"calls append": s.Calls.Append(ctx, "f", nil), "calls read": s.Calls.Read(ctx, "f", time.Time{}, false, each),
			"logs trim": s.Logs.Trim(ctx, "f", 1), "logs delete": s.Logs.Delete(ctx, "f"), "logs sizes": logs,
			"queue add": s.Queue.Add(ctx, Item{FunctionID: "f"}), "queue take": taken, "queue len": length,
			"queue lines": lines, "queue sizes": sizes, "queue drop": s.Queue.Drop(ctx, "f"), "done": i.Done(ctx),
			"letters add": buried, "letters get": letter, "letters use": use,
			"letters list":   s.Letters.List(ctx, nil, 0, func(Item) bool { return true }),
			"letters sizes":  s.Letters.Sizes(ctx, func(string, uint64, int64) {}),
			"letters delete": s.Letters.Delete(ctx, 1), "letters drop": s.Letters.Drop(ctx, "f", 1),
		} {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s after Close: %v", what, err)
			}
		}
		i.Working()
		i.Later(0)
	})
}

func TestClose_LeavesNoGoroutines(t *testing.T) {
	for name, open := range map[string]func() *Store{
		"jetstream": func() *Store { return open(t, Config{Dir: t.TempDir()}) },
		"memory":    func() *Store { return Memory(Config{}) },
	} {
		t.Run(name, func(t *testing.T) {
			open().Close() // what starts once and stays
			before := runtime.NumGoroutine()
			for range 3 {
				s := open()
				_, err := s.Functions.Watch(t.Context(), func(Entry) {}, func() {})
				check(t, err, s.Logs.Append(t.Context(), "f", []byte("log")))
				following := make(chan struct{})
				go func() {
					_ = s.Logs.Read(t.Context(), "f", time.Time{}, true, func([]byte) error { close(following); return nil })
				}()
				<-following
				take(t, s, Line{FunctionID: "f"}, 0)
				s.Close()
			}
			for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					stacks := make([]byte, 1<<20)
					t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
				}
			}
		})
	}
}

func TestStore_FullIsUnavailableAndLosesNothing(t *testing.T) {
	eachStore(t, Config{MaxBytes: 24 << 20, LogBytes: 1 << 20, CallBytes: 1 << 20, QueueBytes: 1 << 20}, func(t *testing.T, s *Store) {
		ctx, c := t.Context(), s.Code
		small := must(c.Put(ctx, []byte("small")))(t)
		big := make([]byte, 32<<20)
		_, _ = rand.Read(big)
		if _, err := c.Put(ctx, big); !errors.Is(err, ErrUnavailable) {
			t.Errorf("more than there is room for: %v", err)
		}
		if got, err := c.Get(ctx, small); err != nil || string(got) != "small" {
			t.Errorf("what was there: %s, %v", got, err)
		}
		for range 3 { // deleted entries make room for others
			name := must(c.Put(ctx, big[:10<<20]))(t)
			check(t, c.Delete(ctx, name))
		}
	})
}

func TestStore_ForgetsWhatIsOld(t *testing.T) {
	eachStore(t, Config{LogAge: time.Second, DeadAge: time.Second}, func(t *testing.T, s *Store) {
		ctx := t.Context()
		check(t, s.Logs.Append(ctx, "f", []byte("log")))
		sequence := must(s.Letters.Add(ctx, Item{FunctionID: "f"}))(t)
		roomtest.Until(t, "the log is empty", func() bool { return readLog(t, s, "f", time.Time{}) == "" })
		roomtest.Until(t, "the letter is gone", func() bool {
			_, err := s.Letters.Get(ctx, sequence)
			return errors.Is(err, ErrNotFound)
		})
		if used, _, err := s.Letters.Use(ctx); err != nil || used != 0 {
			t.Errorf("%d bytes, %v", used, err)
		}
	})
}
