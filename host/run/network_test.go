package run

import (
	"fmt"
	"net"
	"testing"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/egress"
	"vivarium/host/quota"
)

// An instance that idles keeps its connections for a while. Then they are hung up as if
// the other side had done so, which clients that keep connections are used to.
func TestPool_IdleInstancesHangUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	reach, err := egress.ParsePolicy("localhost")
	if err != nil {
		t.Fatal(err)
	}
	h := newTestHost(t, testConfig{NetCeiling: reach})
	v := h.deploy("talker", fmt.Sprintf(`
import socket
kept = []
def handler(event, context):
    if not kept:
        kept.append(socket.create_connection(("127.0.0.1", %d)))
        return "connected"
    kept[0].setblocking(False)
    try:
        return kept[0].recv(1).decode()
    except BlockingIOError:
        return "kept"
`, l.Addr().(*net.TCPAddr).Port), catalog.VersionSpec{AllowNet: "localhost", MaxInstances: 1, Timeout: time.Minute})
	connections := func() int64 { return h.room.ledger.Held(quota.Connection) }
	h.want("talker", `""`, `"connected"`)
	pool := h.version(v.ID).pool
	pool.hangUp(time.Now().Add(-keepAlive))
	h.want("talker", `""`, `"kept"`)
	if n := connections(); n != 1 {
		t.Errorf("%d connections count", n)
	}
	pool.hangUp(time.Now().Add(time.Second)) // as if keepAlive had passed
	if n := connections(); n != 0 {
		t.Errorf("%d connections count after they were hung up", n)
	}
	h.want("talker", `""`, `""`)
}
