package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"vivarium/host"
	"vivarium/wasm"
)

// platform is what runs functions: the compiled guest and the host over it.
type platform struct {
	engine *wasm.Engine
	host   *host.Host
}

// openPlatform compiles the guest, or takes it from the cache, and starts a host
// whose functions log to t. The caller closes it.
//
// # Errors
//
// Among others pythonwasi.ErrNotBuilt, whose text says what to do.
func openPlatform(ctx context.Context, s *session, t *terminal, shells int) (*platform, error) {
	log := slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	dir, err := machineCodeDir(s.cacheDir)
	if err != nil {
		log.Warn("machine code is compiled anew each time", "err", err)
	}
	done := announce(s.stderr, "preparing Python; the first time takes several seconds ...")
	engine, err := host.NewEngine(ctx, wasm.Config{CacheDir: dir, Shells: shells, Log: log})
	done(err)
	if err != nil && ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, err
	}
	h, err := host.New(host.Config{Engine: engine, Logs: t.entry, Log: log})
	if err != nil {
		_ = engine.Close(context.Background()) // the first error is the telling one
		return nil, err
	}
	return &platform{engine, h}, nil
}

// errInterrupted says that the user ended a command before it was done.
var errInterrupted = errors.New("interrupted")

// close finishes the calls in progress and frees everything.
func (p *platform) close() error {
	p.host.Close()
	return p.engine.Close(context.Background())
}

// machineCodeDir returns where machine code is cached; empty when nowhere.
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

// noticeAfter is how long something may take before the user is told of it.
const noticeAfter = 500 * time.Millisecond

// announce prints a line once something has taken a while, and returns the
// function to call when it is over.
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
