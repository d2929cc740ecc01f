// Package access identifies callers and decides what they may do: a Principal
// has a Role within a tenant. A Token is what a function gets to prove whom it
// acts for.
package access

import (
	"context"
	"slices"
)

// Role is what the holder of a key may do. Each role includes the ones before
// it.
type Role string

// The roles.
const (
	RoleInvoker  Role = "invoker"  // calls functions
	RoleDeployer Role = "deployer" // manages functions, and reads their logs
	RoleAdmin    Role = "admin"    // manages keys, and decides which functions are public
)

// Roles are all roles, least privileged first.
var Roles = []Role{RoleInvoker, RoleDeployer, RoleAdmin}

// Includes reports whether a role may do what another one may. The empty role
// includes no role and is included by none.
func (r Role) Includes(other Role) bool {
	have, need := slices.Index(Roles, r), slices.Index(Roles, other)
	return need >= 0 && have >= need
}

// AllTenants is the tenant of principals who may act for every tenant.
const AllTenants = "*"

// DefaultTenant is the tenant of whatever no tenant is named for.
const DefaultTenant = "default"

// Principal is the caller of an operation. The zero value is an unknown caller. A
// principal with a role and no tenant acts for no one: it finds nothing.
type Principal struct {
	KeyID  string // empty if no key was needed, or shown
	Tenant string // or AllTenants
	Role   Role
	Token  bool // it has shown a token, not the key itself
}

// Operator may do everything. It is the caller where no keys are required.
var Operator = Principal{Tenant: AllTenants, Role: RoleAdmin}

// Anonymous reports whether the caller is unknown.
func (p Principal) Anonymous() bool { return p.Role == "" }

// ActsFor reports whether p may act for a tenant, as far as its role allows.
func (p Principal) ActsFor(tenant string) bool {
	return p.Tenant == AllTenants || p.Tenant != "" && p.Tenant == tenant
}

// Home returns the tenant of what p creates without naming one.
func (p Principal) Home() string {
	if p.Tenant == AllTenants {
		return DefaultTenant
	}
	return p.Tenant
}

// In returns p restricted to one tenant; it acts for no one if p does not act for that
// tenant.
func (p Principal) In(tenant string) Principal {
	if !p.ActsFor(tenant) {
		tenant = ""
	}
	p.Tenant = tenant
	return p
}

type principalKey struct{}

// WithPrincipal returns a context that carries the caller.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf returns the caller that a context carries, or an unknown one.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
