// Command clustersim predicts what clusters do that no machine at hand could hold, with the
// code that nodes run; see package simulation.
package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"vivarium/host/placement/simulation"
)

// large is a cluster of 100 nodes that starts cold: a function's first call costs as much as
// eighteen warm ones, and its first one on another node as much as three. Functions may have as many instances as they need.
var large = simulation.Config{
	Nodes: 100, Processors: 4, Functions: 100_000, Skew: 1.1, Calls: 1_000_000, Rate: 2500, Instances: 1000,
	CPU: 10 * time.Millisecond, Wait: 40 * time.Millisecond, Seed: 1,
	Image: 180 * time.Millisecond, Copy: 32 * time.Millisecond, Instance: 5 * time.Millisecond,
}

// scenes are what is asked of it.
var scenes = []struct {
	name   string
	change func(*simulation.Config)
}{
	{"no homes: each call where it arrives", func(c *simulation.Config) { c.Homeless = true }},
	{"homes", func(*simulation.Config) {}},
	{"homes; all functions alike", func(c *simulation.Config) { c.Skew = 0 }},
	{"homes; one function has a third of all calls", func(c *simulation.Config) { c.Hot = 1.0 / 3 }},
	{"homes; ten nodes die at once", func(c *simulation.Config) {
		for i := range 10 {
			c.Kills = append(c.Kills, simulation.Kill{Node: i, At: 200 * time.Second})
		}
	}},
	{"homes; each node dies and comes back, one after the other", func(c *simulation.Config) {
		for i := range c.Nodes {
			at := 50*time.Second + time.Duration(i)*3*time.Second
			c.Kills = append(c.Kills, simulation.Kill{Node: i, At: at, Back: at + 2*time.Second})
		}
	}},
	{"homes; 1000 tenants, a quota of 20 calls each", func(c *simulation.Config) { c.Tenants, c.TenantCalls = 1000, 20 }},
}

func main() {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "of %d calls to %d functions on %d nodes\tforwarded\tpassed\tlost\trefused\tcold starts\timages\tcopies\tp50 ms\tp99 ms\tbusiest/mean\tCPU s\tmost of a tenant\t\n",
		large.Calls, large.Functions, large.Nodes)
	for _, scene := range scenes {
		c := large
		scene.change(&c)
		r := simulation.Run(c)
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%.2f\t%.0f\t%d\t\n", scene.name, r.Forwarded, r.Passed, r.Lost, r.Refused,
			r.ColdStarts, r.Images, r.Copies, float64(r.P50)/1e6, float64(r.P99)/1e6, r.Busiest, r.CPU.Seconds(), r.Most)
	}
	_ = out.Flush() // to standard output, about which nothing can be done
}
