package requirements

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// bound is what an installation may take on the disk of this machine. A wheel
// can unpack to a thousand times its size.
type bound struct {
	bytes int64
	names int // of files and folders
}

// defaultBound leaves room for packages that are there twice, downloaded and
// unpacked, and have as much as the platform takes of code: 680 MB, 20,000 files.
var defaultBound = bound{bytes: 2 << 30, names: 100_000}

// LargeError says that packages take more of the disk than they may.
type LargeError struct {
	Bytes int64
	Names int // files and folders
}

// Error implements error.
func (e *LargeError) Error() string {
	return fmt.Sprintf("%s: the packages take more than %d MiB or %d files and folders when they are unpacked, much more than a function's code "+
		"can have; ask for fewer or smaller ones", File, e.Bytes>>20, e.Names)
}

// check returns a *LargeError when what lies below dir is more than the bound.
func (b bound) check(dir string) error {
	var bytes int64
	var names int
	err := fs.WalkDir(os.DirFS(dir), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone meanwhile
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		if names++; bytes > b.bytes || names > b.names {
			return fs.SkipAll
		}
		return nil
	})
	if err == nil && (bytes > b.bytes || names > b.names) {
		return &LargeError{b.bytes, b.names}
	}
	return err
}

// watch calls do with a context that ends, for the reason of a *LargeError, once
// more than the bound lies below dir. It returns that error, or else what do
// returns, when do has returned.
func (b bound) watch(ctx context.Context, dir string, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// It takes about a tenth of the time, however many files there are.
		for pause := 50 * time.Millisecond; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			start := time.Now()
			if err := b.check(dir); err != nil {
				cancel(err)
				return
			}
			pause = max(50*time.Millisecond, 10*time.Since(start))
		}
	}()
	err := do(ctx)
	cancel(nil)
	<-watched
	if large, ok := errors.AsType[*LargeError](context.Cause(ctx)); ok {
		return large
	}
	if err != nil {
		return err
	}
	return b.check(dir)
}
