package store

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestNames_OfAPrefixBeginWithNoOther(t *testing.T) {
	for _, prefix := range []string{"a_b", "a.b", "*", ">", "a b", "ü", strings.Repeat("x", 33), "../a"} {
		if n, err := newNames(prefix); err == nil {
			t.Errorf("%q is let through as %q", prefix, n)
		}
	}
	a, _ := newNames("a")
	for _, other := range []string{"a-b", "A", "b-a", ""} {
		b, err := newNames(other)
		check(t, err)
		for _, stream := range []string{b.stream("queue"), b.bucketStream("keys"), b.codeStream()} {
			if a.has(stream) || !b.has(stream) {
				t.Errorf("%s: of %q %t, of %q %t", stream, a, a.has(stream), b, b.has(stream))
			}
		}
	}
}

// Two installations share the servers and the account.
func TestStore_OfOnePrefixIsNoneOfAnother(t *testing.T) {
	ctx, url := t.Context(), "nats://"+startShared(t)
	heard, err := nats.Connect(url)
	check(t, err)
	defer heard.Close()
	all, err := heard.SubscribeSync(">")
	check(t, err, heard.Flush())

	other := Config{URL: url, Prefix: "staging-2"}
	b := open(t, other)
	want := furnish(t, b)
	items := take(t, b, Line{FunctionID: "f7"}, 1)
	items[0].Later(0)
	check(t, b.Operations.Put(ctx, Operation{ID: "o", Tenant: "t", About: "f7"}), b.Calls.Append(ctx, "f7", []byte("call")))
	check(t, b.Notices.Tell([]byte("last")))
	for {
		m, err := all.NextMsgWithContext(ctx)
		check(t, err)
		if string(m.Data) == "last" {
			break
		}
		if strings.Contains(m.Subject, DefaultPrefix) {
			t.Errorf("a message of %s", m.Subject)
		}
	}

	a := open(t, Config{URL: url})
	if got, empty := shows(t, a), shows(t, open(t, Config{Dir: t.TempDir()})); got != empty {
		t.Errorf("the one without a prefix has %s, want %s", got, empty)
	}
	hear := func(s *Store, to chan<- string) {
		stop, err := s.Notices.Listen(func(notice []byte) { to <- string(notice) })
		check(t, err)
		t.Cleanup(stop)
	}
	here, there := make(chan string, 10), make(chan string, 10)
	hear(a, here)
	hear(b, there)
	check(t, b.Notices.Tell([]byte("to b")))
	if got := <-there; got != "to b" {
		t.Errorf("b hears %q", got)
	}
	check(t, a.Notices.Tell([]byte("to a")))
	if got := <-here; got != "to a" {
		t.Errorf("a hears %q", got)
	}
	furnish(t, a)
	check(t, a.Functions.Delete(ctx, "f7"), a.Queue.Drop(ctx, "f7"), a.Logs.Delete(ctx, "f7"))
	if got := shows(t, b); got != want {
		t.Errorf("after changes of the other one: got\n%s\nwant\n%s", got, want)
	}

	backup := filepath.Join(t.TempDir(), "backup")
	made, err := BackUp(ctx, other, backup)
	check(t, err)
	for _, s := range made.Streams {
		if !strings.Contains(s.Name, "staging-2_") {
			t.Errorf("the backup has %s", s.Name)
		}
	}
	empty := "nats://" + startShared(t)
	for _, to := range []Config{{Dir: t.TempDir()}, {URL: empty}, {URL: empty, Prefix: "staging"}} {
		if _, err := Restore(ctx, to, backup); err == nil || !strings.Contains(err.Error(), "--nats-prefix staging-2") {
			t.Errorf("restored to %+v: got %v", to, err)
		}
	}
	again := Config{URL: empty, Prefix: other.Prefix}
	_, err = Restore(ctx, again, backup)
	check(t, err)
	if got := shows(t, open(t, again)); got != want {
		t.Errorf("restored: got\n%s\nwant\n%s", got, want)
	}
}
