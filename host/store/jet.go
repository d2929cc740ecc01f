package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Defaults for Config in Open.
const (
	DefaultLogAge     = 3 * 24 * time.Hour
	DefaultLogBytes   = 1 << 30
	DefaultCallBytes  = 256 << 20
	DefaultQueueBytes = 1 << 30
	DefaultDeadAge    = 14 * 24 * time.Hour
	DefaultMaxStale   = 30 * time.Second
)

const (
	// pingInterval is how often the connection is tried. If none of pingsUnanswered pings has
	// been answered when the next one is due, it counts as lost: after 1.2 s at most, so that
	// what was missed can be known within two.
	pingInterval, pingsUnanswered = 400 * time.Millisecond, 2
	// reconnectWait is how long after all servers were tried they are tried again.
	reconnectWait = 250 * time.Millisecond
	// opTimeout bounds each operation on the server in this process, and what is not
	// tried again; one that exceeds it counts as failed, though it may still take effect.
	opTimeout = 10 * time.Second
)

// Config tells Open where the store is, and Open and Memory how much it may
// hold. Open requires exactly one of Dir and URL.
type Config struct {
	Dir string // for the server in this process; created if missing
	URL string // of external servers, as in nats://host:4222; comma-separated
	// Prefix begins the names of everything in external servers, of which several stores may
	// be in one account; empty means DefaultPrefix. Letters, digits and hyphens, 32 at most.
	Prefix string

	// Marks is a file, outside of what the servers keep, that records how far
	// the store has come: see DamageError. Empty means one in Dir, or none.
	Marks string
	// CodeCache is a directory for copies of archives, which are then at hand while the
	// servers are out of reach; empty keeps none. Only with URL.
	CodeCache string

	Auth       Auth          // only with URL
	Replicas   int           // copies of everything; 0 means as many as there are, 1 of what is new. Only with URL
	LogAge     time.Duration // of logs and of the history of calls; 0 means DefaultLogAge
	LogBytes   int64         // for all logs together; 0 means DefaultLogBytes
	CallBytes  int64         // for the history of all calls, and a quarter of it for operations; 0 means DefaultCallBytes
	QueueBytes int64         // for all queued calls, and again for all dead letters; 0 means DefaultQueueBytes
	DeadAge    time.Duration // of dead letters; 0 means DefaultDeadAge
	MaxBytes   int64         // on Dir's disk; 0 means three quarters of the free space
	Log        *slog.Logger  // receives the server's warnings; nil means slog.Default

	// MaxStale is how long servers may be out of reach before what is known of them
	// counts for nothing, see Fresh; 0 means DefaultMaxStale. Only with URL.
	MaxStale time.Duration
	// Wait is for how long Open tries again while servers are not there yet. Only with URL.
	Wait time.Duration

	ackWait, markerTTL, patience time.Duration // 0 means the constants; tests set others
}

// Auth says how a store proves to servers who it is, and they to it. The zero value leaves
// that to the URL. The files are read at each connection, so that they may be renewed.
type Auth struct {
	Creds   string // file with a user's credentials, a JWT and the key that signs for it
	RootCAs string // file with the certificates that servers' are signed with; empty means the system's
	Cert    string // file with the client's certificate
	Key     string // file with its key
}

// options returns what the client is told.
func (a Auth) options() (options []nats.Option) {
	if a.Creds != "" {
		options = append(options, nats.UserCredentials(a.Creds))
	}
	if a.RootCAs != "" {
		options = append(options, nats.RootCAs(a.RootCAs))
	}
	if a.Cert != "" || a.Key != "" {
		options = append(options, nats.ClientCert(a.Cert, a.Key))
	}
	return options
}

// jet is what the parts of a JetStream store share.
type jet struct {
	exclusive bool // see Store.Exclusive
	names     names

	lock   *os.File       // nil without Dir
	server *server.Server // nil without Dir
	mender *mender        // nil without Dir
	marks  *marks
	link   *link
	conn   *nats.Conn
	js     jetstream.JetStream
}

// Open opens the store. Close it after everything that uses it. It waits for servers
// that are not there yet, as long as the configuration says.
//
// # Errors
//
// *LockedError if another process uses Dir; ErrUnavailable, wrapped, if the
// server can't be reached or refuses.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if (cfg.Dir == "") == (cfg.URL == "") {
		return nil, errors.New("store: give either a directory or a URL")
	}
	cfg = cfg.withDefaults()
	until := time.Now().Add(cfg.Wait)
	for told := false; ; told = true {
		s, err := openOnce(ctx, cfg)
		if err == nil || cfg.URL == "" || !mayCome(err) || time.Now().After(until) {
			return s, err
		}
		if !told {
			cfg.Log.Warn("store: waiting for the NATS servers", "for", cfg.Wait, "error", err)
		}
		select {
		case <-time.After(openInterval):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// openInterval is how long after an attempt to open a store the next one begins.
const openInterval = time.Second

// mayCome reports whether what an attempt to open a store lacked may be there later: servers
// that start, names of theirs, or a leader.
func mayCome(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, nats.ErrNoServers) || unanswered(err)
}

// openOnce is one attempt.
func openOnce(ctx context.Context, cfg Config) (*Store, error) {
	j := &jet{exclusive: cfg.Dir != ""}
	s := &Store{Exclusive: j.exclusive, Durable: true, backend: j}
	err := j.connect(cfg)
	if err == nil {
		err = j.open(ctx, cfg, s)
	}
	if err != nil {
		j.close()
		return nil, err
	}
	return s, nil
}

// connect connects to the server at URL, or starts one in this process and
// connects to that.
func (j *jet) connect(cfg Config) (err error) {
	if cfg.Dir != "" {
		cfg.Prefix = DefaultPrefix
	}
	if j.names, err = newNames(cfg.Prefix); err != nil {
		return err
	}
	full := make(chan struct{}, 1)
	options := []nats.Option{
		nats.Name("vivarium"), nats.MaxReconnects(-1), nats.Timeout(opTimeout), nats.ReconnectWait(reconnectWait),
		// A server that stands still is left for another one.
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsUnanswered),
		nats.ReconnectHandler(func(*nats.Conn) { j.link.reconnect() }),
	}
	j.link = newLink(0, 0)
	if cfg.URL != "" {
		j.link = newLink(cfg.MaxStale, cfg.patience)
		options = append(options, cfg.Auth.options()...)
	}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return fmt.Errorf("store: directory: %w", err)
		}
		if j.lock, err = lockDir(cfg.Dir); err != nil {
			return err
		}
		if j.server, err = startServer(filepath.Join(cfg.Dir, "jetstream"), cfg, full); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(j.server))
	}
	if j.conn, err = nats.Connect(cfg.URL, options...); err != nil {
		return fmt.Errorf("%w: %s: %w; is the server running, and is the URL right?", ErrUnavailable, cfg.URL, err)
	}
	if j.server != nil {
		j.mender = newMender(j.server, j.conn, full, filepath.Join(cfg.Dir, "jetstream"), cfg.Log)
	}
	if most := j.conn.MaxPayload(); most < maxMessage {
		return fmt.Errorf("store: %s accepts messages of at most %d bytes; set its max_payload to %d or more",
			cfg.URL, most, maxMessage)
	}
	if j.js, err = jetstream.New(j.conn); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.LogAge = cmp.Or(c.LogAge, DefaultLogAge)
	c.LogBytes = cmp.Or(c.LogBytes, DefaultLogBytes)
	c.CallBytes = cmp.Or(c.CallBytes, DefaultCallBytes)
	c.QueueBytes = cmp.Or(c.QueueBytes, DefaultQueueBytes)
	c.DeadAge = cmp.Or(c.DeadAge, DefaultDeadAge)
	c.MaxStale = cmp.Or(c.MaxStale, DefaultMaxStale)
	c.ackWait = cmp.Or(c.ackWait, ackWait)
	c.markerTTL = cmp.Or(c.markerTTL, markerTTL)
	c.patience = cmp.Or(c.patience, patience)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Marks == "" && c.Dir != "" {
		c.Marks = filepath.Join(c.Dir, "marks")
	}
	return c
}

// open creates missing buckets and streams, and fills s.
func (j *jet) open(ctx context.Context, cfg Config, s *Store) error {
	j.marks = openMarks(cfg.Marks, cfg.Log)
	var buckets []*jetBucket
	for _, b := range s.buckets() {
		marks := j.marks
		if b.into == &s.Timers { // they change with every tick
			marks = nil
		}
		opened, err := j.openBucket(ctx, b.name, cfg, marks)
		if err != nil {
			return err
		}
		opened.urgent = b.into == &s.Keys
		*b.into = opened
		buckets = append(buckets, opened)
	}
	if b, ok := s.Functions.(*jetBucket); ok && !s.Exclusive {
		s.epoch = epochOf(b)
	}
	opening, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	copies, err := j.replicas(opening, cfg, j.names.codeStream())
	if err != nil {
		return err
	}
	objects, err := j.js.CreateOrUpdateObjectStore(opening, jetstream.ObjectStoreConfig{
		Bucket: j.names.stream("code"), Description: "functions' archives by SHA-256", Replicas: copies,
	})
	if err != nil {
		return unavailable("code", err)
	}
	logs := &jetLogs{jet: j, name: j.names.stream("logs"), subject: j.names.of("logs")}
	calls := &jetLogs{jet: j, name: j.names.stream("calls"), subject: j.names.of("calls")}
	letters := &jetLetters{&reader{jet: j, what: "dead letters"}}
	operations := &jetOperations{reader: &reader{jet: j, what: "operations"}, added: map[string]int{}}
	queue := &jetQueue{jet: j, givers: givers{used: map[Line]giver{}}, ackWait: cfg.ackWait}
	for _, stream := range []struct {
		into   *jetstream.Stream
		config jetstream.StreamConfig
	}{
		{&logs.stream, jetstream.StreamConfig{
			Name: logs.name, Subjects: []string{logs.subject + "*"},
			MaxAge: cfg.LogAge, MaxBytes: cfg.LogBytes, Discard: jetstream.DiscardOld, AllowDirect: true,
		}},
		{&calls.stream, jetstream.StreamConfig{
			Name: calls.name, Subjects: []string{calls.subject + "*"},
			MaxAge: cfg.LogAge, MaxBytes: cfg.CallBytes, Discard: jetstream.DiscardOld, AllowDirect: true,
		}},
		{&queue.stream, jetstream.StreamConfig{
			Name: j.names.stream("queue"), Subjects: []string{j.names.queue() + ">"}, Retention: jetstream.WorkQueuePolicy,
			MaxBytes: cfg.QueueBytes, Discard: jetstream.DiscardNew, Duplicates: duplicateWindow,
		}},
		{&letters.stream, jetstream.StreamConfig{
			Name: j.names.stream("dead"), Subjects: []string{j.names.dead() + "*"},
			MaxAge: cfg.DeadAge, MaxBytes: cfg.QueueBytes, Discard: jetstream.DiscardOld,
			Duplicates: min(duplicateWindow, cfg.DeadAge), // the server requires it
		}},
		{&operations.stream, jetstream.StreamConfig{
			Name: j.names.stream("operations"), Subjects: []string{j.names.operations() + "*.*.*"}, MaxMsgsPerSubject: 1,
			MaxAge: operationAge, MaxBytes: cfg.CallBytes / operationShare, Discard: jetstream.DiscardOld,
		}},
	} {
		stream.config.Storage = jetstream.FileStorage
		if stream.config.Replicas, err = j.replicas(opening, cfg, stream.config.Name); err != nil {
			return err
		}
		if *stream.into, err = j.js.CreateOrUpdateStream(opening, stream.config); err != nil {
			return unavailable(stream.config.Name, err)
		}
	}
	// Earlier versions had one line for all calls.
	if err := queue.stream.DeleteConsumer(opening, "workers"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return unavailable("queue", err)
	}
	s.Code, s.Logs, s.Calls, s.Queue, s.Letters, s.Notices = &jetCode{j, objects}, logs, calls, queue, letters, jetNotices{j}
	s.Operations = operations
	if cfg.CodeCache != "" {
		if s.Code, err = newCodeCache(s.Code, cfg.CodeCache, cfg.Log); err != nil {
			return fmt.Errorf("store: directory of archives: %w", err)
		}
	}
	if cfg.URL != "" {
		if err := j.shareNews(buckets); err != nil {
			return err
		}
		j.link.watch(func(ctx context.Context) error {
			_, err := queue.stream.Info(ctx) // which its leader answers
			return err
		})
	}
	return queue.loadBacklog(ctx)
}

// replicas returns how many copies of a stream there are to be.
func (j *jet) replicas(ctx context.Context, cfg Config, stream string) (int, error) {
	if cfg.Replicas > 0 || j.exclusive { // the one server in this process keeps one
		return max(cfg.Replicas, 1), nil
	}
	there, err := j.js.Stream(ctx, stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 1, nil
	case err != nil:
		return 0, unavailable(stream, err)
	}
	return there.CachedInfo().Config.Replicas, nil
}

func (j *jet) fresh() error { return j.link.stale() }

func (j *jet) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	_, err := j.js.AccountInfo(ctx)
	return unavailable("account", err)
}

func (j *jet) close() {
	if j.link != nil {
		j.link.close()
	}
	if j.mender != nil {
		j.mender.close()
	}
	if j.marks != nil {
		j.marks.flush()
	}
	if j.conn != nil {
		j.conn.Close()
	}
	if j.server != nil {
		j.server.Shutdown()
		j.server.WaitForShutdown()
	}
	if j.lock != nil {
		_ = j.lock.Close() // unlocks it, too
	}
}
