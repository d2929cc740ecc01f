package egress

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"vivarium/wasm/sockets"
)

// asker talks to a broker without the client that is meant for that, as code would
// that has taken the other process over.
type asker struct {
	t    *testing.T
	conn *net.UnixConn
	done chan error // of ServeBroker
}

func newAsker(t *testing.T, rules string) *asker {
	t.Helper()
	asks, answers, err := BrokerPair()
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{t: t, done: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.done <- ServeBroker(ctx, answers, NewGuard(policy(t, rules)), nil)
	}()
	t.Cleanup(func() { stop(); <-ended })
	if a.conn, err = packetConn(asks); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.conn.Close() })
	return a
}

// say sends a message and returns the answer, with its descriptors.
func (a *asker) say(message string) (r reply) {
	a.t.Helper()
	if _, err := a.conn.Write([]byte(message)); err != nil {
		a.t.Fatal(err)
	}
	buf, rights := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(4*16))
	n, oobn, _, _, err := a.conn.ReadMsgUnix(buf, rights)
	if err != nil {
		a.t.Fatalf("%s: no answer: %v", message, err)
	}
	if err := json.Unmarshal(buf[:n], &r); err != nil {
		a.t.Fatalf("%s: %s: %v", message, buf[:n], err)
	}
	r.fds = descriptors(rights[:oobn])
	a.t.Cleanup(func() { closeAll(r.fds) })
	return r
}

func TestBroker_ConnectsNobodyElsewhere(t *testing.T) {
	there := echo(t)
	a := newAsker(t, "public,127.0.0.9")
	port := there.Port()
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "::1%lo", "::1%1", "::ffff:127.0.0.1%lo", "::", "0.0.0.0", "64:ff9b::7f00:1%x"} {
		to, err := json.Marshal(netip.AddrPortFrom(netip.MustParseAddr(host), port))
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"1", "2", "0", "3", "255"} {
			r := a.say(`{"ID": 1, "Kind": ` + kind + `, "To": ` + string(to) + `}`)
			if r.Refusal == "" || len(r.fds) > 0 {
				t.Errorf("%s, kind %s: %+v", to, kind, r)
			}
		}
	}
	if r := a.say(`{"ID": 2}`); r.error() != unix.EADDRNOTAVAIL {
		t.Errorf("neither a name nor an address: %+v", r)
	}
	if r := a.say(`{"ID": 3, "Name": "..", "Kind": 1, "To": "127.0.0.1:80"}`); r.error() != sockets.ErrNoName || len(r.fds) > 0 {
		t.Errorf("both a name and an address: %+v", r)
	}
	if r := a.say(`{"ID": 4, "Name": "localhost"}`); len(r.Addresses) != 2 || r.ID != 4 {
		t.Errorf("after all that: %+v", r)
	}
}

func TestBroker_EndsWhenItIsToldNonsense(t *testing.T) {
	for _, message := range []string{"nonsense", `{"ID": -1}`, `{"To": "nowhere"}`, `{"Kind": 256}`, `{"ID": 1} {"ID": 2}`} {
		a := newAsker(t, "public")
		if _, err := a.conn.Write([]byte(message)); err != nil {
			t.Fatal(err)
		}
		if err := <-a.done; err == nil {
			t.Errorf("%s: ended without an error", message)
		}
	}
	a := newAsker(t, "public")
	_ = a.conn.Close()
	if err := <-a.done; err != nil {
		t.Errorf("when nobody asks any more: %v", err)
	}
}

func TestBrokerPair_IsWhatBothEndsTake(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := NewBroker(file); err == nil {
		t.Errorf("no socket is taken: %v", b)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if file, err = l.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	if err := ServeBroker(t.Context(), file, NewGuard(), nil); err == nil {
		t.Error("a listener is taken")
	}
	if file.Fd() != ^uintptr(0) {
		t.Error("what is not taken is not closed")
	}
}
