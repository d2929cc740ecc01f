package store

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
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
	dir    string
	log    *slog.Logger
	full   chan struct{}          // of capacity 1: the disk is
	once   sync.Once              // of close
	ended  chan struct{}          // closed by close
	done   chan struct{}          // closed when keepMending has ended
	limits server.JetStreamConfig // of the server, as it was started
}

func newMender(s *Store, dir string, log *slog.Logger) *mender {
	m := &mender{server: s.server, dir: dir, log: log,
		full: make(chan struct{}, 1), ended: make(chan struct{}), done: make(chan struct{})}
	go m.keepMending(s)
	return m
}

// close ends the mending. It is idempotent.
func (m *mender) close() {
	m.once.Do(func() { close(m.ended) })
	<-m.done
}

// wrote looks at what became of a write.
func (s *Store) wrote(err error) {
	if s.mender != nil && isFull(err) {
		select {
		case s.mender.full <- struct{}{}:
		default:
		}
	}
}

// isFull says if a write failed because the disk is full. The server tells by
// text alone; a queue that is full has another one.
func isFull(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (strings.Contains(api.Description, unix.ENOSPC.Error()) || strings.Contains(api.Description, unix.EDQUOT.Error()))
}

// keepMending opens all streams anew whenever the disk was full and has room
// again, until close.
func (m *mender) keepMending(s *Store) {
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
		// Whoever reads a stream learns by this that it has to ask again.
		_ = s.conn.ForceReconnect() // else they find out by themselves, later
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
