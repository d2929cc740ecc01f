package catalog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"vivarium/host/fault"
	"vivarium/host/store"
)

// records are the table, the store behind it, and what follows from changes.
type records struct {
	table
	cfg   Config
	store *store.Store
	log   *slog.Logger

	running context.Context // ends when Close begins
	stop    context.CancelFunc
	unwatch func() // ends the news from the store
	janitor sync.WaitGroup
	// drains are versions and functions that are being taken down.
	drains sync.WaitGroup

	// resumed are functions whose deletion was cut off; set while they are loaded.
	resumed []*function
	// applying is held while a record of the store is taken over: what one of them makes
	// another one must not take for its own, or take back. It may block for as long as
	// the store does.
	applying sync.Mutex
	// admissions keep places for versions that are being made.
	admissions admissions
	naming     naming
	// collecting is read-locked from storing code until a function's record
	// lists it, and locked while code that nothing lists is taken away.
	collecting sync.RWMutex
}

func newRecords(cfg Config) *records {
	r := &records{
		cfg: cfg, store: cfg.Store, log: cfg.Log, unwatch: func() {},
		table: table{
			functions: map[string]*function{}, names: map[string]*function{}, versions: map[string]*Version{}, gone: map[string]bool{},
		},
		admissions: admissions{versions: map[string]*Version{}},
		naming:     naming{store: cfg.Store},
	}
	r.naming.table = &r.table
	r.running, r.stop = context.WithCancel(context.Background())
	return r
}

// change makes a new record of a function from its present one, and returns what
// the function is then. When somebody else's change comes in between, mutate is asked
// again, about the new state.
//
// # Errors
//
// What mutate returns; *fault.ConflictError when the function is being deleted;
// *fault.NotFoundError when it is gone; fault.ErrUnavailable; fault.ErrClosed.
func (r *records) change(ctx context.Context, f *function, mutate func(*functionRecord) error, made ...*Version) (FunctionInfo, error) {
	f.write.Lock()
	defer f.write.Unlock()
	for {
		r.mu.RLock()
		record, revision, closed := f.record.clone(), f.revision, r.closed
		present := r.functions[f.id] == f
		r.mu.RUnlock()
		switch {
		case closed:
			return FunctionInfo{}, fault.ErrClosed
		case !present:
			return FunctionInfo{}, &fault.NotFoundError{Function: f.id}
		case record.Status == StatusDeleting:
			return FunctionInfo{}, deleting(f.id)
		}
		if err := mutate(&record); err != nil {
			return FunctionInfo{}, err
		}
		record.noteObsolete(time.Now().UTC())
		revision, again, err := r.persist(ctx, f, &record, revision)
		if err != nil {
			return FunctionInfo{}, err
		}
		if again {
			continue
		}
		r.mu.Lock()
		if r.functions[f.id] == f { // else it was changed, and then deleted before this process heard of the former
			r.install(record, revision, made)
		}
		info, unlisted := f.info(), r.unlisted(made)
		r.mu.Unlock()
		r.discard(unlisted)
		return info, nil
	}
}

// deleting is the error about a function that is on its way out.
func deleting(id string) error { return fault.Conflictf("function", id, "is being deleted") }

// install makes a record the present state of its function, unless a newer one
// is there already. Versions that the record lists are those of made that are
// not known yet; those that it no longer lists are drained. The caller holds the
// mutex, and nothing here blocks.
func (r *records) install(record functionRecord, revision uint64, made []*Version) *function {
	f := r.functions[record.ID]
	if f == nil {
		f = &function{id: record.ID, versions: map[string]*Version{}}
		r.functions[record.ID] = f
	} else if revision <= f.revision {
		return f
	}
	if r.closed { // nothing is made or taken down any more
		return f
	}
	if old := f.record.reference(); old != record.reference() && r.names[old] == f {
		delete(r.names, old)
	}
	f.record, f.revision = record, revision
	if record.Name != "" {
		r.names[record.reference()] = f
	}
	for _, v := range made {
		if f.versions[v.ID] == nil && record.entry(v.ID) >= 0 {
			f.versions[v.ID], r.versions[v.ID] = v, v
		}
	}
	for id, v := range f.versions {
		if record.entry(id) < 0 {
			delete(f.versions, id)
			delete(r.versions, id)
			r.drains.Go(func() { r.cfg.Runner.Remove(id) })
			continue
		}
		r.cfg.Runner.SetLimits(id, record.limits(v))
	}
	return f
}

// discard takes back versions that belong to nothing.
func (r *records) discard(made []*Version) {
	for _, v := range made {
		r.cfg.Runner.Remove(v.ID)
	}
}

// withdraw takes back a version that was made for nothing, as far as is known: if the
// store lists it after all, news of that make it again.
func (r *records) withdraw(v *Version) {
	r.applying.Lock() // else somebody could be about to install it
	defer r.applying.Unlock()
	r.mu.RLock()
	unlisted := r.unlisted([]*Version{v})
	r.mu.RUnlock()
	r.discard(unlisted)
}

// persist stores a record in place of the one of the given revision, and
// returns the new one. When somebody else has changed it meanwhile, the table takes
// that over, and again says so.
func (r *records) persist(ctx context.Context, f *function, record *functionRecord, old uint64) (revision uint64, again bool, err error) {
	if f.transient {
		return old + 1, false, nil
	}
	revision, err = r.store.Functions.Update(ctx, f.id, store.Record(record), old)
	if !errors.Is(err, store.ErrRevision) {
		return revision, false, err
	}
	e, err := r.store.Functions.Get(ctx, f.id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, false, &fault.NotFoundError{Function: f.id}
	}
	if err != nil {
		return 0, false, err
	}
	return 0, true, r.apply(ctx, e, nil, f)
}

// expire deletes versions that have been obsolete for long enough, until Close.
func (r *records) expire() {
	keep := r.cfg.KeepObsolete
	if keep < 0 {
		return
	}
	ticker := time.NewTicker(min(max(keep/10, 10*time.Millisecond), time.Hour))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			r.mu.RLock()
			functions := make([]*function, 0, len(r.functions))
			for _, f := range r.functions {
				functions = append(functions, f)
			}
			r.mu.RUnlock()
			for _, f := range functions {
				r.retire(r.running, f, now.Add(-keep))
			}
		case <-r.running.Done():
			return
		}
	}
}

// retire deletes the versions of f that lost their last tag before a time, and waits
// for their calls. What does not work now will in a while, and a version that has got a
// tag meanwhile stays.
func (r *records) retire(ctx context.Context, f *function, before time.Time) {
	for _, v := range r.obsolete(f, before) {
		_ = r.deleteVersion(ctx, f, v, func(record *functionRecord) error {
			if len(record.tagsOf(v.ID)) > 0 {
				return fault.Conflictf("version", v.ID, "carries tags")
			}
			return nil
		})
	}
}
