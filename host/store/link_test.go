package store

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"vivarium/host/fault"
	"vivarium/host/roomtest"
	"vivarium/host/store/storetest"
)

// startShared starts a server of its own, and returns its address.
func startShared(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(startWith(t, &server.Options{}).ClientURL(), "nats://")
}

// startWith starts a server with further options.
func startWith(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.JetStream, o.StoreDir, o.MaxPayload, o.NoSigs = "127.0.0.1", true, t.TempDir(), maxMessage, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

// layCable lays a cable to a server, see storetest.LayCable.
func layCable(t *testing.T, to string, back func(w io.Writer, r io.Reader)) *storetest.Cable {
	t.Helper()
	c := must(storetest.LayCable(to, back))(t)
	t.Cleanup(c.Close)
	return c
}

// followed are the values that a watch knows of.
type followed struct {
	mu     sync.Mutex
	values map[string]string
}

func (f *followed) take(e Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Deleted {
		delete(f.values, e.Key)
		return
	}
	f.values[e.Key] = string(e.Value)
}

func (f *followed) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.values["kept"] + " " + f.values["changed"] + " " + f.values["deleted"] + " " + f.values["made"]
}

// TestWatch_ComparesAfterACut has a process cut off from the servers for longer than
// they remember what was deleted.
func TestWatch_ComparesAfterACut(t *testing.T) {
	to, ctx := startShared(t), t.Context()
	here := open(t, Config{URL: "nats://" + to, markerTTL: time.Second})
	cable := layCable(t, to, nil)
	there := open(t, Config{URL: "nats://" + cable.Address(), markerTTL: time.Second, MaxStale: 2 * time.Second})
	check(t, here.Keys.Put(ctx, "kept", []byte("1")), here.Keys.Put(ctx, "changed", []byte("1")), here.Keys.Put(ctx, "deleted", []byte("1")))
	f := &followed{values: map[string]string{}}
	stop := must(there.Keys.Watch(ctx, f.take, func() {}))(t)
	defer stop()
	if got := f.text(); got != "1 1 1 " {
		t.Fatalf("before the cut: %q", got)
	}
	roomtest.Until(t, "what is known counts", func() bool { return there.Fresh() == nil && there.Ready(ctx) == nil })

	cable.Cut(true)
	check(t, here.Keys.Put(ctx, "changed", []byte("2")), here.Keys.Delete(ctx, "deleted"), here.Keys.Put(ctx, "made", []byte("1")))
	roomtest.Until(t, "what is known counts for nothing", func() bool { return there.Fresh() != nil })
	if err := there.Ready(ctx); fault.Of(err) != fault.Unavailable {
		t.Errorf("ready: got %v", err)
	}
	roomtest.Until(t, "nothing is left of what was deleted", func() bool {
		_, records, err := here.Keys.(*jetBucket).state(ctx)
		return err == nil && records == 3
	})

	cable.Cut(false)
	roomtest.Until(t, "all is as in the store", func() bool { return f.text() == "1 2  1" })
	roomtest.Until(t, "what is known counts", func() bool { return there.Fresh() == nil && there.Ready(ctx) == nil })
	check(t, here.Keys.Delete(ctx, "made"))
	roomtest.Until(t, "changes arrive", func() bool { return f.text() == "1 2  " })
}

// TestLink_IsFreshAsLongAsServersAnswer asks servers that are slow at times.
func TestLink_IsFreshAsLongAsServersAnswer(t *testing.T) {
	l := newLink(200*time.Millisecond, patience)
	answers := make(chan struct{})
	l.watch(func(ctx context.Context) error {
		select {
		case <-answers:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	defer l.close()
	roomtest.Until(t, "nobody answers", func() bool { return l.stale() != nil })
	close(answers)
	roomtest.Until(t, "they answer again", func() bool { return l.stale() == nil })
}

// Who follows a bucket that the servers lose, and have again as somebody else made it, knows
// what is in that one and that it is not what there was; however many changes it has had.
func TestWatch_OfABucketThatIsAnotherOne(t *testing.T) {
	ctx, cfg := t.Context(), Config{URL: "nats://" + startShared(t), Log: discard}
	for changes := 1; changes < 4; changes++ {
		s := open(t, cfg)
		check(t, s.Keys.Put(ctx, "kept", []byte("old")), s.Keys.Put(ctx, "deleted", []byte("old")))
		f := &followed{values: map[string]string{}}
		stop := must(s.Keys.Watch(ctx, f.take, func() {}))(t)
		j := s.backend.(*jet)
		check(t, j.js.DeleteStream(ctx, j.names.bucketStream("keys")))
		other := open(t, cfg)
		for range changes {
			check(t, other.Keys.Put(ctx, "kept", []byte("new")))
		}
		j.link.reconnect()
		roomtest.Until(t, "all is as in the store", func() bool { return f.text() == "new   " })
		if err := s.Keys.Damage(); !errors.As(err, new(*DamageError)) {
			t.Errorf("%d changes: got %v", changes, err)
		}
		if err := other.Keys.Damage(); err != nil {
			t.Errorf("whoever came later: %v", err)
		}
		stop()
		check(t, j.js.DeleteStream(ctx, j.names.bucketStream("keys")))
		s.Close()
		other.Close()
	}
}
