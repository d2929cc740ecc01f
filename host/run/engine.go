package run

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/fault"
	pythonwasi "vivarium/python-wasi"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// Engines compiles the guests that this program carries, each when it is first
// needed. Safe for concurrent use.
type Engines struct {
	cfg     wasm.Config
	ready   pythonwasi.Guest // compiled from the start
	roots   roots
	running context.Context
	stop    context.CancelFunc

	threadCount atomic.Int64

	mu   sync.Mutex // guards open; nothing blocks under it
	open map[pythonwasi.Guest]*compiled
}

// compiled is a guest that is or will be compiled.
type compiled struct {
	done   chan struct{} // closed when the members below are final
	engine *wasm.Engine
	err    error
}

// compilePatience is how long callers wait for a guest that was not needed before:
// enough to take it from the cache, and less than compiling it takes.
const compilePatience = 3 * time.Second

// NewEngines compiles the guest of a runtime; empty means the lean one. Members of
// cfg that describe the guest are set here. The first time takes seconds; with
// cfg.CacheDir later times take a fraction of one.
//
// # Errors
//
// pythonwasi.ErrNotBuilt when the program was built before its guests.
func NewEngines(ctx context.Context, runtime string, cfg wasm.Config) (*Engines, error) {
	roots, err := rootCertificates()
	if err != nil {
		return nil, err
	}
	if cfg.MaxResponse == 0 {
		cfg.MaxResponse = maxResult
	}
	cfg.Mounts = []vfs.Mount{{Path: "etc/ssl", Tree: roots.tree}}
	e := &Engines{cfg: cfg, ready: guestOf(runtime), roots: roots, open: map[pythonwasi.Guest]*compiled{}}
	e.cfg.Threads = &e.threadCount
	e.running, e.stop = context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, e.stop)()
	c := e.compile(e.ready)
	<-c.done
	if c.err != nil {
		_ = e.Close(context.Background())
		return nil, c.err
	}
	return e, nil
}

// threads implements engines.
func (e *Engines) threads() int64 { return e.threadCount.Load() }

// first implements engines.
func (e *Engines) first() string { return e.ready.Name() }

// engine implements engines.
func (e *Engines) engine(ctx context.Context, runtime string) (engine, error) {
	c := e.compile(guestOf(runtime))
	patience := time.NewTimer(compilePatience)
	defer patience.Stop()
	select {
	case <-c.done:
	case <-patience.C:
		return nil, fault.ErrPreparing
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.err != nil {
		return nil, c.err
	}
	return wasmEngine{c.engine}, nil
}

// compile begins to compile a guest unless that was done before. What failed is tried
// again.
func (e *Engines) compile(g pythonwasi.Guest) *compiled {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.open[g]; c != nil {
		return c
	}
	c := &compiled{done: make(chan struct{})}
	e.open[g] = c
	go func() {
		defer close(c.done)
		if c.engine, c.err = e.newEngine(g); c.err != nil {
			e.mu.Lock()
			delete(e.open, g)
			e.mu.Unlock()
		}
	}()
	return c
}

func (e *Engines) newEngine(g pythonwasi.Guest) (*wasm.Engine, error) {
	module, err := g.Module()
	if err != nil {
		return nil, err
	}
	info, err := g.Info()
	if err != nil {
		return nil, err
	}
	library, err := g.Library()
	if err != nil {
		return nil, err
	}
	tree, err := vfs.NewTree(library, vfs.TreeConfig{})
	if err != nil {
		return nil, fmt.Errorf("host: Python's library: %w", err)
	}
	cfg := e.cfg
	cfg.Guest, cfg.Library, cfg.Key = module, tree, info.Key+"/"+g.Name()+"/"+e.roots.key
	return wasm.NewEngine(e.running, cfg)
}

// Close releases the engines, those that are being compiled included. Close what
// runs on them first.
func (e *Engines) Close(ctx context.Context) (err error) {
	e.stop()
	e.mu.Lock()
	all := make([]*compiled, 0, len(e.open))
	for _, c := range e.open {
		all = append(all, c)
	}
	e.mu.Unlock()
	for _, c := range all {
		if <-c.done; c.engine != nil {
			err = cmp.Or(err, c.engine.Close(ctx))
		}
	}
	return err
}

// guestOf returns the guest that the name of a runtime means.
func guestOf(runtime string) pythonwasi.Guest {
	if g, ok := pythonwasi.ByRuntime(runtime); ok {
		return g
	}
	return pythonwasi.Lean // a version that was stored when there were others
}
