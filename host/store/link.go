package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// link knows how current the connection to servers is that others use, too. Safe for
// concurrent use.
type link struct {
	maxStale time.Duration   // 0 means that nobody else uses the servers
	patience time.Duration   // see repeat
	using    context.Context // ends when the store is closed
	end      context.CancelFunc
	watching sync.WaitGroup

	mu    sync.Mutex    // guards the members below; nothing blocks under it
	again chan struct{} // closed when the connection was lost and is there again
	fresh time.Time     // when the servers last answered
}

func newLink(maxStale, patience time.Duration) *link {
	l := &link{maxStale: maxStale, patience: patience, again: make(chan struct{}), fresh: time.Now()}
	l.using, l.end = context.WithCancel(context.Background())
	return l
}

// shared reports whether others use the servers, too.
func (l *link) shared() bool { return l.maxStale > 0 }

// reconnected returns what is closed when the connection was lost and is there again.
func (l *link) reconnected() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again
}

// reconnect says that the connection is there again.
func (l *link) reconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.again)
	l.again = make(chan struct{})
}

// stale returns an error if the servers have not answered for too long.
func (l *link) stale() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := time.Since(l.fresh); l.maxStale > 0 && age > l.maxStale {
		return fmt.Errorf("%w: the servers have not answered for %v", ErrUnavailable, age.Round(time.Second))
	}
	return nil
}

// watch begins to ask the servers from time to time. What ask returns must come from
// the one of them that decides.
func (l *link) watch(ask func(context.Context) error) {
	l.watching.Go(func() { l.askOften(ask) })
}

// close ends what uses the connection.
func (l *link) close() {
	l.end()
	l.watching.Wait()
}

func (l *link) askOften(ask func(context.Context) error) {
	interval := l.maxStale / 4
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-l.using.Done():
			return
		case <-ticker.C:
		}
		asked := time.Now()
		asking, cancel := context.WithTimeout(l.using, interval)
		if ask(asking) == nil {
			l.mu.Lock()
			l.fresh = asked
			l.mu.Unlock()
		}
		cancel()
	}
}
