package store

import (
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"vivarium/host/roomtest"
)

// deafFollower follows a bucket, but has no news of its own: as if the server that passes
// changes on to it stood still.
func deafFollower(t *testing.T, b *jetBucket, each func(Entry)) {
	t.Helper()
	f := newFollower(b, each)
	check(t, f.begin(t.Context()))
	hush := f.hush
	f.changes, f.hush = make(chan jetstream.KeyValueEntry), func() {}
	hush()
	b.progress.join(f, f.at)
	var following sync.WaitGroup
	following.Go(func() { f.follow(t.Context()) })
	following.Go(func() { f.keepUp(t.Context()) })
	t.Cleanup(following.Wait) // the context has ended by then
}

// Who is told of changes, but not what has changed, asks for them, in their order.
func TestNews_ThatDoesNotComeIsFetched(t *testing.T) {
	url := "nats://" + startShared(t)
	here, there := open(t, Config{URL: url}), open(t, Config{URL: url})
	ctx := t.Context()
	check(t, there.Functions.Put(ctx, "deleted", []byte("1")))
	known := &followed{values: map[string]string{}}
	deafFollower(t, here.Functions.(*jetBucket), known.take)
	check(t, there.Functions.Put(ctx, "made", []byte("1")), there.Functions.Delete(ctx, "deleted"))
	roomtest.Until(t, "all is known", func() bool { return known.text() == "   1" })
	check(t, here.Await(ctx, there.Revision()))
	// Who is not even told, but asked for what builds on a change.
	b := there.Functions.(*jetBucket)
	_ = must(b.put(ctx, "made", []byte("2")))(t)
	last, _, err := b.state(ctx)
	check(t, err)
	if !here.Functions.(*jetBucket).progress.await(ctx, last) || known.text() != "   2" {
		t.Errorf("what a request builds on: known is %q", known.text())
	}
}

// A key's deletion is known to all even if no server says so, and is not taken back by what
// was before it.
func TestNews_OfDeletedKeysNeedNoServer(t *testing.T) {
	url := "nats://" + startShared(t)
	here, there := open(t, Config{URL: url}), open(t, Config{URL: url})
	ctx := t.Context()
	known, b := &followed{values: map[string]string{}}, here.Keys.(*jetBucket)
	check(t, there.Keys.Put(ctx, "deleted", []byte("1")))
	f := newFollower(b, known.take)
	check(t, f.begin(ctx))
	defer f.end()
	b.progress.join(f, f.at)
	defer b.progress.leave(f)
	check(t, there.Keys.Put(ctx, "made", []byte("1")), there.Keys.Delete(ctx, "deleted"), there.Keys.Delete(ctx, "made"))
	roomtest.Until(t, "the deletions are known", func() bool { return known.text() == "   " && f.goneKeys() == 2 })
	last, _, err := b.state(ctx)
	check(t, err)
	for e := (Entry{}); e.Revision < last; { // in their turn, as far as the server still has them
		e = entry(<-f.changes)
		f.take(e)
		if known.text() != "   " {
			t.Errorf("what was deleted is back: %q", known.text())
		}
	}
	if f.goneKeys() != 0 {
		t.Error("deletions are kept for ever")
	}
	check(t, there.Keys.Put(ctx, "made", []byte("2")))
	f.take(entry(<-f.changes))
	if known.text() != "   2" {
		t.Errorf("made anew: %q", known.text())
	}
}

func (f *follower) goneKeys() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.gone)
}

// A server that lags sends what there was; what is known since stays.
func TestFollower_IsNotTakenBack(t *testing.T) {
	var passed []string
	f := newFollower(&jetBucket{}, func(e Entry) {
		text := e.Key + "=" + string(e.Value)
		if e.Deleted {
			text = e.Key + " deleted"
		}
		passed = append(passed, text)
	})
	put := func(key, value string, revision uint64) Entry {
		return Entry{Key: key, Value: []byte(value), Revision: revision}
	}
	gone := func(key string, revision uint64) Entry { return Entry{Key: key, Revision: revision, Deleted: true} }
	f.forget()
	for _, e := range []Entry{put("a", "1", 1), put("b", "1", 2)} {
		f.apply(e)
	}
	f.passed(2)
	f.take(put("a", "2", 3))
	f.take(gone("b", 4))
	f.take(put("c", "1", 5))
	f.early("d", 9)
	want := []string{"a=1", "b=1", "a=2", "b deleted", "c=1", "d deleted"}
	// All is read again, of one that has come to revision 2; then the rest, of the leader.
	f.forget()
	for _, e := range []Entry{put("a", "1", 1), put("b", "1", 2), put("a", "2", 3), gone("b", 4), put("c", "1", 5)} {
		f.apply(e)
	}
	want = append(want, "b deleted") // once more does no harm
	f.take(put("a", "2", 3))         // the news are late, too
	f.take(put("d", "1", 8))
	f.take(gone("d", 9))
	want = append(want, "d deleted")
	f.take(put("d", "2", 10))
	want = append(want, "d=2")
	f.early("d", 9) // told again
	f.leave()
	f.take(put("e", "1", 11))
	f.early("a", 12)
	if got, want := fmt.Sprint(passed), fmt.Sprint(want); got != want {
		t.Errorf("passed on are\n%s, want\n%s", got, want)
	}
	for _, key := range []string{"a", "c", "d"} {
		if !f.seen[key] {
			t.Errorf("%s is taken for deleted", key)
		}
	}
	if len(f.gone) != 0 || len(f.keys) != 3 || f.seen["b"] {
		t.Errorf("known are %v, gone %v, seen %v", f.keys, f.gone, f.seen)
	}
}
