package host

import (
	"errors"
	"math"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/fault"
)

func TestFigures_CountCallsErrorsAndInstances(t *testing.T) {
	h := newTestHost(t, Config{})
	v := h.deploy("counted", `
def handler(event, context):
    return 1 / event
`, VersionSpec{})
	idle, err := h.GetFigures("counted", 60)
	if err != nil || idle.Total.Calls != 0 || len(idle.Points) != 60 {
		t.Fatalf("before the first call: got %+v, %v", idle.Total, err)
	}
	for range 3 {
		h.want("counted", "1", "1.0")
	}
	h.wantFault("counted", "0", "ZeroDivisionError")
	got, err := h.GetFigures(v.FunctionID, 60)
	if err != nil {
		t.Fatal(err)
	}
	total := got.Total
	if got.FunctionID != v.FunctionID || total.Calls != 4 || total.Errors != 1 || total.Idle != 1 || total.Busy != 0 || total.Memory < instanceMemory {
		t.Errorf("got %+v of %s", total, got.FunctionID)
	}
	if total.P50 <= 0 || total.P99 < total.P50 {
		t.Errorf("latencies: got p50 %v, p99 %v", total.P50, total.P99)
	}
	calls := 0
	for i, p := range got.Points {
		calls += p.Calls
		if i > 0 && p.Time.Sub(got.Points[i-1].Time) != FiguresStep {
			t.Errorf("point %d is of %v, the one before of %v", i, p.Time, got.Points[i-1].Time)
		}
	}
	if calls != 4 || time.Since(got.Points[59].Time) > time.Minute {
		t.Errorf("the points have %d calls, the last one is of %v", calls, got.Points[59].Time)
	}
	if all := h.Figures(access.AllTenants, 30); len(all) != 1 || all[0].Total.Calls != 4 || len(all[0].Points) != 30 {
		t.Errorf("of all functions: got %+v", all)
	}
	var missing *fault.NotFoundError
	if _, err := h.GetFigures("nobody", 1); !errors.As(err, &missing) {
		t.Errorf("got %v, want *NotFoundError", err)
	}
}

func TestFigures_RefusedCallsAreErrorsWithoutALatency(t *testing.T) {
	h := newTestHost(t, Config{MaxMemory: 1})
	h.deploy("refused", "def handler(event, context): pass", VersionSpec{})
	if _, err := h.raw("refused", "1"); err != fault.ErrExhausted {
		t.Fatalf("got %v, want ErrExhausted", err)
	}
	got, _ := h.GetFigures("refused", 60)
	if got.Total.Calls != 1 || got.Total.Errors != 1 || got.Total.P99 != 0 || got.Total.Memory != 0 {
		t.Errorf("got %+v", got.Total)
	}
}

func TestFigures_TheRingForgets(t *testing.T) {
	g := &figures{}
	start := time.Unix(1_000_000, 0)
	at := func(step int) time.Time { return start.Add(time.Duration(step) * FiguresStep) }
	g.sample(start, 0, 0, 0)
	if g.steps != nil {
		t.Error("a function without calls and instances takes memory")
	}
	for step := range 100 {
		g.call(at(step), time.Millisecond, step%2 == 0)
	}
	got := g.last(at(99), MaxFigures, 0, 0, 0)
	if got.Total.Calls != MaxFigures || got.Total.Errors != MaxFigures/2 || got.Points[0].Time != at(40).UTC() {
		t.Errorf("after 100 steps: got %+v, first point %v", got.Total, got.Points[0].Time)
	}
	g.sample(at(120), 2, 1, 7)
	got = g.last(at(121), 3, 0, 0, 0)
	if p := got.Points[1]; p.Idle != 2 || p.Busy != 1 || p.Memory != 7 || got.Points[0].Idle+got.Points[2].Idle != 0 {
		t.Errorf("sampled: got %+v", got.Points)
	}
	if got := g.last(at(300), MaxFigures, 0, 0, 0); got.Total.Calls != 0 {
		t.Errorf("long after: got %+v", got.Total)
	}
	if g.sample(at(300), 0, 0, 0); g.steps != nil {
		t.Error("a function that is idle for good still takes memory")
	}
}

func TestFigures_QuantilesAreNear(t *testing.T) {
	var s figuresStep
	for i := range 1000 {
		s.latencies[latencyBucket(time.Duration(i+1)*time.Millisecond)]++
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := s.quantile(q); math.Abs(float64(got-want)) > float64(want)/4 {
			t.Errorf("quantile %v: got %v, want about %v", q, got, want)
		}
	}
	last := -1
	for d := time.Duration(0); d <= time.Hour; d += d/64 + time.Microsecond {
		b := latencyBucket(d)
		if b < last || b > last+1 || d < latencyBound(b) || d >= latencyBound(b+1) {
			t.Fatalf("%v is in bucket %d, from %v to %v; the one before was %d", d, b, latencyBound(b), latencyBound(b+1), last)
		}
		last = b
	}
}
