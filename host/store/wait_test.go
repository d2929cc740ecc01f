package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"vivarium/host/store/storetest"
)

// first passes on that there was a line of a log.
type first chan struct{}

// Write implements io.Writer.
func (f first) Write(p []byte) (int, error) {
	select {
	case f <- struct{}{}:
	default:
	}
	return len(p), nil
}

// A store is opened before its servers are there, if it is to wait for them.
func TestOpen_WaitsForServers(t *testing.T) {
	port, err := strconv.Atoi(must(storetest.Ports(1))(t)[0])
	check(t, err)
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	if s, err := Open(t.Context(), Config{URL: url}); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("without waiting: %v, %v", s, err)
	}
	waits := make(first, 1)
	cfg := Config{URL: url, Wait: time.Hour, Log: slog.New(slog.NewTextHandler(waits, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-waits
		cancel()
	}()
	if s, err := Open(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("who need not wait any more: %v, %v", s, err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := Open(t.Context(), cfg)
		if err == nil {
			s.Close()
		}
		opened <- err
	}()
	<-waits
	startWith(t, &server.Options{Port: port})
	check(t, <-opened)
}
