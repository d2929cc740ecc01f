package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"vivarium/wasm/sockets"
)

func TestBroker_ConnectsAsFarAsItsOwnRulesAllow(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	there := l.Addr().(*net.TCPAddr).AddrPort()
	asks, answers, err := BrokerPair()
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	defer served.Wait()
	served.Go(func() { _ = ServeBroker(t.Context(), answers, NewGuard(policy(t, there.String())), nil) })
	b, err := NewBroker(asks)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var together sync.WaitGroup
	for range 50 {
		together.Go(func() {
			fd, err := b.Connect(t.Context(), sockets.Stream, there)
			if err != nil {
				t.Error(err)
				return
			}
			file := os.NewFile(uintptr(fd), "connection")
			defer file.Close()
			if got, err := io.ReadAll(file); string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	together.Wait()
	_, err = b.Connect(t.Context(), sockets.Stream, netip.MustParseAddrPort("127.0.0.1:1"))
	if _, ok := errors.AsType[*sockets.Refusal](err); !ok {
		t.Errorf("another address: %v", err)
	}
	_, err = b.Resolve(t.Context(), "example.org")
	if _, ok := errors.AsType[*sockets.Refusal](err); !ok {
		t.Errorf("a name: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := b.Connect(ctx, sockets.Stream, there); err != nil && !errors.Is(err, sockets.ErrTryAgain) {
		t.Error(err)
	}
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
	_ = b.Close()
	served.Wait()
	if _, err := b.Connect(t.Context(), sockets.Stream, there); !errors.Is(err, sockets.ErrTryAgain) {
		t.Errorf("nobody is there: %v", err)
	}
	for deadline := time.Now().Add(10 * time.Second); b.Ready() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody is there, and that is not told")
		}
	}
}
