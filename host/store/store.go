// Package store keeps what hosts must not forget: functions, their code, their
// logs and the calls that are queued. It knows bytes and keys, not what they
// mean.
//
// All of it lives in NATS JetStream. The server runs inside this process and
// listens on no port, unless the URL of another one is given; from there on
// nothing differs.
//
//   - Bucket: keys and values. A value changes only if nobody has changed it
//     since it was read.
//   - Code: archives, named by their SHA-256 and checked against it when read.
//   - Logs: a stream of batches per function, bounded in age and size.
//   - Queue: calls that wait to be made, in a line for each function; each is
//     given out until somebody says that it is done. Dead letters are those that
//     nobody could make.
//
// A bucket that has lost records says so (DamageError): records that are missing
// are something else than records that were deleted.
//
// What a method has confirmed is on the disk (of the server in this process;
// another one answers for itself). When the disk was full and has room again, the
// server in this process goes on by itself; another one has to be started again.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Defaults of Config.
const (
	DefaultLogAge     = 3 * 24 * time.Hour
	DefaultLogBytes   = 1 << 30
	DefaultQueueBytes = 1 << 30
	DefaultDeadAge    = 14 * 24 * time.Hour
)

// opTimeout bounds each single operation; one that takes longer is taken for
// failed, though it may still happen.
const opTimeout = 10 * time.Second

// Errors for callers to branch on.
var (
	// ErrNotFound says that there is no such key or object.
	ErrNotFound = errors.New("store: not found")
	// ErrRevision says that a value is not, or no longer, what the caller takes
	// it for.
	ErrRevision = errors.New("store: changed by somebody else")
	// ErrUnavailable says that the store gave no answer, or has no room. A
	// change may or may not have happened.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrCorrupt says that code is not what its name says.
	ErrCorrupt = errors.New("store: code is damaged")
)

// Config tells Open where the store is. Either Dir or URL must be there.
type Config struct {
	Dir string // of the server in this process; made when it is not there
	URL string // of other servers, as in nats://host:4222; commas between several

	// Marks is a file, outside of what the servers keep, in which it is noted how
	// far the store has come: see DamageError. Empty means one in Dir, or none.
	Marks string

	Replicas   int           // copies of everything; 0 means 1. Only with URL
	LogAge     time.Duration // 0 means DefaultLogAge
	LogBytes   int64         // of all logs together; 0 means DefaultLogBytes
	QueueBytes int64         // of all queued calls together; 0 means DefaultQueueBytes
	DeadAge    time.Duration // of dead letters; 0 means DefaultDeadAge
	MaxBytes   int64         // on the disk of Dir; 0 means three quarters of what is free
	Log        *slog.Logger  // receives what the server warns of; nil means slog.Default
}

// Store is an open store. Safe for concurrent use.
type Store struct {
	Functions *Bucket // by id
	Versions  *Bucket // by id
	Names     *Bucket // function ids by name; TENANT/NAME outside of the default tenant
	Timers    *Bucket // by name, in the same way
	Keys      *Bucket // by id
	Quotas    *Bucket // by tenant

	// Exclusive says that no other process uses the store, so what is left over
	// in it nobody is about to need.
	Exclusive bool

	lock   *os.File       // nil without Dir
	server *server.Server // nil without Dir
	mender *mender        // nil without Dir
	marks  *marks
	conn   *nats.Conn
	js     jetstream.JetStream

	code  jetstream.ObjectStore
	logs  jetstream.Stream
	queue jetstream.Stream
	dead  jetstream.Stream

	backlog backlogSizes
	givers  givers
}

// Open opens the store. Close it after everything that uses it.
//
// # Errors
//
// *LockedError when another process has Dir; ErrUnavailable, wrapped, when the
// server can't be reached or does not do as asked.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if (cfg.Dir == "") == (cfg.URL == "") {
		return nil, errors.New("store: give either a directory or a URL")
	}
	cfg = cfg.withDefaults()
	s, full := &Store{Exclusive: cfg.Dir != "", givers: givers{used: map[Line]giver{}}}, make(chan struct{}, 1)
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	options := []nats.Option{nats.Name("vivarium"), nats.MaxReconnects(-1), nats.Timeout(opTimeout)}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("store: directory: %w", err)
		}
		if s.lock, err = lockDir(cfg.Dir); err != nil {
			return nil, err
		}
		if s.server, err = startServer(filepath.Join(cfg.Dir, "jetstream"), cfg, full); err != nil {
			return nil, err
		}
		options = append(options, nats.InProcessServer(s.server))
	}
	if s.conn, err = nats.Connect(cfg.URL, options...); err != nil {
		return nil, fmt.Errorf("%w: %s: %v; is the server running, and is the URL right?", ErrUnavailable, cfg.URL, err)
	}
	if s.server != nil {
		s.mender = newMender(s.server, s.conn, full, filepath.Join(cfg.Dir, "jetstream"), cfg.Log)
	}
	if most := s.conn.MaxPayload(); most < maxMessage {
		return nil, fmt.Errorf("store: %s takes messages of at most %d bytes; set its max_payload to %d or more",
			cfg.URL, most, maxMessage)
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s.marks = openMarks(cfg.Marks, cfg.Log)
	if err := s.openAll(ctx, cfg); err != nil {
		return nil, err
	}
	return s, nil
}

func (c Config) withDefaults() Config {
	c.LogAge = cmp.Or(c.LogAge, DefaultLogAge)
	c.LogBytes = cmp.Or(c.LogBytes, DefaultLogBytes)
	c.QueueBytes = cmp.Or(c.QueueBytes, DefaultQueueBytes)
	c.DeadAge = cmp.Or(c.DeadAge, DefaultDeadAge)
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Marks == "" && c.Dir != "" {
		c.Marks = filepath.Join(c.Dir, "marks")
	}
	return c
}

// openAll makes the buckets and streams that are not there yet.
func (s *Store) openAll(ctx context.Context, cfg Config) (err error) {
	for name, b := range map[string]**Bucket{
		"functions": &s.Functions, "versions": &s.Versions, "names": &s.Names, "timers": &s.Timers,
		"keys":   &s.Keys,
		"quotas": &s.Quotas,
	} {
		marks := s.marks
		if name == "timers" { // they change with each tick
			marks = nil
		}
		if *b, err = s.openBucket(ctx, name, cfg, marks); err != nil {
			return err
		}
	}
	opening, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	s.code, err = s.js.CreateOrUpdateObjectStore(opening, jetstream.ObjectStoreConfig{
		Bucket: prefix + "code", Description: "functions' archives by SHA-256", Replicas: cfg.Replicas,
	})
	if err != nil {
		return unavailable("code", err)
	}
	for _, stream := range []struct {
		into   *jetstream.Stream
		config jetstream.StreamConfig
	}{
		{&s.logs, jetstream.StreamConfig{
			Name: prefix + "logs", Subjects: []string{logSubject + "*"},
			MaxAge: cfg.LogAge, MaxBytes: cfg.LogBytes, Discard: jetstream.DiscardOld,
		}},
		{&s.queue, jetstream.StreamConfig{
			Name: prefix + "queue", Subjects: []string{queueSubject + ">"}, Retention: jetstream.WorkQueuePolicy,
			MaxBytes: cfg.QueueBytes, Discard: jetstream.DiscardNew, Duplicates: duplicateWindow,
		}},
		{&s.dead, jetstream.StreamConfig{
			Name: prefix + "dead", Subjects: []string{deadSubject + "*"},
			MaxAge: cfg.DeadAge, MaxBytes: cfg.QueueBytes, Discard: jetstream.DiscardOld, Duplicates: duplicateWindow,
		}},
	} {
		stream.config.Replicas, stream.config.Storage = cfg.Replicas, jetstream.FileStorage
		if *stream.into, err = s.js.CreateOrUpdateStream(opening, stream.config); err != nil {
			return unavailable(stream.config.Name, err)
		}
	}
	// All calls were given out in one line once.
	if err := s.queue.DeleteConsumer(opening, "workers"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return unavailable("queue", err)
	}
	return s.loadBacklog(ctx)
}

const (
	prefix = "vivarium_" // of the names of buckets and streams

	logSubject   = "vivarium.logs."
	queueSubject = "vivarium.queue."
	deadSubject  = "vivarium.dead."

	// duplicateWindow is how long a message is known by its id.
	duplicateWindow = 2 * time.Minute
)

// Ready says if the store answers.
//
// # Errors
//
// ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if _, err := s.js.AccountInfo(ctx); err != nil {
		return unavailable("account", err)
	}
	return nil
}

// Close ends the connection, the server in this process, and the lock.
func (s *Store) Close() {
	if s.mender != nil {
		s.mender.close()
	}
	if s.marks != nil {
		s.marks.flush()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	if s.lock != nil {
		_ = s.lock.Close() // which unlocks it
	}
}

// unavailable wraps an error of the server's about a thing.
func unavailable(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
