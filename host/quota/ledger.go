// Package quota is the one place that knows what tenants make the host hold:
// memory, instances, calls, files.
//
// # Vocabulary
//
//   - Quota: something of which a tenant may have only so much. One table has the
//     name, unit and default of each.
//   - Kind: a kind of thing that is held, such as a body or an instance. Each counts
//     against one quota. Many kinds are memory and count against the same one, so that
//     a tenant may spend its memory as it likes.
//   - Ledger: who has how much. It also bounds what all tenants have together.
//
// # Rule
//
// Whatever others decide the size of is taken from the ledger before it is
// held, and given back by whoever took it:
//
//	release, err := ledger.Reserve(tenant, quota.Body, size)
//	if err != nil {
//		return err // *Error: the tenant's quota is used up; fault.ErrExhausted: the machine is out of it
//	}
//	defer release()
//	body := make([]byte, size)
//
// If the size is not known yet, it is taken in steps, each before it is filled.
//
// Records that last until they are deleted (functions, versions, timers), and
// what the store counts (queued calls, logs), are not taken here: several hosts
// may share a store, so they are counted there, and Check compares the count
// with the ledger's limit.
//
// # What is not counted
//
// Three things, none of which a tenant can make grow without end: the machine code
// of the guest and its cache on disk, of which there is one for all functions; the
// pages of images that the kernel keeps of files, which are counted as files and
// given up when memory is short; and the kernel's buffers of connections, of which
// the quota bounds the number and net.ipv4.tcp_mem the sum.
package quota

import (
	"fmt"
	"sync"
	"sync/atomic"

	"vivarium/host/fault"
)

// Error means that a tenant has used up a quota. It is the fault of the caller,
// or of the tenant's other callers.
type Error struct {
	Tenant string // empty: callers without a key, who count together
	Quota  Quota
	Limit  int64
}

func (e *Error) Error() string {
	if e.Tenant == "" {
		return fmt.Sprintf("callers without a key have used up their quota of %s, %d: %s, or send a key", e.Quota, e.Limit, table[e.Quota].cure)
	}
	return fmt.Sprintf("tenant %s has used up its quota of %s, %d: %s, or raise it with: vivarium tenant quota %s --%s N",
		e.Tenant, e.Quota, e.Limit, table[e.Quota].cure, e.Tenant, e.Quota.Flag())
}

// Kind returns fault.OverQuota.
func (e *Error) Kind() fault.Kind { return fault.OverQuota }

// Reason tells which limit was reached, in the contract's words (§1.4).
func (e *Error) Reason() string {
	what := e.Quota.String()
	if e.Quota == Calls {
		what = "requests"
	}
	return fmt.Sprintf("Concurrent %s quota %d exceeded", what, e.Limit)
}

// Config tells New the limits.
type Config struct {
	// Defaults are the limits of tenants that have none of their own. 0 and
	// negative numbers mean no limit.
	Defaults Amounts
	// Machine bounds what all tenants have together; 0 means no bound.
	Machine Amounts
	// Reclaim, if set, frees something held only because it may be needed
	// again, to make room for a tenant; it reports whether there was anything.
	// If own is set, the tenant's quota is used up and the thing must be its
	// own; otherwise the machine is full. It is called without locks held, by
	// whoever takes.
	Reclaim func(tenant string, q Quota, own bool) bool
}

// maxAccounts is how many tenants that have nothing are remembered.
const maxAccounts = 1000

// Ledger counts what tenants have. Safe for concurrent use; only Config.Reclaim
// can block.
type Ledger struct {
	cfg   Config
	total [Count]atomic.Int64    // of all tenants together
	held  map[Kind]*atomic.Int64 // of each kind; never changed

	elsewhere atomic.Pointer[map[string]Amounts] // of tenants, on other nodes; nil if there are none

	mu       sync.RWMutex        // guards the maps; the numbers in accounts change under RLock
	accounts map[string]*account // of all that have something, and some others
	special  map[string]Amounts  // of tenants that don't have the defaults
}

// account is what one tenant has.
type account struct {
	limits   Amounts // negative: no limit
	used     [Count]atomic.Int64
	exceeded [Count]atomic.Int64 // number of refusals
}

// New returns an empty ledger.
func New(cfg Config) *Ledger {
	for q, n := range cfg.Defaults {
		if n == 0 {
			cfg.Defaults[q] = -1
		}
	}
	held := map[Kind]*atomic.Int64{}
	for k := range kindQuotas {
		held[k] = new(atomic.Int64)
	}
	return &Ledger{cfg: cfg, held: held, accounts: map[string]*account{}, special: map[string]Amounts{}}
}

// Reserve takes n of a kind for a tenant. Release gives it back; calls after
// the first have no effect.
//
// # Errors
//
// *Error, fault.ErrExhausted.
func (l *Ledger) Reserve(tenant string, k Kind, n int64) (release func(), err error) {
	if err := l.Take(tenant, k, n); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { l.Give(tenant, k, n) }), nil
}

// Take is Reserve for those who give back themselves, perhaps in parts.
//
// # Errors
//
// Those of Reserve.
func (l *Ledger) Take(tenant string, k Kind, n int64) error {
	q := k.Quota()
	for !l.reserveOwn(tenant, q, n) {
		if limit := l.Limit(tenant, q); limit >= 0 && n > limit || !l.reclaim(tenant, q, true) {
			return l.Refuse(tenant, q)
		}
	}
	for !within(&l.total[q], n, l.cfg.Machine[q]) {
		if n > l.cfg.Machine[q] || !l.reclaim(tenant, q, false) {
			l.giveOwn(tenant, q, n)
			return fault.ErrExhausted
		}
	}
	l.held[k].Add(n)
	return nil
}

// reclaim reports whether there may be more room than before. Nobody calls it for
// what would not fit into an empty ledger.
func (l *Ledger) reclaim(tenant string, q Quota, own bool) bool {
	return l.cfg.Reclaim != nil && l.cfg.Reclaim(tenant, q, own)
}

// Give gives back n of a kind.
func (l *Ledger) Give(tenant string, k Kind, n int64) {
	q := k.Quota()
	l.held[k].Add(-n)
	l.total[q].Add(-n)
	l.giveOwn(tenant, q, n)
}

func (l *Ledger) reserveOwn(tenant string, q Quota, n int64) (ok bool) {
	there := l.there(tenant, q)
	l.with(tenant, func(a *account) {
		limit := max(a.limits[q], 0)
		ok = (limit == 0 || there < limit) && within(&a.used[q], n, max(limit-there, 0))
	})
	return ok
}

func (l *Ledger) giveOwn(tenant string, q Quota, n int64) {
	l.with(tenant, func(a *account) { a.used[q].Add(-n) })
}

// within adds n to a number unless that would exceed the limit; a limit of 0 is
// none.
func within(used *atomic.Int64, n, limit int64) bool {
	for {
		now := used.Load()
		if limit > 0 && n > limit-now {
			return false
		}
		if used.CompareAndSwap(now, now+n) {
			return true
		}
	}
}

// Check reports whether a tenant that has used so much of something counted
// elsewhere may have n more.
//
// # Errors
//
// *Error.
func (l *Ledger) Check(tenant string, q Quota, used, n int64) error {
	if limit := l.Limit(tenant, q); limit >= 0 && n > limit-used {
		return l.Refuse(tenant, q)
	}
	return nil
}

// Refuse records a refusal and returns its error.
func (l *Ledger) Refuse(tenant string, q Quota) (err error) {
	l.with(tenant, func(a *account) {
		a.exceeded[q].Add(1)
		err = &Error{Tenant: tenant, Quota: q, Limit: a.limits[q]}
	})
	return err
}

// with calls f with a tenant's account.
func (l *Ledger) with(tenant string, f func(*account)) {
	l.mu.RLock()
	if a := l.accounts[tenant]; a != nil {
		f(a)
		l.mu.RUnlock()
		return
	}
	l.mu.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[tenant]
	if a == nil {
		if len(l.accounts) >= maxAccounts {
			l.forgetIdle()
		}
		a = &account{limits: l.limits(tenant)}
		l.accounts[tenant] = a
	}
	f(a)
}

// forgetIdle drops accounts that have nothing. The caller holds the mutex.
func (l *Ledger) forgetIdle() {
	for tenant, a := range l.accounts {
		idle := true
		for q := range a.used {
			idle = idle && a.used[q].Load() == 0
		}
		if idle {
			delete(l.accounts, tenant)
		}
	}
}
