package catalog

import (
	"strings"
	"sync"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
)

// table is what this process knows of the records.
type table struct {
	mu        sync.RWMutex // guards all below, and functions; nothing blocks under it
	functions map[string]*function
	names     map[string]*function // by reference
	versions  map[string]*Version
	// gone are functions that were deleted here, until the store's news says so,
	// too: what it tells of them before is old.
	gone   map[string]bool
	closed bool
	// doubtful says that the store has something that the table lacks; set while it is
	// loaded.
	doubtful bool
}

// function is a function's place in the table.
type function struct {
	id string
	// transient functions are DeployTransient's: they are in no store.
	transient bool
	// write is held while a change is made, so that two of this process's do not
	// compete. It may block for as long as the store does.
	write sync.Mutex

	// The table's mutex guards the members below.
	record   functionRecord // replaced as a whole, never changed in place
	revision uint64         // that the store gave the record
	versions map[string]*Version
	removal  *removal // nil until it is being deleted
	vanished bool     // the store has told that it is deleted
}

// info describes f. The caller holds the mutex.
func (f *function) info() FunctionInfo {
	r := &f.record
	return FunctionInfo{
		ID: r.ID, Name: r.Name, Description: r.Description, Labels: r.Labels, Tenant: r.Tenant, LogGroupID: r.LogGroupID,
		Status: r.Status, Public: r.Public, PublicRole: r.PublicRole, Calls: r.Calls, Transient: f.transient, CreatedAt: r.CreatedAt,
		Latest: f.versions[r.Tags[LatestTag]], Tags: r.Tags, Revision: f.revision,
	}
}

// versionInfo describes v. The caller holds the mutex.
func (f *function) versionInfo(v *Version) VersionInfo {
	info := VersionInfo{Version: v, Status: StatusActive, Tags: f.record.tagsOf(v.ID)}
	switch {
	case f.record.Status == StatusDeleting:
		info.Status = StatusDeleting
	case len(info.Tags) == 0:
		info.Status = StatusObsolete
	}
	return info
}

// find returns the function of that id or name, or TENANT/NAME. The caller holds
// the mutex.
func (t *table) find(idOrName string) *function {
	if f, ok := t.functions[idOrName]; ok {
		return f
	}
	return t.names[strings.TrimPrefix(idOrName, access.DefaultTenant+"/")]
}

// visible returns the function that p means by an id or a name, nil when p's
// tenant has none. Who acts for all tenants names those of the default tenant, and
// others as TENANT/NAME. The caller holds the mutex.
func (t *table) visible(p access.Principal, idOrName string) *function {
	if p.Tenant == access.AllTenants {
		return t.find(idOrName)
	}
	if f := t.functions[idOrName]; f != nil && p.ActsFor(f.record.Tenant) {
		return f
	}
	// The tenant again, since a name with a slash in it could lead elsewhere.
	if f := t.names[Reference(p.Tenant, idOrName)]; f != nil && p.ActsFor(f.record.Tenant) {
		return f
	}
	return nil
}

// callable returns the function that p means by an id or a name and may call: one
// that is visible, or one that is public, by its id. Who is unknown may name the
// public ones of the default tenant, too. The caller holds the mutex.
func (t *table) callable(p access.Principal, idOrName string) *function {
	if f := t.visible(p, idOrName); f != nil && !p.Anonymous() {
		return f
	}
	f := t.functions[idOrName]
	if f == nil && p.Anonymous() {
		f = t.find(idOrName)
	}
	if f == nil || !f.record.Public {
		return nil
	}
	return f
}

// function returns the function of an operation, and its record as it is now.
//
// # Errors
//
// What p.Allow refuses with; *fault.NotFoundError.
func (t *table) function(p access.Principal, o access.Operation, idOrName string) (*function, functionRecord, error) {
	if err := p.Allow(o); err != nil {
		return nil, functionRecord{}, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	f := t.visible(p, idOrName)
	if f == nil {
		return nil, functionRecord{}, &fault.NotFoundError{Function: idOrName}
	}
	return f, f.record, nil
}

// version is function for an operation on a version.
func (t *table) version(p access.Principal, o access.Operation, id string) (*function, *Version, error) {
	if err := p.Allow(o); err != nil {
		return nil, nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	v := t.versions[id]
	if v == nil || !p.ActsFor(v.Tenant) {
		return nil, nil, &fault.NotFoundError{Version: id}
	}
	return t.functions[v.FunctionID], v, nil
}

// describe returns what a version is now; as v was made when it is gone already.
func (t *table) describe(v *Version) VersionInfo {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if known := t.versions[v.ID]; known != nil { // another value when news of it came before it was noted
		return t.functions[v.FunctionID].versionInfo(known)
	}
	return VersionInfo{Version: v, Status: StatusObsolete, Tags: []string{}}
}

// forget takes a function out of the table. The caller holds the mutex.
func (t *table) forget(f *function) {
	delete(t.functions, f.id)
	if name := f.record.reference(); t.names[name] == f {
		delete(t.names, name)
	}
	for id := range f.versions {
		delete(t.versions, id)
	}
}

// unlisted returns those of made that belong to nothing after all: somebody else's
// later change is known already, and does not list them. The caller holds the mutex.
func (t *table) unlisted(made []*Version) (unlisted []*Version) {
	if t.closed { // nothing is taken down any more
		return nil
	}
	for _, v := range made {
		if t.versions[v.ID] == nil {
			unlisted = append(unlisted, v)
		}
	}
	return unlisted
}

// obsolete returns the versions of f that lost their last tag before a time.
func (t *table) obsolete(f *function, before time.Time) []*Version {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var old []*Version
	for _, e := range f.record.Versions {
		if v := f.versions[e.ID]; v != nil && !e.ObsoleteSince.IsZero() && e.ObsoleteSince.Before(before) {
			old = append(old, v)
		}
	}
	return old
}

// hasCode reports whether there is a version with that archive.
func (t *table) hasCode(name string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, v := range t.versions {
		if v.SHA256 == name {
			return true
		}
	}
	return false
}

// checkTargets reports which function is not there that outcomes are to go to.
// They stay in the tenant; a target may come and go under its name.
func (t *table) checkTargets(tenant string, a *AsyncConfig) error {
	if a == nil {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, target := range []string{a.Success, a.Failure} {
		if target != "" && t.visible(access.Principal{Tenant: tenant}, target) == nil {
			return &fault.NotFoundError{Function: target}
		}
	}
	return nil
}
