package wasm

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"vivarium/wasm/vfs"
)

// hostCalls are the imports of calls.wat, in order.
var hostCalls = []string{
	"fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_get", "fd_fdstat_set_flags", "fd_fdstat_set_rights",
	"fd_filestat_get", "fd_filestat_set_size", "fd_filestat_set_times", "fd_pread", "fd_prestat_get", "fd_prestat_dir_name",
	"fd_pwrite", "fd_read", "fd_readdir", "fd_renumber", "fd_seek", "fd_sync", "fd_tell", "fd_write", "path_create_directory",
	"path_filestat_get", "path_filestat_set_times", "path_link", "path_open", "path_readlink", "path_remove_directory",
	"path_rename", "path_symlink", "path_unlink_file", "poll_oneoff", "random_get", "clock_time_get", "clock_res_get", "args_get",
	"args_sizes_get", "environ_get", "environ_sizes_get", "sched_yield", "sock_accept", "sock_recv", "sock_send", "sock_shutdown",
	"vivarium.respond",
	"vivarium.path_open", "vivarium.path_create_directory", "vivarium.path_chmod", "vivarium.path_space",
	"vivarium.fd_chmod", "vivarium.sock_open", "vivarium.sock_connect", "vivarium.sock_pair",
	"vivarium.sock_dup", "vivarium.sock_bind", "vivarium.sock_listen", "vivarium.sock_accept",
	"vivarium.sock_recv", "vivarium.sock_send", "vivarium.sock_shutdown", "vivarium.sock_name",
	"vivarium.sock_get_option", "vivarium.sock_set_option", "vivarium.sock_resolve", "vivarium.sock_refusal",
	"vivarium.fd_poll", "vivarium.seed", "vivarium.thread_start", "vivarium.thread_wait",
	"vivarium.thread_wake", "vivarium.thread_yield", "vivarium.thread_interrupt", "vivarium.thread_locals", "proc_exit", "proc_raise",
	"vivarium.digest",
}

// hostCall is one call in a request to calls.wat.
func hostCall(name string, arguments ...int64) []byte {
	b := make([]byte, 40)
	b[0] = byte(slices.Index(hostCalls, name))
	for n, a := range arguments {
		binary.LittleEndian.PutUint32(b[4+4*n:], uint32(a))
	}
	return b
}

// callers creates instances of calls.wat.
type callers struct {
	engine *Engine
	image  *Image
	code   *vfs.Tree
}

func newCallers(t testing.TB) *callers {
	c := &callers{engine: newTestEngine(t, "calls.wasm", nil)}
	var err error
	if c.image, err = c.engine.Boot(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.image.Close() })
	if c.code, err = vfs.NewTree(fstest.MapFS{"a": {Data: []byte("text")}}, vfs.TreeConfig{Eager: true}); err != nil {
		t.Fatal(err)
	}
	return c
}

// attack makes calls in a fresh instance and checks that the host loses none of
// its time, memory or bookkeeping to them.
func (c *callers) attack(t testing.TB, request []byte) (*Response, error) {
	var used atomic.Int64
	reserve := func(delta int64) bool { return used.Add(delta) >= 0 }
	i, err := c.engine.Clone(t.Context(), c.image, InstanceConfig{
		MemoryLimit: 4 << 20, Code: c.code, Reserve: reserve,
		Tmp: vfs.NewMem(vfs.MemConfig{MaxBytes: 1 << 20, MaxEntries: 100, Reserve: reserve}),
	})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	r, err := i.Invoke(t.Context(), Call{Stdin: request, Deadline: start.Add(300 * time.Millisecond)})
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	i.Close()
	if took > 3*time.Second {
		t.Errorf("%q took %v", request, took)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%q made the host allocate %d MiB", request, got>>20)
	}
	if used.Load() != 0 {
		t.Errorf("%q: %d bytes used by nobody", request, used.Load())
	}
	return r, err
}

// What the host offers is attacked, but for what the rewriter has guests call.
func TestHostCalls_AllAreAttacked(t *testing.T) {
	c := newCallers(t)
	for module, prefix := range map[string]string{"wasi_snapshot_preview1": "", hostModule: hostModule + "."} {
		for name := range c.engine.runtime.Module(module).ExportedFunctionDefinitions() {
			if !slices.Contains(hostCalls, prefix+name) && !slices.Contains([]string{hostYield, hostEndLines}, name) {
				t.Errorf("calls.wat does not import %s%s", prefix, name)
			}
		}
	}
}

// A guest whose own code has been taken over can pass anything to the host.
func TestHostCalls_NoArgumentsHarmTheHost(t *testing.T) {
	c := newCallers(t)
	odd := []int64{0, 3, 1<<20 - 1, math.MaxInt32, -1, 89478486, 536870912}    // the last two overflow sizes of 48 and 8 bytes
	opened := slices.Clip(hostCall("path_open", 3, 0, 0, 5, 1, -1, -1, 0, 64)) // descriptor 4
	for _, name := range hostCalls {
		for _, a := range odd {
			for _, b := range odd {
				all := hostCall(name, a, b, a, b, a, b, a, b, a)
				_, _ = c.attack(t, all)
				_, _ = c.attack(t, hostCall(name, 3, a, b, b, a, b, a, b, a))
				_, _ = c.attack(t, hostCall(name, 1, a, b, 0, 0, 0, 0, 0, 0))
				_, _ = c.attack(t, append(append(opened, hostCall(name, 4, a, b, a, b, a, b, a, b)...), "tmp/a"...))
				// Another thread, which may be on any stack, makes the third call.
				_, _ = c.attack(t, slices.Concat(hostCall("vivarium.thread_start", 2, a), hostCall("vivarium.thread_yield"), all))
			}
		}
		if testing.Short() && t.Failed() {
			return
		}
	}
}

// slowly is an output that is slow.
type slowly struct{}

// Write implements io.Writer.
func (slowly) Write(p []byte) (int, error) {
	time.Sleep(5 * time.Millisecond)
	return len(p), nil
}

// A guest that makes the host work runs few loop iterations meanwhile.
func TestHostCalls_WorkOfTheHostEndsAtTheDeadline(t *testing.T) {
	c := newCallers(t)
	i := cloneOf(t, c.engine, c.image, 4<<20)
	request := append(slices.Repeat(hostCall("fd_write", 1, 0, 1, 64), 1000), 0, 0, 0, 0, 8, 0, 0, 0)
	start := time.Now()
	_, err := i.Invoke(t.Context(), Call{Stdin: request, Stdout: slowly{}, Deadline: start.Add(200 * time.Millisecond)})
	if took := time.Since(start); !errors.Is(err, ErrDeadline) || took > 2*time.Second {
		t.Errorf("got %v after %v, want %v", err, took, ErrDeadline)
	}
}

// So is handing over a response.
func TestHostCalls_AnswersWithoutEndEndAtTheDeadline(t *testing.T) {
	c := newCallers(t)
	i := cloneOf(t, c.engine, c.image, 4<<20)
	request := slices.Repeat(hostCall("vivarium.respond", 0, 0, 1<<20), 1600)
	start := time.Now()
	_, err := i.Invoke(t.Context(), Call{Stdin: request, Deadline: start.Add(5 * time.Millisecond)})
	if !errors.Is(err, ErrDeadline) {
		t.Errorf("got %v after %v, want %v", err, time.Since(start), ErrDeadline)
	}
}

func TestHostCalls_ASleepWithoutEndEndsAtTheDeadline(t *testing.T) {
	c := newCallers(t)
	subscription := make([]byte, 39)
	subscription[16] = 1 // the monotonic clock
	copy(subscription[24:], "\xff\xff\xff\xff\xff\xff\xff\x7f")
	if _, err := c.attack(t, append(hostCall("poll_oneoff", 0, 1024, 1, 2048), subscription...)); !errors.Is(err, ErrDeadline) {
		t.Errorf("got %v, want %v", err, ErrDeadline)
	}
}

func TestHostCalls_ResponsesOutsideTheMemoryEndTheInstance(t *testing.T) {
	c := newCallers(t)
	for _, a := range [][]int64{
		{0, -1, 1}, {0, 1 << 20, 1}, {0, 1<<20 - 1, 2}, {0, 0, -1}, {0, -8, 16}, {-1, math.MinInt32, math.MaxInt32},
	} {
		if r, err := c.attack(t, hostCall("vivarium.respond", a...)); err == nil {
			t.Errorf("respond%v: got %+v, want an error", a, r)
		}
	}
}

func FuzzHostCalls(f *testing.F) {
	c := newCallers(f)
	for n, name := range hostCalls {
		f.Add(hostCall(name, 3, 0, 64, 8, 128, 8, -1, -1, int64(n)))
	}
	f.Add(append(hostCall("path_open", 3, 0, 0, 5, 1, -1, -1, 0, 64), "tmp/a"...))
	f.Add(append(slices.Concat(hostCall("path_open", 3, 0, 0, 5, 9, -1, -1, 0, 64), hostCall("fd_allocate", 4, 0, math.MaxInt32),
		hostCall("fd_pwrite", 4, 0, 8, math.MaxInt32, 64), hostCall("fd_close", 4)), "tmp/b"...))
	f.Add(append(slices.Concat(hostCall("path_rename", 3, 0, 3, 3, 4, 6), hostCall("fd_close", 3), hostCall("fd_close", 0)), "tmp/../a/b"...))
	f.Add(append(hostCall("fd_readdir", 3, 64, 100000, 0, 8), "x"...))
	start := func(thread int64) []byte { return hostCall("vivarium.thread_start", thread, 1<<19) }
	f.Add(slices.Concat(start(2), hostCall("vivarium.thread_yield"), hostCall("vivarium.thread_wait", 0, 0, 1000)))
	f.Add(slices.Concat(start(0), hostCall("vivarium.thread_locals", 0, 8), hostCall("vivarium.thread_yield")))
	f.Add(slices.Concat(start(4), start(5), hostCall("vivarium.thread_wait", 0, 0, 1000), hostCall("vivarium.thread_interrupt", 4),
		hostCall("vivarium.respond", 0, 0, 1<<16), hostCall("poll_oneoff", 0, 1024, 1, 2048)))
	f.Add(slices.Concat(hostCall("vivarium.sock_pair", 1, 6, 0, 1024), hostCall("vivarium.sock_send", 4, 0, 1<<16, 0, 0, 0, 1024), start(3),
		hostCall("vivarium.sock_recv", 5, 0, 1<<16, 0, 0, 1024), hostCall("vivarium.fd_poll", 0, 64, 1000, 1024)))
	f.Fuzz(func(t *testing.T, request []byte) {
		if len(request) > 4000 {
			return
		}
		_, _ = c.attack(t, request)
	})
}
