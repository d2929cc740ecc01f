// Package host is the core of Vivarium: functions with their versions, and what
// runs them. It knows nothing of HTTP (that is package web), and of WebAssembly only
// what package wasm offers.
//
// # Rooms
//
// Each package below knows only those that come after it here:
//
//	host      puts the rest together
//	cluster   the nodes that share a store, and how they trust each other
//	events    asynchronous calls and timers: the calls that no caller waits for
//	run       images, instances, turns: what lets a version process a call
//	keys      by which callers show who they are
//	accounts  service accounts, which versions and timers act for
//	secrets   what functions get as environment variables and nobody sees
//	catalog   what there is: functions, versions, tags, policies, and who may change them
//	history   what became of calls, to be looked at and made again
//	logs      execution logs, from a printed line to a query
//	egress    what functions may reach, and who connects
//	store     what survives the process, in JetStream, or in memory
//	placement which nodes are a function's homes
//	quota     the ledger of what tenants make the host hold
//	access    who asks, and what that lets them do
//	fault     whose fault an error is
//	paced     JSON and text in pieces, in a function's turn
//	throttle  how often something may happen
//	profile   where a call's time goes, by lines of Python
//
// # Vocabulary
//
//   - Function: a name and an id; what callers address.
//   - Tenant: the owner of functions. Names are unique within one; a function of
//     another tenant can be neither found nor called, unless it is public.
//   - Principal: the caller, who acts for a tenant, in a Role. Every operation takes
//     one; package access says which role an operation takes.
//   - Version: immutable code with an entry point, limits and an environment.
//     Tags point at versions; LatestTag at the newest.
//
// # The way of a call
//
//	Catalog.Resolve  principal, name and tag to version; the deadline already runs
//	Runner.Invoke    version to instance, guest, answer (package run)
//
// # What is kept
//
// The catalog's records are the truth about functions, and what hosts have in memory is
// a cache of them, so several hosts may share a store. Code is read when it is first
// needed. Log entries and the history of calls are gathered and stored after the call. Asynchronous calls and the
// ticks of timers wait in the store's queue until they are settled.
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
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"vivarium/host/access"
	"vivarium/host/accounts"
	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/events"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/keys"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/run"
	"vivarium/host/secrets"
	"vivarium/host/store"
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
	Engines *run.Engines // the caller closes them, after the host

	// ImageDir keeps images between runs of the program; empty means that they
	// are built again. It must be private: images hold functions' environments.
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
	// Tenants.SetQuotas. The zero value means the defaults that package quota has; of
	// memory that is three quarters of MaxMemory.
	Quotas quota.Amounts
	// NetCeiling bounds what versions may reach of what they ask for, and TryCeiling,
	// within it, what is tried; nil allows nothing. Dialer connects; nil means
	// egress.Direct.
	NetCeiling *egress.Policy
	TryCeiling *egress.Policy
	Dialer     egress.Dialer
	// Refused, if set, is told the rule that would allow what a function was refused of
	// the network. It must not block.
	Refused func(functionID, rule string)
	// Debugger, if set, is handed the connections of instances to their debugger, which
	// it closes. It is for hosts that run one's own functions. The debugger is there until
	// the function returns, and while it holds a call, time stands still for that.
	Debugger func(net.Conn)
	// Clustered means that there are other nodes, or will be: nothing is kept ready until
	// Share says what is to be.
	Clustered bool
	// Processors is how many guests compute at once; 0 means GOMAXPROCS.
	Processors int
	// MaxTries is how many tries run at once; 0 means DefaultMaxTries.
	MaxTries int
	// SecretKeys encrypt secrets, and sign the tokens of service accounts, which hosts that
	// have them in common accept from each other. Nil means that no secrets can be kept,
	// and that tokens end with the host.
	SecretKeys *secrets.Keyring
	// NoCalls keeps no calls in the history. Redact are names of headers and fields whose
	// values are not kept of any call, besides the usual ones.
	NoCalls bool
	Redact  []string
	// Logs receives each entry of functions' execution logs; nil drops them.
	// It is called by the goroutine that runs the call, so it should be quick.
	Logs func(logs.Entry)
	// Log receives what only the operator can mend; nil means slog.Default.
	Log *slog.Logger
}

// Host runs functions. Its rooms are for callers to use; what takes several of them is
// a method. Safe for concurrent use.
type Host struct {
	cfg      Config
	log      *slog.Logger
	runner   *run.Runner
	ledger   *quota.Ledger
	catalog  *catalog.Catalog
	events   *events.Events
	tokens   *access.Tokens
	book     *logs.Book
	history  *history.History
	keys     *keys.Ring
	secrets  *secrets.Vault
	accounts *accounts.Register
	tenants  *Tenants

	ownsStore bool
	closed    atomic.Bool
}

// New returns a host with the functions that its store has. Close it before its
// engines and its store.
func New(cfg Config) (*Host, error) {
	if cfg.Engines == nil {
		return nil, errors.New("host: no engines")
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
	h := &Host{cfg: cfg, log: cfg.Log}
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
	if h.tokens, err = access.NewTokens(cfg.SecretKeys.TokenKeys()...); err != nil {
		return err
	}
	if h.keys, err = keys.Open(ctx, cfg.Store, h.tokens); err != nil {
		return err
	}
	if err := h.keys.Damage(); err != nil {
		cfg.Log.Error("keys are lost: nobody gets in without one of those that are left", "error", err,
			"cure", "stop the server and make another one with: vivarium key create --data DIR")
	}
	h.ledger = newLedger(h)
	h.book = logs.New(logs.Config{Store: cfg.Store, Ledger: h.ledger, Log: cfg.Log, Echo: cfg.Logs})
	h.history = history.New(history.Config{
		Store: cfg.Store, Ledger: h.ledger, Log: cfg.Log, Off: cfg.NoCalls, Redact: cfg.Redact,
		Policy: func(functionID string) history.Policy { return catalog.CallPolicy(h.catalog, functionID) },
	})
	if h.secrets, err = secrets.Open(ctx, secrets.Config{
		Store: cfg.Store, Ledger: h.ledger, Keys: cfg.SecretKeys, Log: cfg.Log,
		Used: func(versionID string) bool { return catalog.UsesSecret(h.catalog, versionID) },
	}); err != nil {
		return err
	}
	if h.accounts, err = accounts.Open(ctx, accounts.Config{
		Store: cfg.Store, Ledger: h.ledger, Log: cfg.Log,
		Exists: func(tenant, functionID string) bool {
			f, err := h.catalog.Function(access.Operator, functionID)
			return err == nil && f.Tenant == tenant
		},
	}); err != nil {
		return err
	}
	ceilings := &egress.Ceilings{}
	h.runner = run.New(run.Config{
		Engines: cfg.Engines, Ledger: h.ledger, Book: h.book, History: h.history, Tokens: h.tokens, Log: cfg.Log,
		Archive: func(ctx context.Context, v *catalog.Version) ([]byte, error) {
			return catalog.ReadArchive(ctx, cfg.Store, v)
		},
		Secrets: h.secrets.Values, ImageDir: cfg.ImageDir, MaxQueue: cfg.MaxQueue, IdleTimeout: cfg.IdleTimeout, MaxCalls: cfg.MaxCalls,
		MaxMemory: cfg.MaxMemory, Processors: cfg.Processors, Clustered: cfg.Clustered, MaxTries: cfg.MaxTries,
		NetCeiling: cfg.NetCeiling, Ceilings: ceilings, TryCeiling: cfg.TryCeiling, Dialer: cfg.Dialer,
		Debugger: cfg.Debugger, Refused: cfg.Refused,
	})
	h.catalog = catalog.New(catalog.Config{
		Store: cfg.Store, Ledger: h.ledger, Runner: h.runner, Secrets: h.secrets, Log: cfg.Log, KeepObsolete: cfg.KeepObsolete,
		Drop: h.drop, Forget: func(f catalog.FunctionInfo) {
			h.book.Forget(f.Tenant, f.ID)
			h.history.Forget(f.Tenant, f.ID)
		},
	})
	functions := callees{h.catalog, h}
	h.events = events.New(events.Config{Store: cfg.Store, Ledger: h.ledger, Functions: functions, Log: cfg.Log})
	h.tenants = &Tenants{
		store: cfg.Store.Quotas, ledger: h.ledger, ceilings: ceilings, catalog: h.catalog, events: h.events, book: h.book,
		history: h.history,
		secrets: h.secrets, accounts: h.accounts, log: cfg.Log, unwatch: func() {},
	}
	if err := h.tenants.watch(ctx); err != nil {
		return err
	}
	if err := h.catalog.Load(ctx); err != nil {
		return err
	}
	if err := h.book.Load(ctx, functions.TenantOf); err != nil {
		return err
	}
	if err := h.history.Load(ctx, functions.TenantOf); err != nil {
		return err
	}
	return h.events.Start(ctx)
}

// newLedger makes the ledger of a host.
func newLedger(h *Host) *quota.Ledger {
	defaults := h.cfg.Quotas.Or(quota.Defaults())
	if defaults[quota.Memory] == 0 {
		defaults[quota.Memory] = h.cfg.MaxMemory / 4 * 3
	}
	return quota.New(quota.Config{
		Defaults: defaults, Reclaim: func(tenant string, q quota.Quota, own bool) bool { return h.runner.Reclaim(tenant, q, own) },
		Machine: quota.Amounts{quota.Memory: h.cfg.MaxMemory, quota.ImageBytes: h.cfg.MaxImageDisk},
	})
}

// drop removes what there is of a function outside of the catalog.
func (h *Host) drop(ctx context.Context, f catalog.FunctionInfo) error {
	if err := h.events.Drop(ctx, f); err != nil {
		return err
	}
	if err := h.history.Drop(ctx, f.LogOwner()); err != nil {
		return err
	}
	return h.book.Drop(ctx, f.LogOwner())
}

// Catalog returns what there is to run.
func (h *Host) Catalog() *catalog.Catalog { return h.catalog }

// Runner returns what runs the catalog's versions.
func (h *Host) Runner() *run.Runner { return h.runner }

// Events returns what makes the calls that no caller waits for.
func (h *Host) Events() *events.Events { return h.events }

// Calls returns the calls that there were.
func (h *Host) Calls() *Calls { return &Calls{h} }

// Keys returns the keys of those who may use the host. The host closes them.
func (h *Host) Keys() *keys.Ring { return h.keys }

// Secrets returns the secrets of functions. The host closes them.
func (h *Host) Secrets() *secrets.Vault { return h.secrets }

// Accounts returns the service accounts. The host closes them.
func (h *Host) Accounts() *accounts.Register { return h.accounts }

// Tokens returns what issues the tokens of service accounts.
func (h *Host) Tokens() *access.Tokens { return h.tokens }

// Ledger returns who holds how much.
func (h *Host) Ledger() *quota.Ledger { return h.ledger }

// Tenants returns what knows what tenants may have.
func (h *Host) Tenants() *Tenants { return h.tenants }

// Operations returns what keeps the operations of the management API.
func (h *Host) Operations() store.Operations { return h.cfg.Store.Operations }

// Ready reports whether the host could take a call and a change now.
//
// # Errors
//
// fault.ErrClosed, fault.ErrUnavailable.
func (h *Host) Ready(ctx context.Context) error {
	if h.closed.Load() {
		return fault.ErrClosed
	}
	return h.cfg.Store.Ready(ctx)
}

// Close refuses new calls, waits for those in progress, and ends all instances. It is
// idempotent.
func (h *Host) Close() {
	if h.closed.Swap(true) {
		return
	}
	if h.keys != nil {
		h.keys.Close()
	}
	if h.secrets != nil {
		h.secrets.Close()
	}
	if h.accounts != nil {
		h.accounts.Close()
	}
	if h.tenants != nil {
		h.tenants.unwatch()
	}
	if h.runner != nil {
		h.runner.Drain()
		h.catalog.Close()
		h.events.Close()
		h.runner.Close()
		h.history.Close()
		h.book.Close()
	}
	if h.ownsStore {
		h.cfg.Store.Close()
	}
}
