package store

import (
	"sync"
	"testing"
	"time"

	"vivarium/host/roomtest"
	"vivarium/host/store/storetest"
)

// BenchmarkChanges_WithoutTheLeader tells how long changes take, and for how long they are
// refused, when of three servers the one that decides on them dies or stands still. One is
// begun each 50 ms.
func BenchmarkChanges_WithoutTheLeader(b *testing.B) {
	for what, hurt := range map[string]struct{ hurt, mend func(*storetest.Server) }{
		"dies":         {(*storetest.Server).Kill, (*storetest.Server).Start},
		"stands still": {(*storetest.Server).Stop, (*storetest.Server).Continue},
	} {
		b.Run(what, func(b *testing.B) {
			servers := storetest.Start(b, 3)
			s := openShared(b, Config{URL: servers.URL(), Replicas: 3})
			var refused, longest time.Duration
			for b.Loop() {
				leader := servers.Named(leaderOf(b, s, s.backend.(*jet).names.bucketStream("functions")))
				var mu sync.Mutex
				var changing sync.WaitGroup
				var first, last time.Time // that was refused
				change := func() {
					begun := time.Now()
					err := s.Functions.Put(b.Context(), "key", nil)
					mu.Lock()
					defer mu.Unlock()
					longest = max(longest, time.Since(begun))
					if err != nil {
						if first.IsZero() || begun.Before(first) {
							first = begun
						}
						if begun.After(last) {
							last = begun
						}
					}
				}
				hurt.hurt(leader)
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					changing.Go(change)
				}
				changing.Wait()
				refused = max(refused, last.Sub(first))
				hurt.mend(leader)
				roomtest.Until(b, "all servers are there", func() bool { return s.Functions.Put(b.Context(), "key", nil) == nil })
			}
			b.ReportMetric(refused.Seconds(), "s-refused")
			b.ReportMetric(longest.Seconds(), "s-longest")
			b.ReportMetric(0, "ns/op")
		})
	}
}
