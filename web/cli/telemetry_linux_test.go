package cli

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives what OTLP sends, over HTTP.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	traces  []*collectortrace.ExportTraceServiceRequest
	metrics []*collectormetrics.ExportMetricsServiceRequest
	header  http.Header
}

func startCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	text, err := io.ReadAll(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	switch r.URL.Path {
	case "/v1/traces":
		var request collectortrace.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(text, &request)
		}
		c.traces = append(c.traces, &request)
	case "/v1/metrics":
		var request collectormetrics.ExportMetricsServiceRequest
		if err == nil {
			err = proto.Unmarshal(text, &request)
		}
		c.metrics = append(c.metrics, &request)
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// spans returns the names of the spans that have come.
func (c *collector) spans() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.traces {
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					names = append(names, span.Name)
				}
			}
		}
	}
	return names
}

// measured returns the names of the metrics that have come, and the name of the service
// that they are of.
func (c *collector) measured() (names []string, service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.metrics {
		for _, resource := range request.ResourceMetrics {
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range resource.ScopeMetrics {
				for _, metric := range scope.Metrics {
					names = append(names, metric.Name)
				}
			}
		}
	}
	return names, service
}

// A server that has given up the right to connect still sends traces and metrics, to the
// collector and nowhere else; functions do not reach that, whatever they ask for.
func TestTelemetry_IsSentUnderConfinement(t *testing.T) {
	c := startCollector(t)
	address := c.Listener.Addr().String()
	for name, value := range map[string]string{
		endpointVariable: c.URL, "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "200",
		"OTEL_EXPORTER_OTLP_HEADERS": "x-token=mine", "OTEL_SERVICE_NAME": "functions",
	} {
		t.Setenv(name, value)
	}
	g := newTargets(t, t.TempDir()+"/data")
	g.address = address
	s := serveChild(t, g, "serve", "--listen", "127.0.0.1:0", "--data", g.inside, "--allow-net=127.0.0.1:1")
	s.checkDenied(t, g)
	folder := writeFiles(t, map[string]string{"main.py": `
import socket
def handler(event, context):
    try:
        socket.create_connection(('127.0.0.1', ` + address[strings.LastIndexByte(address, ':')+1:] + `)).close()
        return {'body': 'reached'}
    except OSError as error:
        return {'body': str(error)}
`})
	must(t, "deploy", "traced", folder, "--server", s.url, "--timeout", "60s", "--allow-net="+address)
	if got := get(t, &s.program, "/traced"); !strings.Contains(got.body, "this server does not allow it") {
		t.Errorf("a function: got %d %s", got.status, got.body)
	}
	eventually(t, func() string {
		spans := strings.Join(c.spans(), ", ")
		metrics, service := c.measured()
		all := strings.Join(metrics, ", ")
		if !strings.Contains(spans, "GET /traced") || !strings.Contains(spans, "handler") || !strings.Contains(all, "vivarium_calls_total") || service != "functions" {
			return "spans: " + spans + "; metrics of " + service + ": " + all + "\n" + s.stderr.String()
		}
		return ""
	})
	c.mu.Lock()
	if c.header.Get("X-Token") != "mine" {
		t.Errorf("headers: %v", c.header)
	}
	c.mu.Unlock()
	if got := get(t, &s.program, "/readyz"); !strings.Contains(got.body, "broker of the server's own: on: connects it to "+address) {
		t.Errorf("readyz: %s", got.body)
	}
	// What is there at the end is sent.
	c.mu.Lock()
	c.traces = nil
	c.mu.Unlock()
	get(t, &s.program, "/traced")
	s.end(t)
	if spans := strings.Join(c.spans(), ", "); !strings.Contains(spans, "GET /traced") {
		t.Errorf("after the end: %s", spans)
	}
}

func TestTelemetry_IsOffUnlessItIsAskedFor(t *testing.T) {
	for _, set := range []map[string]string{
		{}, {endpointVariable: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		{endpointVariable: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
	} {
		t.Run("", func(t *testing.T) {
			for name, value := range set {
				t.Setenv(name, value)
			}
			if got, err := newTelemetry(t.Context()); got != nil || err != nil {
				t.Errorf("%v: got %+v, %v", set, got, err)
			}
		})
	}
}

func TestTelemetry_ReachesTheCollectorAlone(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:4318": "127.0.0.1:4318", "http://[::1]:4318": "[::1]:4318", "https://10.0.0.5": "10.0.0.5:443",
	} {
		t.Setenv(endpointVariable, endpoint)
		got, err := newTelemetry(t.Context())
		if err != nil || strings.Join(got.rules, ",") != want+","+want { // traces and metrics
			t.Errorf("%s: %v, %v", endpoint, got.reach(), err)
		}
	}
	t.Setenv(endpointVariable, "http://localhost:4318")
	got, err := newTelemetry(t.Context())
	if err != nil || !slices.Contains(got.rules, "localhost:4318") || !slices.Contains(got.rules, "127.0.0.1:4318") {
		t.Errorf("a name: %v, %v", got.reach(), err)
	}
	for name, value := range map[string]string{
		endpointVariable: "collector:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
		"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(endpointVariable, "http://127.0.0.1:1")
			t.Setenv(name, value)
			if _, err := newTelemetry(t.Context()); err == nil || !strings.HasPrefix(err.Error(), name) {
				t.Errorf("%s: %v", value, err)
			}
		})
	}
}
