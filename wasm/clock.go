package wasm

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/vfs"
)

// Clock ids of WASI preview 1.
const (
	clockRealtime = iota
	clockMonotonic
	clockProcessCPU
	clockThreadCPU
)

// Error numbers of WASI.
const (
	efault = 21
	einval = 28
)

// clockWork is what looking at a clock counts for: a call of the host is some
// hundred nanoseconds' worth, far more than an iteration of a loop.
const clockWork = 1 << 10

// Resolutions of the clocks, in nanoseconds.
const (
	wallResolution = 1000
	resolution     = 1
)

// clockTimeGet is clock_time_get(id, precision, result) -> errno. It replaces
// wazero's, which has no CPU time clock and doesn't count readings for
// Observations.
func clockTimeGet(ctx context.Context, m api.Module, stack []uint64) {
	i := instanceOf(ctx)
	i.did(clockWork)
	var now int64
	switch api.DecodeU32(stack[0]) {
	case clockRealtime:
		sec, nsec := i.wallTime()
		now = sec*int64(time.Second) + int64(nsec)
	case clockMonotonic:
		now = i.nanotime()
	case clockProcessCPU, clockThreadCPU:
		now = i.cpuTime()
	default:
		stack[0] = uint64(vfs.EINVAL)
		return
	}
	stack[0] = answerTime(m, api.DecodeU32(stack[2]), now)
}

// clockResGet is clock_res_get(id, result) -> errno.
func clockResGet(ctx context.Context, m api.Module, stack []uint64) {
	instanceOf(ctx).did(clockWork)
	res := int64(resolution)
	switch api.DecodeU32(stack[0]) {
	case clockRealtime:
		res = wallResolution
	case clockMonotonic, clockProcessCPU, clockThreadCPU:
	default:
		stack[0] = uint64(vfs.EINVAL)
		return
	}
	stack[0] = answerTime(m, api.DecodeU32(stack[1]), res)
}

func answerTime(m api.Module, ptr uint32, ns int64) (errno uint64) {
	if !m.Memory().WriteUint64Le(ptr, uint64(ns)) {
		return efault
	}
	return 0
}

// wallTime is the guests' wall clock.
func (i *Instance) wallTime() (sec int64, nsec int32) {
	i.seen.WallClock++
	t := time.Now()
	return t.Unix(), int32(t.Nanosecond())
}

// nanotime is the guests' monotonic clock, in nanoseconds.
func (i *Instance) nanotime() int64 {
	i.seen.Monotonic++
	return i.engine.now()
}

// cpuTime returns the CPU time of all the guest's calls so far, in nanoseconds.
// A clone starts at zero.
func (i *Instance) cpuTime() int64 {
	i.seen.CPUTime++
	return int64(i.computed) + i.engine.now() - i.since
}
