package host

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// A scene has a tenant make the host hold something other than instances.
type scene struct {
	name string
	// fill makes the host hold it, until release is called.
	fill func(t *testing.T, h *testHost) (release func())
	// counted returns what is counted, in bytes.
	counted func(t *testing.T, h *testHost) int64
	least   int64 // what is certainly held, in bytes
}

// use returns what the default tenant has of something.
func use(q quota.Quota) func(*testing.T, *testHost) int64 {
	return func(t *testing.T, h *testHost) int64 {
		t.Helper()
		of, err := h.Tenants().Quotas(t.Context(), access.Operator, access.DefaultTenant)
		if err != nil {
			t.Fatal(err)
		}
		return of.Use[q]
	}
}

// letters returns what dead letters take in the store.
func letters(t *testing.T, h *testHost) int64 {
	t.Helper()
	bytes, _, err := h.cfg.Store.Letters.Use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// queue queues calls of a function of which one is made at a time.
func queue(calls, size int, source string) func(*testing.T, *testHost) func() {
	return func(t *testing.T, h *testHost) func() {
		h.create("queued")
		h.version("queued", source, catalog.VersionSpec{
			MaxInstances: 1, Timeout: 10 * time.Minute, AllowNet: "localhost", Async: &catalog.AsyncConfig{},
		})
		for range calls {
			h.async("queued", fmt.Sprintf(`"%s"`, noise(size)))
		}
		return func() {
			if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, "queued"); err != nil {
				t.Fatal(err)
			}
			h.emptied()
		}
	}
}

// waiting queues calls none of which ends before they are released.
func waiting(calls, size int) func(*testing.T, *testHost) func() {
	return func(t *testing.T, h *testHost) func() {
		// The system connects the first call; nobody answers it, until the listener closes.
		gate, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		release := queue(calls, size, fmt.Sprintf(`
import socket
def handler(event, context):
    try:
        socket.create_connection(("127.0.0.1", %d)).recv(1)
    except OSError:
        pass
`, gate.Addr().(*net.TCPAddr).Port))(t, h)
		return func() {
			_ = gate.Close()
			release()
		}
	}
}

// noise returns letters that don't compress.
func noise(size int) []byte {
	text := make([]byte, size)
	for i := range text {
		text[i] = byte('a' + rand.IntN(26))
	}
	return text
}

// shout logs megabytes of text.
func shout(mib int) func(*testing.T, *testHost) func() {
	return func(t *testing.T, h *testHost) func() {
		h.create("shouting")
		h.version("shouting", `
import base64, os
def handler(event, context):
    for n in range(event): print(base64.b64encode(os.urandom(48_000)).decode())
`, catalog.VersionSpec{Timeout: time.Minute})
		for range mib {
			h.want("shouting", "16", "null")
			h.book.Flush(t.Context())
		}
		return func() {}
	}
}

// diskOf returns what the files below a folder take, in bytes.
func diskOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // removed meanwhile
		}
		if info, err := d.Info(); err == nil {
			size += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

const (
	scenePart  = 1.15
	sceneSlack = 8 << 20 // on disk: indexes, blocks begun, records
)

// TestAccounting_OfTheDisk compares what is counted with what the store's files
// take.
func TestAccounting_OfTheDisk(t *testing.T) {
	size := 1
	if *allAttacks {
		size = 6
	}
	for _, s := range []scene{
		{name: "archives", counted: use(quota.CodeBytes), least: int64(size) * 20 << 20, fill: func(t *testing.T, h *testHost) func() {
			h.create("large")
			for range size * 5 {
				h.version("large", "TEXT = '"+string(noise(8<<20))+"'\ndef handler(event, context): pass\n", catalog.VersionSpec{})
			}
			return func() {}
		}},
		{name: "queued calls", counted: use(quota.AsyncBytes), least: int64(size) * 20 << 20,
			fill: waiting(size*20, 1<<20)},
		{name: "dead letters", counted: letters, least: int64(size) * 20 << 20, fill: func(t *testing.T, h *testHost) func() {
			release := queue(size*20, 1<<20, "def handler(event, context): raise ValueError")(t, h)
			h.emptied()
			return release
		}},
		{name: "log entries", counted: use(quota.LogBytes), least: int64(size) * 12 << 20, fill: shout(size * 16)},
	} {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			kept := openStore(t, dir)
			t.Cleanup(kept.Close)
			h := newTestHost(t, Config{Store: kept, NetCeiling: loopback(t)})
			before := diskOf(t, dir)
			release := s.fill(t, h)
			counted, held := s.counted(t, h), diskOf(t, dir)-before
			compare(t, held, counted, s.least, sceneSlack)
			release()
		})
	}
}

// compare fails the test when more is held than what is counted allows, or when less is
// counted than what is certainly held.
func compare(t *testing.T, held, counted, least, slack int64) {
	t.Helper()
	t.Logf("%d MiB are held, %d are counted", held>>20, counted>>20)
	if limit := int64(float64(counted)*scenePart) + slack; held > limit {
		t.Errorf("%d MiB are held, %d are counted, want at most %d held", held>>20, counted>>20, limit>>20)
	}
	if counted < least {
		t.Errorf("%d MiB are counted, want at least %d", counted>>20, least>>20)
	}
}

// pourer accepts connections, and sends on each until nobody takes more.
func pourer(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for b := make([]byte, 4096); ; {
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// TestAccounting_OfWhatWaits compares what is counted as memory with what the process
// holds, while a tenant's connections, readers and calls stand still.
func TestAccounting_OfWhatWaits(t *testing.T) {
	const readers = 100 // at most, by default
	talkers, slack := 3, int64(16<<20)
	if *allAttacks {
		talkers = 10
	}
	if roomtest.Raced { // whose detector keeps a history of the heap and of the stacks, the peers' too
		slack = 128 << 20
	}
	memory := func(_ *testing.T, h *testHost) int64 { return h.ledger.Total(quota.Memory) }
	for _, s := range []scene{
		{name: "connections", counted: memory, fill: func(t *testing.T, h *testHost) func() {
			port := pourer(t)
			for n := range talkers {
				name := fmt.Sprintf("talker-%d", n)
				h.deploy(name, talker+"\nkept = []\n", catalog.VersionSpec{AllowNet: "localhost", Timeout: time.Minute})
				got := h.eval(name, fmt.Sprintf(`
def connect():
    for n in range(100):
        kept.append(socket.create_connection(("127.0.0.1", %d)))
        kept[-1].recv(1)
    return len(kept)
`, port), "connect()")
				if got != "100" {
					t.Fatalf("%s connections", got)
				}
			}
			if n := use(quota.Connections)(t, h); n != int64(talkers)*100 {
				t.Fatalf("%d connections are counted", n)
			}
			return func() {}
		}},
		{name: "connections within an instance", counted: memory, least: 10 << 20, fill: func(t *testing.T, h *testHost) func() {
			h.deploy("talker", talker+"\nkept = []\n", catalog.VersionSpec{MemoryMB: 1024, Timeout: time.Minute})
			got := h.eval("talker", `
def fill():
    for n in range(50):
        for s in (pair := socket.socketpair()):
            s.setblocking(False)
            kept.append(s)
        for s in pair:
            try:
                while True: s.send(bytes(65536))
            except BlockingIOError:
                pass
    return len(kept)
`, "fill()")
			if got != "100" {
				t.Fatalf("%s sockets", got)
			}
			return func() {}
		}},
		{name: "readers that stand still", counted: memory, least: 1, fill: func(t *testing.T, h *testHost) func() {
			release := shout(16)(t, h)
			ctx, cancel := context.WithCancel(t.Context())
			reading, ended := make(chan struct{}, readers), make(chan error, readers)
			for range readers {
				go func() {
					ended <- h.FollowLogs(ctx, access.Operator, "shouting", logs.Query{}, func(logs.Entry) error {
						select {
						case reading <- struct{}{}:
						default:
						}
						<-ctx.Done()
						return ctx.Err()
					})
				}()
			}
			for range readers {
				<-reading
			}
			return func() {
				cancel()
				for range readers {
					<-ended
				}
				release()
			}
		}},
		{name: "calls that wait", counted: memory, least: 100 << 20, fill: func(t *testing.T, h *testHost) func() {
			h.deploy("slow", "import time\ndef handler(event, context): time.sleep(event[0])", catalog.VersionSpec{MaxInstances: 1, Timeout: 5 * time.Minute})
			h.want("slow", "[0]", "null")
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{}, 50)
			for range cap(ended) {
				body := fmt.Sprintf(`[3, "%s"]`, noise(3<<20))
				give, err := h.Ledger().Reserve(access.DefaultTenant, quota.Body, int64(len(body))) // as the server does
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					_, _ = h.rawContext(ctx, "slow", body)
					give()
					ended <- struct{}{}
				}()
			}
			return func() {
				cancel()
				for range cap(ended) {
					<-ended
				}
			}
		}},
	} {
		t.Run(s.name, func(t *testing.T) {
			h := netHost(t)
			h.deploy("warm", `def handler(event, context): return 1`, catalog.VersionSpec{})
			h.want("warm", `""`, "1") // what the host makes once
			before, counted := resident(t), s.counted(t, h)
			release := s.fill(t, h)
			compare(t, resident(t)-before, s.counted(t, h)-counted, s.least, slack)
			release()
			roomtest.Until(t, "nothing is counted", func() bool {
				h.reclaim()
				return h.ledger.Total(quota.Memory) == 0
			})
			if n := use(quota.Connections)(t, h); n != 0 {
				t.Errorf("%d connections are still counted", n)
			}
		})
	}
}
