package manage

import (
	"context"
	"sync"
)

// line has one place for each caller, in which others of the same caller wait. The zero
// value is ready. Safe for concurrent use.
type line struct {
	mu     sync.Mutex // guards the members; nothing blocks under it
	places map[string]*linePlace
}

// linePlace is the place of one caller.
type linePlace struct {
	taken chan struct{} // of capacity 1
	users int           // who have it or wait for it
}

// enter waits for a caller's place. The function that it returns gives it back.
//
// # Errors
//
// The cause of ctx's end.
func (l *line) enter(ctx context.Context, who string) (leave func(), err error) {
	l.mu.Lock()
	if l.places == nil {
		l.places = map[string]*linePlace{}
	}
	place := l.places[who]
	if place == nil {
		place = &linePlace{taken: make(chan struct{}, 1)}
		l.places[who] = place
	}
	place.users++
	l.mu.Unlock()
	forget := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if place.users--; place.users == 0 {
			delete(l.places, who)
		}
	}
	select {
	case place.taken <- struct{}{}:
		return func() {
			<-place.taken
			forget()
		}, nil
	case <-ctx.Done():
		forget()
		return nil, context.Cause(ctx)
	}
}
