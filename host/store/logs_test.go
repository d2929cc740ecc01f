package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// readLog returns what Read passes on without following.
func readLog(t *testing.T, s *Store, functionID string, since time.Time) (text string) {
	t.Helper()
	check(t, s.Logs.Read(t.Context(), functionID, since, false, func(b []byte) error { text += string(b); return nil }))
	return text
}

func TestLogs_AreReadFromATimeOnAndFollowed(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, l := t.Context(), s.Logs
		if got := readLog(t, s, "f", time.Time{}); got != "" {
			t.Errorf("an empty log: %q", got)
		}
		one := []byte("one")
		check(t, l.Append(ctx, "f", one), l.Append(ctx, "g", []byte("another's")))
		copy(one, "???") // the caller's own copy
		time.Sleep(10 * time.Millisecond)
		middle := time.Now()
		check(t, l.Append(ctx, "f", []byte("two")))
		if got := readLog(t, s, "f", time.Time{}); got != "onetwo" {
			t.Errorf("all: %q", got)
		}
		if got := readLog(t, s, "f", middle); got != "two" {
			t.Errorf("since the middle: %q", got)
		}
		// Batches appended while someone reads are left to followers.
		check(t, l.Read(ctx, "g", time.Time{}, false, func([]byte) error { return l.Append(ctx, "g", []byte("more")) }))
		enough := errors.New("enough")
		err := l.Read(ctx, "f", middle, true, func(b []byte) error {
			switch string(b) {
			case "two":
				return l.Append(ctx, "f", []byte("three"))
			case "three":
				check(t, l.Delete(ctx, "f"))
				return l.Append(ctx, "f", []byte("four"))
			}
			return enough
		})
		if err != enough {
			t.Errorf("following: %v", err)
		}
		if got := readLog(t, s, "f", time.Time{}); got != "four" {
			t.Errorf("after it was deleted: %q", got)
		}
		following, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := l.Read(following, "f", time.Time{}, true, func([]byte) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("following until ctx ends: %v", err)
		}
	})
}

func TestLogs_AreTrimmed(t *testing.T) {
	eachStore(t, Config{}, func(t *testing.T, s *Store) {
		ctx, l := t.Context(), s.Logs
		for n := range 10 {
			check(t, l.Append(ctx, "f", fmt.Append(nil, n)), l.Append(ctx, "g", fmt.Append(nil, n)))
		}
		batches, average, err := l.Sizes(ctx)
		if err != nil || !maps.Equal(batches, map[string]uint64{"f": 10, "g": 10}) || average < 1 || average > 200 {
			t.Errorf("got %v, %d, %v", batches, average, err)
		}
		check(t, l.Trim(ctx, "f", 20), l.Trim(ctx, "f", 3), l.Trim(ctx, "unknown", 3), l.Delete(ctx, "unknown"))
		if got := readLog(t, s, "f", time.Time{}); got != "789" {
			t.Errorf("trimmed: %q", got)
		}
		check(t, l.Trim(ctx, "f", 0))
		if batches, _, err := l.Sizes(ctx); err != nil || !maps.Equal(batches, map[string]uint64{"g": 10}) {
			t.Errorf("nothing is left of f, but: %v, %v", batches, err)
		}
	})
}

func TestLogs_MakeRoom(t *testing.T) {
	eachStore(t, Config{LogBytes: 4 << 20}, func(t *testing.T, s *Store) {
		ctx, l := t.Context(), s.Logs
		if n := l.Capacity(); n != 4<<20 {
			t.Errorf("room for %d", n)
		}
		for n := range 8 {
			for range 20 {
				check(t, l.Append(ctx, fmt.Sprint(n), make([]byte, 64<<10)))
			}
		}
		check(t, l.Append(ctx, "7", []byte("the end")))
		if got := readLog(t, s, "7", time.Time{}); !strings.HasSuffix(got, "the end") {
			t.Error("the newest is not there")
		}
		batches, average, err := l.Sizes(ctx)
		all := uint64(0)
		for _, n := range batches {
			all += n
		}
		if err != nil || int64(all)*average > 4<<20 || all < 20 {
			t.Errorf("%d batches of %d bytes, %v", all, average, err)
		}
	})
}

// Whoever reads slowly holds a part of the log, however long it is.
func TestLogs_ReadersHoldAPart(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	const batches, size = 128, 256 << 10
	for range batches {
		check(t, s.Logs.Append(t.Context(), "f", make([]byte, size)))
	}
	const readers, inCommon = 8, 24 << 20 // blocks of the file that are in memory
	before, read := heapSize(), atomic.Int64{}
	var reading, waiting sync.WaitGroup
	waiting.Add(readers)
	measured := make(chan struct{})
	for range readers {
		reading.Go(func() {
			n, here := 0, sync.OnceFunc(waiting.Done)
			defer here()
			err := s.Logs.Read(t.Context(), "f", time.Time{}, false, func(b []byte) error {
				if n += len(b); n == 4*size {
					here()
					<-measured
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			read.Add(int64(n))
		})
	}
	waiting.Wait()
	time.Sleep(300 * time.Millisecond) // for what comes although nobody reads
	held := int64(heapSize()) - int64(before)
	close(measured)
	reading.Wait()
	if n := read.Load(); n != readers*batches*size || held > readers*MaxReadAhead+inCommon {
		t.Errorf("%d bytes were read, of %d; meanwhile %d were held, want at most %d", n, readers*batches*size, held, readers*MaxReadAhead+inCommon)
	}
}
