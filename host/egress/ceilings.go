package egress

import (
	"maps"
	"slices"
	"sync"
)

// ParseCeiling parses what may bound a tenant: rules as ParsePolicy takes them, or
// Unbounded.
func ParseCeiling(text string) (*Policy, error) {
	if text == Unbounded {
		return unbounded, nil
	}
	return ParsePolicy(text)
}

// Ceilings are the Policies that bound what the functions of some tenants may reach,
// whatever these ask for. The zero value bounds nobody. Safe for concurrent use.
type Ceilings struct {
	mu sync.RWMutex // guards of
	of map[string]*Policy
}

// Set bounds a tenant from now on, its instances that there are included; nil allows it
// nothing, and the Policy of Unbounded whatever others allow.
func (c *Ceilings) Set(tenant string, p *Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == unbounded {
		delete(c.of, tenant)
		return
	}
	if c.of == nil {
		c.of = map[string]*Policy{}
	}
	c.of[tenant] = p
}

// Of returns the Policy that bounds a tenant now.
func (c *Ceilings) Of(tenant string) *Policy {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if p, ok := c.of[tenant]; ok {
		return p
	}
	return unbounded
}

// Tenants returns whom a Policy bounds, in no particular order.
func (c *Ceilings) Tenants() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Collect(maps.Keys(c.of))
}
