package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"vivarium/host/cluster"
	"vivarium/host/fault"
)

// Node is a server of a cluster.
type Node struct {
	Address   string    `json:"address" doc:"Where other nodes reach it, which is also its name."`
	Version   string    `json:"version" doc:"Of the program."`
	StartedAt time.Time `json:"startedAt"`
	Draining  bool      `json:"draining" doc:"Other nodes take its calls."`
	Capacity  int       `json:"capacity" doc:"Processors."`
	Load      int       `json:"load" doc:"What computes, or waits for a processor."`
	Calls     int       `json:"calls" doc:"In progress or waiting."`
	Instances int       `json:"instances"`
	Memory    Int64     `json:"memory" doc:"Bytes that instances, images and bodies take."`
}

// ListNodesResponse has the nodes of a cluster, as they are known to the one that answers. It is
// empty for a server that is not in one.
type ListNodesResponse struct {
	Nodes []*Node `json:"nodes"`
}

// NodeRequest names a node.
type NodeRequest struct {
	Address string `json:"address" doc:"As GET /nodes has it."`
}

// drainTime is how long a node may take to do what it is told.
const drainTime = 5 * time.Second

func (h *Handler) listNodes(*request) (any, error) {
	answer := &ListNodesResponse{Nodes: []*Node{}}
	if h.config.Cluster == nil {
		return answer, nil
	}
	for _, n := range h.config.Cluster.Nodes() {
		answer.Nodes = append(answer.Nodes, newNode(n))
	}
	slices.SortFunc(answer.Nodes, func(a, b *Node) int { return cmp.Compare(a.Address, b.Address) })
	return answer, nil
}

func newNode(n cluster.Node) *Node {
	return &Node{
		Address: n.Address, Version: n.Version, StartedAt: n.Started.UTC(), Draining: n.Draining, Capacity: n.Capacity,
		Load: n.Holds.Load, Calls: n.Holds.Calls, Instances: n.Holds.Instances, Memory: Int64(n.Holds.Memory),
	}
}

func (h *Handler) drainNode(q *request) (any, error)   { return h.setDraining(q, true) }
func (h *Handler) undrainNode(q *request) (any, error) { return h.setDraining(q, false) }

func (h *Handler) setDraining(q *request, draining bool) (any, error) {
	address := q.body.(*NodeRequest).Address
	if address == "" {
		return nil, invalid("address", "is missing; GET /nodes has those of all nodes")
	}
	missing := &fault.NotFoundError{Thing: "node", Name: address}
	if h.config.Cluster == nil {
		return nil, missing
	}
	ctx, cancel := context.WithTimeout(q.Context(), drainTime)
	defer cancel()
	if err := h.config.Cluster.Drain(ctx, address, draining); err != nil {
		return nil, err
	}
	for _, n := range h.config.Cluster.Nodes() {
		if n.Address == address {
			return newNode(n), nil
		}
	}
	return nil, missing // it has gone just now
}
