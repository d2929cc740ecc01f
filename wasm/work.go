package wasm

import "time"

// What the host does for a guest is measured like what the guest computes
// itself: by amount, as a guest's loops are, and now and then by the clock.
const (
	// portion is how many bytes are copied or looked at between two looks at the
	// clock: some ten microseconds' worth.
	portion = 64 << 10
	// lookInterval is how often work of the host gives way.
	lookInterval = time.Millisecond
)

// did says that so much of a host call's work is done, in bytes or what takes as
// long. The guest looks up in time: its loop budget does not see the host work.
func (i *Instance) did(n int) {
	if i.work += n; i.work >= portion {
		i.lookUp()
	}
}

// lookUp is yield for the calls of a guest that give the host much to do.
func (i *Instance) lookUp() {
	i.work = 0
	if i.engine.now()-i.since >= int64(lookInterval) {
		i.yield()
	}
}

// pace is did for the work that surrounds a guest call. It implements Work.
func (i *Instance) pace(n int) {
	if i.work += n; i.work < portion || i.stopped != nil {
		return
	}
	i.work = 0
	if i.engine.now()-i.since >= int64(lookInterval) {
		i.stopped = i.giveWay()
	}
}
