package store

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// maxMessage is the largest message: a queued call's body with its headers.
	maxMessage = 8 << 20 // bytes
	// startTimeout bounds the server's start, during which it reads all
	// streams.
	startTimeout = time.Minute
)

// startServer starts a server that only this process can reach. It sends to
// full when it finds the disk full.
func startServer(dir string, cfg Config, full chan<- struct{}) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "vivarium", DontListen: true, NoSigs: true, MaxPayload: maxMessage,
		JetStream: true, StoreDir: dir, JetStreamMaxStore: cfg.MaxBytes,
		// By default the server syncs every two minutes: a power failure loses
		// what it confirmed since.
		SyncAlways: true, SyncInterval: 2 * time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("store: server: %w", err)
	}
	s.SetLoggerV2(serverLog{cfg.Log, full}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, errors.New("store: the server did not start; see its log")
	}
	if !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("%w: %s can't be used; see the log", ErrUnavailable, dir)
	}
	return s, nil
}

// serverLog passes on the server's complaints.
type serverLog struct {
	log  *slog.Logger
	full chan<- struct{} // of capacity 1: signals that the disk is full
}

func (l serverLog) Warnf(format string, v ...any) {
	l.log.Warn("store: " + fmt.Sprintf(format, v...))
}

func (l serverLog) Errorf(format string, v ...any) {
	if isFull(v) {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
	l.log.Error("store: " + fmt.Sprintf(format, v...))
}

func (l serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }
func (serverLog) Noticef(string, ...any)           {}
func (serverLog) Debugf(string, ...any)            {}
func (serverLog) Tracef(string, ...any)            {}
