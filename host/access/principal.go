// Package access says who asks for something and what that lets them do: a
// Principal has a Role within a tenant. Tokens are what functions get to show whom
// they act for.
package access

import (
	"context"
	"fmt"
	"slices"

	"vivarium/host/fault"
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

// Includes reports whether a role may do what another one may. No role, the empty one,
// includes and is included by none.
func (r Role) Includes(other Role) bool {
	have, need := slices.Index(Roles, r), slices.Index(Roles, other)
	return need >= 0 && have >= need
}

// AllTenants is the tenant of who may act for every tenant.
const AllTenants = "*"

// Principal is the caller of an operation. The zero value is somebody unknown.
type Principal struct {
	KeyID  string // empty when no key was needed, or shown
	Tenant string // or AllTenants
	Role   Role
}

// Operator may do everything. It is who asks where nobody needs a key.
var Operator = Principal{Tenant: AllTenants, Role: RoleAdmin}

// Anonymous reports whether the caller is unknown.
func (p Principal) Anonymous() bool { return p.Role == "" }

// ActsFor reports whether what a tenant has is within p's reach, as far as the role goes.
func (p Principal) ActsFor(tenant string) bool {
	return p.Tenant == AllTenants || p.Tenant != "" && p.Tenant == tenant
}

// Require returns why p may not do what takes a role within a tenant, nil when it
// may.
//
// # Errors
//
// fault.ErrUnauthenticated, *fault.ForbiddenError.
func (p Principal) Require(role Role, tenant string) error {
	switch {
	case p.Anonymous():
		return fault.ErrUnauthenticated
	case !p.Role.Includes(role):
		return &fault.ForbiddenError{Reason: fmt.Sprintf("this takes a key with the role %s; yours has the role %s", role, p.Role)}
	case !p.ActsFor(tenant):
		return &fault.ForbiddenError{Reason: "your key is of tenant " + p.Tenant + ": it acts for this tenant only"}
	}
	return nil
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
