package host

import (
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/roomtest"
)

// An instance that idles too long is told before it ends, and its place and memory are
// free afterwards. One whose memory is needed at once is not told.
func TestSignal_OfAnInstanceThatIsOfNoUse(t *testing.T) {
	const source = `
import signal
signal.signal(signal.SIGTERM, lambda number, frame: print('bye'))
def handler(event, context): pass
`
	h := newTestHost(t, Config{IdleTimeout: 100 * time.Millisecond})
	v := h.deploy("idle", source, catalog.VersionSpec{Timeout: time.Minute})
	h.want("idle", "", "null")
	roomtest.Until(t, "its handler runs", func() bool { return len(h.log("bye")) == 1 })
	roomtest.Until(t, "the instance is gone", func() bool {
		_, live, _ := h.instances(v)
		return live == 0
	})
	other := newTestHost(t, Config{})
	other.deploy("wanted", source, catalog.VersionSpec{Timeout: time.Minute})
	other.want("wanted", "", "null")
	other.reclaim()
	other.Close()
	if n := len(other.log("bye")); n != 0 {
		t.Errorf("the handler of an instance that had to go ran %d times", n)
	}
}
