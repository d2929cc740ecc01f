package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/egress"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/host/secrets"
	"vivarium/host/store"
	"vivarium/wasm"
)

// platform runs functions: the compiled guest and the host on top of it.
type platform struct {
	engines *run.Engines
	host    *host.Host
	store   *store.Store
	sweeper *sweeper // nil where the process is somebody else's
}

// platformConfig configures a platform. The zero value is usable.
type platformConfig struct {
	shells  int                           // created ahead of need; 0 means the engine's default
	data    string                        // folder of the store
	memory  int64                         // bytes for all instances; 0 means three quarters of the machine's
	images  int64                         // bytes for all images on disk; 0 means imageShare
	secrets *secrets.Keyring              // nil: none can be kept
	temp    string                        // folder for temporary files; empty means the system's
	quotas  quota.Amounts                 // for each tenant that has none of its own
	egress  *egress.Policy                // the operator's bound on what functions may reach
	trying  *egress.Policy                // the bound on what is tried, within egress
	runtime string                        // compiled ahead; empty means the lean one
	dialer  egress.Dialer                 // nil means that the process connects
	debug   *debugger                     // nil: nothing is debugged
	refused func(functionID, rule string) // is told what functions are refused of the network; may be nil
	noCalls bool                          // nobody can look at the history of calls, so none is kept
	redact  []string                      // names that are redacted in it
	nats    string                        // URL of servers that have the store; with neither, everything is in memory
	cluster bool                          // there may be other nodes
	servers natsFlags                     // how they are reached
	copies  int                           // that they keep; 0 means as many as there are
}

// openPlatform compiles the guest, or takes it from the cache, and starts a
// host whose functions log to t. The caller closes it.
//
// # Errors
//
// Among others pythonwasi.ErrNotBuilt, whose text tells what to do.
func openPlatform(ctx context.Context, s *session, t *terminal, cfg platformConfig) (_ *platform, err error) {
	log := slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if s.ownsProcess {
		boundGarbage()
	}
	p := &platform{}
	if p.store, err = s.openStore(ctx, cfg, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = p.close() // the first error matters
		}
	}()
	dir, err := machineCodeDir(s.cacheDir)
	if err != nil {
		log.Warn("machine code is not cached", "error", err)
	}
	done := announce(s.stderr, "preparing Python; the first time takes several seconds ...")
	p.engines, err = run.NewEngines(ctx, cfg.runtime, wasm.Config{CacheDir: dir, TempDir: cfg.temp, Shells: cfg.shells, Log: log})
	done(err)
	if err != nil && ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, err
	}
	if cfg.memory == 0 {
		cfg.memory = memoryOfMachine() / 4 * 3
	}
	images := s.imageDir(cfg.data, cfg.nats, cfg.servers.NATSPrefix)
	if cfg.images == 0 {
		cfg.images = imageShare(cmp.Or(images, os.TempDir()))
	}
	p.host, err = host.New(host.Config{
		Engines: p.engines, Logs: t.entry, Log: log, Store: p.store, ImageDir: images, MaxMemory: cfg.memory,
		MaxImageDisk: cfg.images, Clustered: cfg.cluster, Quotas: cfg.quotas, SecretKeys: cfg.secrets,
		NoCalls: cfg.noCalls, Redact: cfg.redact,
		NetCeiling: cfg.egress, TryCeiling: cfg.trying, Dialer: cfg.dialer, Debugger: cfg.debug.attachment(), Refused: cfg.refused,
	})
	if err != nil {
		return nil, err
	}
	if s.ownsProcess {
		p.sweeper = newSweeper(p.host.Ledger())
	}
	return p, nil
}

// serversWait is how long a server that starts waits for its NATS servers: what starts a
// machine or a cluster starts both at once.
const serversWait = time.Minute

// openStore opens the store that a platform is to use. A node does not start with NATS servers that
// have lost something: it would answer that functions do not exist, beside nodes that
// still know them.
func (s *session) openStore(ctx context.Context, cfg platformConfig, log *slog.Logger) (*store.Store, error) {
	if cfg.data == "" && cfg.nats == "" {
		return store.Memory(store.Config{Log: log}), nil
	}
	config := storeIn(cfg.data)
	if cfg.nats != "" {
		here := s.imageDir("", cfg.nats, cfg.servers.NATSPrefix)
		config = cfg.servers.storeAt(cfg.nats)
		config.Replicas, config.Wait = cfg.copies, serversWait
		config.Marks, config.CodeCache = filepath.Join(here, "marks"), filepath.Join(here, "code")
	}
	config.Log = log
	opened, err := store.Open(ctx, config)
	if err != nil || cfg.nats == "" {
		return opened, err
	}
	if err := opened.Damage(); err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

// storeIn returns where the store of a data folder is, and its marks, which are
// outside of it; nothing if there is no folder.
func storeIn(data string) store.Config {
	if data == "" {
		return store.Config{}
	}
	return store.Config{Dir: filepath.Join(data, "store"), Marks: filepath.Join(data, "marks")}
}

// errInterrupted means that the user ended a command before it was done.
var errInterrupted = errors.New("interrupted")

// close finishes the calls in progress and frees everything.
func (p *platform) close() error {
	if p.host != nil {
		p.host.Close()
	}
	p.sweeper.close()
	if p.engines != nil {
		if err := p.engines.Close(context.Background()); err != nil {
			return err
		}
	}
	p.store.Close()
	return nil
}

// prefix returns what begins the lines of a function's log.
func (p *platform) prefix(functionID string) string {
	v, err := p.host.Resolve(access.Operator, functionID, "")
	if err != nil {
		return functionID + ": "
	}
	return v.Reference() + ": "
}

// tenants returns what all tenants have and may have.
func (p *platform) tenants() []host.TenantQuotas {
	all, _ := p.host.Tenants().All(access.Operator) // the operator may see them
	return all
}

// cacheFolder returns where the program keeps what it can recreate.
func (s *session) cacheFolder() string {
	if s.cacheDir != "" {
		return s.cacheDir
	}
	user, err := os.UserCacheDir()
	if err != nil { // no home: keep it for a while at least
		user = os.TempDir()
	}
	return filepath.Join(user, "vivarium")
}

// imageDir returns where images of the versions in a store are kept; empty if
// nowhere. Without them each function would have to be prepared again after a
// restart. They contain functions' environments, so the folder is private to
// the user.
func (s *session) imageDir(data, nats, prefix string) string {
	switch {
	case data != "":
		return filepath.Join(data, "images")
	case nats != "":
		if prefix != "" && prefix != store.DefaultPrefix {
			nats += " " + prefix
		}
		return filepath.Join(s.cacheFolder(), "images", fmt.Sprintf("%x", sha256.Sum256([]byte(nats)))[:16])
	}
	return ""
}

// machineCodeDir returns where machine code is cached; empty if nowhere.
func machineCodeDir(cacheDir string) (string, error) {
	if cacheDir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache directory: %w; name one with --cache-dir", err)
		}
		cacheDir = filepath.Join(user, "vivarium")
	}
	dir := filepath.Join(cacheDir, "wasm")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cache directory: %w; name another with --cache-dir", err)
	}
	return dir, nil
}

// noticeAfter is how long something may take before the user is told.
const noticeAfter = 500 * time.Millisecond

// announce prints a line if something takes a while; call the returned function
// when it is over.
func announce(w io.Writer, what string) (done func(error)) {
	start := time.Now()
	over, printed := make(chan struct{}), make(chan bool)
	go func() {
		select {
		case <-over:
			printed <- false
		case <-time.After(noticeAfter):
			fmt.Fprintf(w, "vivarium: %s", what)
			printed <- true
		}
	}()
	return func(err error) {
		close(over)
		if !<-printed {
			return
		}
		if err != nil {
			fmt.Fprintln(w, " failed")
			return
		}
		fmt.Fprintf(w, " done in %.1f s\n", time.Since(start).Seconds())
	}
}

// mostImages bounds the disk space for images, in bytes, however large the
// disk.
const mostImages = 16 << 30

// imageShare returns the default disk space for images in a folder, in bytes.
func imageShare(dir string) int64 {
	if disk := diskOf(dir); disk > 0 {
		return min(disk/4, mostImages)
	}
	return mostImages
}

// memoryOfMachine returns the machine's memory in bytes, or 0 if the system
// does not tell.
func memoryOfMachine() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	var kib int64
	if _, err := fmt.Fscanf(f, "MemTotal: %d kB", &kib); err != nil {
		return 0
	}
	return kib << 10
}
