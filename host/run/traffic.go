package run

import (
	"fmt"
	"sync"
	"time"

	"vivarium/host/quota"
)

// trafficWindow is the time in which a tenant may send and receive what its quota
// says.
const trafficWindow = time.Hour

// functionShare is the part of its tenant's connections and bytes that one function may
// have: the others have the rest.
const functionShare = 2

// traffic counts what functions have of their tenants' connections and bytes. Safe for
// concurrent use.
type traffic struct {
	ledger *quota.Ledger

	mu          sync.Mutex // guards all below
	began       time.Time  // of the window
	connections map[string]int64
	bytes       map[string]int64 // by function, in this window
	taken       map[string]int64 // by tenant, in this window
}

func newTraffic(ledger *quota.Ledger) *traffic {
	return &traffic{ledger: ledger, connections: map[string]int64{}, bytes: map[string]int64{}, taken: map[string]int64{}}
}

// connect takes a connection for a function; release gives it back.
//
// # Errors
//
// *quota.Error, and an error that says that the function has its share.
func (t *traffic) connect(tenant, function string) (release func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.share(tenant, quota.Connections, t.connections[function]+1); err != nil {
		return nil, err
	}
	give, err := t.ledger.Reserve(tenant, quota.Connection, 1)
	if err != nil {
		return nil, err
	}
	t.connections[function]++
	return func() {
		give()
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.connections[function]--; t.connections[function] == 0 {
			delete(t.connections, function)
		}
	}, nil
}

// spend takes bytes for a function until the window ends. Its errors are those of
// connect.
func (t *traffic) spend(tenant, function string, n int64, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	if err := t.share(tenant, quota.TrafficBytes, t.bytes[function]+n); err != nil {
		return err
	}
	if err := t.ledger.Take(tenant, quota.Traffic, n); err != nil {
		return err
	}
	t.bytes[function] += n
	t.taken[tenant] += n
	return nil
}

// share returns an error if a function would have more than its share.
func (t *traffic) share(tenant string, q quota.Quota, n int64) error {
	if most := t.ledger.Limit(tenant, q); most > 0 && n > max(most/functionShare, 1) {
		return fmt.Errorf("a function may have half of its tenant's quota of %s, %d; raise it with: vivarium tenant quota %s --%s N",
			q, most, tenant, q.Flag())
	}
	return nil
}

// endWindow begins another window if it is time.
func (t *traffic) endWindow(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
}

// turn is endWindow for those who hold mu.
func (t *traffic) turn(now time.Time) {
	if now.Sub(t.began) < trafficWindow {
		return
	}
	t.began = now
	for tenant, n := range t.taken {
		t.ledger.Give(tenant, quota.Traffic, n)
	}
	clear(t.taken)
	clear(t.bytes)
}
