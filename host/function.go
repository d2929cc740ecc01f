package host

import (
	"slices"
	"strings"
	"time"

	"vivarium/wasm/vfs"
)

// function is a function with its versions. The host's mutex guards it.
type function struct {
	id, name   string
	tenant     string
	logGroupID string
	createdAt  time.Time
	versions   []*Version // in order of creation
	tags       map[string]*Version
}

// FunctionInfo describes a function as it is now.
type FunctionInfo struct {
	ID        string
	Name      string
	CreatedAt time.Time
	Latest    *Version
}

// Deploy makes a version of the function of that name, and the function when
// there is none. The version gets LatestTag at once; calls that are in progress
// finish on the version they began on.
//
// # Errors
//
// *InvalidError, or ErrClosed.
func (h *Host) Deploy(name string, spec VersionSpec, code *vfs.Tree) (*Version, error) {
	spec = spec.withDefaults()
	if err := validateName(name); err != nil {
		return nil, err
	}
	if err := spec.validate(); err != nil {
		return nil, err
	}
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	f := h.names[name]
	if f == nil {
		f = &function{
			id: newID(functionPrefix), name: name, tenant: defaultTenant, logGroupID: newID(logGroupPrefix),
			createdAt: now, tags: map[string]*Version{},
		}
		h.names[name], h.functions[f.id] = f, f
	}
	v := &Version{
		ID: newID(versionPrefix), FunctionID: f.id, FunctionName: f.name, Tenant: f.tenant, LogGroupID: f.logGroupID,
		CreatedAt: now, VersionSpec: spec, code: code,
	}
	v.pool = newPool(h, v)
	f.versions = append(f.versions, v)
	f.tags[LatestTag] = v
	if spec.MinInstances > 0 {
		select {
		case h.fills <- v.pool:
		default: // the next round of tidying will see to it
		}
	}
	return v, nil
}

// defaultTenant owns functions that nobody else does.
const defaultTenant = "default"

// Retire drains and forgets the versions of a function that carry no tag.
// It blocks until their calls are done.
func (h *Host) Retire(name string) {
	h.mu.Lock()
	f := h.names[name]
	if f == nil {
		h.mu.Unlock()
		return
	}
	tagged := map[*Version]bool{}
	for _, v := range f.tags {
		tagged[v] = true
	}
	var old []*Version
	f.versions = slices.DeleteFunc(f.versions, func(v *Version) bool {
		if !tagged[v] {
			old = append(old, v)
		}
		return !tagged[v]
	})
	h.mu.Unlock()
	for _, v := range old {
		v.pool.close()
	}
}

// Resolve returns the version of a function, given by id or name, that carries
// the tag; an empty tag means LatestTag.
//
// # Errors
//
// *NotFoundError.
func (h *Host) Resolve(function, tag string) (*Version, error) {
	if tag == "" {
		tag = LatestTag
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	f, ok := h.functions[function]
	if !ok {
		f, ok = h.names[function]
	}
	if !ok {
		return nil, &NotFoundError{Function: function}
	}
	v, ok := f.tags[tag]
	if !ok {
		return nil, &NotFoundError{Function: function, Tag: tag}
	}
	return v, nil
}

// Functions lists all functions by name.
func (h *Host) Functions() []FunctionInfo {
	h.mu.RLock()
	defer h.mu.RUnlock()
	infos := make([]FunctionInfo, 0, len(h.functions))
	for _, f := range h.functions {
		infos = append(infos, FunctionInfo{ID: f.id, Name: f.name, CreatedAt: f.createdAt, Latest: f.tags[LatestTag]})
	}
	slices.SortFunc(infos, func(a, b FunctionInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}
