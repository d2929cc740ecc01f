package store

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"
)

// batchBytes is the approximate overhead of a batch.
const batchBytes = 64

// memLogs implements Logs in memory.
type memLogs struct {
	*memory
	age  time.Duration
	most int64 // bytes of all logs

	mu      sync.Mutex // guards all below; nothing blocks under it
	logs    map[string]*memLog
	last    uint64                            // number of the last batch
	size    int64                             // bytes
	readers map[string]map[chan struct{}]bool // followers, by function
}

// memLog is the log of one function. It has at least one batch.
type memLog struct {
	batches []memBatch
	size    int64
}

type memBatch struct {
	number uint64
	stored time.Time
	text   []byte
}

func newMemLogs(m *memory, age time.Duration, most int64) *memLogs {
	return &memLogs{memory: m, age: age, most: most, logs: map[string]*memLog{}, readers: map[string]map[chan struct{}]bool{}}
}

func (l *memLogs) Append(_ context.Context, functionID string, batch []byte) error {
	if err := l.open(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.logs[functionID]
	if log == nil {
		log = &memLog{}
		l.logs[functionID] = log
	}
	now, size := time.Now(), int64(len(batch))+batchBytes
	l.last++
	log.batches = append(log.batches, memBatch{l.last, now, bytes.Clone(batch)})
	log.size += size
	l.size += size
	l.expire(functionID, now)
	for l.size > l.most {
		longest := functionID
		for id, other := range l.logs {
			if l.logs[longest] == nil || other.size > l.logs[longest].size {
				longest = id
			}
		}
		l.shrink(longest, l.logs[longest].size/2) // halve it, to do this rarely
	}
	for news := range l.readers[functionID] {
		select {
		case news <- struct{}{}:
		default:
		}
	}
	return nil
}

// shrink removes the oldest batches of a log until it occupies at most most
// bytes. The caller holds the mutex.
func (l *memLogs) shrink(functionID string, most int64) {
	log, n := l.logs[functionID], 0
	for size := log.size; size > most; n++ {
		size -= int64(len(log.batches[n].text)) + batchBytes
	}
	l.drop(functionID, n)
}

// expire removes batches of a log that are too old. The caller holds the mutex.
func (l *memLogs) expire(functionID string, now time.Time) {
	log, n := l.logs[functionID], 0
	for n < len(log.batches) && now.Sub(log.batches[n].stored) > l.age {
		n++
	}
	l.drop(functionID, n)
}

// drop removes the n oldest batches of a log. The caller holds the mutex.
func (l *memLogs) drop(functionID string, n int) {
	log := l.logs[functionID]
	for _, b := range log.batches[:n] {
		log.size -= int64(len(b.text)) + batchBytes
		l.size -= int64(len(b.text)) + batchBytes
	}
	clear(log.batches[:n])
	if log.batches = log.batches[n:]; len(log.batches) == 0 {
		delete(l.logs, functionID)
	}
}

func (l *memLogs) Read(
	ctx context.Context, functionID string, since time.Time, follow bool, each func(batch []byte) error,
) error {
	news := make(chan struct{}, 1)
	if follow {
		l.enter(functionID, news)
		defer l.leave(functionID, news)
	}
	l.mu.Lock()
	until := l.last
	l.mu.Unlock()
	for after := uint64(0); ; {
		if err := l.open(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b, ok := l.next(functionID, after, since)
		switch {
		case ok && (follow || b.number <= until):
			after = b.number
			if err := each(b.text); err != nil {
				return err
			}
			continue
		case !follow:
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
		case <-l.ended:
		}
	}
}

// next returns the first batch of a log after a number that was stored since a
// time.
func (l *memLogs) next(functionID string, after uint64, since time.Time) (memBatch, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logs[functionID] == nil {
		return memBatch{}, false
	}
	l.expire(functionID, time.Now())
	log := l.logs[functionID]
	if log == nil {
		return memBatch{}, false
	}
	n, _ := slices.BinarySearchFunc(log.batches, after+1, func(b memBatch, number uint64) int {
		if b.number < number || b.stored.Before(since) {
			return -1
		}
		return 1
	})
	if n == len(log.batches) {
		return memBatch{}, false
	}
	return log.batches[n], true
}

func (l *memLogs) enter(functionID string, news chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers[functionID] == nil {
		l.readers[functionID] = map[chan struct{}]bool{}
	}
	l.readers[functionID][news] = true
}

func (l *memLogs) leave(functionID string, news chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if delete(l.readers[functionID], news); len(l.readers[functionID]) == 0 {
		delete(l.readers, functionID)
	}
}

func (l *memLogs) Trim(_ context.Context, functionID string, keep int) error {
	if err := l.open(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if log := l.logs[functionID]; log != nil {
		l.drop(functionID, max(len(log.batches)-max(keep, 0), 0))
	}
	return nil
}

func (l *memLogs) Delete(ctx context.Context, functionID string) error {
	return l.Trim(ctx, functionID, 0)
}

func (l *memLogs) Sizes(context.Context) (batches map[string]uint64, average int64, err error) {
	if err := l.open(); err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	batches, all := make(map[string]uint64, len(l.logs)), int64(0)
	for id := range l.logs {
		l.expire(id, time.Now())
		if log := l.logs[id]; log != nil {
			batches[id] = uint64(len(log.batches))
			all += int64(len(log.batches))
		}
	}
	return batches, l.size / max(all, 1), nil
}

func (l *memLogs) Capacity() int64 { return l.most }
