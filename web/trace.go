package web

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"vivarium/host/run"
)

// Headers of traces, in canonical form. The first is W3C's, the second the cloud's for
// handlers, the third the cloud's for callers, which has the same text here.
const (
	headerTraceparent   = "Traceparent"
	headerUberTraceID   = "Uber-Trace-Id"
	headerServerTraceID = "X-Server-Trace-Id"
)

// place is where in a trace a request is.
type place struct {
	parent trace.SpanContext // the caller's; invalid if it has sent none
	span   trace.SpanContext // the request's; the caller's where spans are not recorded
	own    bool              // it is a span of its own
}

// newPlace returns the place that a request's headers say, or one in a new trace.
func newPlace(header http.Header) place {
	p := place{}
	if len(header[headerTraceparent]) == 1 { // several are malformed
		p.parent = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(header)))
	}
	if p.span = p.parent; !p.span.IsValid() {
		config := trace.SpanContextConfig{TraceID: trace.TraceID(uuid.New()), TraceFlags: trace.FlagsSampled}
		_, _ = rand.Read(config.SpanID[:]) // never fails
		p.span = trace.NewSpanContext(config)
	}
	return p
}

// traceID returns the trace's id in the form that the platform's have.
func (p place) traceID() string { return uuid.UUID(p.span.TraceID()).String() }

// String returns the place as Uber-Trace-Id has it: trace, span, its parent, and whether
// it is sampled.
func (p place) String() string {
	parent, sampled := "0", "0"
	if p.own && p.parent.IsValid() {
		parent = p.parent.SpanID().String()
	}
	if p.span.IsSampled() {
		sampled = "1"
	}
	return p.span.TraceID().String() + ":" + p.span.SpanID().String() + ":" + parent + ":" + sampled
}

// tell sets the headers that tell a handler where it is. Without spans of the server's
// own, what the caller has sent of W3C's stays as it is; where there is no trace but the
// platform's id, a handler gets what is documented for that, and no more.
func (p place) tell(header http.Header) {
	header.Set(headerTraceID, p.traceID())
	if p.own || p.parent.IsValid() {
		header.Set(headerUberTraceID, p.String())
	}
	if p.own {
		header.Del("Tracestate")
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), p.span), propagation.HeaderCarrier(header))
	}
}

// texts returns the parent and the span for another node, as W3C writes them. What has a
// span of its own here is the parent of what the other node records.
func (p place) texts() (parent, span string) {
	text := func(c trace.SpanContext) string {
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), c), carrier)
		return carrier["traceparent"]
	}
	if p.own {
		return text(p.span), text(p.span)
	}
	return text(p.parent), text(p.span)
}

// placeOf returns the place that another node's texts say.
func placeOf(parent, span string) place {
	read := func(text string) trace.SpanContext {
		carrier := propagation.MapCarrier{"traceparent": text}
		return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
	}
	return place{parent: read(parent), span: read(span)}
}

// trace begins the span of a call, and returns a function that ends it. Without a Tracer
// neither does anything.
func (s *Server) trace(c echo.Context, call *call) (end func(result **run.Result, err *error)) {
	if s.config.Tracer == nil {
		return func(**run.Result, *error) {}
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), call.place.parent)
	ctx, span := s.config.Tracer.Start(ctx, c.Request().Method+" /{function}",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(call.received))
	call.place.span, call.place.own = span.SpanContext(), true
	c.Response().Header().Set(headerServerTraceID, call.place.String())
	return func(result **run.Result, err *error) {
		if span.IsRecording() {
			s.describe(ctx, span, c, call, *result, *err)
		}
		span.End()
	}
}

// describe gives a call's span what is known of the call when it is over.
func (s *Server) describe(ctx context.Context, span trace.Span, c echo.Context, call *call, result *run.Result, err error) {
	status := c.Response().Status
	if err != nil {
		status = refusalOf(err, "").status
	}
	span.SetAttributes(
		attribute.String("http.request.method", c.Request().Method), attribute.Int("http.response.status_code", status),
		attribute.String("faas.invocation_id", call.requestID), attribute.String("vivarium.outcome", outcomeOf(err)),
	)
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	if v := call.version; v != nil {
		span.SetName(c.Request().Method + " /" + v.Reference())
		span.SetAttributes(
			attribute.String("faas.name", v.Reference()), attribute.String("faas.version", v.ID), attribute.String("vivarium.tenant", v.Tenant),
		)
	}
	if result == nil || result.Version == nil {
		return
	}
	f := result.Figures
	span.SetAttributes(attribute.Bool("faas.coldstart", f.Cold), attribute.Float64("vivarium.cpu_seconds", f.CPU.Seconds()),
		attribute.Int64("vivarium.peak_memory_bytes", f.PeakMemory))
	at := time.Now().Add(-f.Duration)
	for _, part := range []struct {
		name string
		took time.Duration
	}{{"wait for an instance", f.Queuing}, {"start an instance", f.Init}, {"handler", f.Handler}} {
		if part.took > 0 {
			_, inner := s.config.Tracer.Start(ctx, part.name, trace.WithTimestamp(at))
			at = at.Add(part.took)
			inner.End(trace.WithTimestamp(at))
		}
	}
}
