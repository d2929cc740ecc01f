package access

import (
	"fmt"

	"vivarium/host/fault"
)

// Operation is something that callers ask the host for. It is named after the method
// that does it.
type Operation string

// RoleOperator is that of an admin of all tenants. No key has it by name.
const RoleOperator Role = "operator"

// needs is who may do what: the role that each operation takes. What an operation is
// about must be within the caller's tenant besides, see Principal.ActsFor.
var needs = map[Operation]Role{
	// Package catalog.
	"CreateFunction":      RoleDeployer,
	"UpdateFunction":      RoleDeployer,
	"SetPublic":           RoleAdmin,
	"DeleteFunction":      RoleDeployer,
	"Function":            RoleDeployer,
	"Functions":           RoleDeployer,
	"TagHistory":          RoleDeployer,
	"CreateVersion":       RoleDeployer,
	"CopyVersion":         RoleDeployer,
	"Archive":             RoleDeployer,
	"Version":             RoleDeployer,
	"VersionByTag":        RoleDeployer,
	"Versions":            RoleDeployer,
	"DeleteVersion":       RoleDeployer,
	"SetTag":              RoleDeployer,
	"RemoveTag":           RoleDeployer,
	"SetScalingPolicy":    RoleDeployer,
	"RemoveScalingPolicy": RoleDeployer,
	"ScalingPolicies":     RoleDeployer,
	"Resolve":             "", // anybody, since a function may be public
	"DeployTransient":     RoleDeployer,
	"Retire":              RoleDeployer,
	"Use":                 RoleDeployer,

	// Package keys.
	"CreateKey":  RoleAdmin,
	"ListKeys":   RoleAdmin,
	"DeleteKey":  RoleAdmin,
	"IssueToken": RoleAdmin, // for another key than one's own

	// Package secrets.
	"SetSecret":    RoleDeployer,
	"Secrets":      RoleDeployer,
	"DeleteSecret": RoleDeployer,

	// Package accounts.
	"CreateServiceAccount": RoleDeployer,
	"UpdateServiceAccount": RoleDeployer,
	"DeleteServiceAccount": RoleDeployer,
	"ServiceAccounts":      RoleDeployer,
	"BindServiceAccounts":  RoleAdmin,

	// Package events.
	"CreateTimer":      RoleDeployer,
	"UpdateTimer":      RoleDeployer,
	"Timer":            RoleDeployer,
	"Timers":           RoleDeployer,
	"DeleteTimer":      RoleDeployer,
	"DeadLetters":      RoleDeployer,
	"ReplayDeadLetter": RoleDeployer,

	// Package host: logs, calls, figures and quotas.
	"ReadLogs":        RoleDeployer,
	"FollowLogs":      RoleDeployer,
	"Calls":           RoleDeployer,
	"Call":            RoleDeployer,
	"ReplayCall":      RoleDeployer,
	"Figures":         RoleDeployer,
	"FunctionFigures": RoleDeployer,
	"Quotas":          RoleDeployer,
	"SetQuotas":       RoleOperator,
	"SetCeiling":      RoleOperator,
	"Tenants":         RoleOperator,

	// Package host: sessions.
	"CreateSession":    RoleDeployer,
	"Sessions":         RoleDeployer,
	"Session":          RoleDeployer,
	"RunSnippet":       RoleDeployer,
	"ForkSession":      RoleDeployer,
	"InterruptSession": RoleDeployer,
	"EndSession":       RoleDeployer,
	"WriteSessionFile": RoleDeployer,
	"ReadSessionFile":  RoleDeployer,

	// What package web answers by itself.
	"Runtimes":  RoleDeployer,
	"Operation": RoleDeployer,
	"Whoami":    "",
	"Tokens":    "", // who asks shows other credentials
	"OwnToken":  RoleInvoker,
	"Endpoints": "", // where services are: clients ask before they have a token
	"Health":    "",
	"Nodes":     RoleOperator,
	"DrainNode": RoleOperator,
	"Folders":   RoleInvoker,
	"Describe":  RoleInvoker, // the definitions of services
	"Tools":     RoleInvoker, // each of which takes the role of what it does
}

// Role returns the role that an operation takes; empty when it takes none. There must
// be such an operation.
func (o Operation) Role() Role {
	role, ok := needs[o]
	if !ok {
		panic("access: no operation " + o)
	}
	return role
}

// Allow returns why p may not use an operation, whatever it is about; nil when p may.
//
// # Errors
//
// fault.ErrUnauthenticated, *fault.ForbiddenError.
func (p Principal) Allow(o Operation) error {
	role := o.Role()
	switch {
	case role == "":
		return nil
	case p.Anonymous():
		return fault.ErrUnauthenticated
	case role == RoleOperator && (p.Role != RoleAdmin || p.Tenant != AllTenants):
		return &fault.ForbiddenError{Reason: "this requires an admin's key of all tenants"}
	case role != RoleOperator && !p.Role.Includes(role):
		return &fault.ForbiddenError{Reason: fmt.Sprintf("this requires a key with the role %s; yours has the role %s", role, p.Role)}
	}
	return nil
}
