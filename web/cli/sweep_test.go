package cli

import (
	"runtime"
	"runtime/debug"
	"testing"

	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// What is not needed any more goes back to the system as well, although nothing is
// allocated that would have Go's collector look.
func TestSweeper_ReturnsWhatIsNotNeeded(t *testing.T) {
	const size, part = 512 << 20, 1 << 20
	for name, counted := range map[string]int64{"what was counted": size, "what never was": 0} {
		t.Run(name, func(t *testing.T) {
			ledger := quota.New(quota.Config{Machine: quota.Amounts{quota.Memory: 2 * size}, Defaults: quota.Amounts{quota.Memory: size}})
			debug.FreeOSMemory()
			before := heapTaken()
			s := newSweeper(ledger)
			defer s.close()
			give, err := ledger.Reserve("acme", quota.Body, counted)
			if err != nil {
				t.Fatal(err)
			}
			var bodies [][]byte
			for range size / part {
				bodies = append(bodies, make([]byte, part))
			}
			runtime.GC() // the next one would be at twice the size
			if held := heapTaken() - before; held < size*9/10 {
				t.Fatalf("%d MiB are held of %d", held>>20, size>>20)
			}
			roomtest.Until(t, "it has seen what is counted", func() bool { return s.most.Load() == counted })
			runtime.KeepAlive(bodies)
			give()
			roomtest.Until(t, "the memory is returned", func() bool { return heapTaken()-before < sweepBeyond })
		})
	}
}
