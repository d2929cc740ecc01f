package host

import (
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// visible returns the function that p means by an id or a name, nil when p's
// tenant has none. The caller holds the mutex.
func (h *Host) visible(p access.Principal, idOrName string) *function {
	if p.Tenant == access.AllTenants {
		return h.find(idOrName)
	}
	if f := h.functions[idOrName]; f != nil && p.ActsFor(f.record.Tenant) {
		return f
	}
	// The tenant again, since a name with a slash in it could lead elsewhere.
	if f := h.names[catalog.Reference(p.Tenant, idOrName)]; f != nil && p.ActsFor(f.record.Tenant) {
		return f
	}
	return nil
}

// Find describes the function that p means by an id or a name: one of p's
// tenant. Who acts for all tenants names those of the default tenant, and
// others as TENANT/NAME.
//
// # Errors
//
// *NotFoundError, the same one whether the function is another tenant's or
// nobody's.
func (h *Host) Find(p access.Principal, idOrName string) (catalog.FunctionInfo, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.visible(p, idOrName)
	if f == nil {
		return catalog.FunctionInfo{}, &fault.NotFoundError{Function: idOrName}
	}
	return f.info(), nil
}

// Callable returns the id of the function that p means by an id or a name and
// may call: one that Find finds, or one that is public, by its id. Who is
// unknown may name the public ones of the default tenant, too.
//
// # Errors
//
// ErrUnauthenticated for who is unknown, whether or not there is such a
// function; else *NotFoundError, the same one whether it is another tenant's or
// nobody's.
func (h *Host) Callable(p access.Principal, idOrName string) (id string, err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.visible(p, idOrName)
	if f == nil {
		f = h.functions[idOrName]
		if f == nil && p.Anonymous() {
			f = h.find(idOrName)
		}
		if f != nil && !f.record.Public {
			f = nil
		}
	}
	switch {
	case f != nil:
		return f.id, nil
	case p.Anonymous():
		return "", fault.ErrUnauthenticated
	}
	return "", &fault.NotFoundError{Function: idOrName}
}

// FindVersion returns the version of that id, when it is of p's tenant.
//
// # Errors
//
// *NotFoundError, as Find.
func (h *Host) FindVersion(p access.Principal, id string) (VersionInfo, error) {
	v, err := h.GetVersion(id)
	if err != nil || !p.ActsFor(v.Tenant) {
		return VersionInfo{}, &fault.NotFoundError{Version: id}
	}
	return v, nil
}

// tenantOf returns whose a function is; empty when it is nobody's.
func (h *Host) tenantOf(functionID string) string {
	tenant, _ := callees{h}.Known(functionID)
	return tenant
}
