package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"vivarium/web/api"
)

// nodeCommands implements `vivarium node ...`.
type nodeCommands struct {
	List    nodeList    `cmd:"" help:"List the nodes of a cluster."`
	Drain   nodeDrain   `cmd:"" help:"Have other nodes take a node's calls, so that it can be stopped."`
	Undrain nodeUndrain `cmd:"" help:"Have a node take its share of the calls again."`
}

// nodeList implements `vivarium node list`.
type nodeList struct{ connection }

// Run implements the command.
func (c *nodeList) Run(ctx context.Context, s *session) error {
	client, err := c.connect()
	if err != nil {
		return err
	}
	var answer api.ListNodesResponse
	if err := client.get(ctx, "/nodes", nil, &answer); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.stdout, answer.Nodes)
	}
	var rows [][]string
	for _, n := range answer.Nodes {
		state := "ready"
		if n.Draining {
			state = "draining"
		}
		rows = append(rows, []string{
			n.Address, state, n.Version, n.StartedAt.Format(time.RFC3339), strconv.Itoa(n.Capacity), strconv.Itoa(n.Load),
			strconv.Itoa(n.Calls), strconv.Itoa(n.Instances), strconv.FormatInt(int64(n.Memory)>>20, 10),
		})
	}
	return printTable(s.stdout, "ADDRESS STATE VERSION STARTED PROCESSORS LOAD CALLS INSTANCES MEMORY(MB)", rows)
}

// nodeDrain implements `vivarium node drain`.
type nodeDrain struct {
	Node string `arg:"" help:"The node's address, as vivarium node list has it."`
	connection
}

// Help is shown by `vivarium node drain --help`.
func (*nodeDrain) Help() string {
	return `The node goes on to serve the calls that it has, and those that no other node takes. It drains until it is undrained or
starts anew.`
}

// Run implements the command.
func (c *nodeDrain) Run(ctx context.Context, s *session) error {
	return changeNode(ctx, s, &c.connection, "drain", c.Node, "drains")
}

// nodeUndrain implements `vivarium node undrain`.
type nodeUndrain struct {
	Node string `arg:"" help:"The node's address, as vivarium node list has it."`
	connection
}

// Run implements the command.
func (c *nodeUndrain) Run(ctx context.Context, s *session) error {
	return changeNode(ctx, s, &c.connection, "undrain", c.Node, "takes its share of the calls again")
}

// changeNode has a node drain or not.
func changeNode(ctx context.Context, s *session, r *connection, verb, node, done string) error {
	client, err := r.connect()
	if err != nil {
		return err
	}
	var answer api.Node
	if err := client.do(ctx, http.MethodPost, "/nodes:"+verb, api.NodeRequest{Address: node}, &answer); err != nil {
		return err
	}
	if r.JSON {
		return printJSON(s.stdout, answer)
	}
	fmt.Fprintf(s.stdout, "%s %s\n", harmless(answer.Address), done)
	return nil
}
