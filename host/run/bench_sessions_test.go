package run

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vivarium/host/quota"
)

// BenchmarkSession_Fork makes a thousand sessions from one that has state, and keeps
// them. It reports what a fork takes, what its first snippet does, and the memory that
// is the process's own for each, before and after that.
func BenchmarkSession_Fork(b *testing.B) {
	const forks = 1000
	h := newTestHost(b, testConfig{})
	unlimited := quota.Amounts{quota.Sessions: -1, quota.Instances: -1, quota.Memory: -1, quota.ImageBytes: -1}
	h.room.ledger.SetOwn(sessionTenant, unlimited)
	id := h.session(SessionSpec{})
	h.snippet(id, "import json, re, collections, datetime\nstate = {n: [str(n)] * 3 for n in range(10_000)}\nlen(state)")
	for b.Loop() {
		var ids []string
		var took, first []time.Duration
		before := privateMemory(b)
		for range forks {
			start := time.Now()
			info, err := h.Sessions().Fork(b.Context(), sessionTenant, id)
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
			ids = append(ids, info.ID)
		}
		forked := privateMemory(b)
		for n, id := range ids {
			start := time.Now()
			if got := h.snippet(id, fmt.Sprintf("state[%d] = 1\nlen(state)", n)).value(); got != "10000" {
				b.Fatal(got)
			}
			first = append(first, time.Since(start))
		}
		ran := privateMemory(b)
		report := func(times []time.Duration, name string) {
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds()*1000, name+"-p50-ms")
			b.ReportMetric(times[len(times)*99/100].Seconds()*1000, name+"-p99-ms")
		}
		report(took, "fork")
		report(first, "first-snippet")
		b.ReportMetric(float64(forked-before)/forks/(1<<20), "MiB/fork")
		b.ReportMetric(float64(ran-before)/forks/(1<<20), "MiB/fork-that-ran")
		for _, id := range ids {
			if err := h.Sessions().End(sessionTenant, id); err != nil {
				b.Fatal(err)
			}
		}
	}
}
