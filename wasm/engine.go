// Package wasm is the sandbox: it runs a guest, a WebAssembly module that
// implements the ABI in abi.go, in many instances at once. It knows nothing of
// Python or HTTP, and it is the only package that imports wazero.
//
// # Vocabulary
//
//   - Engine: the guest, compiled once, and everything its instances share.
//   - Image: a frozen linear memory with the guest's globals; immutable.
//   - Instance: a live guest, used by one goroutine at a time.
//   - Shell: an instance without an image. Creating one is the expensive part
//     (wazero fills a function table of ten thousand entries), so some are
//     created ahead of need, and each is used once.
//
// # Flow
//
//	NewEngine   rewrite (package rewrite) and compile the guest
//	Boot        first image → instance → initialize, boot → image
//	Clone       image → instance, in tens of microseconds
//	Load/Invoke request on stdin, one call, response through one host function
//	Freeze      instance → image
//
// Images work because no guest function is live between calls: the linear
// memory and the mutable globals are then the guest's whole state.
//
// # Interruption
//
// Go's scheduler can't preempt the machine code that wazero generates. The
// rewriter therefore makes every loop count down a budget; when it is
// exhausted, the guest calls the host, which checks the deadline and
// cancellation, accounts for the time used, lets other goroutines run and asks
// the Turn whether the guest may continue.
//
// Work that the host does on behalf of a guest counts against the guest's turn
// too. It is metered by amount, both inside host calls (work.go) and around the
// guest's call (Call's Prepare and Finish).
package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"vivarium/wasm/rewrite"
	"vivarium/wasm/vfs"
)

const (
	pageSize = 64 << 10 // bytes per WebAssembly page
	// MaxMemory is the largest linear memory an instance can have, in bytes:
	// the 32-bit address space.
	MaxMemory = int64(4) << 30
)

// Defaults for Config.
const (
	DefaultLoopBudget  = 20_000
	DefaultShells      = 16
	DefaultMaxResponse = 16 << 20
)

// Config tells NewEngine what to run and how.
type Config struct {
	Guest   []byte    // the module
	Library *vfs.Tree // read-only files that every instance sees below /
	// Mounts are additional read-only trees, each at a path of its own.
	Mounts []vfs.Mount
	// Key identifies Library and Mounts in image files, so that an image frozen
	// with other files is never mistaken for one of these.
	Key string

	// CacheDir caches compiled machine code across runs of the program; empty
	// means compile every time.
	CacheDir string
	// TempDir holds images that have no path; empty means the system's.
	TempDir string
	// Shells is how many instances are created ahead of need; 0 means
	// DefaultShells, negative none.
	Shells int
	// LoopBudget is how many loop iterations a guest may run between two checks
	// of its deadline; 0 means DefaultLoopBudget, about a millisecond.
	LoopBudget int
	// MaxResponse bounds a response, in bytes; 0 means DefaultMaxResponse.
	MaxResponse int
	// Log receives what only the operator can fix; nil means slog.Default.
	Log *slog.Logger
	// Threads counts the threads of all instances, besides the first of each; may be
	// nil, and shared by engines.
	Threads *atomic.Int64

	// Uninterruptible leaves the guest's loops alone, so nothing can end a
	// call. CloseOnDone does too, but has wazero's own checks end a call at its
	// deadline. Both exist only for comparison in benchmarks.
	Uninterruptible, CloseOnDone bool
}

// Engine is a compiled guest. Safe for concurrent use.
type Engine struct {
	cfg      Config
	log      *slog.Logger
	key      string // identifies the guest in image files
	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	guest    wazero.CompiledModule
	globals  []string // export names of the mutable globals
	first    *Image   // the guest's data segments; what boot starts from
	shells   chan *Instance
	epoch    time.Time
	stop     context.CancelFunc
	stopped  context.Context
	refilled sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// NewEngine compiles the guest, which takes seconds the first time and a
// fraction of one when CacheDir holds the result. Close the engine after all of
// its instances and images.
func NewEngine(ctx context.Context, cfg Config) (_ *Engine, err error) {
	if cfg.Shells == 0 {
		cfg.Shells = DefaultShells
	}
	if cfg.LoopBudget == 0 {
		cfg.LoopBudget = DefaultLoopBudget
	}
	if cfg.MaxResponse == 0 {
		cfg.MaxResponse = DefaultMaxResponse
	}
	if cfg.Threads == nil {
		cfg.Threads = &atomic.Int64{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	e := &Engine{cfg: cfg, log: cfg.Log, epoch: time.Now()}
	e.stopped, e.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			_ = e.Close(ctx)
		}
	}()

	options := rewrite.Options{
		Budget: int32(cfg.LoopBudget), YieldModule: hostModule, YieldName: hostYield, GlobalPrefix: globalPrefix,
	}
	if cfg.Uninterruptible || cfg.CloseOnDone {
		options.Omit = rewrite.OmitLoops | rewrite.OmitRecursion | rewrite.OmitBulk | rewrite.OmitFusing
	}
	rw, err := rewrite.Rewrite(cfg.Guest, options)
	if err != nil {
		return nil, fmt.Errorf("wasm: rewrite guest: %w", err)
	}
	e.cfg.Guest = nil // megabytes, and not needed again
	sum := sha256.Sum256(rw.Module)
	e.key = hex.EncodeToString(sum[:]) + "/" + cfg.Key
	for _, g := range rw.Globals {
		e.globals = append(e.globals, g.ExportName)
	}
	if err := e.compile(ctx, rw.Module); err != nil {
		return nil, err
	}
	if err := e.makeFirstImage(ctx, rw); err != nil {
		return nil, err
	}
	e.keepShells()
	return e, nil
}

// compile creates the runtime, the host modules and the machine code.
func (e *Engine) compile(ctx context.Context, module []byte) (err error) {
	// Exceptions are what setjmp and longjmp are compiled to.
	rc := wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExceptionHandling).
		WithCloseOnContextDone(e.cfg.CloseOnDone).
		WithDebugInfoEnabled(false)
	if e.cfg.CacheDir != "" {
		if e.cache, err = wazero.NewCompilationCacheWithDir(e.cfg.CacheDir); err != nil {
			return fmt.Errorf("wasm: cache directory %s: %w", e.cfg.CacheDir, err)
		}
		rc = rc.WithCompilationCache(e.cache)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	if err := instantiateWASI(ctx, e.runtime); err != nil {
		return err
	}
	if err := instantiateHost(ctx, e.runtime); err != nil {
		return err
	}
	ctx = experimental.WithCompilationWorkers(ctx, compilationWorkers())
	if e.guest, err = e.runtime.CompileModule(ctx, module); err != nil {
		return fmt.Errorf("wasm: compile guest: %w", err)
	}
	return checkExports(e.guest)
}

// makeFirstImage builds an image from the guest's data segments and global
// initializers, so that a boot starts from an image like everything else.
func (e *Engine) makeFirstImage(ctx context.Context, rw *rewrite.Result) error {
	probe, err := e.newShell(ctx)
	if err != nil {
		return err
	}
	defer probe.Close()
	memory := make([]byte, int64(rw.MemoryMin)*pageSize)
	copy(memory, rw.Memory)
	globals, err := probe.saveGlobals()
	if err != nil {
		return err
	}
	e.first, err = writeImage(e.cfg.TempDir, "", e.key, memory, globals, nil, nil)
	return err
}

// Boot starts the guest's runtime in a fresh instance with fresh randomness and
// returns an image of it. It blocks for some hundred milliseconds, and longer while
// others are ahead; a turn that is nil waits for nobody.
func (e *Engine) Boot(ctx context.Context, turn Turn) (*Image, error) {
	i, err := e.Clone(ctx, e.first, InstanceConfig{MemoryLimit: MaxMemory})
	if err != nil {
		return nil, err
	}
	defer i.Close()
	var out boundedBuffer
	call := Call{Stdout: &out, Stderr: &out, Turn: turn}
	if _, err := i.call(ctx, exportInitialize, call); err != nil {
		return nil, fmt.Errorf("wasm: %s: %w\n%s", exportInitialize, err, out.String())
	}
	if v, err := i.call(ctx, exportABIVersion, call); err != nil || v != ABIVersion {
		return nil, errors.Join(fmt.Errorf("wasm: the guest implements ABI %d, this program ABI %d", v, ABIVersion), err)
	}
	if status, err := i.call(ctx, exportBoot, call); err != nil || status != 0 {
		return nil, errors.Join(fmt.Errorf("wasm: boot guest: status %d: %s", status, out.String()), err)
	}
	return i.Freeze("", "", nil, nil)
}

// OpenImage opens the image that Freeze stored at path under key and verifies
// it. ErrImage means that the file is unusable.
func (e *Engine) OpenImage(path, key string) (*Image, error) {
	return openImage(path, e.key+"/"+key, len(e.globals))
}

// Key identifies all that an image depends on besides its owner. It is the same in each
// process that has the same guest, library and mounts.
func (e *Engine) Key() string { return e.key }

// ReceiveImage stores an image that another process has made under key, at path or, if that
// is empty, without a name, and verifies it as OpenImage does. Whoever wrote it can make of it
// no more than what a guest could. The room is asked for before anything is stored, see Freeze;
// on an error nothing stays. It blocks for as long as from does.
//
// # Errors
//
// ErrImage, from's, room's, those of the disk.
func (e *Engine) ReceiveImage(path, key string, from io.Reader, room func(bytes int64) error) (*Image, error) {
	return receiveImage(e.tempDir(), path, e.key+"/"+key, len(e.globals), from, room)
}

// Clone makes an instance from an image. The caller owns the instance and must
// close it.
func (e *Engine) Clone(ctx context.Context, image *Image, cfg InstanceConfig) (*Instance, error) {
	i, err := e.acquireShell(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.bind(image, cfg); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Close releases the engine. Close all instances first.
func (e *Engine) Close(ctx context.Context) error {
	e.closing.Do(func() {
		e.stop()
		e.refilled.Wait()
		var errs []error
		if e.first != nil {
			errs = append(errs, e.first.Close())
		}
		if e.runtime != nil {
			errs = append(errs, e.runtime.Close(ctx))
		}
		if e.cache != nil {
			errs = append(errs, e.cache.Close(ctx))
		}
		e.closeErr = errors.Join(errs...)
	})
	return e.closeErr
}

// now returns the guests' monotonic clock, in nanoseconds. It starts at the
// wall clock's value so that it never goes backwards in an image frozen by an
// earlier run of the program.
func (e *Engine) now() int64 {
	return e.epoch.UnixNano() + int64(time.Since(e.epoch))
}

func (e *Engine) tempDir() string {
	if e.cfg.TempDir != "" {
		return e.cfg.TempDir
	}
	return os.TempDir()
}
