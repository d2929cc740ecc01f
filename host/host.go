// Package host is the core of Vivarium: functions with their versions, and what
// runs them. It knows nothing of HTTP (that is package web), and of WebAssembly only
// what package wasm offers.
//
// # Rooms
//
// Each package below knows only those that come after it here:
//
//	host      functions, tags, keys, timers and queued calls; puts the rest together
//	run       images, instances, turns: what lets a version process a call
//	catalog   what there is, as values: a Version and what may be said of it
//	logs      execution logs, from a printed line to a query
//	egress    what functions may reach, and who connects
//	store     what survives the process, in JetStream, or in memory
//	quota     the ledger of what tenants make the host hold
//	access    who asks, and what that lets them do
//	fault     whose fault an error is
//	paced     JSON and text in pieces, in a function's turn
//	throttle  how often something may happen
//
// # Vocabulary
//
//   - Function: a name and an id; what callers address.
//   - Tenant: the owner of functions. Names are unique within one; a function of
//     another tenant can be neither found nor called, unless it is public.
//   - Key: lets a program act for a tenant, in a Role. The caller is a Principal.
//   - Version: immutable code with an entry point, limits and an environment.
//     Tags point at versions; LatestTag at the newest.
//
// # The way of a call
//
//	Host.Invoke    name and tag to version; the deadline already runs
//	Runner.Invoke  version to instance, guest, answer (package run)
//
// # What is kept
//
// Each function has one record in the store, which lists its versions, tags and
// policies. A change is one write of that record, given that nobody has changed it
// since it was read; what it refers to is written before. The host's tables are a
// cache of the records, kept up to date by the store's news, so several hosts may
// share a store. Code is read when it is first needed. Log entries are gathered and
// stored after the call. Asynchronous calls and the ticks of timers wait in the
// store's queue until they are settled.
//
// A host without a data directory has its store in memory. Transient functions, those
// of a folder, are in no store.
package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/host/store"
	"vivarium/wasm"
)

// Defaults of Config.
const (
	DefaultMaxQueue    = 100
	DefaultIdleTimeout = 10 * time.Minute
	// DefaultKeepObsolete is long enough to roll back to what ran last week.
	DefaultKeepObsolete = 7 * 24 * time.Hour
)

// Config tells New how to run functions.
type Config struct {
	Engine *wasm.Engine // the caller closes it, after the host

	// ImageDir keeps images between runs of the program; empty means that they
	// are built anew. It must be private: images hold functions' environments.
	ImageDir string
	// Store keeps functions, their code, logs and queued calls. The caller closes
	// it, after the host. Nil means one in memory, which ends with the host.
	Store *store.Store
	// KeepObsolete is how long a version without tags is kept; 0 means
	// DefaultKeepObsolete, less than 0 for ever.
	KeepObsolete time.Duration
	// MaxQueue bounds the calls of one version that wait for an instance; 0
	// means DefaultMaxQueue.
	MaxQueue int
	// IdleTimeout is how long an instance stays without calls; 0 means
	// DefaultIdleTimeout.
	IdleTimeout time.Duration
	// MaxCalls is how many calls an instance serves before it is replaced; 0
	// means any number.
	MaxCalls int
	// MaxMemory bounds the private memory of all instances together, in bytes;
	// 0 means no bound. Idle instances leave first; when that does not help,
	// no new ones are made, and guests are refused more memory.
	MaxMemory int64
	// MaxImageDisk bounds the images of all versions on disk, in bytes; 0 means no
	// bound. Those that were needed longest ago go first.
	MaxImageDisk int64
	// Quotas bound what each tenant has that has no limits of its own, see
	// SetQuotas. The zero value means the defaults that package quota has; of
	// memory that is three quarters of MaxMemory.
	Quotas Quotas
	// NetCeiling bounds what versions may reach of what they ask for; nil allows
	// nothing. Dialer connects; nil means egress.Direct.
	NetCeiling *egress.Policy
	Dialer     egress.Dialer
	// Processors is how many guests compute at once; 0 means GOMAXPROCS.
	Processors int
	// MaxTries is how many tries run at once; 0 means DefaultMaxTries.
	MaxTries int
	// TokenKey signs the tokens of service accounts: 32 bytes or more. Hosts that
	// are to accept each other's have it in common; nil means a random one.
	TokenKey []byte
	// Logs receives each entry of functions' execution logs; nil drops them.
	// It is called by the goroutine that runs the call, so it should be quick.
	Logs func(logs.Entry)
	// Log receives what only the operator can mend; nil means slog.Default.
	Log *slog.Logger
}

// Host runs functions. Safe for concurrent use.
type Host struct {
	cfg    Config
	log    *slog.Logger
	runner *run.Runner
	ledger *quota.Ledger
	events *Events
	tokens *access.Tokens
	book   *logs.Book
	keys   *Keys

	running   context.Context // ends when Close begins to tear down
	stop      context.CancelFunc
	janitor   sync.WaitGroup
	ownsStore bool

	mu        sync.RWMutex // guards the members below; nothing blocks under it
	functions map[string]*function
	names     map[string]*function // by reference
	versions  map[string]*catalog.Version
	// gone are functions that were deleted here, until the store's news says so,
	// too: what it tells of them before is old.
	gone   map[string]bool
	closed bool

	// doubtful says that the store lacks something; set while it is loaded.
	doubtful bool
	// admissions keep places for versions that are being made.
	admissions admissions
	// naming is held while a function gets a name: from looking if it is free
	// to taking it; and while a tenant's quotas change. It may block for as long
	// as the store does.
	naming sync.Mutex
	// unwatch ends the news from the store, of each of its parts.
	unwatch []func()
	// drains are versions and functions that are being taken down.
	drains sync.WaitGroup
	// collecting is read-locked from storing code until a function's record
	// lists it, and locked while code that nothing lists is taken away.
	collecting sync.RWMutex
}

// New returns a host with the functions that its store has. Close it before its
// engine and its store.
func New(cfg Config) (*Host, error) {
	if cfg.Engine == nil {
		return nil, errors.New("host: no engine")
	}
	cfg.MaxQueue = cmp.Or(cfg.MaxQueue, DefaultMaxQueue)
	cfg.KeepObsolete = cmp.Or(cfg.KeepObsolete, DefaultKeepObsolete)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, DefaultIdleTimeout)
	cfg.Processors = cmp.Or(cfg.Processors, runtime.GOMAXPROCS(0))
	cfg.MaxTries = cmp.Or(cfg.MaxTries, run.DefaultMaxTries)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	cfg.Dialer = cmp.Or(cfg.Dialer, egress.Dialer(egress.Direct{}))
	if cfg.ImageDir != "" {
		if err := os.MkdirAll(cfg.ImageDir, 0o700); err != nil {
			return nil, fmt.Errorf("host: image directory: %w", err)
		}
	}
	h := &Host{
		cfg: cfg, log: cfg.Log,
		functions: map[string]*function{}, names: map[string]*function{}, versions: map[string]*catalog.Version{}, gone: map[string]bool{},
	}
	if cfg.Store == nil {
		h.cfg.Store, h.ownsStore = store.Memory(store.Config{Log: cfg.Log}), true
	}
	if err := h.open(context.Background()); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// open makes the host's parts, the ones that others need first, and loads what the
// store has. What is made is Close's to end, also after an error.
func (h *Host) open(ctx context.Context) (err error) {
	cfg := h.cfg
	h.running, h.stop = context.WithCancel(context.Background())
	if h.tokens, err = access.NewTokens(cfg.TokenKey); err != nil {
		return err
	}
	if h.keys, err = OpenKeys(ctx, cfg.Store); err != nil {
		return err
	}
	if err := h.keys.Damage(); err != nil {
		cfg.Log.Error("keys are lost: nobody gets in without one of those that are left", "err", err,
			"cure", "stop the server and make another one with: vivarium key create --data DIR")
	}
	h.ledger = h.newLedger()
	h.book = logs.New(logs.Config{Store: cfg.Store, Ledger: h.ledger, Log: cfg.Log, Echo: cfg.Logs})
	h.runner = run.New(run.Config{
		Engine: cfg.Engine, Ledger: h.ledger, Book: h.book, Tokens: h.tokens, Archive: h.archive, Log: cfg.Log,
		ImageDir: cfg.ImageDir, MaxQueue: cfg.MaxQueue, IdleTimeout: cfg.IdleTimeout, MaxCalls: cfg.MaxCalls,
		MaxMemory: cfg.MaxMemory, Processors: cfg.Processors, MaxTries: cfg.MaxTries,
		NetCeiling: cfg.NetCeiling, Dialer: cfg.Dialer,
	})
	h.admissions.versions = map[string]*catalog.Version{}
	h.events = newEvents(EventsConfig{Store: cfg.Store, Ledger: h.ledger, Functions: callees{h}, Log: cfg.Log})
	for _, load := range []func(context.Context) (stop func(), err error){h.watchQuotas, h.load} {
		unwatch, err := load(ctx)
		if err != nil {
			return err
		}
		h.unwatch = append(h.unwatch, unwatch)
	}
	if err := h.book.Load(ctx, h.tenantOf); err != nil {
		return err
	}
	for what, b := range map[string]store.Bucket{"quotas": cfg.Store.Quotas, "timers": cfg.Store.Timers} {
		if err := b.Damage(); err != nil {
			h.log.Error("store: "+what+" are lost; set anew those that are missing", "err", err)
		}
	}
	if err := h.events.Start(ctx); err != nil {
		return err
	}
	h.janitor.Go(h.expire)
	return nil
}

// Keys returns the keys of those who may use the host. The host closes them.
func (h *Host) Keys() *Keys { return h.keys }

// Tokens returns what issues the tokens of service accounts.
func (h *Host) Tokens() *access.Tokens { return h.tokens }

// expire deletes versions that have been obsolete for long enough, until Close.
func (h *Host) expire() {
	if h.cfg.KeepObsolete < 0 {
		return
	}
	ticker := time.NewTicker(min(max(h.cfg.KeepObsolete/10, 10*time.Millisecond), time.Hour))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			h.mu.RLock()
			functions := slices.Collect(maps.Values(h.functions))
			h.mu.RUnlock()
			for _, f := range functions {
				for _, v := range h.obsolete(f, now.Add(-h.cfg.KeepObsolete)) {
					// What does not work now will in a while.
					_ = h.deleteVersion(h.running, f, v, stillObsolete(v))
				}
			}
		case <-h.running.Done():
			return
		}
	}
}

// Events returns what makes the calls that nobody waits for.
func (h *Host) Events() *Events { return h.events }

// Runner returns what runs the host's versions.
func (h *Host) Runner() *run.Runner { return h.runner }

// Close refuses new calls, waits for those in progress, and ends all instances. It is
// idempotent.
func (h *Host) Close() {
	h.mu.Lock()
	already := h.closed
	h.closed = true
	h.mu.Unlock()
	if already {
		return
	}
	if h.keys != nil {
		h.keys.Close()
	}
	for _, unwatch := range h.unwatch {
		unwatch()
	}
	if h.runner != nil {
		h.runner.Drain()
	}
	h.drains.Wait()
	if h.events != nil {
		h.events.Close()
	}
	h.stop()
	h.janitor.Wait()
	if h.runner != nil {
		h.runner.Close()
	}
	if h.book != nil {
		h.book.Close()
	}
	if h.ownsStore {
		h.cfg.Store.Close()
	}
}
