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
	// enoughRoom is how much of the disk must be free again, in bytes, before
	// writing to it is tried anew.
	enoughRoom = 16 << 20
	// roomInterval is how often that is looked at.
	roomInterval = time.Second
)

// mender lets the server in this process write again after its disk was full:
// a stream that could not be written once refuses all that comes, until it is
// opened anew.
type mender struct {
	server *server.Server
	conn   *nats.Conn
	dir    string
	log    *slog.Logger
	full   <-chan struct{}        // the disk is
	once   sync.Once              // of close
	ended  chan struct{}          // closed by close
	done   chan struct{}          // closed when keepMending has ended
	limits server.JetStreamConfig // of the server, as it was started
}

// newMender returns the mender of a server, which runs on a connection of ours.
// Whoever learns that the disk is full sends to full.
func newMender(server *server.Server, conn *nats.Conn, full <-chan struct{}, dir string, log *slog.Logger) *mender {
	m := &mender{server: server, conn: conn, dir: dir, log: log,
		full: full, ended: make(chan struct{}), done: make(chan struct{})}
	go m.keepMending()
	return m
}

// close ends the mending. It is idempotent.
func (m *mender) close() {
	m.once.Do(func() { close(m.ended) })
	<-m.done
}

// isFull says if one of the errors that the server complains of is that the disk
// is full. Nothing else tells: who sent what could not be written gets no answer.
func isFull(complaint []any) bool {
	return slices.ContainsFunc(complaint, func(v any) bool {
		err, ok := v.(error)
		return ok && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT))
	})
}

// keepMending opens all streams anew whenever the disk was full and has room
// again, until close.
func (m *mender) keepMending() {
	defer close(m.done)
	for {
		select {
		case <-m.full:
		case <-m.ended:
			return
		}
		m.log.Error("store: the disk is full; nothing can be changed or logged until it has room", "dir", m.dir)
		for !m.mend() {
			select {
			case <-time.After(roomInterval):
			case <-m.ended:
				return
			}
		}
		select { // a complaint of before
		case <-m.full:
		default:
		}
		// Whoever reads a stream learns by this that it has to ask again.
		_ = m.conn.ForceReconnect() // else they find out by themselves, later
		m.log.Warn("store: the disk has room again", "dir", m.dir)
	}
}

// mend opens all streams anew if there is room, and says if it has.
func (m *mender) mend() bool {
	var disk unix.Statfs_t
	if err := unix.Statfs(m.dir, &disk); err != nil || uint64(disk.Bavail)*uint64(disk.Bsize) < enoughRoom {
		return false
	}
	if cfg := m.server.JetStreamConfig(); cfg != nil {
		// Its limits are those of the start: by now there may be less room than
		// the streams have a claim to.
		m.limits = *cfg
		if err := m.server.ShutdownJetStream(); err != nil {
			m.log.Error("store: can't be closed", "err", err)
			return false
		}
	}
	limits := m.limits
	limits.StoreDir = m.dir
	if err := m.server.EnableJetStream(&limits); err != nil {
		m.log.Error("store: can't be opened again", "err", err)
		return false
	}
	return true
}
