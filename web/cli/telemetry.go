package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	prometheusbridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"vivarium/host/egress"
	"vivarium/host/throttle"
)

// telemetry sends traces and metrics to a collector of the operator's, as the variables
// OTEL_… of OpenTelemetry say, over OTLP. Nil sends nothing, and costs nothing.
//
// The server gives up the right to connect. A broker of its own connects for it, to the
// collector's addresses alone; the one that connects functions does not know them.
type telemetry struct {
	traces, metrics bool
	rules           []string // that allow the collectors' addresses
	tls             *tls.Config
	timeout         time.Duration

	client  *http.Client
	about   *resource.Resource
	tracing *sdktrace.TracerProvider
	meters  *metric.MeterProvider
}

// endpointVariable has the collector's URL.
const endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

// newTelemetry reads the variables, and what is needed of files and names while they can
// be read. It returns nil if nothing is to be sent.
func newTelemetry(ctx context.Context) (*telemetry, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	t := &telemetry{timeout: 10 * time.Second}
	for _, signal := range []struct {
		name string
		on   *bool
	}{{"TRACES", &t.traces}, {"METRICS", &t.metrics}} {
		variable := "OTEL_EXPORTER_OTLP_" + signal.name + "_ENDPOINT"
		endpoint := os.Getenv(variable)
		if endpoint == "" {
			variable, endpoint = endpointVariable, os.Getenv(endpointVariable)
		}
		if endpoint == "" || os.Getenv("OTEL_"+signal.name+"_EXPORTER") == "none" {
			continue
		}
		*signal.on = true
		reach, err := rulesFor(ctx, endpoint)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		t.rules = append(t.rules, reach...)
	}
	if !t.traces && !t.metrics {
		return nil, nil
	}
	for _, name := range []string{"", "TRACES_", "METRICS_"} {
		if p := os.Getenv("OTEL_EXPORTER_OTLP_" + name + "PROTOCOL"); p != "" && p != "http/protobuf" {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_%sPROTOCOL: %s is not supported; use http/protobuf, at port 4318 of most collectors", name, p)
		}
	}
	if text := os.Getenv("OTEL_EXPORTER_OTLP_TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT: %q is not a number of milliseconds", text)
		}
		t.timeout = time.Duration(ms) * time.Millisecond
	}
	var err error
	t.tls, err = collectorTLS()
	return t, err
}

// collectorTLS returns how the collector is to prove who it is.
func collectorTLS() (*tls.Config, error) {
	roots, err := x509.SystemCertPool() // now, while its files can be read
	if err != nil {
		roots = x509.NewCertPool()
	}
	if file := os.Getenv("OTEL_EXPORTER_OTLP_CERTIFICATE"); file != "" {
		text, err := os.ReadFile(file)
		if err == nil && !roots.AppendCertsFromPEM(text) {
			err = errors.New("has no certificate")
		}
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// trace begins to send traces. Dialer connects; nil means that the process does. It returns
// what records spans; nil if there are none.
func (t *telemetry) trace(ctx context.Context, dialer egress.Dialer, log *slog.Logger) (_ trace.Tracer, err error) {
	if t == nil {
		return nil, nil
	}
	transport := &http.Transport{TLSClientConfig: t.tls, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	if dialer != nil {
		transport.DialContext = dialing{dialer}.dial
	}
	t.client = &http.Client{Transport: transport, Timeout: t.timeout}
	said := throttle.New(1.0/60, 1)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if ok, _ := said.Allow("", 1); ok {
			log.Warn("telemetry is not sent", "error", err, "cure", "check the collector and "+endpointVariable)
		}
	}))
	t.about, err = resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "vivarium"), attribute.String("service.version", programVersion()),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if !t.traces {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(t.client))
	if err != nil {
		return nil, err
	}
	t.tracing = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(t.about))
	return t.tracing.Tracer("vivarium"), nil
}

// measure begins to send the metrics that a gatherer has. Call it after trace.
func (t *telemetry) measure(ctx context.Context, from prometheus.Gatherer) error {
	if t == nil || !t.metrics {
		return nil
	}
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithHTTPClient(t.client))
	if err != nil {
		return err
	}
	t.meters = metric.NewMeterProvider(metric.WithResource(t.about), metric.WithReader(metric.NewPeriodicReader(exporter,
		metric.WithProducer(prometheusbridge.NewMetricProducer(prometheusbridge.WithGatherer(from))))))
	return nil
}

// reach returns the rules that allow the collectors' addresses.
func (t *telemetry) reach() []string {
	if t == nil {
		return nil
	}
	return t.rules
}

// close sends what there is, for as long as the collector takes it, at most some seconds.
func (t *telemetry) close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if t.tracing != nil {
		_ = t.tracing.Shutdown(ctx) // the error handler has told
	}
	if t.meters != nil {
		_ = t.meters.Shutdown(ctx)
	}
}
