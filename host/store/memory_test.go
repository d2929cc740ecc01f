package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemory_KnowsAnItemForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s := t.Context(), Memory(Config{})
		i := Item{ID: "id", FunctionID: "f"}
		check(t, s.Queue.Add(ctx, i))
		time.Sleep(duplicateWindow - time.Second)
		check(t, s.Queue.Add(ctx, i))
		if n := must(s.Queue.Len(ctx))(t); n != 1 {
			t.Errorf("%d items, want the first", n)
		}
		time.Sleep(2 * time.Second)
		check(t, s.Queue.Add(ctx, i))
		if n := must(s.Queue.Len(ctx))(t); n != 2 {
			t.Errorf("%d items after a while, want 2", n)
		}
		for n := range maxKnown + 10 {
			check(t, s.Queue.Add(ctx, Item{ID: fmt.Sprint(n), FunctionID: "f"}))
			if n%1000 == 0 {
				check(t, s.Queue.Drop(ctx, "f"))
			}
		}
		if k := s.Queue.(*memQueue).known; len(k.order) > maxKnown+1 || len(k.sequences) != len(k.order) {
			t.Errorf("%d and %d IDs are known, want %d", len(k.order), len(k.sequences), maxKnown)
		}
	})
}

func TestMemory_AnItemThatIsWorkedOnDoesNotComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, s, line := t.Context(), Memory(Config{}), Line{FunctionID: "f"}
		for range 2 {
			check(t, s.Queue.Add(ctx, Item{FunctionID: "f"}))
		}
		items := take(t, s, line, 2)
		for range 10 {
			time.Sleep(WorkingEvery)
			items[0].Working()
		}
		if again := must(s.Queue.Take(ctx, line, 9))(t); len(again) != 1 || again[0].Sequence != items[1].Sequence {
			t.Errorf("got %+v, want the second alone", again)
		}
		time.Sleep(ackWait + time.Second)
		if again := must(s.Queue.Take(ctx, line, 9))(t); len(again) != 2 {
			t.Errorf("got %+v, want both", again)
		}
	})
}

func TestMemory_TheLongestLogMakesRoom(t *testing.T) {
	ctx, s := t.Context(), Memory(Config{LogBytes: 4 << 20})
	check(t, s.Logs.Append(ctx, "quiet", []byte("first")))
	for n := range 1000 {
		check(t, s.Logs.Append(ctx, fmt.Sprint("loud", n%8), make([]byte, 64<<10)))
	}
	if got := readLog(t, s, "quiet", time.Time{}); got != "first" {
		t.Errorf("got %q", got)
	}
}

func TestMemory_ManyAtOnce(t *testing.T) {
	ctx, s := t.Context(), Memory(Config{LogBytes: 1 << 20, QueueBytes: 64 << 10, MaxBytes: 1 << 20})
	var users sync.WaitGroup
	for n := range 8 {
		id := fmt.Sprint("f", n%2)
		stop, err := s.Functions.Watch(ctx, func(Entry) {}, func() {})
		check(t, err)
		use := func(f func(n int) error) {
			users.Go(func() {
				for n := range 500 {
					if err := f(n); err != nil &&
						!errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrRevision) && !errors.Is(err, ErrNotFound) {
						t.Error(err)
						return
					}
				}
			})
		}
		use(func(n int) error {
			return s.Queue.Add(ctx, Item{ID: fmt.Sprint(n), FunctionID: id, Body: make([]byte, n)})
		})
		use(func(n int) error {
			items, err := s.Queue.Take(ctx, Line{FunctionID: id}, 3)
			for _, i := range items {
				i.Working()
				i.Later(0)
				i.Notes["n"] = "m"
				err = errors.Join(err, i.Done(ctx))
			}
			if n%100 == 0 {
				err = errors.Join(err, s.Queue.Drop(ctx, id))
			}
			return err
		})
		use(func(n int) error { return s.Logs.Append(ctx, id, make([]byte, n)) })
		use(func(n int) error {
			return errors.Join(s.Logs.Trim(ctx, id, n%20), s.Logs.Read(ctx, id, time.Time{}, false, func([]byte) error { return nil }))
		})
		use(func(n int) error {
			last, err := s.Letters.Add(ctx, Item{FunctionID: id, Body: make([]byte, n)})
			if n%10 == 0 {
				err = errors.Join(err, s.Letters.Delete(ctx, last), s.Letters.Drop(ctx, id, last-5))
			}
			return errors.Join(err, s.Letters.List(ctx, []string{id}, last/2, func(i Item) bool { i.Notes["n"] = "m"; return true }))
		})
		use(func(n int) error {
			e, err := s.Functions.Get(ctx, id)
			if err == nil {
				_, err = s.Functions.Update(ctx, id, make([]byte, n), e.Revision)
			} else if _, err = s.Functions.Create(ctx, id, nil); n%10 == 0 {
				err = errors.Join(err, s.Functions.Delete(ctx, id))
			}
			return err
		})
		use(func(n int) error {
			code := make([]byte, 64)
			_, _ = rand.Read(code)
			name, err := s.Code.Put(ctx, code)
			if n%2 == 0 {
				err = errors.Join(err, s.Code.Delete(ctx, name))
			}
			return err
		})
		follow, cancel := context.WithCancel(ctx)
		users.Go(func() {
			_ = s.Logs.Read(follow, id, time.Time{}, true, func([]byte) error { return nil }) // until cancel
		})
		defer cancel()
		defer stop()
	}
	time.AfterFunc(time.Second/2, s.Close)
	users.Wait()

	q, l, m := s.Queue.(*memQueue), s.Logs.(*memLogs), s.Letters.(*memLetters)
	size, items := int64(0), uint64(0)
	for _, line := range q.lines {
		for _, of := range [][]*memItem{line.fresh, line.given} {
			for _, i := range of {
				size, items = size+itemSize(&i.Item), items+1
			}
		}
	}
	if size != q.size || items != q.items {
		t.Errorf("the queue has %d items of %d bytes, and counts %d of %d", items, size, q.items, q.size)
	}
	size = 0
	for _, log := range l.logs {
		size += log.size
	}
	if size != l.size || len(l.readers) != 0 {
		t.Errorf("logs have %d bytes, and count %d; %d are followed", size, l.size, len(l.readers))
	}
	size = 0
	for _, i := range m.letters {
		size += itemSize(i)
	}
	if size != m.size {
		t.Errorf("letters have %d bytes, and count %d", size, m.size)
	}
	size = 0
	for _, b := range s.buckets() {
		for _, e := range (*b.into).(*memBucket).entries {
			size += entrySize(e)
		}
	}
	for _, a := range s.Code.(*memCode).archives {
		size += int64(len(a.bytes)) + entryBytes
	}
	if used := s.backend.(*memory).room.used; used != size {
		t.Errorf("buckets and code have %d bytes, and count %d", size, used)
	}
}

func BenchmarkMemory_Open(b *testing.B) {
	for b.Loop() {
		Memory(Config{}).Close()
	}
}

// BenchmarkMemory measures what one entry of each kind costs, in time and in
// retained memory.
func BenchmarkMemory(b *testing.B) {
	ctx, body := context.Background(), make([]byte, 100)
	notes := map[string]string{"Tag": "", "Request-Id": "0f1c2d3e-0f1c-2d3e-4f5a-0f1c2d3e4f5a", "Attempt": "1", "Not-Before": "1700000000000"}
	for name, add := range map[string]func(s *Store, n int) error{
		"bucket": func(s *Store, n int) error { return s.Functions.Put(ctx, fmt.Sprint("d4e", n), body) },
		"logs":   func(s *Store, n int) error { return s.Logs.Append(ctx, fmt.Sprint("d4e", n%100), body) },
		"queue": func(s *Store, n int) error {
			return s.Queue.Add(ctx, Item{ID: fmt.Sprint("retry.", n), FunctionID: fmt.Sprint("d4e", n%100), Body: body, Notes: notes})
		},
		"letters": func(s *Store, n int) error {
			_, err := s.Letters.Add(ctx, Item{ID: fmt.Sprint("dead.", n), FunctionID: fmt.Sprint("d4e", n%100), Body: body, Notes: notes})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := Memory(Config{MaxBytes: 1 << 40, LogBytes: 1 << 40, QueueBytes: 1 << 40})
			before := heapSize()
			n := 0
			for ; b.Loop(); n++ {
				if err := add(s, n); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heapSize()-before)/float64(n), "B/entry")
			runtime.KeepAlive(s)
		})
	}
	b.Run("through the queue", func(b *testing.B) {
		s := Memory(Config{})
		for b.Loop() {
			if err := s.Queue.Add(ctx, Item{FunctionID: "f", Body: body, Notes: notes}); err != nil {
				b.Fatal(err)
			}
			items, err := s.Queue.Take(ctx, Line{FunctionID: "f"}, 1)
			if err != nil || items[0].Done(ctx) != nil {
				b.Fatal(err)
			}
		}
	})
}

func heapSize() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
