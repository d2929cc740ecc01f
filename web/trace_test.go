package web

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/tools/txtar"

	"vivarium/host/catalog"
)

// recording returns a server with a function that shows where it is in a trace, and the
// spans that the server records.
func recording(t *testing.T) (*tracetest.InMemoryExporter, *testServer) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	t.Cleanup(func() { _ = provider.Shutdown(t.Context()) }) // there is nothing to flush
	h := deploy(t, "traced", catalog.VersionSpec{Entrypoint: "main.handler"}, []txtar.File{{Name: "main.py", Data: []byte(showTraces)}})
	return spans, start(t, Config{Tracer: provider.Tracer("test")}, h)
}

func attributesOf(span tracetest.SpanStub) map[attribute.Key]string {
	all := map[attribute.Key]string{}
	for _, a := range span.Attributes {
		all[a.Key] = a.Value.String()
	}
	return all
}

const showTraces = `
def handler(event, context):
    h = event['headers']
    if 'fail' in event['queryStringParameters']:
        raise ValueError('told to')
    return {'body': ' '.join([h['X-Trace-Id'].replace('-', ''), h['Uber-Trace-Id'], h.get('Traceparent', '-'), h.get('Tracestate', '-')])}
`

// A call is a span in its caller's trace, and the handler's are below it.
func TestTrace_OfACall(t *testing.T) {
	spans, s := recording(t)
	const traceID, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	answer := do(t, "GET", s.url+"/traced", "", "Traceparent", "00-"+traceID+"-"+caller+"-01", "Tracestate", "vendor=x")
	recorded := spans.GetSpans()
	var call tracetest.SpanStub
	names := map[string]tracetest.SpanStub{}
	for _, span := range recorded {
		names[span.Name] = span
		if span.SpanKind == trace.SpanKindServer {
			call = span
		}
	}
	id := call.SpanContext.SpanID().String()
	if call.Name != "GET /traced" || call.SpanContext.TraceID().String() != traceID || call.Parent.SpanID().String() != caller {
		t.Errorf("the span is %+v", call)
	}
	uber := traceID + ":" + id + ":" + caller + ":1"
	if want := fmt.Sprintf("%s %s 00-%s-%s-01 vendor=x", traceID, uber, traceID, id); answer.text != want {
		t.Errorf("the handler got\n%s, want\n%s", answer.text, want)
	}
	if got := answer.Header.Get("X-Server-Trace-Id"); got != uber {
		t.Errorf("the caller got %s, want %s", got, uber)
	}
	a := attributesOf(call)
	if a["faas.name"] != "traced" || a["faas.coldstart"] != "true" || a["http.response.status_code"] != "200" || a["vivarium.outcome"] != "ok" ||
		a["faas.invocation_id"] != answer.Header.Get("X-Request-Id") {
		t.Errorf("attributes: %v", a)
	}
	for _, name := range []string{"start an instance", "handler"} {
		part := names[name]
		if part.Parent.SpanID() != call.SpanContext.SpanID() || !part.EndTime.After(part.StartTime) || part.EndTime.After(call.EndTime) {
			t.Errorf("%s: %+v in %v to %v", name, part, call.StartTime, call.EndTime)
		}
	}
	spans.Reset()
	do(t, "GET", s.url+"/traced?fail", "")
	do(t, "GET", s.url+"/nobody-there", "")
	failed := spans.GetSpans()
	outcomes := map[string]bool{}
	for _, span := range failed {
		if span.SpanKind == trace.SpanKindServer {
			a := attributesOf(span)
			outcomes[fmt.Sprint(span.Name, " ", a["vivarium.outcome"], " ", a["http.response.status_code"], " ", span.Status.Code == codes.Error)] = true
		}
		if text := fmt.Sprint(span); strings.Contains(text, "told to") {
			t.Errorf("what the function said is in the span: %s", text)
		}
	}
	if !outcomes["GET /traced function_error 502 true"] || !outcomes["GET /{function} not_found 404 false"] {
		t.Errorf("got %v", outcomes)
	}
}

// Who says that a trace is not sampled is heard.
func TestTrace_NotSampled(t *testing.T) {
	spans, s := recording(t)
	answer := do(t, "GET", s.url+"/traced", "", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	if n := len(spans.GetSpans()); n > 0 || answer.StatusCode != 200 || !strings.Contains(answer.text, ":0 00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("%d spans; got %d %s", n, answer.StatusCode, answer.text)
	}
}
