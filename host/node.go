package host

import (
	"vivarium/host/cluster"
	"vivarium/host/quota"
)

// Node returns the host as other nodes of a cluster are told of it.
func (h *Host) Node() cluster.Load { return node{h} }

// node implements cluster.Load.
type node struct{ h *Host }

func (n node) Holds() cluster.Holds {
	l := n.h.ledger
	return cluster.Holds{
		Load: n.h.runner.Demand(), Calls: int(l.Total(quota.Calls)),
		Instances: int(l.Total(quota.Instances)), Memory: l.Total(quota.Memory),
	}
}

func (n node) Share(others cluster.Use, home func(function string) bool) cluster.Use {
	n.h.ledger.SetElsewhere(others.Tenants)
	return cluster.Use{Tenants: n.h.ledger.Shared(), Versions: n.h.runner.Share(others.Versions, home)}
}
