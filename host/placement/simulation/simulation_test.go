package simulation

import (
	"testing"
	"time"
)

// small is a cluster of ten nodes that has nothing to complain about.
var small = Config{
	Nodes: 10, Processors: 2, Functions: 1000, Skew: 1.1, Calls: 20_000, Rate: 200,
	CPU: 2 * time.Millisecond, Wait: 20 * time.Millisecond, Image: 180 * time.Millisecond, Instance: 5 * time.Millisecond, Seed: 1,
}

func with(change func(*Config)) Config {
	c := small
	change(&c)
	return c
}

func TestRun_HomesKeepFunctionsWarm(t *testing.T) {
	homes, homeless := Run(small), Run(with(func(c *Config) { c.Homeless = true }))
	t.Log("with homes: ", homes)
	t.Log("without:    ", homeless)
	if again := Run(small); again != homes {
		t.Errorf("a second time: %v", again)
	}
	for _, r := range []Result{homes, homeless} {
		if r.Served != small.Calls || r.Lost+r.Refused != 0 {
			t.Errorf("not all are served: %v", r)
		}
	}
	if homes.Images > small.Functions || homes.ColdStarts*3 > homeless.ColdStarts || homes.CPU*3 > homeless.CPU || homeless.Forwarded != 0 {
		t.Errorf("homes spare little")
	}
}

// An image is made once, however many nodes need it, and again only when all that had it are gone.
func TestRun_ImagesAreCopied(t *testing.T) {
	copying := with(func(c *Config) { c.Homeless, c.Copy = true, 30*time.Millisecond })
	made, copied := Run(with(func(c *Config) { c.Homeless = true })), Run(copying)
	t.Log(copied)
	if copied.Images > small.Functions || copied.Copies == 0 || copied.CPU >= made.CPU {
		t.Errorf("copies spare nothing: %v, without them %v", copied, made)
	}
	copying.Kills = nil
	for i := range small.Nodes {
		copying.Kills = append(copying.Kills, Kill{Node: i, At: 50 * time.Second, Back: 50*time.Second + time.Millisecond})
	}
	if again := Run(copying); again.Images <= copied.Images {
		t.Errorf("after all nodes had died, images were copied of nobody: %d were made, %d before", again.Images, copied.Images)
	}
}

// A function that one node can't serve is served by its other homes, and then by all.
func TestRun_AHotFunctionSpreads(t *testing.T) {
	hot := with(func(c *Config) { c.Hot, c.CPU, c.Instances = 0.6, 50*time.Millisecond, 100 }) // six processors' work, of twenty
	r := Run(hot)
	t.Log(r)
	if r.Served != hot.Calls || r.P99 > time.Second || r.Busiest > 3 {
		t.Errorf("a hot function is not spread: %v", r)
	}
}

func TestRun_DeadNodesCostTheirCallsAndNoOthers(t *testing.T) {
	killed := with(func(c *Config) {
		c.Kills = []Kill{{Node: 3, At: 25 * time.Second, Back: 60 * time.Second}, {Node: 4, At: 30 * time.Second}}
	})
	r := Run(killed)
	t.Log(r)
	if r.Lost == 0 || r.Lost > 50 || r.Served+r.Lost != killed.Calls || r.Passed == 0 {
		t.Errorf("got %v", r)
	}
}

// What is off about a quota is bounded by what nodes admit between two beats; where all
// calls of a tenant have one home, nothing is.
func TestRun_QuotasHold(t *testing.T) {
	crowd := with(func(c *Config) {
		c.Functions, c.Skew, c.TenantCalls, c.Wait, c.Rate, c.Instances = 1, 0, 20, 500*time.Millisecond, 60, 1000
	})
	r := Run(crowd)
	t.Log(r, r.Most)
	if r.Most != crowd.TenantCalls || r.Refused == 0 || r.Lost > 0 {
		t.Errorf("a tenant with one function has %d calls of %d at once", r.Most, crowd.TenantCalls)
	}
	spread := with(func(c *Config) { c.TenantCalls, c.Wait, c.Calls = 20, 500*time.Millisecond, 4000 })
	r = Run(spread)
	t.Log(r, r.Most)
	if r.Most > spread.TenantCalls*int64(spread.Nodes) || r.Refused == 0 {
		t.Errorf("a tenant has %d calls of %d at once, on %d nodes", r.Most, spread.TenantCalls, spread.Nodes)
	}
}
