package store

import (
	"cmp"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// codeCacheBytes bounds the archives that a codeCache keeps, in bytes.
const codeCacheBytes = 1 << 30

// codeCache is a Code that keeps copies of another's archives in a directory. An
// instance can then be made while the other can't be reached, also when memory
// pressure or a restart has made the process forget the code. Processes may share the
// directory. Safe for concurrent use.
type codeCache struct {
	Code
	dir string
	log *slog.Logger

	mu sync.Mutex // held while files are added
}

func newCodeCache(of Code, dir string, log *slog.Logger) (*codeCache, error) {
	return &codeCache{Code: of, dir: dir, log: log}, os.MkdirAll(dir, 0o700)
}

func (c *codeCache) Put(ctx context.Context, archive []byte) (string, error) {
	name, err := c.Code.Put(ctx, archive)
	if err == nil {
		c.add(name, archive)
	}
	return name, err
}

func (c *codeCache) Get(ctx context.Context, name string) ([]byte, error) {
	path := filepath.Join(c.dir, name)
	if archive, err := os.ReadFile(path); err == nil && CodeName(archive) == name {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // at worst it is taken for an old one
		return archive, nil
	}
	archive, err := c.Code.Get(ctx, name)
	if err == nil {
		c.add(name, archive)
	}
	return archive, err
}

func (c *codeCache) Delete(ctx context.Context, name string) error {
	_ = os.Remove(filepath.Join(c.dir, name)) // else trim does it
	return c.Code.Delete(ctx, name)
}

// add keeps a copy of an archive. Without it, others need the store again.
func (c *codeCache) add(name string, archive []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.trim(codeCacheBytes - int64(len(archive)))
	if err == nil {
		err = replaceFile(filepath.Join(c.dir, name), archive, nil) // what a crash leaves unfinished fails its hash
	}
	if err != nil {
		c.log.Warn("an archive is not cached", "error", err)
	}
}

// trim removes the archives that were not used for longest, until the rest takes at
// most size bytes.
func (c *codeCache) trim(size int64) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	files := make([]fs.FileInfo, 0, len(entries))
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else another process was faster
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if total <= size {
			break
		}
		if err := os.Remove(filepath.Join(c.dir, f.Name())); err != nil && !os.IsNotExist(err) {
			return err
		}
		total -= f.Size()
	}
	return nil
}
