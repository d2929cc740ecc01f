package web

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/run"
)

// metrics is what /metrics shows about calls over HTTP. It is safe for
// concurrent use.
type metrics struct {
	registry *prometheus.Registry

	inProgress prometheus.Gauge
	calls      *prometheus.CounterVec   // by function and outcome
	duration   *prometheus.HistogramVec // by function, like those below
	queuing    *prometheus.HistogramVec
	coldStarts *prometheus.CounterVec
	init       *prometheus.CounterVec
	cpu        *prometheus.CounterVec
	peakMemory *prometheus.GaugeVec
	forwarded  *prometheus.CounterVec // by outcome

	mu        sync.Mutex // guards functions
	functions map[string]bool
}

// durations are the histograms' bucket bounds, in seconds: from a warm call of
// a fraction of a millisecond to the longest common timeout.
var durations = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(s *Server) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "vivarium", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "vivarium", Name: name, Help: help, Buckets: durations,
		}, []string{"function"})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		inProgress: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "vivarium", Name: "calls_in_progress", Help: "Calls being served or waiting for an instance.",
		}),
		calls: counter("calls_total", "Calls by outcome: ok, accepted (asynchronous), function_error, timeout, "+
			"or why the call was refused. The function is empty if there is none.", "function", "outcome"),
		duration:   histogram("call_duration_seconds", "Time from a call's arrival to its result."),
		queuing:    histogram("call_queuing_seconds", "Time a call waited for an instance."),
		coldStarts: counter("cold_starts_total", "Calls that were the first of their instance.", "function"),
		init:       counter("init_seconds_total", "Time to start instances and load code.", "function"),
		cpu:        counter("function_cpu_seconds_total", "CPU time of functions.", "function"),
		peakMemory: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "vivarium", Name: "function_memory_bytes", Help: "Linear memory of the instance that served the last call.",
		}, []string{"function"}),
		forwarded: counter("calls_forwarded_total", "Calls offered to other nodes, which count those they take: ok, passed (the node "+
			"was away or did not take it), lost (it went away meanwhile), cancelled.", "outcome"),
		functions: map[string]bool{},
	}
	m.registry.MustRegister(m.inProgress, m.calls, m.duration, m.queuing, m.coldStarts, m.init, m.cpu, m.peakMemory, m.forwarded,
		gauges{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// begin counts an incoming call and returns a function that records its end.
func (m *metrics) begin() func(*call, **run.Result, *error) {
	m.inProgress.Inc()
	return func(call *call, result **run.Result, err *error) {
		m.inProgress.Dec()
		if !call.elsewhere {
			m.end(call, *result, *err)
		}
	}
}

func (m *metrics) end(call *call, result *run.Result, err error) {
	name := ""
	if call.version != nil {
		name = call.version.Reference()
		m.mu.Lock()
		m.functions[name] = true
		m.mu.Unlock()
	}
	outcome := outcomeOf(err)
	if err == nil && result == nil {
		outcome = "accepted"
	}
	m.calls.WithLabelValues(name, outcome).Inc()
	if result == nil || result.Version == nil {
		return
	}
	f := result.Figures
	m.duration.WithLabelValues(name).Observe(f.Duration.Seconds())
	m.queuing.WithLabelValues(name).Observe(f.Queuing.Seconds())
	m.cpu.WithLabelValues(name).Add(f.CPU.Seconds())
	m.init.WithLabelValues(name).Add(f.Init.Seconds())
	if f.Cold {
		m.coldStarts.WithLabelValues(name).Inc()
	}
	if f.PeakMemory > 0 {
		m.peakMemory.WithLabelValues(name).Set(float64(f.PeakMemory))
	}
}

// outcomeOf returns a call's outcome as a label.
func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	f := refusalOf(err, "")
	switch {
	case f.function != nil && f.status == http.StatusGatewayTimeout:
		return "timeout"
	case f.function != nil:
		return "function_error"
	}
	switch f.status {
	case http.StatusNotFound:
		return "not_found"
	case http.StatusUnauthorized, http.StatusForbidden:
		return "refused"
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusTooManyRequests:
		return "busy"
	case statusCancelled:
		return "cancelled"
	case http.StatusServiceUnavailable:
		return "unavailable"
	case http.StatusInternalServerError:
		return "internal_error"
	default:
		return "bad_request"
	}
}

// handler serves /metrics. It drops deleted functions, which would otherwise
// stay forever.
func (m *metrics) handler(functions Functions) http.Handler {
	show := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.forgetGone(functions)
		show.ServeHTTP(w, r)
	})
}

// Gather implements prometheus.Gatherer: it returns what /metrics shows.
func (s *Server) Gather() ([]*dto.MetricFamily, error) {
	s.metrics.forgetGone(s.functions)
	return s.metrics.registry.Gather()
}

func (m *metrics) forgetGone(functions Functions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.functions {
		_, err := functions.Resolve(access.Operator, name, "")
		if e, ok := errors.AsType[*fault.NotFoundError](err); !ok || e.Tag != "" {
			continue
		}
		delete(m.functions, name)
		gone := prometheus.Labels{"function": name}
		for _, vec := range []interface {
			DeletePartialMatch(prometheus.Labels) int
		}{m.calls, m.duration, m.queuing, m.coldStarts, m.init, m.cpu, m.peakMemory} {
			vec.DeletePartialMatch(gone)
		}
	}
}
