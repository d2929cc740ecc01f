// Package accounts keeps service accounts, as people make them with the cloud's tools, and
// the roles that those give them.
//
// # Vocabulary
//
//   - Account: a name in a tenant, for versions and timers to act for. It has no secret:
//     what needs one is a key (package keys).
//   - Grant: a role of an account on a resource, which is a folder or a function.
//
// # What roles do
//
// Nothing by themselves: a token of any account may call the functions of its tenant
// (package access), whatever is granted. Grants are kept so that tools find what they set.
package accounts

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
)

// maxGrants is how many roles an account may have.
const maxGrants = 100

// accountPrefix begins the ids of accounts, as the cloud's do.
const accountPrefix = "aje"

// Account is a service account.
type Account struct {
	ID          string            `json:"id"`
	Tenant      string            `json:"tenant"`
	Name        string            `json:"name"` // unique in the tenant; the rules are those of functions' names
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	Grants      []Grant           `json:"grants,omitempty"`
}

// Grant is a role on a resource: a folder, by its tenant, or a function, by its id.
type Grant struct {
	Resource string `json:"resource"`
	Role     string `json:"role"`
}

// Binding is a role of an account on a resource that is known from elsewhere.
type Binding struct{ AccountID, Role string }

// Changes are what became different on a resource.
type Changes struct{ Added, Removed []Binding }

func (a *Account) clone() Account {
	c := *a
	c.Labels, c.Grants = maps.Clone(a.Labels), slices.Clone(a.Grants)
	return c
}

// Config tells Open what a register works with.
type Config struct {
	Store  *store.Store // the caller closes it, after the register
	Ledger *quota.Ledger
	// Exists reports whether a tenant still has a function; grants on others are dropped.
	Exists func(tenant, functionID string) bool
	Log    *slog.Logger // receives what only the operator can mend
}

// Register is all accounts of a store. Hosts that share it learn of each other's changes
// at once. Safe for concurrent use.
type Register struct {
	cfg      Config
	accounts *store.Mirror[Account]
	write    sync.Mutex // held while an account is changed; it may block on the store
}

// Open returns the accounts of a store. Close the register before the store.
//
// # Errors
//
// fault.ErrUnavailable.
func Open(ctx context.Context, cfg Config) (*Register, error) {
	r := &Register{cfg: cfg}
	accounts, err := store.NewMirror(ctx, cfg.Store.Accounts, r.decode)
	if err != nil {
		return nil, err
	}
	r.accounts = accounts
	if err := cfg.Store.Accounts.Damage(); err != nil {
		cfg.Log.Error("service accounts are lost; make them again", "error", err)
	}
	return r, nil
}

// Close ends the news from the store.
func (r *Register) Close() { r.accounts.Close() }

func (r *Register) decode(e store.Entry) (Account, bool) {
	var a Account
	if err := json.Unmarshal(e.Value, &a); err != nil || a.ID != e.Key {
		r.cfg.Log.Error("a service account can't be read; make it again", "account", e.Key)
		return Account{}, false
	}
	return a, true
}

// all returns all accounts for which match holds, by tenant and name.
func (r *Register) all(match func(*Account) bool) []*store.Mirrored[Account] {
	found := r.accounts.Select(match)
	slices.SortFunc(found, func(a, b *store.Mirrored[Account]) int {
		return cmp.Or(strings.Compare(a.Record.Tenant, b.Record.Tenant), strings.Compare(a.Record.Name, b.Record.Name))
	})
	return found
}

// Counts returns how many accounts each tenant has.
func (r *Register) Counts() map[string]int64 {
	counts := map[string]int64{}
	for _, e := range r.accounts.Select(func(*Account) bool { return true }) {
		counts[e.Record.Tenant]++
	}
	return counts
}

// Spec says what an account is to be like.
type Spec struct {
	Name        string
	Description string
	Labels      map[string]string
}

func (s Spec) validate() error {
	if err := catalog.ValidateName(s.Name); err != nil {
		return err
	}
	if err := catalog.ValidateDescription(s.Description); err != nil {
		return err
	}
	return catalog.ValidateLabels(s.Labels)
}

// CreateServiceAccount makes an account in p's tenant.
//
// # Errors
//
// *fault.InvalidError, *fault.ConflictError for a name that is taken, *quota.Error,
// fault.ErrUnavailable.
func (r *Register) CreateServiceAccount(ctx context.Context, p access.Principal, spec Spec) (Account, error) {
	if err := p.Allow("CreateServiceAccount"); err != nil {
		return Account{}, err
	}
	if err := spec.validate(); err != nil {
		return Account{}, err
	}
	tenant := p.Home()
	if err := catalog.ValidateTenant("folder_id", tenant); err != nil {
		return Account{}, err
	}
	r.write.Lock()
	defer r.write.Unlock()
	if err := r.free(tenant, spec.Name); err != nil {
		return Account{}, err
	}
	if err := r.cfg.Ledger.Check(tenant, quota.ServiceAccounts, r.Counts()[tenant], 1); err != nil {
		return Account{}, err
	}
	a := Account{
		ID: catalog.NewID(accountPrefix), Tenant: tenant, Name: spec.Name, Description: spec.Description,
		Labels: spec.Labels, CreatedAt: time.Now().UTC(),
	}
	if err := r.accounts.Create(ctx, a.ID, a); err != nil {
		return Account{}, err
	}
	return a, nil
}

// free reports whether a tenant has no account of a name. (Hosts that share a store may
// make two at the same moment, which have ids of their own.)
func (r *Register) free(tenant, name string) error {
	if len(r.all(func(a *Account) bool { return a.Tenant == tenant && a.Name == name })) > 0 {
		return fault.Conflictf("service account", name, "exists already")
	}
	return nil
}

// UpdateServiceAccount changes an account to what change makes of its spec.
//
// # Errors
//
// *fault.NotFoundError, and those of CreateServiceAccount.
func (r *Register) UpdateServiceAccount(ctx context.Context, p access.Principal, id string, change func(*Spec)) (Account, error) {
	if err := p.Allow("UpdateServiceAccount"); err != nil {
		return Account{}, err
	}
	r.write.Lock()
	defer r.write.Unlock()
	old, err := r.find(p, id)
	if err != nil {
		return Account{}, err
	}
	a := old.Record.clone()
	spec := Spec{Name: a.Name, Description: a.Description, Labels: maps.Clone(a.Labels)}
	change(&spec)
	if err := spec.validate(); err != nil {
		return Account{}, err
	}
	if spec.Name != a.Name {
		if err := r.free(a.Tenant, spec.Name); err != nil {
			return Account{}, err
		}
	}
	a.Name, a.Description, a.Labels = spec.Name, spec.Description, spec.Labels
	return a, r.accounts.Update(ctx, a.ID, a, old)
}

// DeleteServiceAccount deletes an account with all that is granted to it. Versions and
// timers that act for it go on.
//
// # Errors
//
// *fault.NotFoundError, fault.ErrUnavailable.
func (r *Register) DeleteServiceAccount(ctx context.Context, p access.Principal, id string) (Account, error) {
	if err := p.Allow("DeleteServiceAccount"); err != nil {
		return Account{}, err
	}
	r.write.Lock()
	defer r.write.Unlock()
	e, err := r.find(p, id)
	if err != nil {
		return Account{}, err
	}
	if err := r.accounts.Delete(ctx, id); err != nil {
		return Account{}, err
	}
	return e.Record.clone(), nil
}

// ServiceAccounts lists the accounts within p's reach, by tenant and name.
func (r *Register) ServiceAccounts(p access.Principal) ([]Account, error) {
	if err := p.Allow("ServiceAccounts"); err != nil {
		return nil, err
	}
	accounts := []Account{}
	for _, e := range r.all(func(a *Account) bool { return p.ActsFor(a.Tenant) }) {
		accounts = append(accounts, e.Record.clone())
	}
	return accounts, nil
}

// find returns the account of an id within p's reach.
func (r *Register) find(p access.Principal, id string) (*store.Mirrored[Account], error) {
	found := r.all(func(a *Account) bool { return a.ID == id && p.ActsFor(a.Tenant) })
	if len(found) == 0 {
		return nil, &fault.NotFoundError{Thing: "service account", Name: id}
	}
	return found[0], nil
}

// Bindings returns the roles that accounts of p's tenant have on a resource, by account
// and role.
func (r *Register) Bindings(p access.Principal, resource string) ([]Binding, error) {
	if err := p.Allow("ServiceAccounts"); err != nil {
		return nil, err
	}
	bindings := []Binding{}
	for _, e := range r.all(func(a *Account) bool { return p.ActsFor(a.Tenant) }) {
		for _, g := range e.Record.Grants {
			if g.Resource == resource {
				bindings = append(bindings, Binding{e.Record.ID, g.Role})
			}
		}
	}
	return bindings, nil
}

// roleName is what roles are called; which there are the cloud knows.
var roleName = regexp.MustCompile(`^[a-z][-.a-zA-Z0-9]{1,99}$`)

// Check reports whether accounts of p's tenant can have roles.
//
// # Errors
//
// *fault.InvalidError for a role's name, *fault.NotFoundError for an account.
func (r *Register) Check(p access.Principal, bindings ...Binding) error {
	for _, b := range bindings {
		if !roleName.MatchString(b.Role) {
			return fault.Invalidf("role_id", "%.80q must be the name of a role", b.Role)
		}
		if _, err := r.find(p, b.AccountID); err != nil {
			return err
		}
	}
	return nil
}

// BindServiceAccounts gives accounts of p's tenant their roles on a resource: those of add, and of the
// others those that are not in remove; with only, none but those of add. It returns what was
// different before. What fails in the middle can be done again.
//
// # Errors
//
// Those of Check; *fault.ConflictError for too many roles, fault.ErrUnavailable.
func (r *Register) BindServiceAccounts(
	ctx context.Context, p access.Principal, resource string, add, remove []Binding, only bool,
) (Changes, error) {
	var changes Changes
	if err := p.Allow("BindServiceAccounts"); err != nil {
		return changes, err
	}
	if err := r.Check(p, add...); err != nil {
		return changes, err
	}
	r.write.Lock()
	defer r.write.Unlock()
	for _, e := range r.all(func(a *Account) bool { return p.ActsFor(a.Tenant) }) {
		a := e.Record.clone()
		a.Grants = slices.DeleteFunc(a.Grants, func(g Grant) bool {
			b := Binding{a.ID, g.Role}
			if g.Resource != resource {
				return g.Resource != a.Tenant && !r.cfg.Exists(a.Tenant, g.Resource)
			}
			goes := only && !slices.Contains(add, b) || slices.Contains(remove, b)
			if goes {
				changes.Removed = append(changes.Removed, b)
			}
			return goes
		})
		for _, b := range add {
			if g := (Grant{resource, b.Role}); b.AccountID == a.ID && !slices.Contains(a.Grants, g) {
				a.Grants, changes.Added = append(a.Grants, g), append(changes.Added, b)
			}
		}
		switch {
		case slices.Equal(a.Grants, e.Record.Grants):
			continue
		case len(a.Grants) > maxGrants:
			return changes, fault.Conflictf("service account", a.Name, "would have %d roles, at most %d are allowed", len(a.Grants), maxGrants)
		}
		if err := r.accounts.Update(ctx, a.ID, a, e); err != nil {
			return changes, err
		}
	}
	return changes, nil
}
