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
	cfg     Config
	bucket  store.Bucket
	unwatch func()

	write    sync.Mutex   // held while an account is changed; it may block on the store
	mu       sync.RWMutex // guards accounts; nothing blocks under it
	accounts map[string]*entry
}

// entry is an account with the revision that the store gave it. It is replaced as a whole.
type entry struct {
	Account
	revision uint64
}

// Open returns the accounts of a store. Close the register before the store.
//
// # Errors
//
// fault.ErrUnavailable.
func Open(ctx context.Context, cfg Config) (*Register, error) {
	r := &Register{cfg: cfg, bucket: cfg.Store.Accounts, accounts: map[string]*entry{}}
	stop, err := r.bucket.Watch(ctx, r.learn, func() {})
	if err != nil {
		return nil, err
	}
	r.unwatch = stop
	if err := r.bucket.Damage(); err != nil {
		cfg.Log.Error("service accounts are lost; make them again", "error", err)
	}
	return r, nil
}

// Close ends the news from the store.
func (r *Register) Close() { r.unwatch() }

// learn takes over what the store has of an account.
func (r *Register) learn(e store.Entry) {
	var a Account
	if !e.Deleted {
		if err := json.Unmarshal(e.Value, &a); err != nil || a.ID != e.Key {
			r.cfg.Log.Error("a service account can't be read; make it again", "account", e.Key)
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.accounts[e.Key]; known != nil && known.revision > e.Revision {
		return // news of what this process has changed since
	}
	if e.Deleted {
		delete(r.accounts, e.Key)
		return
	}
	r.accounts[e.Key] = &entry{a, e.Revision}
}

func (r *Register) keep(a Account, revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accounts[a.ID] = &entry{a, revision}
}

// all returns all accounts for which match holds, by tenant and name.
func (r *Register) all(match func(*Account) bool) []*entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*entry
	for _, e := range r.accounts {
		if match(&e.Account) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Name, b.Name))
	})
	return found
}

// Counts returns how many accounts each tenant has.
func (r *Register) Counts() map[string]int64 {
	counts := map[string]int64{}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, e := range r.accounts {
		counts[e.Tenant]++
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
	revision, err := r.bucket.Create(ctx, a.ID, store.Record(a))
	if err != nil {
		return Account{}, err
	}
	r.keep(a, revision)
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
	spec := Spec{Name: old.Name, Description: old.Description, Labels: maps.Clone(old.Labels)}
	change(&spec)
	if err := spec.validate(); err != nil {
		return Account{}, err
	}
	a := old.clone()
	a.Name, a.Description, a.Labels = spec.Name, spec.Description, spec.Labels
	if a.Name != old.Name {
		if err := r.free(a.Tenant, a.Name); err != nil {
			return Account{}, err
		}
	}
	return a, r.update(ctx, a, old.revision)
}

func (r *Register) update(ctx context.Context, a Account, revision uint64) error {
	revision, err := r.bucket.Update(ctx, a.ID, store.Record(a), revision)
	if err == nil {
		r.keep(a, revision)
	}
	return err
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
	if err := r.bucket.Delete(ctx, e.ID); err != nil {
		return Account{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.accounts, e.ID)
	return e.clone(), nil
}

// ServiceAccounts lists the accounts within p's reach, by tenant and name.
func (r *Register) ServiceAccounts(p access.Principal) ([]Account, error) {
	if err := p.Allow("ServiceAccounts"); err != nil {
		return nil, err
	}
	accounts := []Account{}
	for _, e := range r.all(func(a *Account) bool { return p.ActsFor(a.Tenant) }) {
		accounts = append(accounts, e.clone())
	}
	return accounts, nil
}

// find returns the account of an id within p's reach.
func (r *Register) find(p access.Principal, id string) (*entry, error) {
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
		for _, g := range e.Grants {
			if g.Resource == resource {
				bindings = append(bindings, Binding{e.ID, g.Role})
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
		a := e.clone()
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
		case slices.Equal(a.Grants, e.Grants):
			continue
		case len(a.Grants) > maxGrants:
			return changes, fault.Conflictf("service account", a.Name, "would have %d roles, at most %d are allowed", len(a.Grants), maxGrants)
		}
		if err := r.update(ctx, a, e.revision); err != nil {
			return changes, err
		}
	}
	return changes, nil
}
