package store

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

const (
	// enoughRoom is how many bytes must be free on the disk before writing is
	// tried again.
	enoughRoom = 16 << 20
	// roomInterval is how often free space is checked.
	roomInterval = time.Second
)

// mender makes the server in this process writable again after its disk was
// full: once a write to a stream has failed, the stream refuses all writes
// until it is reopened.
type mender struct {
	server *server.Server
	conn   *nats.Conn
	dir    string
	log    *slog.Logger
	full   <-chan struct{}        // signals that the disk is full
	once   sync.Once              // of close
	ended  chan struct{}          // closed by close
	done   chan struct{}          // closed when keepMending has returned
	limits server.JetStreamConfig // the server's at its start
}

// newMender returns a mender for a server; conn must be our own connection to
// it. full receives a value whenever the disk turns out to be full.
func newMender(server *server.Server, conn *nats.Conn, full <-chan struct{}, dir string, log *slog.Logger) *mender {
	m := &mender{server: server, conn: conn, dir: dir, log: log,
		full: full, ended: make(chan struct{}), done: make(chan struct{})}
	go m.keepMending()
	return m
}

// close stops the mender. It is idempotent.
func (m *mender) close() {
	m.once.Do(func() { close(m.ended) })
	<-m.done
}

// isFull reports whether one of the server's complaints is that the disk is
// full. Nothing else tells: a write that failed gets no answer.
func isFull(complaint []any) bool {
	return slices.ContainsFunc(complaint, func(v any) bool {
		err, ok := v.(error)
		return ok && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT))
	})
}

// keepMending reopens all streams whenever the disk was full and has room
// again, until close.
func (m *mender) keepMending() {
	defer close(m.done)
	for {
		select {
		case <-m.full:
		case <-m.ended:
			return
		}
		m.log.Error("store: the disk is full; nothing can be changed or logged until there is space", "dir", m.dir)
		for !m.mend() {
			select {
			case <-time.After(roomInterval):
			case <-m.ended:
				return
			}
		}
		select { // drop an earlier signal
		case <-m.full:
		default:
		}
		// Tells the readers of streams that they have to ask again.
		_ = m.conn.ForceReconnect() // otherwise they notice later
		m.log.Warn("store: the disk has space again", "dir", m.dir)
	}
}

// mend reopens all streams if there is room, and reports whether there was.
func (m *mender) mend() bool {
	var disk unix.Statfs_t
	if err := unix.Statfs(m.dir, &disk); err != nil || uint64(disk.Bavail)*uint64(disk.Bsize) < enoughRoom {
		return false
	}
	if cfg := m.server.JetStreamConfig(); cfg != nil {
		// Use the limits of the start: there may now be less room than the
		// streams have reserved.
		m.limits = *cfg
		if err := m.server.ShutdownJetStream(); err != nil {
			m.log.Error("store: close JetStream", "error", err)
			return false
		}
	}
	limits := m.limits
	limits.StoreDir = m.dir
	if err := m.server.EnableJetStream(&limits); err != nil {
		m.log.Error("store: reopen JetStream", "error", err)
		return false
	}
	return true
}
