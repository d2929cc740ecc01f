package rewrite

import (
	"strings"
	"testing"
	"time"
)

func TestRewrite_EndlessWorkYields(t *testing.T) {
	for _, c := range []struct {
		module, function string
		args             []uint64
	}{
		{"endless", "loop", nil},
		{"endless", "short", nil},
		{"endless", "params", []uint64{0}},
		{"endless", "nested", nil},
		{"endless", "tree", []uint64{40}},
		{"endless", "mutual", []uint64{40}},
		{"endless", "indirect", nil},
		{"endless", "mixed", nil},
		{"endless", "fill", nil},
		{"endless", "copy", nil},
		{"tail", "count", []uint64{0xffffffff, 0}},
		{"tail", "forever", nil},
		{"tail", "spin", []uint64{1}},
	} {
		t.Run(c.module+" "+c.function, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			m, _ := h.startRewritten(t, testdata(t, c.module), Options{})
			last, longest := time.Now(), time.Duration(0)
			h.yield = func() int32 {
				longest = max(longest, time.Since(last))
				last = time.Now()
				if h.yields == 20 {
					panic(errStop)
				}
				return DefaultBudget
			}
			_, failure := call(m, c.function, c.args...)
			if !strings.HasPrefix(failure, errStop.Error()) {
				t.Errorf("ended with %q", failure)
			}
			if longest > 2*time.Second { // takes some milliseconds
				t.Errorf("%v between two yields", longest)
			}
		})
	}
}

func TestRewrite_YieldGivesTheNextBudget(t *testing.T) {
	h := newHost(t)
	m, r := h.startRewritten(t, testdata(t, "control"), Options{Budget: 100})
	count := func(budget int32) int {
		h.yields, h.yield = 0, func() int32 { return budget }
		call(m, "fib", 20) // 21,891 calls
		return h.yields
	}
	if n := count(2); n < 10_800 || n > 10_946 {
		t.Errorf("a budget of 2 yields %d times in 21,891 calls", n)
	}
	if n := count(1000); n < 21 || n > 22 {
		t.Errorf("a budget of 1000 yields %d times in 21,891 calls", n)
	}
	// The host's value is not trusted: anything below 1 would count down for
	// four billion steps.
	if n := count(-5); n < 10_800 {
		t.Errorf("a negative budget yields %d times in 21,891 calls", n)
	}
	countdown := m.ExportedGlobal(r.Globals[len(r.Globals)-1].ExportName)
	if v := int32(countdown.Get()); v < 1 || v > 2 {
		t.Errorf("the countdown is %d, want 1 or 2", v)
	}
}
