package quota

// State is a tenant's limits, use and refusals.
type State struct {
	Limits   Amounts // negative: no limit
	Use      Amounts // of what is taken from the ledger
	Exceeded Amounts // number of refusals since the start
}

// State returns a tenant's state.
func (l *Ledger) State(tenant string) State {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if a := l.accounts[tenant]; a != nil {
		return a.state()
	}
	return State{Limits: l.limits(tenant)}
}

func (a *account) state() (s State) {
	s.Limits = a.limits
	for q := range Count {
		s.Use[q], s.Exceeded[q] = a.used[q].Load(), a.exceeded[q].Load()
	}
	return s
}

// States returns the state of every tenant that has something, was refused
// something recently, or has limits of its own.
func (l *Ledger) States() map[string]State {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make(map[string]State, len(l.accounts)+len(l.special))
	for tenant := range l.special {
		all[tenant] = State{Limits: l.limits(tenant)}
	}
	for tenant, a := range l.accounts {
		all[tenant] = a.state()
	}
	return all
}

// Limit returns a tenant's limit; negative means none.
func (l *Ledger) Limit(tenant string, q Quota) int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.limits(tenant)[q]
}

// limits returns a tenant's limits. The caller holds the mutex.
func (l *Ledger) limits(tenant string) Amounts { return l.special[tenant].Or(l.cfg.Defaults) }

// Own returns the limits that a tenant has instead of the defaults.
func (l *Ledger) Own(tenant string) Amounts {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.special[tenant]
}

// SetOwn sets a tenant's own limits. What it has beyond them stays.
func (l *Ledger) SetOwn(tenant string, limits Amounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limits == (Amounts{}) {
		delete(l.special, tenant)
	} else {
		l.special[tenant] = limits
	}
	if a := l.accounts[tenant]; a != nil {
		a.limits = l.limits(tenant)
	}
}

// Users returns what each tenant has of something, without those that have
// none.
func (l *Ledger) Users(q Quota) map[string]int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	used := make(map[string]int64, len(l.accounts))
	for tenant, a := range l.accounts {
		if n := a.used[q].Load(); n > 0 {
			used[tenant] = n
		}
	}
	return used
}

// Total returns what all tenants together have of something.
func (l *Ledger) Total(q Quota) int64 { return l.total[q].Load() }

// Machine returns the limit for all tenants together; 0 means none.
func (l *Ledger) Machine(q Quota) int64 { return l.cfg.Machine[q] }

// Held returns what all tenants together have of one kind.
func (l *Ledger) Held(k Kind) int64 { return l.held[k].Load() }
