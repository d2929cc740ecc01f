package web

import (
	"context"
	"time"

	"vivarium/host/quota"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges exposes the current state on /metrics. It is a prometheus.Collector
// that collects on demand.
type gauges struct{ server *Server }

// maxTenants is how many tenants are shown, in order of name.
const maxTenants = 200

// description returns the description of a metric.
func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("vivarium_"+name, help, labels, nil)
}

var (
	functionsDesc = description("functions", "Functions.")
	versionsDesc  = description("versions", "Versions.")
	instancesDesc = description("instances", "Instances by state: idle, or busy with a call or starting.", "state")
	waitingDesc   = description("calls_waiting", "Calls waiting for an instance.")
	memoryDesc    = description("instances_memory_bytes", "Private memory of instances.")
	threadsDesc   = description("threads", "Threads that functions have started, and which have not ended.")
	sessionsDesc  = description("sessions", "Sessions that have not ended.")
	allCallsDesc  = description("host_calls_total", "Calls of every kind: over HTTP, asynchronous, of timers.")
	unkeptDesc    = description("history_dropped_total", "Calls that are not in the history because too many came at once.")
	deniedDesc    = description("network_refused_total", "Targets that functions requested and may not reach, once per target and call.")
	startedDesc   = description("instances_started_total", "Instances started, for calls of every kind.")
	imagesDesc    = description("images_total", "Images of versions that were needed and not there, by where they are from: made here, or copied from another node.", "from")
	openDesc      = description("connections", "Open connections.")
	refusedDesc   = description("connections_refused_total", "Connections closed because there were too many.")
	requestsDesc  = description("requests", "Requests being served.")
	crowdedDesc   = description("requests_refused_total", "Requests refused because there were too many.")
	bodiesDesc    = description("bodies_bytes", "Bytes of request and response bodies in memory.")
	headsDesc     = description("headers_bytes", "What the headers of requests take in memory, in bytes, estimated while they arrive.")
	useDesc       = description("tenant_use", "What tenants use of each quota, except for queued calls.", "tenant", "quota")
	exceededDesc  = description("quota_exceeded_total", "Refusals because a tenant's quota was used up.", "tenant", "quota")
	nodesDesc     = description("nodes", "Nodes of the cluster that this one knows, by state. Absent where there is none.", "state")
	queuedDesc    = description("queued_calls", "Queued asynchronous calls. Absent while the store can't be reached.")
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		functionsDesc, versionsDesc, instancesDesc, waitingDesc, memoryDesc, threadsDesc, sessionsDesc, allCallsDesc,
		startedDesc, deniedDesc, queuedDesc, unkeptDesc, useDesc, exceededDesc, openDesc, refusedDesc, requestsDesc, crowdedDesc,
		bodiesDesc, headsDesc, nodesDesc, imagesDesc,
	} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	show := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	open, refused := g.server.connections.stats()
	show(openDesc, prometheus.GaugeValue, float64(open))
	show(refusedDesc, prometheus.CounterValue, float64(refused))
	served, crowded := g.server.requests.stats()
	show(requestsDesc, prometheus.GaugeValue, float64(served))
	show(crowdedDesc, prometheus.CounterValue, float64(crowded))
	show(bodiesDesc, prometheus.GaugeValue, float64(g.server.bodies.size()))
	heads, _ := g.server.heads.stats()
	strange, _ := g.server.strangers.stats()
	show(headsDesc, prometheus.GaugeValue, float64(heads+strange))
	config := &g.server.config
	if config.Cluster != nil {
		states := map[bool]int{}
		for _, n := range config.Cluster.Nodes() {
			states[n.Draining]++
		}
		show(nodesDesc, prometheus.GaugeValue, float64(states[false]), "ready")
		show(nodesDesc, prometheus.GaugeValue, float64(states[true]), "draining")
	}
	if config.Stats != nil {
		s := config.Stats()
		show(functionsDesc, prometheus.GaugeValue, float64(s.Functions))
		show(versionsDesc, prometheus.GaugeValue, float64(s.Versions))
		show(instancesDesc, prometheus.GaugeValue, float64(s.Idle), "idle")
		show(instancesDesc, prometheus.GaugeValue, float64(s.Busy), "busy")
		show(waitingDesc, prometheus.GaugeValue, float64(s.Waiting))
		show(memoryDesc, prometheus.GaugeValue, float64(s.Memory))
		show(threadsDesc, prometheus.GaugeValue, float64(s.Threads))
		show(sessionsDesc, prometheus.GaugeValue, float64(s.Sessions))
		show(allCallsDesc, prometheus.CounterValue, float64(s.Calls))
		show(startedDesc, prometheus.CounterValue, float64(s.ColdStarts))
		show(imagesDesc, prometheus.CounterValue, float64(s.Images), "made")
		show(imagesDesc, prometheus.CounterValue, float64(s.Copied), "copied")
		show(unkeptDesc, prometheus.CounterValue, float64(s.Unkept))
		show(deniedDesc, prometheus.CounterValue, float64(s.Refusals))
	}
	if config.Tenants != nil {
		all := config.Tenants()
		for _, of := range all[:min(len(all), maxTenants)] {
			for q := range quota.Count {
				if q != quota.AsyncCalls && q != quota.AsyncBytes {
					show(useDesc, prometheus.GaugeValue, float64(of.Use[q]), of.Tenant, q.String())
				}
				if of.Exceeded[q] > 0 {
					show(exceededDesc, prometheus.CounterValue, float64(of.Exceeded[q]), of.Tenant, q.String())
				}
			}
		}
	}
	if config.Backlog != nil {
		// Scrapers have little patience.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if n, err := config.Backlog(ctx); err == nil {
			show(queuedDesc, prometheus.GaugeValue, float64(n))
		}
	}
}
