package wasm

import "time"

// Work the host does for a guest is metered the way the guest's own loops are:
// by amount, with an occasional check of the clock.
const (
	// portion is how many bytes are copied or inspected between two checks of
	// the clock: some microseconds' worth.
	portion = 16 << 10
	// lookInterval is how often host work yields: as often as short loops of a guest do.
	lookInterval = 100 * time.Microsecond
)

// did records n units of work in a host call, in bytes or what takes as long.
// The guest's loop budget does not see this work, so it yields here in time.
func (i *Instance) did(n int) {
	if i.work += n; i.work >= portion {
		i.lookUp()
	}
}

// lookUp is yield for guest calls that make the host work a lot.
func (i *Instance) lookUp() {
	i.work = 0
	if i.engine.now()-i.since >= int64(lookInterval) {
		i.yield()
	}
}

// pace is did for the work around a guest call. It implements Work.
func (i *Instance) pace(n int) {
	if i.work += n; i.work < portion || i.stopped != nil {
		return
	}
	i.work = 0
	if i.engine.now()-i.since >= int64(lookInterval) {
		i.stopped = i.giveWay()
	}
}
