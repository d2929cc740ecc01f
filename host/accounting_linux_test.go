package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/roomtest"
)

// resident returns what the process has in memory according to the kernel, pages
// that it maps several times once, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	t.Fatalf("no Pss in %s", text)
	return 0
}

// hoarder takes memory when it is imported, which is therefore in the image, and
// does with its pages what the event says.
const hoarder = `
import time
SIZE = %d << 20
BUF = bytearray(b"x" * 1024) * (SIZE // 1024)
def handler(event, context):
    how, _, hold = event.partition(" ")
    if how == "write":
        for i in range(0, SIZE, 4096):
            BUF[i] = 1
    elif how == "write-in-one-go":
        BUF[::4096] = bytes(SIZE // 4096)
    elif how == "fill":
        BUF[:] = BUF[4096:] + BUF[:4096]
    elif how == "read":
        for i in range(0, SIZE, 4096):
            BUF[i]
    elif how == "half":
        for i in range(0, SIZE // 2, 4096):
            BUF[i] = 1
    elif how == "grow":
        global MORE
        MORE = bytearray(b"y" * 1024) * (SIZE // 1024)
    elif how == "file":
        with open("/tmp/file", "wb") as f: f.write(BUF)
    time.sleep(float(hold))
    return len(BUF)
`

// TestAccounting compares what the ledger has counted with what the kernel says
// that the process holds, for functions that come to their memory in odd ways.
// Much larger ones are made with -attacks.all.
func TestAccounting(t *testing.T) {
	size, memory, instances := int64(64), 1024, 4 // MiB
	if *allAttacks {
		size, memory, instances = 400, 2048, 6 // filling takes thrice the size
	}
	const (
		slack = 64 << 20 // what neither knows of the other: garbage, tables of pages
		part  = 1.15
	)
	// Each instance is charged ahead for pages that it may come to share, and to own.
	ahead := int64(instances) * (16<<20 + size<<20/16)
	for _, how := range []string{"idle", "write", "write-in-one-go", "fill", "read", "half", "grow", "file"} {
		t.Run(how, func(t *testing.T) {
			h := newTestHost(t, Config{})
			h.deploy("warm", `def handler(event, context): return 1`, catalog.VersionSpec{})
			h.want("warm", `""`, "1") // what the host makes once
			before, counted := resident(t), h.ledger.Total(quota.Memory)
			h.deploy("hoarder", fmt.Sprintf(hoarder, size), catalog.VersionSpec{MemoryMB: memory, MaxInstances: instances, Timeout: 5 * time.Minute})
			made := hammer(instances, func(int) error {
				_, err := h.raw("hoarder", fmt.Sprintf(`"%s 1"`, how))
				return err
			})
			if made.ok != instances {
				t.Fatalf("%d of %d calls were answered: %v", made.ok, instances, made.err)
			}
			held, counted := resident(t)-before, h.ledger.Total(quota.Memory)-counted
			inHeap := how == "file" // of which the race detector keeps as much again, and more
			if limit := int64(float64(counted)*part) + slack; held > limit && !(inHeap && roomtest.Raced) {
				t.Errorf("%d MiB are resident, %d are counted, want at most %d resident", held>>20, counted>>20, limit>>20)
			}
			if limit := int64(float64(held)*part) + slack + ahead; counted > limit {
				t.Errorf("%d MiB are counted, %d are resident, want at most %d counted", counted>>20, held>>20, limit>>20)
			}
			h.reclaim()
			if n := h.ledger.Total(quota.Memory); n != 0 {
				t.Errorf("%d bytes are still counted without instances", n)
			}
		})
	}
}

// TestAccounting_BoundsWhatBecomesPrivate has more instances write to pages of
// their image than their tenant has memory for.
func TestAccounting_BoundsWhatBecomesPrivate(t *testing.T) {
	const size, most, instances = 64, 160 << 20, 5
	h := newTestHost(t, Config{Quotas: quota.Amounts{quota.Memory: most}})
	h.deploy("hoarder", fmt.Sprintf(hoarder, size), catalog.VersionSpec{MemoryMB: 256, MaxInstances: instances, Timeout: time.Minute})
	h.want("hoarder", `"idle 0"`, fmt.Sprint(size<<20)) // the image is made
	before := resident(t)
	made := hammer(instances, func(int) error {
		_, err := h.raw("hoarder", `"write 3"`)
		if used := h.ledger.Total(quota.Memory); used > most {
			t.Errorf("%d bytes are counted, of %d", used, int64(most))
		}
		return err
	})
	fe, ok := errors.AsType[*fault.FunctionError](made.err)
	denied := ok && fe.Type == "OutOfMemory" && strings.Contains(fe.Message, "quota of memory is used up")
	if _, full := errors.AsType[*quota.Error](made.err); made.ok > 2 || !full && !denied {
		t.Errorf("%d calls were answered, the others got %v", made.ok, made.err)
	}
	if held := resident(t) - before; held > most+64<<20 {
		t.Errorf("%d MiB are resident, of a quota of %d", held>>20, most>>20)
	}
	// Each may have had a part of what none could finish with; alone it fits.
	h.want("hoarder", `"write 0"`, fmt.Sprint(size<<20))
}

// TestImages_TakeTheirShareOfTheDisk has a tenant make more images than it may
// have: those needed longest ago go, and its functions don't notice.
func TestImages_TakeTheirShareOfTheDisk(t *testing.T) {
	const most = 40 << 20
	s, dir := keptStore(t), t.TempDir()
	abandoned, busy := filepath.Join(dir, "image-1.tmp"), filepath.Join(dir, "image-2.tmp")
	for _, name := range []string{abandoned, busy} {
		if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writing, err := os.Open(busy)
	if err != nil {
		t.Fatal(err)
	}
	defer writing.Close()
	if err := syscall.Flock(int(writing.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Store: s, ImageDir: dir, Quotas: quota.Amounts{quota.ImageBytes: most}}
	h := newTestHost(t, cfg)
	for _, name := range []string{abandoned, busy} {
		if _, err := os.Stat(name); (err == nil) != (name == busy) {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
	check := func(h *testHost) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*.image"))
		if err != nil || len(files) == 0 {
			t.Fatalf("images: %v, %v", files, err)
		}
		var stored int64
		for _, name := range files {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			stored += info.Size()
		}
		if used := h.ledger.State(access.DefaultTenant).Use[quota.ImageBytes]; used != stored || stored > most {
			t.Errorf("images of %d bytes are stored, %d are counted, at most %d are allowed", stored, used, most)
		}
	}
	names := []string{"one", "two", "three", "four", "five"}
	for _, name := range names {
		if _, err := h.Catalog().CreateFunction(t.Context(), access.Operator, catalog.FunctionSpec{Name: name}); err != nil {
			t.Fatal(err)
		}
		archive := archiveOf(t, fmt.Sprintf("def handler(event, context): return %q", name))
		if _, err := h.Catalog().CreateVersion(t.Context(), access.Operator, name,
			catalog.VersionSpec{Entrypoint: "main.handler"}, archive, nil); err != nil {
			t.Fatal(err)
		}
		h.want(name, `""`, fmt.Sprintf("%q", name))
		check(h)
	}
	h.want("one", `""`, `"one"`) // its image has gone in between
	check(h)
	h.Close()

	h = newTestHost(t, cfg)
	check(h)
	for _, name := range names {
		h.want(name, `""`, fmt.Sprintf("%q", name))
	}
	check(h)
	for _, name := range names {
		if err := h.Catalog().DeleteFunction(t.Context(), access.Operator, name); err != nil {
			t.Fatal(err)
		}
	}
	roomtest.Until(t, "no image is counted", func() bool { return h.ledger.Total(quota.ImageBytes) == 0 && h.ledger.Held(quota.ImageFile) == 0 })
}
