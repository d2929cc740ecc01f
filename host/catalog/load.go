package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vivarium/host/store"
)

// collectAge is how old something must be that nothing refers to, before it is
// taken away, where other processes could be about to refer to it.
const collectAge = time.Hour

// load makes the functions that the store has, and listens for changes.
func (r *records) load(ctx context.Context) error {
	entries, err := r.store.Versions.All(ctx)
	if err != nil {
		return err
	}
	versions := make(map[string]versionRecord, len(entries))
	created := make(map[string]time.Time, len(entries))
	for _, e := range entries {
		var record versionRecord
		if err := json.Unmarshal(e.Value, &record); err != nil || record.ID != e.Key {
			r.doubt("the record of version "+e.Key+" can't be read", err)
			continue
		}
		versions[e.Key], created[e.Key] = record, e.Created
	}
	loading := true
	unwatch, err := r.store.Functions.Watch(ctx, func(e store.Entry) {
		if !loading {
			follow(r, e)
		} else if err := r.apply(r.running, e, versions, nil); err != nil {
			r.doubt("function "+e.Key+" is not there", err)
		}
	}, func() { loading = false })
	if err != nil {
		return err
	}
	r.unwatch = unwatch
	for _, b := range []store.Bucket{r.store.Functions, r.store.Versions, r.store.Names} {
		if err := b.Damage(); err != nil {
			r.doubt("the store is damaged", err)
		}
	}
	if r.doubtful {
		r.log.Error("nothing is cleaned up: what seems to be left over may belong to what can't be read")
	} else if err := r.collect(ctx, versions, created); err != nil {
		// What is left over does no harm.
		r.log.Warn("leftovers not removed", "error", err)
	}
	for _, f := range r.resumed { // not before: collect would take what goes for lost
		r.remove(f)
	}
	return nil
}

// followInterval is how long to wait before a change is tried to be taken over again.
const followInterval = 250 * time.Millisecond

// follow takes over a change that the store tells of. That is not told again, so it waits
// until it can.
func follow(r *records, e store.Entry) {
	for told := false; ; told = true {
		err := r.apply(r.running, e, nil, nil)
		switch {
		case err == nil || r.running.Err() != nil:
			return
		case !errors.Is(err, store.ErrUnavailable) || isDamage(err):
			r.log.Error("change of a function not taken over", "function", e.Key, "error", err)
			return
		case !told:
			r.log.Warn("change of a function not taken over yet", "function", e.Key, "error", err)
		}
		pause(r.running, followInterval)
	}
}

func isDamage(err error) bool {
	_, ok := errors.AsType[*store.DamageError](err)
	return ok
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// doubt notes that the store does not tell all of what there is. Nothing may be
// taken away then for the reason that nobody refers to it.
func (r *records) doubt(what string, err error) {
	r.doubtful = true
	r.log.Error("store: "+what, "error", err)
}

// apply takes over a function's record from the store. Versions that are not known yet
// are those in known, or else read. An entry that was read out of turn names the
// function that it is about: when that has been deleted since, the entry is old news.
func (r *records) apply(ctx context.Context, e store.Entry, known map[string]versionRecord, about *function) error {
	if e.Deleted {
		r.vanish(e.Key)
		return nil
	}
	var record functionRecord
	if err := json.Unmarshal(e.Value, &record); err != nil {
		return fmt.Errorf("catalog: record of function %s: %w", e.Key, err)
	}
	if record.Tags == nil {
		record.Tags = map[string]string{}
	}
	r.mu.RLock()
	gone := r.gone[record.ID]
	r.mu.RUnlock()
	if gone {
		return nil
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	made, err := r.makeMissing(ctx, &record, e.Revision, known)
	if err != nil {
		return err
	}
	r.mu.Lock()
	var f *function
	if !r.gone[record.ID] && (about == nil || r.functions[record.ID] == about) { // else it was deleted meanwhile
		f = r.install(record, e.Revision, made)
	}
	unlisted := r.unlisted(made)
	r.mu.Unlock()
	r.discard(unlisted)
	switch {
	case f == nil || record.Status != StatusDeleting:
	case known != nil:
		r.resumed = append(r.resumed, f)
	default:
		r.remove(f)
	}
	return nil
}

// makeMissing makes the versions that a record lists and the table does not know.
func (r *records) makeMissing(
	ctx context.Context, f *functionRecord, revision uint64, known map[string]versionRecord,
) (made []*Version, err error) {
	r.mu.RLock()
	var missing []string
	if old := r.functions[f.ID]; old == nil || revision > old.revision {
		for _, entry := range f.Versions {
			if r.versions[entry.ID] == nil {
				missing = append(missing, entry.ID)
			}
		}
	}
	r.mu.RUnlock()
	for _, id := range missing {
		record, ok := known[id]
		if !ok {
			tries := listedTries
			if known != nil { // all has just been read
				tries = 1
			}
			e, err := listed(ctx, r, f, revision, id, tries)
			if err == nil {
				err = json.Unmarshal(e.Value, &record)
			}
			switch {
			case err == nil:
			case known != nil && f.Status != StatusDeleting: // a function goes on with what is left
				r.doubt("version "+id+" is not there", err)
				continue
			case errors.Is(err, store.ErrNotFound):
				continue // deleted since: news of that follow
			default:
				return nil, fmt.Errorf("catalog: record of version %s: %w", id, err)
			}
		}
		v := newVersion(*f, record)
		r.cfg.Runner.Add(v, nil, nil)
		made = append(made, v)
	}
	return made, nil
}

// listedTries is how often a version is looked for that must be there.
const listedTries = 20

// listed reads the record of a version that the record of a function lists. It was written
// before that, and is removed after a later one that does not list it. So as long as there
// is no later one, it has not been found yet: whoever was asked for it lags behind.
func listed(ctx context.Context, r *records, f *functionRecord, revision uint64, id string, tries int) (store.Entry, error) {
	for ; ; tries-- {
		e, err := r.store.Versions.Get(ctx, id)
		if !errors.Is(err, store.ErrNotFound) || f.Status == StatusDeleting || r.store.Exclusive {
			return e, err
		}
		now, unknown := r.store.Functions.Get(ctx, f.ID)
		switch {
		case errors.Is(unknown, store.ErrNotFound), unknown == nil && now.Revision > revision:
			return e, err
		case unknown != nil:
			return e, unknown
		case tries <= 1:
			r.log.Error("a version is lost; the function goes on without it", "function", f.ID, "version", id)
			return e, err
		}
		pause(ctx, followInterval)
	}
}

// collect removes what attempts that were cut off have left in the store, and
// images of versions that are no more. A version goes only when the function that
// it was made for is there and does not list it.
func (r *records) collect(ctx context.Context, versions map[string]versionRecord, created map[string]time.Time) error {
	r.collecting.Lock()
	defer r.collecting.Unlock()
	age := collectAge
	if r.store.Exclusive {
		age = 0
	}
	r.mu.RLock()
	listed, codes, leftover := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for id, v := range r.versions {
		listed[id], codes[v.SHA256] = true, true
	}
	for id, record := range versions {
		switch {
		case listed[id]:
		case r.functions[record.FunctionID] != nil && time.Since(created[id]) >= age:
			leftover[id] = true
		default:
			listed[id], codes[record.SHA256] = true, true
			if r.functions[record.FunctionID] == nil {
				r.log.Warn("version of an unknown function is kept", "version", id, "function", record.FunctionID)
			}
		}
	}
	r.mu.RUnlock()
	for id := range leftover {
		if err := r.store.Versions.Delete(ctx, id); err != nil {
			return err
		}
	}
	if err := r.naming.collect(ctx, age); err != nil {
		return err
	}
	if _, err := r.store.Code.Collect(ctx, age, codes); err != nil {
		return err
	}
	return r.cfg.Runner.CollectImages(listed)
}
