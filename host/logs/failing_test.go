package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// moodyLogs are Logs that fail when they are told to.
type moodyLogs struct {
	store.Logs
	failing  atomic.Bool
	uncut    atomic.Bool // only Trim fails
	attempts atomic.Int64
	takes    atomic.Int64 // nanoseconds that storing a batch takes
}

// mood returns an error if the store is to fail.
func (m *moodyLogs) mood() error {
	if m.failing.Load() {
		return fmt.Errorf("%w: out of order", store.ErrUnavailable)
	}
	return nil
}

func (m *moodyLogs) Append(ctx context.Context, functionID string, batch []byte) error {
	m.attempts.Add(1)
	time.Sleep(time.Duration(m.takes.Load()))
	if err := m.mood(); err != nil {
		return err
	}
	return m.Logs.Append(ctx, functionID, batch)
}

func (m *moodyLogs) Read(ctx context.Context, functionID string, since time.Time, follow bool, each func([]byte) error) error {
	if err := m.mood(); err != nil {
		return err
	}
	return m.Logs.Read(ctx, functionID, since, follow, each)
}

func (m *moodyLogs) Trim(ctx context.Context, functionID string, keep int) error {
	if m.uncut.Load() {
		return store.ErrUnavailable
	}
	if err := m.mood(); err != nil {
		return err
	}
	return m.Logs.Trim(ctx, functionID, keep)
}

func (m *moodyLogs) Delete(ctx context.Context, functionID string) error {
	if err := m.mood(); err != nil {
		return err
	}
	return m.Logs.Delete(ctx, functionID)
}

func (m *moodyLogs) Sizes(ctx context.Context) (map[string]uint64, int64, error) {
	if err := m.mood(); err != nil {
		return nil, 0, err
	}
	return m.Logs.Sizes(ctx)
}

// lines is where the operator's log goes.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// moodyBook runs a test, in pretended time, of a book whose store may fail.
func moodyBook(t *testing.T, limits quota.Amounts, test func(t *testing.T, b *Book, m *moodyLogs, operator *lines)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, operator := store.Memory(store.Config{}), &lines{}
		m := &moodyLogs{Logs: s.Logs}
		s.Logs = m
		ledger := quota.New(quota.Config{Defaults: limits})
		b := New(Config{Store: s, Ledger: ledger, Log: slog.New(slog.NewTextHandler(operator, nil))})
		test(t, b, m, operator)
		b.Close()
		s.Close()
		synctest.Wait()
		if b.size != 0 || len(b.sizes) != 0 || len(b.unstored) != 0 {
			t.Errorf("%d bytes of %v are not stored", b.size, b.sizes)
		}
		if n := ledger.Held(quota.LogBuffer) + ledger.Held(quota.LogStream); n != 0 {
			t.Errorf("the ledger has %d left", n)
		}
	})
}

func read(t *testing.T, b *Book, o Owner, q Query) (got []string) {
	t.Helper()
	if err := b.Read(t.Context(), o, q, func(entries []Entry, _ bool) error { got = messages(entries); return nil }); err != nil {
		t.Error(err)
	}
	return got
}

func add(b *Book, o Owner, messages ...string) {
	for _, m := range messages {
		b.Add(o, Entry{Time: time.Now(), FunctionID: o.Function, Message: m})
	}
}

// Who reads what is being stored waits for a store that is slow, and not for one that fails.
func TestBook_ReadersMissNothingOfASlowStore(t *testing.T) {
	moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, m *moodyLogs, _ *lines) {
		o := Owner{Tenant: "t", Function: "f"}
		m.takes.Store(int64(10 * time.Second))
		add(b, o, "one")
		if got := read(t, b, o, Query{}); len(got) != 1 {
			t.Errorf("got %q", got)
		}
		add(b, o, "two")
		time.Sleep(interval + time.Second) // it is being stored
		add(b, o, "three")
		if got := read(t, b, o, Query{}); len(got) != 3 {
			t.Errorf("while others are stored: got %q", got)
		}
		m.takes.Store(0)
		m.failing.Store(true)
		start := time.Now()
		add(b, o, "four")
		if b.Flush(t.Context()); time.Since(start) > 5*retry {
			t.Errorf("waited %v for a store that fails", time.Since(start))
		}
		m.failing.Store(false)
	})
}

// What is logged while the store is away is stored when it is there again, in order and
// once; nobody who logs waits, and those who read are told.
func TestBook_WaitsForItsStore(t *testing.T) {
	moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, m *moodyLogs, operator *lines) {
		o := Owner{Tenant: "t", Function: "f"}
		add(b, o, "before")
		b.Flush(t.Context())
		m.failing.Store(true)
		start := time.Now()
		for n := range 100 {
			add(b, o, fmt.Sprint(n))
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("logging took %v", took)
		}
		b.Flush(t.Context())
		if took := time.Since(start); took != 2*retry {
			t.Errorf("waiting for the store took %v", took)
		}
		err := b.Read(t.Context(), o, Query{}, func([]Entry, bool) error { t.Error("something is read"); return nil })
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("reading: %v", err)
		}
		time.Sleep(time.Minute)
		if n := operator.count("log entries not stored"); n != 1 || m.attempts.Load() < 30 || m.attempts.Load() > 70 {
			t.Errorf("the operator is told %d times of %d attempts", n, m.attempts.Load())
		}
		m.failing.Store(false)
		time.Sleep(2 * retry)
		if got := read(t, b, o, Query{}); len(got) != 101 || got[0] != "before" || got[1] != "0" || got[100] != "99" {
			t.Errorf("got %q", got)
		}
		if operator.count("lost") != 0 {
			t.Error("something is lost")
		}
	})
}

// What does not fit beside what waits is lost, of the tenant that logs too much alone,
// and the operator learns how much.
func TestBook_LosesWhatDoesNotFit(t *testing.T) {
	moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, m *moodyLogs, operator *lines) {
		m.failing.Store(true)
		loud, quiet := Owner{Tenant: "loud", Function: "l"}, Owner{Tenant: "quiet", Function: "q"}
		large := strings.Repeat("x", 64<<10)
		for range maxUnstoredOf/(64<<10) + 50 {
			add(b, loud, large)
		}
		add(b, quiet, "said once")
		b.mu.Lock()
		if b.sizes["loud"] > maxUnstoredOf || b.size > maxUnstored || b.lost["loud"] < 50 || b.lost["quiet"] != 0 {
			t.Errorf("%d bytes wait, %d of all; lost: %v", b.sizes["loud"], b.size, b.lost)
		}
		b.mu.Unlock()
		m.failing.Store(false)
		time.Sleep(2 * retry)
		b.Flush(t.Context())
		if got := read(t, b, quiet, Query{}); len(got) != 1 {
			t.Errorf("got %q", got)
		}
		if operator.count("log entries lost") != 1 || operator.count("tenant=loud") != 1 {
			t.Errorf("the operator is told %q", operator.text.String())
		}
		add(b, loud, "there is room again")
		b.Flush(t.Context())
		if got := read(t, b, loud, Query{Limit: 1}); len(got) != 1 || got[0] != "there is room again" {
			t.Errorf("got %.40q", got)
		}
	})
}

// A store that never comes back does not keep the book from closing.
func TestBook_ClosesWithoutItsStore(t *testing.T) {
	moodyBook(t, quota.Amounts{}, func(t *testing.T, b *Book, m *moodyLogs, operator *lines) {
		m.failing.Store(true)
		add(b, Owner{Tenant: "t", Function: "f"}, "a", "b")
		add(b, Owner{Tenant: "t", Function: "g"}, "c")
		time.Sleep(10 * time.Second)
		start := time.Now()
		b.Close()
		if took := time.Since(start); took != 0 || operator.count("log entries lost") != 2 {
			t.Errorf("closing took %v; the operator is told %q", took, operator.text.String())
		}
		b.Flush(t.Context()) // does not wait for anything any more
		if b.Kept("t") != 0 {
			t.Errorf("%d bytes count as stored", b.Kept("t"))
		}
	})
}

// Followers get each entry once and in order, those of their query alone, until they or
// the book end.
func TestBook_Follow(t *testing.T) {
	for _, transient := range []bool{false, true} {
		moodyBook(t, quota.Amounts{quota.LogStreams: 3}, func(t *testing.T, b *Book, _ *moodyLogs, _ *lines) {
			o, other := Owner{Tenant: "t", Function: "f", Transient: transient}, Owner{Tenant: "t", Function: "g", Transient: transient}
			add(b, o, "0")
			enough := errors.New("enough")
			var got [3][]string
			ended := make(chan error, 3)
			follow := func(ctx context.Context, n, most int, q Query) {
				go func() {
					ended <- b.Follow(ctx, o, q, func(e Entry) error {
						if got[n] = append(got[n], e.Message); len(got[n]) == most {
							return enough
						}
						return nil
					})
				}()
				time.Sleep(time.Second)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			follow(t.Context(), 0, -1, Query{})
			follow(ctx, 1, -1, Query{Contains: "5"})
			follow(t.Context(), 2, 3, Query{})
			if err := b.Follow(t.Context(), o, Query{}, nil); fault.Of(err) != fault.OverQuota {
				t.Errorf("one more than may follow: %v", err)
			}
			for n := range 20 {
				add(b, other, "of another function")
				add(b, o, fmt.Sprint(n+1))
				time.Sleep(time.Duration(n) * 10 * time.Millisecond)
			}
			time.Sleep(time.Second)
			if err := <-ended; err != enough {
				t.Errorf("who has enough ends with %v", err)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("who goes ends with %v", err)
			}
			b.Close()
			if err := <-ended; err != fault.ErrClosed {
				t.Errorf("who stays ends with %v", err)
			}
			for n, want := range []string{"0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "5 15", "0 1 2"} {
				if strings.Join(got[n], " ") != want {
					t.Errorf("transient: %v, follower %d: got %q, want %q", transient, n, got[n], want)
				}
			}
		})
	}
}

func TestQuery_Chooses(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	e := Entry{Time: at, VersionID: "v", RequestID: "r", Level: LevelWarn, Message: "a message"}
	for _, c := range []struct {
		q    Query
		want bool
	}{
		{Query{}, true}, {Query{Since: at}, true}, {Query{Since: at.Add(1)}, false},
		{Query{Until: at}, true}, {Query{Until: at.Add(-1)}, false},
		{Query{Version: "v"}, true}, {Query{Version: "w"}, false}, {Query{RequestID: "r"}, true}, {Query{RequestID: "q"}, false},
		{Query{Contains: "mess"}, true}, {Query{Contains: "Mess"}, true}, {Query{Contains: "mass"}, false},
		{Query{MinLevel: LevelWarn}, true}, {Query{MinLevel: LevelError}, false},
		{Query{MinLevel: LevelTrace, Version: "v", RequestID: "q"}, false},
	} {
		if got := c.q.wants(&e); got != c.want {
			t.Errorf("%+v: %v", c.q, got)
		}
	}
	for level, least := range map[Level]Level{LevelUnspecified: LevelInfo, "": LevelInfo, LevelTrace: LevelTrace, LevelFatal: LevelFatal} {
		for n, asked := range Levels {
			q := Query{MinLevel: asked}
			want := false
			for _, l := range Levels[n:] {
				want = want || l == least
			}
			if got := q.wants(&Entry{Level: level}); got != want {
				t.Errorf("%q is at least %s: %v", level, asked, got)
			}
		}
	}
	for field, q := range map[string]Query{
		"level": {MinLevel: "LOUD"}, "limit": {Limit: -1}, "until": {Since: at, Until: at.Add(-1)},
	} {
		if e, ok := errors.AsType[*fault.InvalidError](q.validate()); !ok || e.Field != field {
			t.Errorf("%+v: got %v", q, q.validate())
		}
	}
	if (Query{Limit: MaxLimit}).validate() != nil || (Query{Limit: MaxLimit + 1}).validate() == nil ||
		(Query{MinLevel: LevelUnspecified}).validate() == nil {
		t.Error("the limits of a query are others")
	}
}
