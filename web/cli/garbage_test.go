package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestGarbage_IsBounded has a function keep a large file, and another one leave files behind
// in instances that end: the heap begins small, and is not twice as large as what is in use,
// but within what is counted, 15 % and 200 MiB.
func TestGarbage_IsBounded(t *testing.T) {
	t.Setenv("GOGC", "") // which would be a choice
	const write = `
def handler(event, context):
    with open('/tmp/file', 'wb') as f:
        for n in range(%d): f.write(bytes(1 << 20))
`
	dir := writeFiles(t, map[string]string{
		"keeper/main.py": fmt.Sprintf(write, 500) + "    return {'body': 'kept'}\n",
		"loser/main.py":  fmt.Sprintf(write, 64) + "    raise SystemExit\n",
	})
	s := serveChild(t, targets{}, "serve", "--listen", "127.0.0.1:0", "--functions", dir, "--memory", "1024", "--timeout", "10m")
	defer s.end(t)
	want := func(path, part string) {
		t.Helper()
		if got := get(t, &s.program, path).body; !strings.Contains(got, part) {
			t.Fatalf("%s: got %s, want %s", path, got, part)
		}
	}
	heap, instances := heapOf(t, s)
	if heap > 90<<20 {
		t.Errorf("an idle server's heap has %d MiB: it keeps what it has needed to start", heap>>20)
	}
	want("/keeper", "kept")
	for range 12 {
		want("/loser", "SystemExit")
		held, counted := heapOf(t, s)
		held, counted = held-heap, counted-instances
		if counted < 500<<20 {
			t.Fatalf("%d MiB are counted, and there is a file of 500", counted>>20)
		}
		if limit := counted*115/100 + 200<<20; held > limit {
			t.Fatalf("the heap has %d MiB, %d are counted, want at most %d", held>>20, counted>>20, limit>>20)
		}
	}
}

// heapOf returns what a server's heap takes of the machine's memory, and what is counted for
// its instances, in bytes.
func heapOf(t *testing.T, s *serving) (heap, instances int64) {
	t.Helper()
	text := get(t, &s.program, "/metrics").body
	figure := func(name string) int64 {
		found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("no %s in %s", name, text)
		}
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return int64(n)
	}
	return figure("go_memstats_heap_sys_bytes") - figure("go_memstats_heap_released_bytes"), figure("vivarium_instances_memory_bytes")
}
