package host

import (
	"context"
	"errors"
	"slices"
)

// Role says what the holder of a key may do. Each role may do what the ones
// before it may.
type Role string

// The roles.
const (
	RoleInvoker  Role = "invoker"  // calls functions
	RoleDeployer Role = "deployer" // manages functions, and reads their logs
	RoleAdmin    Role = "admin"    // manages keys, and says which functions are public
)

// Roles are all roles, the one that may do least first.
var Roles = []Role{RoleInvoker, RoleDeployer, RoleAdmin}

// Includes says if a role may do what another one may. No role, the empty one,
// includes and is included by none.
func (r Role) Includes(other Role) bool {
	have, need := slices.Index(Roles, r), slices.Index(Roles, other)
	return need >= 0 && have >= need
}

// AllTenants is the tenant of who may act for every tenant.
const AllTenants = "*"

// Principal is who asks for something. The zero value is somebody unknown.
type Principal struct {
	KeyID  string // empty when no key was needed, or shown
	Tenant string // or AllTenants
	Role   Role
}

// Operator may do everything. It is who asks where nobody needs a key.
var Operator = Principal{Tenant: AllTenants, Role: RoleAdmin}

// Anonymous says if nobody knows who asks.
func (p Principal) Anonymous() bool { return p.Role == "" }

// ActsFor says if what a tenant has is within p's reach, as far as the role goes.
func (p Principal) ActsFor(tenant string) bool {
	return p.Tenant == AllTenants || p.Tenant != "" && p.Tenant == tenant
}

type principalKey struct{}

// WithPrincipal returns a context that says who asks.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf returns who asks: somebody unknown when the context does not say.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// ErrUnauthenticated says that nobody knows who asks, and that this matters.
var ErrUnauthenticated = errors.New("host: a key is needed")

// ForbiddenError says that somebody who is known may not do something.
type ForbiddenError struct {
	Reason string // and what to do
}

func (e *ForbiddenError) Error() string { return e.Reason }

// visible returns the function that p means by an id or a name, nil when p's
// tenant has none. The caller holds the mutex.
func (h *Host) visible(p Principal, idOrName string) *function {
	if p.Tenant == AllTenants {
		return h.find(idOrName)
	}
	if f := h.functions[idOrName]; f != nil && p.ActsFor(f.record.Tenant) {
		return f
	}
	// The tenant again, since a name with a slash in it could lead elsewhere.
	if f := h.names[reference(p.Tenant, idOrName)]; f != nil && p.ActsFor(f.record.Tenant) {
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
func (h *Host) Find(p Principal, idOrName string) (FunctionInfo, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := h.visible(p, idOrName)
	if f == nil {
		return FunctionInfo{}, &NotFoundError{Function: idOrName}
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
func (h *Host) Callable(p Principal, idOrName string) (id string, err error) {
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
		return "", ErrUnauthenticated
	}
	return "", &NotFoundError{Function: idOrName}
}

// FindVersion returns the version of that id, when it is of p's tenant.
//
// # Errors
//
// *NotFoundError, as Find.
func (h *Host) FindVersion(p Principal, id string) (VersionInfo, error) {
	v, err := h.GetVersion(id)
	if err != nil || !p.ActsFor(v.Tenant) {
		return VersionInfo{}, &NotFoundError{Version: id}
	}
	return v, nil
}
