package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much garbage the heap may have, in any case: so many bytes, or that part of what is in
// use if it is more.
const (
	leastGarbage = 128 << 20
	garbagePart  = 16
)

// gcPercent is how much garbage Go allows by default, in percent of what is in use.
const gcPercent = 100

// boundGarbage bounds the process's garbage for as long as it runs. By itself Go lets
// a heap double before it collects. What functions have in /tmp is in this heap, counted
// as their memory, and may be gigabytes: as much garbage would come on top, which nobody
// has counted, and --max-memory would be exceeded. What the collector has to look at is
// pointers; files are none, so collecting as if they were not there costs what it costs without them.
//
// Who has set GOGC has chosen; then nothing is done.
func boundGarbage() {
	if os.Getenv("GOGC") == "" {
		(&garbageBound{percent: gcPercent}).watch()
	}
}

// garbageBound adjusts the collector to what is in use.
type garbageBound struct{ percent int } // what the collector has been told

// watch has adjust called after the next collection, by leaving it something to collect.
func (g *garbageBound) watch() {
	// With a pointer, or it might share its memory with something that lives on.
	runtime.AddCleanup(&struct{ *garbageBound }{g}, (*garbageBound).adjust, g)
}

func (g *garbageBound) adjust() {
	defer g.watch() // not earlier: one at a time
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	metrics.Read(heap)
	live, pointers := heap[0].Value.Uint64(), heap[1].Value.Uint64()
	garbage := min(live, max(leastGarbage, live/garbagePart, pointers))
	if percent := int(gcPercent * garbage / max(live, 1)); percent != g.percent {
		g.percent = percent
		debug.SetGCPercent(percent)
	}
}
