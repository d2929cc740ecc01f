package run

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	pythonwasi "vivarium/python-wasi"
	"vivarium/wasm"
)

// sharedImage is an image that a tenant's sessions are made from. Its file takes disk,
// for which the tenant is charged, as long as an instance maps it.
type sharedImage struct {
	image
	r      *Runner
	tenant string
	bytes  int64 // of its file
	users  atomic.Int64
}

// freeze makes an image of an instance between two calls. The caller has its first use.
//
// # Errors
//
// *quota.Error, fault.ErrExhausted.
func freeze(r *Runner, tenant string, g guest) (*sharedImage, error) {
	m := &sharedImage{r: r, tenant: tenant}
	var err error
	m.image, err = g.Freeze("", "session", nil, func(bytes int64) error {
		if err := r.room.ledger.Take(tenant, quota.ImageFile, bytes); err != nil {
			return err
		}
		m.bytes = bytes
		return nil
	})
	if err != nil {
		r.room.ledger.Give(tenant, quota.ImageFile, m.bytes)
		return nil, err
	}
	m.users.Store(1)
	return m, nil
}

// take adds a use, of an image that is in use.
func (m *sharedImage) take() *sharedImage {
	m.users.Add(1)
	return m
}

// put ends a use, and with the last one the image.
func (m *sharedImage) put() {
	if m.users.Add(-1) == 0 {
		_ = m.Close() // a file that was only read
		m.r.room.ledger.Give(m.tenant, quota.ImageFile, m.bytes)
	}
}

// stockKey says whose sessions begin with the same image.
type stockKey struct {
	tenant string
	guest  pythonwasi.Guest
}

// sessionStock has the image that a tenant's sessions begin with.
type sessionStock struct {
	place chan struct{} // of capacity 1; guards the members
	image *sharedImage  // nil until it is first needed, and again when it was unused for long
	uses  int           // sessions that began with it
	used  time.Time     // last
}

// sessionStocks has the stocks of all tenants. Safe for concurrent use.
type sessionStocks struct {
	r *Runner

	mu  sync.Mutex // guards all; nothing blocks under it
	all map[stockKey]*sessionStock
}

// base returns the image that a tenant's sessions begin with; the caller puts it. It
// blocks while the image is being made.
func (s *sessionStocks) base(ctx context.Context, tenant, runtime string) (*sharedImage, error) {
	key := stockKey{tenant, guestOf(runtime)}
	for {
		s.mu.Lock()
		stock := s.all[key]
		if stock == nil {
			stock = &sessionStock{place: make(chan struct{}, 1)}
			s.all[key] = stock
		}
		s.mu.Unlock()
		select {
		case stock.place <- struct{}{}:
		case <-ctx.Done():
			return nil, fault.ErrCancelled
		}
		s.mu.Lock()
		current := s.all[key] == stock
		s.mu.Unlock()
		if !current { // it was dropped meanwhile
			<-stock.place
			continue
		}
		image, err := s.stocked(ctx, stock, tenant, runtime)
		<-stock.place
		return image, err
	}
}

// stocked returns a use of a stock's image. The caller has the stock's place.
func (s *sessionStocks) stocked(ctx context.Context, stock *sessionStock, tenant, runtime string) (*sharedImage, error) {
	if stock.image != nil && stock.uses >= tryImageUses { // the seed of string hashes is in it
		stock.image.put()
		stock.image = nil
	}
	if stock.image == nil {
		image, err := s.makeBase(ctx, tenant, runtime)
		if err != nil {
			return nil, err
		}
		stock.image, stock.uses = image, 0
	}
	stock.uses++
	stock.used = time.Now()
	return stock.image.take(), nil
}

// makeBase makes an image of an interpreter that can run snippets and has run none.
func (s *sessionStocks) makeBase(ctx context.Context, tenant, runtime string) (*sharedImage, error) {
	python, err := s.r.maker.interpreters.get(ctx, runtime)
	if err != nil {
		return nil, err
	}
	fresh, err := python.bases.acquire(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer fresh.Close()
	spec := SessionSpec{Runtime: runtime}.version()
	v := newLive(s.r, &catalog.Version{FunctionName: "session", Tenant: tenant, VersionSpec: spec})
	if err := s.r.room.reserveInstance(tenant); err != nil {
		return nil, err
	}
	defer s.r.room.releaseInstance(tenant)
	var refused error
	w, err := python.engine.Clone(ctx, fresh, wasm.InstanceConfig{
		MemoryLimit: int64(v.MemoryMB) << 20,
		Reserve: func(delta int64) bool {
			refused = s.r.room.ownMemory(tenant, delta)
			return refused == nil
		},
	})
	if errors.Is(err, wasm.ErrMemory) {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("session: interpreter: %w", err)
	}
	defer w.Close()
	request := v.loadRequest(nil)
	request.Freeze = true
	w.ResetObserved()
	answer, err := w.Load(ctx, wasm.Call{
		Stdin: request.encode(), Deadline: time.Now().Add(maxFreezeTime), Turn: s.r.scheduler.turn(tenant, "sessions"),
	})
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("session: load: %w", err)
	case answer.Kind != responseJSON:
		return nil, fmt.Errorf("session: load: %.1000s", answer.Body)
	}
	if why := impurities(w.Observed()); len(why) > 0 { // its code is ours
		return nil, fmt.Errorf("session: load: %s", strings.Join(why, ", "))
	}
	return freeze(s.r, tenant, w)
}

// drop lets go of images that were last used before the given time.
func (s *sessionStocks) drop(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, stock := range s.all {
		select {
		case stock.place <- struct{}{}:
			if stock.used.Before(before) {
				if stock.image != nil {
					stock.image.put()
				}
				delete(s.all, key)
			}
			<-stock.place
		default: // it is in use
		}
	}
}

// Fork begins a session in which everything is as in another one, its files included.
// Both go on by themselves from there, with randomness of their own. Forks of an
// unchanged session share its image, and begin in a millisecond.
//
// # Errors
//
// As for Create; *fault.NotFoundError; *fault.ConflictError for a session that runs a
// snippet, or has open files, connections or threads, of which there can't be two.
func (s *Sessions) Fork(ctx context.Context, tenant, id string) (SessionInfo, error) {
	parent, err := s.find(tenant, id)
	if err != nil {
		return SessionInfo{}, err
	}
	if err := s.enter(ctx, parent); err != nil {
		return SessionInfo{}, err
	}
	defer s.leave(parent)
	if o := parent.guest.Observed(); o.OpenFiles > 0 || o.Threads > 0 {
		return SessionInfo{}, fault.Conflictf("session", id,
			"can't be forked while it has open files or connections (%d) or threads (%d); close and end them first", o.OpenFiles, o.Threads)
	}
	if parent.frozen == nil {
		if parent.frozen, err = freeze(s.r, tenant, parent.guest); err != nil {
			return SessionInfo{}, err
		}
	}
	if err := s.begin(); err != nil {
		return SessionInfo{}, err
	}
	n := &session{spec: parent.spec, parent: id, begun: parent.begun, snippets: parent.info().Snippets}
	return s.add(ctx, n, tenant, parent.frozen, parent.tmp)
}

// thaw forgets the image of a session's state, which is about to change. The caller has
// the session's place.
func (n *session) thaw() {
	if n.frozen != nil {
		n.frozen.put()
		n.frozen = nil
	}
}
