package host

import (
	"sync/atomic"
	"time"
)

// instanceMemory is what an instance costs besides what it grows by: the pages
// it makes its own in ordinary calls, and what the host keeps for it. In bytes.
const instanceMemory = 2 << 20

// budget bounds the private memory of all instances together.
type budget struct {
	limit int64 // bytes; 0 means no bound
	used  atomic.Int64
	evict func() bool // frees some memory, and says if it could
}

// change takes delta bytes from the budget, or gives them back when it is
// negative, and says if they were there. It is called while a guest waits for
// its memory to grow.
func (b *budget) change(delta int64) bool {
	for {
		if used := b.used.Add(delta); delta <= 0 || b.limit == 0 || used <= b.limit {
			return true
		}
		b.used.Add(-delta)
		if !b.evict() {
			return false
		}
	}
}

// evictOldest closes the instance of all versions that has been idle longest,
// and says if there was one.
func (h *Host) evictOldest() bool {
	for {
		var (
			victim *pool
			oldest time.Time
		)
		for _, p := range h.pools() {
			if at, ok := p.oldest(); ok && (victim == nil || at.Before(oldest)) {
				victim, oldest = p, at
			}
		}
		if victim == nil {
			return false
		}
		if victim.evictOldest() {
			return true
		}
	}
}
