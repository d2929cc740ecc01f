package events

import (
	"context"
	"sync"
	"time"

	"vivarium/host/store"
)

// Bounds of what is being called in this host at once. A call that is asleep
// costs its tenant a place and no processor, so tenants do not compete for
// places: whatever others have, each has some.
const (
	maxAsyncCalls  = 1024 // of all tenants, beyond their shares
	maxAsyncTenant = 256  // of one tenant; and as many ticks of its timers
	asyncShare     = 8    // of a tenant, whatever others have; and as many ticks
	asyncSpare     = 8    // one of so many places, of each of these, is for functions that have none

	// lineInterval is how often the store is asked which lines there are: others
	// queue, too, and give back what they do not get done.
	lineInterval = 2 * time.Second
)

// dispatcher decides which queued call is made next. Each function has its own
// line in the store, and one for the ticks of its timers: nobody takes an item
// out of a line before there is a place for it. Who has least in progress comes
// first, of the tenants and then of their functions.
type dispatcher struct {
	e    *Events
	work *asyncWorker
	wake chan struct{} // of capacity 1: something can be done, perhaps

	calls sync.WaitGroup

	mu      sync.Mutex // guards all below; nothing blocks under it
	lines   map[store.Line]*line
	tenants map[lane]int // calls in progress
	total   int
	turn    uint64
}

// lane is a tenant's calls, or the ticks of its timers: neither waits for a place
// of the other's.
type lane struct {
	tenant string
	timer  bool
}

// line is what is known of a line in the store.
type line struct {
	lane    lane
	busy    int       // calls in progress
	waiting bool      // there may be something in it
	arrived int       // how much was queued here
	after   time.Time // it is left alone until then
	due     time.Time // when something comes back that was put off; zero for never
	turn    uint64    // when it was last served
}

func newDispatcher(e *Events) *dispatcher {
	d := &dispatcher{e: e, wake: make(chan struct{}, 1), lines: map[store.Line]*line{}, tenants: map[lane]int{}}
	d.work = &asyncWorker{e}
	return d
}

// arrived says that something was queued.
func (d *dispatcher) arrived(key store.Line) {
	d.mu.Lock()
	l := d.line(key)
	l.waiting = true
	l.arrived++
	d.mu.Unlock()
	d.rouse()
}

func (d *dispatcher) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// line returns what is known of a line. The caller holds the mutex.
func (d *dispatcher) line(key store.Line) *line {
	l := d.lines[key]
	if l == nil {
		l = &line{lane: lane{d.e.functions.TenantOf(key.FunctionID), key.Timer}}
		d.lines[key] = l
	}
	return l
}

// run makes calls until ctx ends, and returns when those in progress have ended.
func (d *dispatcher) run(ctx context.Context) {
	defer d.calls.Wait()
	asked := time.Time{}
	for ctx.Err() == nil {
		now := time.Now()
		if now.Sub(asked) >= lineInterval {
			d.ask(ctx)
			asked = now
		}
		if key, l, arrived := d.next(now); l != nil {
			d.serve(ctx, key, l, arrived)
			continue
		}
		sleep := time.NewTimer(time.Until(d.soonest(asked.Add(lineInterval))))
		select {
		case <-sleep.C:
		case <-d.wake:
		case <-ctx.Done():
		}
		sleep.Stop()
	}
}

// ask learns from the store which lines there are, and forgets the others.
func (d *dispatcher) ask(ctx context.Context) {
	counts, err := d.e.store.Queue.Lines(ctx)
	if err != nil {
		return // it is asked again soon
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, l := range d.lines {
		if counts[key] == 0 && l.busy == 0 && !l.waiting {
			delete(d.lines, key)
		}
	}
	for key, n := range counts {
		if l := d.line(key); n > uint64(l.busy) {
			l.waiting = true
		}
	}
}

// next takes a place for the line to serve next, and returns the line and how
// much had arrived in it by then; nil when there is none.
func (d *dispatcher) next(now time.Time) (key store.Line, next *line, arrived int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		next = nil
		for k, l := range d.lines {
			if !l.due.IsZero() && !l.due.After(now) {
				l.due, l.waiting = time.Time{}, true
			}
			if l.waiting && !l.after.After(now) && d.place(l) && (next == nil || d.before(l, next)) {
				key, next = k, l
			}
		}
		if next == nil {
			return key, nil, 0
		}
		// One call at least may wait for its turn among all others.
		if next.busy == 0 || d.e.functions.HasRoom(key.FunctionID) {
			break
		}
		next.after = now.Add(busyRetry) // or until one of its calls ends
	}
	d.turn++
	next.turn = d.turn
	next.busy++
	d.tenants[next.lane]++
	d.total++
	return key, next, next.arrived
}

// place reports whether there is a place for one more call of a line. Calls that sleep
// take all that they can, so that the tenant's other functions need some of their own.
func (d *dispatcher) place(l *line) bool {
	limit := func(places int) int {
		if l.busy > 0 {
			return places - places/asyncSpare
		}
		return places
	}
	n := d.tenants[l.lane]
	return n < limit(asyncShare) || n < limit(maxAsyncTenant) && d.total < limit(maxAsyncCalls)
}

// before reports whether a line is served before another one. Ticks are late already
// when they come.
func (d *dispatcher) before(a, b *line) bool {
	if a.lane.timer != b.lane.timer {
		return a.lane.timer
	}
	if x, y := d.tenants[a.lane], d.tenants[b.lane]; x != y {
		return x < y
	}
	if a.busy != b.busy {
		return a.busy < b.busy
	}
	return a.turn < b.turn
}

// serve takes one item out of a line that has a place, and makes its call.
func (d *dispatcher) serve(ctx context.Context, key store.Line, l *line, arrived int) {
	items, err := d.e.store.Queue.Take(ctx, key, 1)
	if err != nil || len(items) == 0 {
		d.leave(l, func() {
			l.waiting = l.arrived > arrived // should it be the store's fault, the next asking tells
		})
		return
	}
	i := items[0]
	if wait := d.work.early(i); wait > 0 {
		i.Later(wait)
		d.leave(l, func() { l.putOff(wait) })
		return
	}
	d.calls.Go(func() {
		wait := d.work.call(i)
		d.leave(l, func() {
			l.after = time.Time{}
			if wait > 0 {
				l.putOff(wait)
				l.after = l.due // what follows would fare no better
			}
		})
		d.rouse()
	})
}

// putOff notes that something comes back to the line.
func (l *line) putOff(wait time.Duration) {
	if due := time.Now().Add(wait); l.due.IsZero() || due.Before(l.due) {
		l.due = due
	}
}

// leave gives up a place.
func (d *dispatcher) leave(l *line, note func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.busy--
	d.total--
	if d.tenants[l.lane]--; d.tenants[l.lane] == 0 {
		delete(d.tenants, l.lane)
	}
	note()
}

// soonest returns when there may be something to do, at most latest.
func (d *dispatcher) soonest(latest time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lines {
		if l.waiting && l.after.Before(latest) && !l.after.IsZero() && d.place(l) {
			latest = l.after
		}
		if !l.due.IsZero() && l.due.Before(latest) {
			latest = l.due
		}
	}
	return latest
}
