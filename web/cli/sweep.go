package cli

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/host/quota"
)

const (
	// sweepBeyond is how much may stay that is not counted any more, or never was, in bytes.
	sweepBeyond = 32 << 20
	// sweepEvery is how often that is looked at, and sweepPause how many times as long as
	// a sweep has taken the next one is not made. After one that has found little, the
	// next is sweepRest later.
	sweepEvery = time.Second
	sweepPause = 20
	sweepRest  = 10 * time.Second
)

// A sweeper returns memory to the system when the heap takes much more than is counted, or
// much is not counted any more. Where little is allocated afterwards, Go's collector does
// not look for minutes, however little garbage it allows (garbage.go): it has been told
// that all of it is in use. For the ledger it is free meanwhile, and others may take as
// much once more.
type sweeper struct {
	ledger *quota.Ledger
	least  int64        // bytes that the heap takes without what comes and goes
	most   atomic.Int64 // bytes of memory that were counted since the last sweep
	stop   chan struct{}
	ended  sync.WaitGroup
}

// newSweeper returns one that sweeps until it is closed.
func newSweeper(l *quota.Ledger) *sweeper {
	debug.FreeOSMemory() // of what was needed to start
	s := &sweeper{ledger: l, least: heapTaken(), stop: make(chan struct{})}
	s.ended.Go(s.keep)
	return s
}

// close ends it. A nil one has nothing to end.
func (s *sweeper) close() {
	if s != nil {
		close(s.stop)
		s.ended.Wait()
	}
}

func (s *sweeper) keep() {
	for wait := sweepEvery; ; {
		select {
		case <-s.stop:
			return
		case <-time.After(wait):
		}
		counted := s.ledger.Total(quota.Memory)
		s.most.Store(max(s.most.Load(), counted))
		wait = sweepEvery
		taken := heapTaken()
		// What instances had outside of the heap has gone back by itself.
		fallen := s.most.Load()-counted >= sweepBeyond && taken-s.least >= sweepBeyond
		if beyond := taken - s.least - counted; !fallen && beyond < sweepBeyond {
			continue
		}
		began := time.Now()
		debug.FreeOSMemory()
		wait = max(wait, sweepPause*time.Since(began))
		left := heapTaken()
		if taken-left < sweepBeyond/2 {
			wait = max(wait, sweepRest)
		}
		s.least = min(s.least, left)
		s.most.Store(counted)
	}
}

// heapTaken returns what Go has taken from the system and not returned, in bytes.
func heapTaken() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()) - int64(samples[1].Value.Uint64())
}
