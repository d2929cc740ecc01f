package host

import (
	"errors"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/run"
)

func TestFigures_CountCallsErrorsAndInstances(t *testing.T) {
	h := newTestHost(t, Config{})
	v := h.deploy("counted", `
def handler(event, context):
    return 1 / event
`, catalog.VersionSpec{})
	idle, err := h.FunctionFigures(access.Operator, "counted", 60)
	if err != nil || idle.Total.Calls != 0 || len(idle.Points) != 60 {
		t.Fatalf("before the first call: got %+v, %v", idle.Total, err)
	}
	for range 3 {
		h.want("counted", "1", "1.0")
	}
	h.wantFault("counted", "0", "ZeroDivisionError")
	got, err := h.FunctionFigures(access.Operator, v.FunctionID, 60)
	if err != nil {
		t.Fatal(err)
	}
	total := got.Total
	if got.FunctionID != v.FunctionID || total.Calls != 4 || total.Errors != 1 ||
		total.Idle != 1 || total.Busy != 0 || total.Memory < 2<<20 {
		t.Errorf("got %+v of %s", total, got.FunctionID)
	}
	if total.P50 <= 0 || total.P99 < total.P50 {
		t.Errorf("latencies: got p50 %v, p99 %v", total.P50, total.P99)
	}
	calls := 0
	for i, p := range got.Points {
		calls += p.Calls
		if i > 0 && p.Time.Sub(got.Points[i-1].Time) != run.FiguresStep {
			t.Errorf("point %d is of %v, the one before of %v", i, p.Time, got.Points[i-1].Time)
		}
	}
	if calls != 4 || time.Since(got.Points[59].Time) > time.Minute {
		t.Errorf("the points have %d calls, the last one is of %v", calls, got.Points[59].Time)
	}
	functions, err := h.catalog.Functions(access.Operator)
	if err != nil {
		t.Fatal(err)
	}
	all, err := h.Figures(access.Operator, functions, 30)
	if err != nil || len(all) != 1 || all[0].Total.Calls != 4 || len(all[0].Points) != 30 {
		t.Errorf("of all functions: got %+v", all)
	}
	_, err = h.FunctionFigures(access.Operator, "nobody", 1)
	if _, ok := errors.AsType[*fault.NotFoundError](err); !ok {
		t.Errorf("got %v, want *NotFoundError", err)
	}
}

func TestFigures_RefusedCallsAreErrorsWithoutALatency(t *testing.T) {
	h := newTestHost(t, Config{MaxMemory: 1})
	h.deploy("refused", "def handler(event, context): pass", catalog.VersionSpec{})
	if _, err := h.raw("refused", "1"); err != fault.ErrExhausted {
		t.Fatalf("got %v, want ErrExhausted", err)
	}
	got, _ := h.FunctionFigures(access.Operator, "refused", 60)
	if got.Total.Calls != 1 || got.Total.Errors != 1 || got.Total.P99 != 0 || got.Total.Memory != 0 {
		t.Errorf("got %+v", got.Total)
	}
}
