package quota

// shared are the quotas that bound what a tenant has on all nodes of a cluster together:
// what is in use at this moment. Memory, images on disk and readers are bounded on each node
// for its own sake; what lasts is counted in the store.
var shared = [...]Quota{Calls, Instances, TrafficBytes}

// Shared returns what tenants have here that counts on other nodes, too. Instances that wait
// for a call don't: they leave when there is need, which no other node can have them do.
func (l *Ledger) Shared() map[string]Amounts {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := map[string]Amounts{}
	for tenant, account := range l.accounts {
		var a Amounts
		for _, q := range shared {
			a[q] = account.used[q].Load()
		}
		if a[Instances] = min(a[Instances], a[Calls]); a != (Amounts{}) {
			all[tenant] = a
		}
	}
	return all
}

// SetElsewhere says what tenants have on other nodes, as Shared says there; nil when there
// are none. It counts against their quotas from now on. The ledger keeps the map.
func (l *Ledger) SetElsewhere(of map[string]Amounts) {
	if len(of) == 0 {
		l.elsewhere.Store(nil)
		return
	}
	l.elsewhere.Store(&of)
}

// Elsewhere returns what a tenant has on other nodes that counts here.
func (l *Ledger) Elsewhere(tenant string) Amounts {
	all := l.elsewhere.Load()
	if all == nil {
		return Amounts{}
	}
	var a Amounts
	for _, q := range shared {
		a[q] = (*all)[tenant][q]
	}
	return a
}

// there returns what a tenant has of something on other nodes.
func (l *Ledger) there(tenant string, q Quota) int64 {
	all := l.elsewhere.Load()
	if all == nil {
		return 0
	}
	return (*all)[tenant][q]
}
