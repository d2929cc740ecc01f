package host

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Quota is a thing of which a tenant may have only so much.
type Quota int

// What there are quotas for.
const (
	QuotaFunctions  Quota = iota
	QuotaVersions         // of all its functions
	QuotaCodeBytes        // of its versions' archives, each counted
	QuotaInstances        // live at once, those that are being made included
	QuotaMemory           // bytes that its instances and its unpacked code take
	QuotaCalls            // in progress or waiting for an instance
	QuotaTimers           //
	QuotaAsyncCalls       // queued
	QuotaAsyncBytes       // of the bodies of queued calls
	QuotaLogBytes         // kept in the store; the oldest go first
	QuotaLogStreams       // readers that follow a log
	QuotaCount            // is no quota: how many there are
)

// quotaNames are the names in JSON, in metrics and, with hyphens, in flags.
var quotaNames = [QuotaCount]string{
	"functions", "versions", "codeBytes", "instances", "memory", "calls", "timers", "asyncCalls", "asyncBytes", "logBytes", "logStreams",
}

// String returns the quota's name, such as codeBytes.
func (q Quota) String() string { return quotaNames[q] }

// Quotas are a number for each Quota, as in Quotas{QuotaFunctions: 10}. Of a
// limit, 0 means the default and a negative number no limit.
type Quotas [QuotaCount]int64

// MarshalJSON writes an object by the quotas' names, without zeros.
func (q Quotas) MarshalJSON() ([]byte, error) {
	named := map[string]int64{}
	for i, n := range q {
		if n != 0 {
			named[quotaNames[i]] = n
		}
	}
	return json.Marshal(named)
}

// UnmarshalJSON reads what MarshalJSON wrote. Names that are unknown are left
// out: another version of the program may have more.
func (q *Quotas) UnmarshalJSON(text []byte) error {
	var named map[string]int64
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	*q = Quotas{}
	for i, name := range quotaNames {
		q[i] = named[name]
	}
	return nil
}

// or returns q with its gaps filled from other.
func (q Quotas) or(other Quotas) Quotas {
	for i := range q {
		if q[i] == 0 {
			q[i] = other[i]
		}
	}
	return q
}

// DefaultQuotas are the limits that a tenant has unless it is said otherwise.
// One tenant can't keep the others from a machine with them; who is alone on it
// hardly notices them. Of memory it is three quarters of Config.MaxMemory.
var DefaultQuotas = Quotas{
	QuotaFunctions: 1000, QuotaVersions: 10_000, QuotaCodeBytes: 10 << 30,
	QuotaInstances: 1000, QuotaCalls: 1000, QuotaTimers: 100, QuotaAsyncCalls: 10_000, QuotaAsyncBytes: 256 << 20,
	QuotaLogBytes: 256 << 20, QuotaLogStreams: 100,
}

// QuotaError says that a tenant has all that it may have of something. It is the
// caller's fault, or that of the tenant's other callers.
type QuotaError struct {
	Tenant string
	Quota  Quota
	Limit  int64
}

// quotaCures say what to do when a quota is used up.
var quotaCures = [QuotaCount]string{
	"delete functions", "delete versions", "delete versions", "wait until instances are free",
	"wait until instances are free", "call again later", "delete timers",
	"wait until queued calls are made", "wait until queued calls are made", "", "end other readers",
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("tenant %s has used up its quota of %s, %d: %s, or raise it with: vivarium tenant quota %s --%s N",
		e.Tenant, e.Quota, e.Limit, quotaCures[e.Quota], e.Tenant, e.Quota.Flag())
}

// Reason says which limit was met, in the contract's words (§1.4).
func (e *QuotaError) Reason() string {
	what := e.Quota.String()
	if e.Quota == QuotaCalls {
		what = "requests"
	}
	return fmt.Sprintf("Concurrent %s quota %d exceeded", what, e.Limit)
}

// QuotaOf returns the quota of that name.
func QuotaOf(name string) (q Quota, ok bool) {
	i := slices.Index(quotaNames[:], name)
	return Quota(i), i >= 0
}

// Flag returns the quota's name as flags have it, such as code-bytes.
func (q Quota) Flag() string {
	var b strings.Builder
	for _, c := range q.String() {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}

// maxAccounts is how many tenants are remembered that have nothing.
const maxAccounts = 1000

// ledger counts what tenants have of things that come and go. Safe for
// concurrent use; nothing here blocks.
type ledger struct {
	defaults Quotas

	mu       sync.RWMutex        // guards the maps; the numbers in accounts change under RLock
	accounts map[string]*account // all that have something, and some others
	special  map[string]Quotas   // of tenants whose limits are not the defaults
}

// account is what one tenant has.
type account struct {
	limits   Quotas // negative: none
	used     [QuotaCount]atomic.Int64
	exceeded [QuotaCount]atomic.Int64 // how often something was refused
}

func newLedger(defaults Quotas) *ledger {
	return &ledger{defaults: defaults, accounts: map[string]*account{}, special: map[string]Quotas{}}
}

// with calls f with a tenant's account.
func (l *ledger) with(tenant string, f func(*account)) {
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
		a = &account{limits: l.special[tenant].or(l.defaults)}
		l.accounts[tenant] = a
	}
	f(a)
}

// forgetIdle drops accounts of those that have nothing. The caller holds the
// mutex.
func (l *ledger) forgetIdle() {
	for tenant, a := range l.accounts {
		idle := true
		for i := range a.used {
			idle = idle && a.used[i].Load() == 0
		}
		if idle {
			delete(l.accounts, tenant)
		}
	}
}

// take gives a tenant n more of something, unless that were more than its limit.
// Whoever got it gives it back.
func (l *ledger) take(tenant string, q Quota, n int64) (ok bool) {
	l.with(tenant, func(a *account) {
		for {
			used := a.used[q].Load()
			if limit := a.limits[q]; limit >= 0 && used+n > limit {
				return
			}
			if a.used[q].CompareAndSwap(used, used+n) {
				ok = true
				return
			}
		}
	})
	return ok
}

// give takes back what a tenant no longer has.
func (l *ledger) give(tenant string, q Quota, n int64) {
	l.with(tenant, func(a *account) { a.used[q].Add(-n) })
}

// refuse notes that something was refused and returns the error that says so.
func (l *ledger) refuse(tenant string, q Quota) (err error) {
	l.with(tenant, func(a *account) {
		a.exceeded[q].Add(1)
		err = &QuotaError{Tenant: tenant, Quota: q, Limit: a.limits[q]}
	})
	return err
}

// limit returns what a tenant may have of something; negative is any amount.
func (l *ledger) limit(tenant string, q Quota) (n int64) {
	l.with(tenant, func(a *account) { n = a.limits[q] })
	return n
}

// own returns the limits that a tenant has in place of the defaults.
func (l *ledger) own(tenant string) Quotas {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.special[tenant]
}

// set gives a tenant limits of its own.
func (l *ledger) set(tenant string, limits Quotas) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limits == (Quotas{}) {
		delete(l.special, tenant)
	} else {
		l.special[tenant] = limits
	}
	if a := l.accounts[tenant]; a != nil {
		a.limits = limits.or(l.defaults)
	}
}

// memory returns what each tenant has of memory, in bytes, those that have none
// left out.
func (l *ledger) memory() map[string]int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	used := map[string]int64{}
	for tenant, a := range l.accounts {
		if n := a.used[QuotaMemory].Load(); n > 0 {
			used[tenant] = n
		}
	}
	return used
}
