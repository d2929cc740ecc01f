//go:build unix

package run

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/host/catalog"
)

// BenchmarkThreads_PassLockOn measures how long a thread of Python takes to pass a
// lock on to one that waits for it, in time of the processor too. The threads stand in
// a ring, around which each call passes a lock so often that it makes a thousand steps.
func BenchmarkThreads_PassLockOn(b *testing.B) {
	const steps = 1000
	for _, threads := range []int{10, 1000} {
		b.Run(fmt.Sprint(threads), func(b *testing.B) {
			h := newTestHost(b, testConfig{})
			h.deploy("ring", fmt.Sprintf("THREADS, ROUNDS = %d, %d", threads, steps/threads)+`
import threading
threading.stack_size(64 << 10)
locks = [threading.Lock() for _ in range(THREADS)]
def pass_on(mine, next):
    while True:
        mine.acquire()
        next.release()
for lock in locks: lock.acquire()
for n in range(THREADS - 1): # the handler is in the ring too
    threading.Thread(target=pass_on, args=(locks[n], locks[n + 1])).start()
def handler(event, context):
    for _ in range(ROUNDS):
        locks[0].release()
        locks[-1].acquire()
`, catalog.VersionSpec{MemoryMB: 1024, MaxInstances: 1, Timeout: time.Minute})
			h.must(b, "ring")
			var took, computed timings
			for b.Loop() {
				before := computedSoFar(b)
				took.time(func() { h.must(b, "ring") })
				computed = append(computed, computedSoFar(b)-before)
			}
			b.ReportMetric(took.quantile(0.5)*1e6/steps, "p50-ns/step")
			b.ReportMetric(computed.quantile(0.5)*1e6/steps, "computed-p50-ns/step")
		})
	}
}

// computedSoFar returns what this process has computed.
func computedSoFar(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
