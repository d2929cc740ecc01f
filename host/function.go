package host

import (
	"slices"
	"strings"
	"sync"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// function is a function with its versions.
type function struct {
	id string
	// write is held while a change is made, so that two of this host's do not
	// compete. It may block for as long as the store does.
	write sync.Mutex

	// The host's mutex guards the members below.
	record   functionRecord // replaced as a whole, never changed in place
	revision uint64         // that the store gave the record
	versions map[string]*catalog.Version
	// transient functions are Deploy's: they are in no store.
	transient bool
	removal   *removal // nil until it is being deleted
	vanished  bool     // the store has told that it is deleted
}

// functionRecord is the stored state of a function. All of it changes in one
// step: a version exists from the moment that its function's record lists it.
type functionRecord struct {
	ID          string            `json:"id"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Tenant      string            `json:"tenant"`
	LogGroupID  string            `json:"log_group_id"`
	Public      bool              `json:"public,omitempty"`
	Status      catalog.Status    `json:"status"`
	CreatedAt   time.Time         `json:"created_at"`
	Versions    []versionEntry    `json:"versions,omitempty"` // in order of creation
	Tags        map[string]string `json:"tags,omitempty"`     // version ids by tag
	History     []TagEvent        `json:"history,omitempty"`  // newest last
	Policies    []ScalingPolicy   `json:"policies,omitempty"` // by tag
}

// versionEntry is a version's place in its function's record.
type versionEntry struct {
	ID string `json:"id"`
	// ObsoleteSince is when its last tag left it; zero while it has one.
	ObsoleteSince time.Time `json:"obsolete_since,omitzero"`
}

// clone returns a copy that can be changed.
func (r functionRecord) clone() functionRecord {
	r.Labels, r.Tags = cloneMap(r.Labels), cloneMap(r.Tags)
	r.Versions, r.History, r.Policies = slices.Clone(r.Versions), slices.Clone(r.History), slices.Clone(r.Policies)
	return r
}

func cloneMap(m map[string]string) map[string]string {
	c := make(map[string]string, len(m)+1)
	for k, v := range m {
		c[k] = v
	}
	return c
}

// entry returns the index of a version, or -1.
func (r *functionRecord) entry(versionID string) int {
	return slices.IndexFunc(r.Versions, func(e versionEntry) bool { return e.ID == versionID })
}

// tagsOf lists a version's tags by name.
func (r *functionRecord) tagsOf(versionID string) []string {
	tags := []string{}
	for tag, id := range r.Tags {
		if id == versionID {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// settle notes which versions have lost their last tag.
func (r *functionRecord) settle(now time.Time) {
	tagged := map[string]bool{}
	for _, id := range r.Tags {
		tagged[id] = true
	}
	for i := range r.Versions {
		switch e := &r.Versions[i]; {
		case tagged[e.ID]:
			e.ObsoleteSince = time.Time{}
		case e.ObsoleteSince.IsZero():
			e.ObsoleteSince = now
		}
	}
}

// info describes f. The caller holds the host's mutex.
func (f *function) info() catalog.FunctionInfo {
	r := &f.record
	return catalog.FunctionInfo{
		ID: r.ID, Name: r.Name, Description: r.Description, Labels: cloneMap(r.Labels), Tenant: r.Tenant,
		LogGroupID: r.LogGroupID, Status: r.Status, Public: r.Public, Transient: f.transient, CreatedAt: r.CreatedAt,
		Latest: f.versions[r.Tags[catalog.LatestTag]], Tags: cloneMap(r.Tags),
	}
}

func (r *functionRecord) reference() string { return catalog.Reference(r.Tenant, r.Name) }

// find returns the function of that id or name, or TENANT/NAME. The caller holds
// the mutex.
func (h *Host) find(idOrName string) *function {
	if f, ok := h.functions[idOrName]; ok {
		return f
	}
	return h.names[strings.TrimPrefix(idOrName, catalog.DefaultTenant+"/")]
}

// Resolve returns the version of a function, given by id or name, that carries
// the tag; an empty tag means LatestTag.
//
// # Errors
//
// *NotFoundError, also while the function is being deleted.
func (h *Host) Resolve(function, tag string) (*catalog.Version, error) {
	if tag == "" {
		tag = catalog.LatestTag
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.find(function)
	if f == nil || f.record.Status == catalog.StatusDeleting {
		return nil, &fault.NotFoundError{Function: function}
	}
	v, ok := f.versions[f.record.Tags[tag]]
	if !ok {
		return nil, &fault.NotFoundError{Function: function, Tag: tag}
	}
	return v, nil
}

// Functions lists all functions by name.
func (h *Host) Functions() []catalog.FunctionInfo {
	h.mu.RLock()
	defer h.mu.RUnlock()
	infos := make([]catalog.FunctionInfo, 0, len(h.functions))
	for _, f := range h.functions {
		infos = append(infos, f.info())
	}
	slices.SortFunc(infos, func(a, b catalog.FunctionInfo) int {
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	return infos
}

// GetFunction describes the function of that id or name.
//
// # Errors
//
// *NotFoundError.
func (h *Host) GetFunction(idOrName string) (catalog.FunctionInfo, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.find(idOrName)
	if f == nil {
		return catalog.FunctionInfo{}, &fault.NotFoundError{Function: idOrName}
	}
	return f.info(), nil
}
