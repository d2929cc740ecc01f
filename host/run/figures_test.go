package run

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"
)

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

// Figures of two nodes are those that one would have had, though one clock is ahead.
func TestFigures_OfNodesAreSummed(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	for _, ahead := range []time.Duration{0, FiguresStep} {
		here, there, one := &figures{}, &figures{}, &figures{}
		for i := range 500 {
			latency, failed := time.Duration(i+1)*time.Millisecond, i%5 == 0
			when := at.Add(-time.Duration(i%20) * FiguresStep)
			one.call(when, latency, failed)
			if i%3 == 0 {
				here.call(when, latency, failed)
			} else {
				there.call(when, latency, failed)
			}
		}
		text, err := json.Marshal(there.last(at.Add(ahead), MaxFigures, 1, 2, 30))
		if err != nil {
			t.Fatal(err)
		}
		var told FunctionFigures
		if err := json.Unmarshal(text, &told); err != nil {
			t.Fatal(err)
		}
		got, want := here.last(at, MaxFigures, 4, 5, 60), one.last(at, MaxFigures, 5, 7, 90)
		got.Add(told)
		if !reflect.DeepEqual(got.Points, want.Points) || got.Total != want.Total {
			t.Errorf("ahead by %v: got %+v, want %+v", ahead, got.Total, want.Total)
		}
	}
	for _, wrong := range []string{`{"steps":[{"l":{"108":1}}]}`, `{"steps":[{"l":{"-1":1}}]}`, `[]`} {
		if json.Unmarshal([]byte(wrong), &FunctionFigures{}) == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}
