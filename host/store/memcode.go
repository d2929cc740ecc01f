package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// memCode is Code in memory.
type memCode struct {
	*memory

	mu       sync.Mutex // guards the map; nothing blocks under it
	archives map[string]memArchive
}

type memArchive struct {
	bytes  []byte
	stored time.Time
}

func (c *memCode) Put(_ context.Context, archive []byte) (name string, err error) {
	if err := c.open(); err != nil {
		return "", err
	}
	name = CodeName(archive)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.archives[name]; there {
		return name, nil
	}
	if err := c.room.reserve(int64(len(archive)) + entryBytes); err != nil {
		return "", err
	}
	c.archives[name] = memArchive{archive, time.Now()}
	return name, nil
}

func (c *memCode) Get(_ context.Context, name string) ([]byte, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a, there := c.archives[name]
	if !there {
		return nil, fmt.Errorf("code %s: %w", name, ErrNotFound)
	}
	return a.bytes, nil
}

func (c *memCode) Delete(_ context.Context, name string) error {
	if err := c.open(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(name)
	return nil
}

// remove removes an archive. The caller holds the mutex.
func (c *memCode) remove(name string) {
	if a, there := c.archives[name]; there {
		_ = c.room.reserve(-int64(len(a.bytes)) - entryBytes) // giving back never fails
		delete(c.archives, name)
	}
}

func (c *memCode) Names(context.Context) ([]string, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.archives)), nil
}

func (c *memCode) Collect(_ context.Context, age time.Duration, keep map[string]bool) (int, error) {
	if err := c.open(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range keep {
		if _, there := c.archives[name]; !there {
			return 0, missingCode(name)
		}
	}
	n := 0
	for name, a := range c.archives {
		if !keep[name] && time.Since(a.stored) >= age {
			c.remove(name)
			n++
		}
	}
	return n, nil
}
