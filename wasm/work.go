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
	if i.late != nil {
		i.settle()
	}
	if i.engine.now()-i.since >= int64(lookInterval) {
		i.yield()
	}
}

// linger is did for work in the middle of which the guest's other threads must not run,
// since they could change what it is about, and which goes on, to its near end, when the
// call's time is up. Who calls it calls settle afterwards. Between calls it does nothing.
func (i *Instance) linger(n int) {
	if i.work += n; i.work < portion || i.late != nil || !i.entered {
		return
	}
	i.work = 0
	if i.engine.now()-i.since >= int64(lookInterval) {
		i.lingered, i.late = true, i.giveWay()
	}
}

// settle does what had to wait while the host lingered: it lets other threads run, or ends
// the call.
func (i *Instance) settle() {
	lingered, late := i.lingered, i.late
	i.lingered, i.late = false, nil
	switch {
	case late != nil:
		i.end(late)
	case lingered:
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
