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
)

// BenchmarkPlay measures a snippet over HTTP: each gets an instance of its own.
// There is a pause between snippets, as there is with a person.
func BenchmarkPlay(b *testing.B) {
	play, err := NewPlay(openPlay, mustRealHost(b).Runner())
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- New(Config{Play: play}, returns(`{}`)).Serve(ctx, listener) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			b.Error(err)
		}
	}()
	const body = `{"files": {"main.py": "import json\ndef handler(event, context):\n    return {'body': json.dumps(event)}"}}`
	run := func() {
		r, err := http.Post("http://"+listener.Addr().String()+PlayPath+"/run", "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		defer r.Body.Close()
		if text, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(text), `"outcome":"ok"`) {
			b.Fatalf("status %d, %v, %s", r.StatusCode, err, text)
		}
	}
	start := time.Now()
	run()
	first := time.Since(start)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		run()
		took = append(took, time.Since(start))
		time.Sleep(3 * time.Millisecond)
	}
	slices.Sort(took)
	b.ReportMetric(float64(first)/1e6, "first-ms")
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
}
