package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"

	"vivarium/host/cluster"
	"vivarium/web"
	"vivarium/web/api"
)

// nodeFlags has the flags of servers that share their store with others, and calls.
type nodeFlags struct {
	NodeListen    string   `placeholder:"HOST:PORT" help:"Be a node of a cluster: the servers of --nats that have this flag, too, send each other the calls of functions that another one has warm. They talk over mutual TLS at this address."`
	NodeAdvertise string   `placeholder:"HOST:PORT" help:"Where other nodes reach this one. Default: the address of --node-listen."`
	NodePorts     []uint16 `placeholder:"PORT,..." help:"Ports of other nodes, where they are not this one's: the process gives up the right to connect to any others."`
}

// node is this process as a node of a cluster; nil if it is none.
type node struct {
	net.Listener
	address string // where others reach it
	ports   []uint16
	cluster *cluster.Cluster // nil until join
}

// listen opens the listener for other nodes, if there is to be one.
func (f *nodeFlags) listen(nats string) (*node, error) {
	if f.NodeListen == "" {
		if f.NodeAdvertise != "" || f.NodePorts != nil {
			return nil, errors.New("--node-advertise and --node-ports are for nodes; add --node-listen HOST:PORT")
		}
		return nil, nil
	}
	if nats == "" {
		return nil, errors.New("--node-listen: nodes find each other through the NATS servers that have their functions; add --nats URL")
	}
	l, err := net.Listen("tcp", f.NodeListen)
	if err != nil {
		return nil, fmt.Errorf("--node-listen: %w", err)
	}
	n := &node{Listener: l, address: f.NodeAdvertise, ports: f.NodePorts}
	if n.address == "" {
		n.address = l.Addr().String()
	}
	port, err := cluster.Port(n.address)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("%w: give it with --node-advertise HOST:PORT", err)
	}
	n.ports = append(n.ports, port)
	return n, nil
}

// reach returns the ports that the process needs to connect to.
func (n *node) reach() []uint16 {
	if n == nil {
		return nil
	}
	return n.ports
}

// join makes the node known to the others, until close.
func (n *node) join(p *platform, log *slog.Logger) (err error) {
	if n == nil {
		return nil
	}
	n.cluster, err = cluster.Join(cluster.Config{
		Notices: p.store.Notices, Address: n.address, Capacity: runtime.GOMAXPROCS(0), Version: programVersion(),
		Load: p.host.Node(), Log: log,
	})
	return err
}

// members returns the cluster; nil if there is none.
func (n *node) members() *cluster.Cluster {
	if n == nil {
		return nil
	}
	return n.cluster
}

// peers returns what asks the other nodes, whose images the platform then copies, and what gives
// them those that it has; nil if there are none.
func (n *node) peers(p *platform) (api.Elsewhere, web.Images) {
	if n == nil {
		return nil, nil
	}
	peers := web.NewPeers(n.cluster)
	return peers, p.host.Runner().ShareImages(peers.Image)
}

// leave lets the others send no more calls.
func (n *node) leave() {
	if n != nil && n.cluster != nil {
		n.cluster.Leave()
	}
}

// close ends all that there is of the node.
func (n *node) close() {
	if n == nil {
		return
	}
	if n.cluster != nil {
		n.cluster.Close()
	}
	_ = n.Listener.Close() // closed already if it has served
}

// serve serves callers and, if this is a node, other nodes, until ctx ends.
func (n *node) serve(ctx context.Context, server *web.Server, front net.Listener) error {
	if n == nil {
		return server.Serve(ctx, front)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	nodes := make(chan error, 1)
	go func() {
		nodes <- server.ServeNodes(ctx, n.Listener)
		end()
	}()
	err := server.Serve(ctx, front)
	end()
	return errors.Join(err, <-nodes)
}
