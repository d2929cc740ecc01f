package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/history"
)

// BenchmarkHTTPWarmCall measures one client's calls of a warm function over one
// connection. The history has each of them.
func BenchmarkHTTPWarmCall(b *testing.B) { benchWarmCall(b, "bench-warm", history.Policy{}) }

// BenchmarkHTTPWarmCallUnkept measures those of a function whose calls are not kept.
func BenchmarkHTTPWarmCallUnkept(b *testing.B) {
	benchWarmCall(b, "bench-unkept", history.Policy{Off: true})
}

func benchWarmCall(b *testing.B, name string, policy history.Policy) {
	h := deploy(b, name, catalog.VersionSpec{Entrypoint: "main.handler"}, []txtar.File{{Name: "main.py", Data: []byte(`
import json
def handler(event, context):
    return {'statusCode': 200, 'body': json.dumps({'got': event['body']})}
`)}})
	if _, err := h.Catalog().UpdateFunction(b.Context(), access.Operator, name, catalog.FunctionUpdate{Calls: &policy}); err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- New(Config{}, h).Serve(ctx, listener) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			b.Error(err)
		}
	}()
	benchCalls(b, "http://"+listener.Addr().String()+"/"+name)
}

// benchCalls measures one client's calls over one connection.
func benchCalls(b *testing.B, url string) {
	b.Helper()
	call := func() {
		r, err := http.Post(url, "application/json", strings.NewReader(`{"n":1}`))
		if err != nil {
			b.Fatal(err)
		}
		defer r.Body.Close()
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != http.StatusOK {
			b.Fatalf("status %d, %v", r.StatusCode, err)
		}
	}
	for range 20 {
		call()
	}
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		call()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
}
