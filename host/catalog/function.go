package catalog

import (
	"cmp"
	"regexp"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/history"
	"vivarium/host/logs"
)

// Status says where a function or a version is in its life (contract §6).
type Status string

// The states of functions and versions.
const (
	StatusActive   Status = "ACTIVE"
	StatusObsolete Status = "OBSOLETE" // a version without tags; it is deleted later
	StatusDeleting Status = "DELETING"
)

// FunctionSpec is what the owner says of a new function.
type FunctionSpec struct {
	Name        string // may be empty: the function then has its id alone
	Description string
	Labels      map[string]string
	Tenant      string // whose it is; empty means the caller's
}

// FunctionUpdate says what to change; nil members stay as they are.
type FunctionUpdate struct {
	Name        *string
	Description *string
	Labels      map[string]string // all of them; an empty map clears them
	Calls       *history.Policy
}

// FunctionInfo describes a function as it is at a moment. Its maps are not to be
// changed.
type FunctionInfo struct {
	ID          string
	Name        string
	Description string
	Labels      map[string]string
	Tenant      string // the folder, in the words of the management API
	LogGroupID  string
	Status      Status
	Public      bool           // anybody may call it, without a key
	PublicRole  string         // by which they may, as who made it public calls it; may be empty
	Calls       history.Policy // what is kept of calls
	Transient   bool           // it is in memory alone: no restart survives it
	CreatedAt   time.Time
	Latest      *Version          // nil when it has no version
	Tags        map[string]string // version ids by tag
	Revision    uint64            // grows with every change
}

// LogOwner returns whose log the function's entries belong to.
func (f FunctionInfo) LogOwner() logs.Owner {
	return logs.Owner{Tenant: f.Tenant, Function: f.ID, Transient: f.Transient}
}

// Reference returns how a name, which is unique in its tenant, is written where
// there are several: as it is in the default tenant, else as TENANT/NAME. The
// table and the store have names in this form.
func Reference(tenant, name string) string {
	if tenant == access.DefaultTenant || tenant == "" || name == "" {
		return name
	}
	return tenant + "/" + name
}

// TenantOr returns a record's tenant: those of the default one may name none.
func TenantOr(tenant string) string { return cmp.Or(tenant, access.DefaultTenant) }

var tenantName = regexp.MustCompile(`^[a-z0-9][-_a-z0-9]{0,49}$`)

// ValidateTenant checks the name of a tenant, which is a folder's id in the words
// of the management API.
func ValidateTenant(field, tenant string) error {
	if !tenantName.MatchString(tenant) {
		return fault.Invalidf(field, "%.80q must have at most 50 lower-case letters, digits, hyphens and underscores", tenant)
	}
	return nil
}
