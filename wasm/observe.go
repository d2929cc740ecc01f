package wasm

import "time"

// ObserveInterval is for how long a guest computes, at least, between two of its stacks
// that are noted.
const ObserveInterval = time.Millisecond

// Memory is a guest's linear memory, to be read while the guest stands still.
type Memory interface {
	// Read returns a view of n bytes, which is valid until the guest goes on; false if
	// not all of them are there.
	Read(at, n uint32) ([]byte, bool)
}

// Observer notes what a guest is doing at this moment, and returns what adds time to that:
// of computing until now, or of the wait that begins now. It is called by the goroutine
// that runs the guest; what it returns, by any.
type Observer func(m Memory) (add func(took time.Duration, waiting bool))

// observation is how the current call is observed.
type observation struct {
	observer Observer      // nil: it is not
	told     time.Duration // of what the call has computed
}

// computing tells the observer what was computed since the last time, if it is as long as
// least.
func (i *Instance) computing(least time.Duration) {
	if i.observer == nil || !i.entered {
		return
	}
	computed := i.meter.used + time.Duration(i.now()-i.since)
	if took := computed - i.told; took > 0 && took >= least {
		i.told = computed
		i.observer(i.module.Memory())(took, false)
	}
}

// waiting tells the observer of a wait that begins; over tells it that the wait is over.
func (i *Instance) waiting() (over func()) {
	if i.observer == nil {
		return func() {}
	}
	i.computing(0)
	add, start := i.observer(i.module.Memory()), i.now()
	return func() { add(time.Duration(i.now()-start), true) }
}
