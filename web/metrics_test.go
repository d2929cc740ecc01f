package web

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/run"
)

// leaving is a function that can be deleted.
type leaving struct {
	functions
	gone atomic.Bool
}

func (l *leaving) Resolve(p access.Principal, function, tag string) (*catalog.Version, error) {
	if l.gone.Load() {
		return nil, &fault.NotFoundError{Function: function}
	}
	return l.functions.Resolve(p, function, tag)
}

func TestMetrics_TellWhatBecameOfCalls(t *testing.T) {
	answers := []func() (*run.Result, error){
		func() (*run.Result, error) {
			took := run.Figures{Cold: true, CPU: time.Second, PeakMemory: 1 << 20, Duration: time.Second}
			return &run.Result{Body: []byte(`{}`), Figures: took}, nil
		},
		func() (*run.Result, error) { return &run.Result{Body: []byte(`5`)}, nil },
		func() (*run.Result, error) { return nil, &fault.FunctionError{Type: "ValueError"} },
		func() (*run.Result, error) {
			return nil, &fault.FunctionError{Type: "ExecutionTimeout", TimedOut: true}
		},
		func() (*run.Result, error) { return nil, fault.ErrBusy },
		func() (*run.Result, error) { return nil, fault.ErrUnavailable },
		func() (*run.Result, error) { return nil, errors.New("disk on fire") },
	}
	next := 0
	f := &leaving{functions: functions{func(context.Context, run.Invocation) (*run.Result, error) {
		next++
		return answers[next-1]()
	}}}
	config := Config{
		Backlog: func(context.Context) (uint64, error) { return 7, nil },
		Tenants: func() []host.TenantQuotas {
			return []host.TenantQuotas{{Tenant: "ours", Use: quota.Amounts{quota.Calls: 3}, Exceeded: quota.Amounts{quota.Timers: 2}}}
		},
		Stats: func() host.Stats { return host.Stats{Stats: run.Stats{Idle: 3, Busy: 2, Waiting: 5, Memory: 4096}} },
	}
	s := start(t, config, f)
	for range answers {
		do(t, "GET", s.url+"/hello", "")
	}
	do(t, "GET", s.url+"/nobody", "")
	do(t, "GET", s.url+"/hello?integration=async", "")

	text := do(t, "GET", s.url+"/metrics", "").text
	for _, want := range []string{
		`calls_total{function="hello",outcome="ok"} 1`, `calls_total{function="hello",outcome="function_error"} 2`,
		`calls_total{function="hello",outcome="timeout"} 1`, `calls_total{function="hello",outcome="busy"} 1`,
		`calls_total{function="hello",outcome="unavailable"} 1`, `calls_total{function="hello",outcome="internal_error"} 1`,
		`calls_total{function="hello",outcome="bad_request"} 1`, `calls_total{function="",outcome="not_found"} 1`,
		`cold_starts_total{function="hello"} 1`, `function_cpu_seconds_total{function="hello"} 1`,
		`function_memory_bytes{function="hello"} 1.048576e+06`, "calls_in_progress 0", "queued_calls 7",
		`tenant_use{quota="calls",tenant="ours"} 3`, `quota_exceeded_total{quota="timers",tenant="ours"} 2`,
		`call_duration_seconds_count{function="hello"} 7`, "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	f.gone.Store(true)
	if text := do(t, "GET", s.url+"/metrics", "").text; strings.Contains(text, "hello") {
		t.Error("a function that is gone is still there")
	}
}

func TestInvoke_AsynchronousCallsAreAcceptedWhereConfigured(t *testing.T) {
	was := version.Async
	version.Async = &catalog.AsyncConfig{}
	defer func() { version.Async = was }()
	var got run.Invocation
	f := functions{func(_ context.Context, inv run.Invocation) (*run.Result, error) {
		got = inv
		return nil, nil
	}}
	s := start(t, Config{}, f)
	a := do(t, "POST", s.url+"/hello?integration=async&tag=$latest", "later")
	if a.StatusCode != 202 || a.text != "{}" || a.Header.Get("X-Request-Id") != got.RequestID || got.RequestID == "" {
		t.Errorf("got %d %s %v", a.StatusCode, a.text, a.Header)
	}
	if !got.Raw || string(got.Body) != "later" || got.Tag != "$latest" || got.Function != version.FunctionID {
		t.Errorf("queued: %+v", got)
	}
	if text := do(t, "GET", s.url+"/metrics", "").text; !strings.Contains(text, `calls_total{function="hello",outcome="accepted"} 1`) {
		t.Error("it is not counted")
	}
}

func TestReadyz_SaysWhyNot(t *testing.T) {
	s := start(t, Config{Ready: func(context.Context) error { return errors.New("the store can't be reached") }}, returns("{}"))
	if a := do(t, "GET", s.url+"/readyz", ""); a.StatusCode != 503 || a.text != "the store can't be reached\n" {
		t.Errorf("got %d %s", a.StatusCode, a.text)
	}
}
