package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vivarium/host/fault"
)

func TestRevision_IsAwaitedUntilItIsKnown(t *testing.T) {
	url := "nats://" + startShared(t)
	a, b := open(t, Config{URL: url}), open(t, Config{URL: url})
	hold, held := make(chan struct{}), make(chan struct{}, 100)
	last := ""
	stop := must(b.Functions.Watch(t.Context(), func(e Entry) {
		held <- struct{}{}
		<-hold
		last = string(e.Value)
		if e.Deleted {
			last = "deleted"
		}
	}, func() {}))(t)
	defer stop()
	stopKeys := must(b.Keys.Watch(t.Context(), func(Entry) {}, func() {}))(t)
	defer stopKeys()

	await := func(revision string, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return b.Await(ctx, revision)
	}
	before := a.Revision()
	check(t, await(before, time.Minute))
	must(a.Functions.Create(t.Context(), "f", []byte("one")))(t)
	after := a.Revision()
	if before == after {
		t.Errorf("the revision is %s before and after a change", before)
	}
	<-held
	err := await(after, 50*time.Millisecond)
	if _, ok := errors.AsType[*BehindError](err); !ok || fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "functions") {
		t.Errorf("a change that is not known yet: %v", err)
	}
	check(t, await(before, time.Minute))
	hold <- struct{}{}
	check(t, await(after, time.Minute))
	if last != "one" {
		t.Errorf("what was awaited is %q", last)
	}
	close(hold)
	for i, change := range []func() error{
		func() error { return a.Functions.Put(t.Context(), "f", []byte("two")) },
		func() error { return a.Functions.Delete(t.Context(), "f") },
		func() error { return a.Keys.Put(t.Context(), "k", []byte("key")) },
	} {
		check(t, change())
		if now := a.Revision(); now == after {
			t.Errorf("change %d does not change the revision", i)
		} else {
			after = now
		}
		check(t, await(after, time.Minute))
	}
	if last != "deleted" {
		t.Errorf("what was awaited is %q", last)
	}
	// Who knows what it has been told by others tells it on.
	c := open(t, Config{URL: url})
	stopC := must(c.Functions.Watch(t.Context(), func(Entry) {}, func() {}))(t)
	defer stopC()
	check(t, c.Await(t.Context(), b.Revision()))
}

func TestRevision_OfElsewhereIsNotAwaited(t *testing.T) {
	a := open(t, Config{URL: "nats://" + startShared(t)})
	b := open(t, Config{URL: "nats://" + startShared(t)})
	stop := must(b.Functions.Watch(t.Context(), func(Entry) {}, func() {}))(t)
	defer stop()
	must(a.Functions.Create(t.Context(), "f", nil))(t)
	check(t, b.Await(t.Context(), a.Revision()))
	check(t, b.Await(t.Context(), ""))
	for _, wrong := range []string{"x", "1", "2-" + a.epoch + "-0-0-0-0-0", a.Revision() + "-0", strings.Replace(b.Revision(), "-0", "--", 1), b.Revision() + "!"} {
		if err := b.Await(t.Context(), wrong); fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for _, alone := range []*Store{Memory(Config{}), open(t, Config{Dir: t.TempDir()})} {
		if got := alone.Revision(); got != "" {
			t.Errorf("a store that nobody else uses has the revision %q", got)
		}
		check(t, alone.Await(t.Context(), a.Revision()))
	}
}

// A request for changes that nobody will make does not hold up those who make some.
func TestRevision_WaitersDontHoldUpChanges(t *testing.T) {
	a := open(t, Config{URL: "nats://" + startShared(t)})
	stop := must(a.Functions.Watch(t.Context(), func(Entry) {}, func() {}))(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	future := fmt.Sprintf("1-%s-zzzz-0-0-0-0", a.epoch)
	go func() { ended <- a.Await(ctx, future) }()
	for i := range 50 {
		must(a.Functions.Create(t.Context(), fmt.Sprint("f", i), nil))(t)
		check(t, a.Await(t.Context(), a.Revision()))
	}
	cancel()
	if err := <-ended; fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
	stop() // nobody is behind any more
	check(t, a.Await(t.Context(), future))
}
