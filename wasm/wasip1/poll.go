package wasip1

import (
	"math"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/vfs"
)

// Sizes and event types of poll_oneoff.
const (
	subscriptionSize = 48
	eventSize        = 32

	eventClock = 0
	eventRead  = 1
	eventWrite = 2

	absoluteTime = 1
)

// poll is poll_oneoff. Every open file can be read and written at once, as
// files and pipes to a reader can; so only a guest that waits for nothing but
// time does wait.
func (f *Files) poll(m api.Memory, p []uint64) vfs.Errno {
	count := uint32(p[2])
	if count == 0 || count > math.MaxUint32/subscriptionSize {
		return vfs.EINVAL
	}
	in, ok := m.Read(uint32(p[0]), count*subscriptionSize)
	out, ok2 := m.Read(uint32(p[1]), count*eventSize)
	if _, ok3 := m.ReadUint32Le(uint32(p[3])); !ok || !ok2 || !ok3 {
		return efault
	}
	wait, clocks, events := int64(math.MaxInt64), uint32(0), uint32(0)
	for n := range count {
		f.Work(subscriptionSize + eventSize)
		s := in[n*subscriptionSize:][:subscriptionSize]
		switch kind := s[8]; kind {
		case eventClock:
			if le.Uint16(s[40:])&absoluteTime != 0 {
				return vfs.ENOTSUP
			}
			clocks++
			wait = min(wait, int64(min(le.Uint64(s[24:]), math.MaxInt64)))
		case eventRead, eventWrite:
			_, errno := f.get(uint64(le.Uint32(s[16:])))
			writeEvent(out[events*eventSize:], s, errno)
			events++
		default:
			return vfs.EINVAL
		}
	}
	if events > 0 && wait > 0 {
		clocks = 0 // no clock has expired yet
	} else if wait > 0 {
		f.Sleep(wait)
	}
	for n := uint32(0); n < count && clocks > 0; n++ {
		s := in[n*subscriptionSize:][:subscriptionSize]
		if s[8] == eventClock && int64(min(le.Uint64(s[24:]), math.MaxInt64)) <= wait {
			writeEvent(out[events*eventSize:], s, 0)
			events++
		}
	}
	m.WriteUint32Le(uint32(p[3]), events)
	return 0
}

// writeEvent writes the outcome of a subscription.
func writeEvent(out, subscription []byte, errno vfs.Errno) {
	out = out[:eventSize]
	clear(out)
	copy(out, subscription[:8])
	le.PutUint16(out[8:], uint16(errno))
	out[10] = subscription[8]
	if subscription[8] != eventClock && errno == 0 {
		le.PutUint64(out[16:], 1) // bytes available to read or write
	}
}
