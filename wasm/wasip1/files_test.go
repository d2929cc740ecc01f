package wasip1

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// guest makes calls like a program in an instance.
type guest struct {
	t     testing.TB
	files *Files
	mem   api.Memory
	mod   api.Module
	out   bytes.Buffer
	tmp   *vfs.Mem
	work  int
	steps int // how often the root reported work
	slept int64
}

func newGuest(t testing.TB, tmp vfs.MemConfig) *guest {
	g := &guest{t: t, tmp: vfs.NewMem(tmp)}
	code, err := vfs.NewTree(fstest.MapFS{"main.py": {Data: []byte("def handler(): pass")}}, vfs.TreeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	stdio := [3]vfs.File{Input(strings.NewReader("request")), Output(&g.out), Output(&g.out)}
	root, err := vfs.NewRoot(vfs.Config{
		Mounts: []vfs.Mount{{Path: "function/code", Tree: code}, {Path: "tmp", Mem: g.tmp}, {Path: "dev", Tree: vfs.Devices()}},
		Stdio:  stdio, Random: strings.NewReader("random"),
		Work: func(int) { g.steps++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	g.files = New(Config{
		Root: root, Stdio: stdio,
		Work:  func(n int) { g.work += n },
		Sleep: func(ns int64) { g.slept += ns },
		Wait:  func(do func(context.Context, time.Time)) { do(t.Context(), time.Now()) },
		Now:   func() int64 { return 7e9 },
	})
	runtime := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { _ = runtime.Close(context.Background()) })
	// A module that contains only a memory of 1 MiB.
	g.mod, err = runtime.Instantiate(context.Background(), []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x10\x07\x0a\x01\x06memory\x02\x00"))
	if err != nil {
		t.Fatal(err)
	}
	g.mem = g.mod.Memory()
	return g
}

// call makes a call; a string argument is copied to memory and becomes a
// pointer and a length. Use result for results.
func (g *guest) call(name string, args ...any) vfs.Errno {
	g.t.Helper()
	var params []uint64
	at := uint32(1024)
	for _, arg := range args {
		switch arg := arg.(type) {
		case int:
			params = append(params, uint64(arg))
		case string:
			g.mem.WriteString(at, arg)
			params = append(params, uint64(at), uint64(len(arg)))
			at += uint32(len(arg))
		}
	}
	all := calls
	if extension, ok := strings.CutPrefix(name, "vivarium."); ok {
		name, all = extension, slices.Concat(extensions, socketCalls)
	}
	i := slices.IndexFunc(all, func(c call) bool { return c.name == name })
	if i < 0 || len(params) != len(all[i].params) {
		g.t.Fatalf("%s does not have %d parameters", name, len(params))
	}
	return all[i].do(g.files, g.mem, params)
}

const result = 512

func (g *guest) word() int {
	n, _ := g.mem.ReadUint32Le(result)
	return int(n)
}

const (
	oCreat, oDirectory, oExcl, oTrunc = 1, 2, 4, 8
	rightsReadWrite                   = rightRead | rightWrite
)

func (g *guest) open(path string, how, rights int) (fd int, errno vfs.Errno) {
	g.t.Helper()
	errno = g.call("path_open", preopenFD, 1, path, how, rights, 0, 0, result)
	return g.word(), errno
}

func (g *guest) must(errno vfs.Errno) {
	g.t.Helper()
	if errno != 0 {
		g.t.Fatal(errno)
	}
}

// vector writes an iovec for one buffer to memory.
func (g *guest) vector(ptr, size int) (vectors, count int) {
	g.mem.WriteUint32Le(256, uint32(ptr))
	g.mem.WriteUint32Le(260, uint32(size))
	return 256, 1
}

func (g *guest) write(fd int, text string) vfs.Errno {
	g.mem.WriteString(4096, text)
	vectors, count := g.vector(4096, len(text))
	return g.call("fd_write", fd, vectors, count, result)
}

func (g *guest) read(fd int) string {
	g.t.Helper()
	vectors, count := g.vector(4096, 1000)
	g.must(g.call("fd_read", fd, vectors, count, result))
	text, _ := g.mem.Read(4096, uint32(g.word()))
	return string(text)
}

// filestat returns what a program sees of a file: mode, pages, whether it is
// read-only.
func (g *guest) filestat(path string, lookup int) string {
	g.t.Helper()
	if errno := g.call("path_filestat_get", preopenFD, lookup, path, result); errno != 0 {
		return errno.String()
	}
	buf, _ := g.mem.Read(result, 64)
	return fmt.Sprintf("%o %d %d", le.Uint16(buf[18:]), le.Uint32(buf[20:]), buf[17])
}

func TestFiles_PermissionsAreKeptAndTold(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	g.must(g.call("vivarium.path_open", preopenFD, 1, "tmp/a", oCreat, rightsReadWrite, 0, 0, 0o640, result))
	fd := g.word()
	g.must(g.write(fd, "x"))
	g.must(g.call("vivarium.path_create_directory", preopenFD, "tmp/d", 0o700))
	g.must(g.call("path_create_directory", preopenFD, "tmp/e"))
	g.must(g.call("path_symlink", "a", preopenFD, "tmp/l"))
	if _, errno := g.open("tmp/b", oCreat, rightsReadWrite); errno != 0 {
		t.Fatal(errno)
	}
	check := func(want map[string]string) {
		t.Helper()
		for path, is := range want {
			if got := g.filestat(path, 0); got != is {
				t.Errorf("%s: %s, want %s", path, got, is)
			}
		}
	}
	check(map[string]string{
		"tmp/a": "100640 1 0", "tmp/b": "100644 0 0", "tmp/d": "40700 0 0", "tmp/e": "40755 0 0", "tmp/l": "120777 0 0",
		"tmp": "41777 0 0", "function/code/main.py": "100444 1 1", "function/code": "40555 0 1", "dev/null": "20666 0 1",
	})
	g.must(g.call("vivarium.path_chmod", preopenFD, 1, "tmp/l", 0o4751))
	check(map[string]string{"tmp/a": "104751 1 0"})
	g.must(g.call("vivarium.fd_chmod", fd, 0))
	check(map[string]string{"tmp/a": "100000 1 0"})
	for path, want := range map[string]vfs.Errno{"function/code/main.py": vfs.EROFS, "tmp/no": vfs.ENOENT, "tmp/l": vfs.ENOTSUP} {
		if errno := g.call("vivarium.path_chmod", preopenFD, 0, path, 0o777); errno != want {
			t.Errorf("chmod %s: %v, want %v", path, errno, want)
		}
	}
}

func TestFiles_DirectoriesAreWhatTheyAreAndNotTheirNames(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	g.must(g.call("path_create_directory", preopenFD, "tmp/d"))
	dir, errno := g.open("tmp/d", oDirectory, rightRead)
	g.must(errno)
	g.must(g.call("path_rename", preopenFD, "tmp/d", preopenFD, "tmp/e"))
	g.must(g.call("path_symlink", "/function/code", preopenFD, "tmp/d"))
	g.must(g.call("path_create_directory", dir, "sub"))
	if got := g.filestat("tmp/e/sub", 1); got != "40755 0 0" {
		t.Error(got)
	}
	if got := g.filestat("tmp/d/main.py", 1); got != "100444 1 1" {
		t.Error(got)
	}
	// ".." applies to what a link leads to.
	if got := g.filestat("tmp/d/../../tmp/d/../code", 1); got != "40555 0 1" {
		t.Error(got)
	}
	g.must(g.call("path_readlink", preopenFD, "tmp/d", 8192, 9, result))
	if text, _ := g.mem.Read(8192, uint32(g.word())); string(text) != "/function" {
		t.Errorf("readlink with little room: %q", text)
	}
}

func TestFiles_TargetsOfLinksAreNotTheGuestsMemory(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	for n, target := range []string{"target", strings.Repeat("target/", 500)} {
		name := fmt.Sprint("tmp/", n)
		g.must(g.call("path_symlink", target, preopenFD, name))
		g.mem.WriteString(1024, strings.Repeat("\x00", len(target)+len(name)))
		g.must(g.call("path_readlink", preopenFD, name, 8192, vfs.MaxPath, result))
		if text, _ := g.mem.Read(8192, uint32(g.word())); string(text) != target {
			t.Errorf("the target is %q", text)
		}
	}
}

// recordingNet records the names that it is asked for.
type recordingNet struct{ names []string }

// Resolve implements sockets.Net.
func (n *recordingNet) Resolve(_ context.Context, name string) ([]netip.Addr, error) {
	n.names = append(n.names, name)
	return nil, sockets.ErrNoName
}

// Connect implements sockets.Net.
func (n *recordingNet) Connect(context.Context, sockets.Kind, netip.AddrPort) (*sockets.Conn, error) {
	return nil, syscall.ECONNREFUSED
}

// While a name is looked up other threads of the guest run, which may change it.
func TestFiles_NamesToResolveAreNotTheGuestsMemory(t *testing.T) {
	g, net := newGuest(t, vfs.MemConfig{}), &recordingNet{}
	g.files.SetNet(net)
	g.files.Wait = func(do func(context.Context, time.Time)) {
		g.mem.WriteString(1024, "internal.example")
		do(t.Context(), time.Time{})
	}
	g.call("vivarium.sock_resolve", "outside.example", 8192, 10, result)
	if len(net.names) != 1 || net.names[0] != "outside.example" {
		t.Errorf("asked for %q", net.names)
	}
}

func TestFiles_ListsADirectoryLargerThanItsBuffer(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	for i := range 100 {
		g.must(g.call("path_create_directory", preopenFD, "tmp/"+strings.Repeat("x", i+1)))
	}
	fd, errno := g.open("tmp", oDirectory, rightRead)
	g.must(errno)
	const buf, size = 4096, 200
	var got []string
	for cookie := 0; ; {
		g.must(g.call("fd_readdir", fd, buf, size, cookie, result))
		used := uint32(g.word())
		for at := uint32(buf); at+24 <= buf+used; {
			header, _ := g.mem.Read(at, 24)
			length := le.Uint32(header[16:])
			name, _ := g.mem.Read(at+24, length)
			if at+24+length > buf+used {
				break
			}
			got = append(got, string(name))
			cookie = int(le.Uint64(header))
			at += 24 + length
		}
		if used < size {
			break
		}
	}
	if len(got) != 102 || got[0] != "." || got[1] != ".." || got[101] != strings.Repeat("x", 100) {
		t.Errorf("%d names: %.200q", len(got), got)
	}
}

func TestFiles_ErrorsAreThoseOfLinux(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{MaxBytes: vfs.PageSize})
	fd, errno := g.open("tmp/a", oCreat, rightsReadWrite)
	g.must(errno)
	vectors, count := g.vector(8192, vfs.PageSize+1)
	if errno := g.call("fd_write", fd, vectors, count, result); errno != 0 || g.word() != vfs.PageSize {
		t.Errorf("a write that fits in part: %v, %d bytes", errno, g.word())
	}
	opened := func(path string, how, rights int) vfs.Errno { _, errno := g.open(path, how, rights); return errno }
	for name, c := range map[string]struct{ got, want vfs.Errno }{
		"a write that doesn't fit": {g.call("fd_write", fd, vectors, count, result), vfs.ENOSPC},
		"too many vectors":         {g.call("fd_write", fd, vectors, maxVectors+1, result), vfs.EINVAL},
		"a closed descriptor":      {g.call("fd_read", 99, vectors, count, result), vfs.EBADF},
		"reading the log":          {g.call("fd_read", 1, vectors, count, result), vfs.EBADF},
		"seeking in the log":       {g.call("fd_seek", 1, 0, 0, result), vfs.ESPIPE},
		"a file as a directory":    {g.call("path_create_directory", fd, "x"), vfs.ENOTDIR},
		"a long path":              {g.call("path_create_directory", preopenFD, strings.Repeat("x/", 2048)), vfs.ENAMETOOLONG},
		"no path":                  {g.call("path_create_directory", preopenFD, ""), vfs.ENOENT},
		"another file system":      {g.call("path_rename", preopenFD, "tmp/a", preopenFD, "function/code/a"), vfs.EXDEV},
		"a read-only one":          {g.call("path_create_directory", preopenFD, "function/code/d"), vfs.EROFS},
		"outside":                  {g.call("path_filestat_get", preopenFD, 1, "../etc/passwd", result), vfs.ENOENT},
		"a name that is there":     {opened("tmp/a", oCreat|oExcl, rightsReadWrite), vfs.EEXIST},
		"renumbering":              {g.call("fd_renumber", fd, 1<<30), vfs.ENOTSUP},
		"odd bytes":                {opened("tmp/\xff\xfe", oCreat, rightRead), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

func TestFiles_Devices(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	for path, want := range map[string]string{
		"dev/null": "", "dev/zero": strings.Repeat("\x00", 1000), "dev/urandom": "random", "dev/stdin": "request",
	} {
		fd, errno := g.open(path, oTrunc, rightsReadWrite)
		g.must(errno)
		if got := g.read(fd); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	null, _ := g.open("dev/null", oCreat, rightWrite)
	g.must(g.write(null, "nothing"))
	log, errno := g.open("dev/stdout", oCreat|oTrunc, rightWrite)
	g.must(errno)
	g.must(g.write(log, "a line"))
	if g.out.String() != "a line" {
		t.Errorf("the log has %q", g.out.String())
	}
	if g.tmp.Written() || g.tmp.Used() != 0 {
		t.Error("what is written to a device is in /tmp")
	}
	for fd, want := range map[int]string{null: "20666", 1: "10600"} {
		g.must(g.call("fd_filestat_get", fd, result))
		buf, _ := g.mem.Read(result, 64)
		if got := fmt.Sprintf("%o", le.Uint16(buf[18:])); got != want {
			t.Errorf("%d: %s, want %s", fd, got, want)
		}
	}
}

func TestFiles_Poll(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	file, errno := g.open("tmp/a", oCreat, rightsReadWrite)
	g.must(errno)
	type sub struct {
		kind byte
		fd   uint32
		wait uint64
	}
	poll := func(subs ...sub) (events []string) {
		t.Helper()
		for n, s := range subs {
			b := make([]byte, subscriptionSize)
			b[0], b[8] = byte(n), s.kind
			if s.kind == eventClock {
				le.PutUint64(b[24:], s.wait)
			} else {
				le.PutUint32(b[16:], s.fd)
			}
			g.mem.Write(4096+uint32(n)*subscriptionSize, b)
		}
		g.must(g.call("poll_oneoff", 4096, 8192, len(subs), result))
		for n := range g.word() {
			b, _ := g.mem.Read(8192+uint32(n)*eventSize, eventSize)
			events = append(events, fmt.Sprint(b[0], " ", vfs.Errno(le.Uint16(b[8:])), " ", b[10]))
		}
		return events
	}
	for name, c := range map[string]struct {
		subs  []sub
		want  []string
		slept int64
	}{
		"all are ready": {
			[]sub{{eventRead, 0, 0}, {eventWrite, 1, 0}, {eventRead, uint32(file), 0}, {eventWrite, uint32(file), 0}},
			[]string{"0 success 1", "1 success 2", "2 success 1", "3 success 2"}, 0,
		},
		"nobody waits":      {[]sub{{eventWrite, 1, 0}, {eventClock, 0, 5}}, []string{"0 success 2"}, 0},
		"but for the time":  {[]sub{{eventClock, 0, 9}, {eventClock, 0, 5}}, []string{"1 success 0"}, 5},
		"no time":           {[]sub{{eventWrite, 1, 0}, {eventClock, 0, 0}}, []string{"0 success 2", "1 success 0"}, 0},
		"closed descriptor": {[]sub{{eventRead, 77, 0}, {eventWrite, math.MaxUint32, 0}}, []string{"0 EBADF 1", "1 EBADF 2"}, 0},
	} {
		g.slept = 0
		if got := poll(c.subs...); !slices.Equal(got, c.want) || g.slept != c.slept {
			t.Errorf("%s: %q, slept %d", name, got, g.slept)
		}
	}
}

func TestFiles_FlagsOfDescriptors(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	file, errno := g.open("tmp/a", oCreat, rightsReadWrite)
	g.must(errno)
	for _, fd := range []int{0, 1, preopenFD, file} {
		g.must(g.call("fd_fdstat_set_flags", fd, flagNonBlock|flagAppend))
		g.must(g.call("fd_fdstat_get", fd, result))
		b, _ := g.mem.Read(result, 24)
		if got := le.Uint16(b[2:]); got != flagNonBlock|flagAppend {
			t.Errorf("%d: flags %d", fd, got)
		}
		rights := le.Uint64(b[8:]) & (rightRead | rightWrite | rightSeek)
		want := map[int]uint64{0: rightRead, 1: rightWrite, preopenFD: rightRead | rightSeek, file: rightRead | rightWrite | rightSeek}[fd]
		if rights != want {
			t.Errorf("%d: rights %b, want %b", fd, rights, want)
		}
	}
}

func TestFiles_Times(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	_, errno := g.open("tmp/a", oCreat, rightRead)
	g.must(errno)
	g.must(g.call("path_symlink", "a", preopenFD, "tmp/l"))
	g.must(g.call("path_create_directory", preopenFD, "tmp/d"))
	times := func(path string) [2]uint64 {
		g.must(g.call("path_filestat_get", preopenFD, 0, path, result))
		b, _ := g.mem.Read(result, 64)
		return [2]uint64{le.Uint64(b[40:]), le.Uint64(b[48:])}
	}
	g.must(g.call("path_filestat_set_times", preopenFD, 1, "tmp/l", 3, 4, 1|4))
	g.must(g.call("path_filestat_set_times", preopenFD, 0, "tmp/l", 5, 6, 1|4))
	g.must(g.call("path_filestat_set_times", preopenFD, 0, "tmp/d", 8, 0, 1|8))
	for path, want := range map[string][2]uint64{"tmp/a": {3, 4}, "tmp/l": {5, 6}, "tmp/d": {8, 7e9}} {
		if got := times(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if errno := g.call("path_filestat_set_times", preopenFD, 0, "tmp/d", 8, 0, 1|2); errno != vfs.EINVAL {
		t.Error(errno)
	}
}

func TestFiles_Space(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{MaxBytes: 10 * vfs.PageSize, MaxEntries: 5})
	fd, errno := g.open("tmp/a", oCreat, rightsReadWrite)
	g.must(errno)
	g.must(g.write(fd, "x"))
	g.must(g.call("vivarium.path_space", preopenFD, "tmp/a", result))
	b, _ := g.mem.Read(result, 32)
	if b[0] != 0 || le.Uint64(b) != 10*vfs.PageSize || le.Uint64(b[8:]) != 9*vfs.PageSize ||
		le.Uint64(b[16:]) != 5 || le.Uint64(b[24:]) != 4 {
		t.Errorf("%v", b)
	}
}

// A guest that makes the host read a hole of terabytes is interrupted now and
// then.
func TestFiles_WorkIsReported(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	fd, errno := g.open("tmp/a", oCreat, rightsReadWrite)
	g.must(errno)
	g.must(g.call("fd_filestat_set_size", fd, 1<<40))
	for n := range 1000 {
		g.mem.WriteUint32Le(uint32(8*n), 65536)
		g.mem.WriteUint32Le(uint32(8*n+4), 900_000)
	}
	g.work = 0
	g.must(g.call("fd_read", fd, 0, 1000, result))
	// The buffers overlap the vectors; the first ones overwrite them.
	if g.word() != 900_000_000 || g.work < g.word() {
		t.Errorf("read %d bytes for %d of work", g.word(), g.work)
	}
}

// Resolving the longest of paths is work, and so is what links add to it.
func TestFiles_StepsOfPathsAreWork(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	const steps, chain = 2000, 30
	long := strings.Repeat("./", steps)
	last := "f"
	for n := range chain {
		g.must(g.call("path_symlink", long+last, preopenFD, fmt.Sprint("tmp/", n)))
		last = fmt.Sprint(n)
	}
	for path, least := range map[string]int{"tmp/" + long: steps, "tmp/" + last: steps * chain} {
		g.steps = 0
		g.call("path_filestat_get", preopenFD, 1, path, 8192)
		if g.steps < least {
			t.Errorf("%d reports of work, want %d", g.steps, least)
		}
	}
}

func TestFiles_CloseClosesAll(t *testing.T) {
	g := newGuest(t, vfs.MemConfig{})
	fd, errno := g.open("tmp/a", oCreat, rightsReadWrite)
	g.must(errno)
	g.must(g.write(fd, "x"))
	g.must(g.call("path_unlink_file", preopenFD, "tmp/a"))
	for _, fd := range []int{0, 1, 2, preopenFD} {
		g.must(g.call("fd_close", fd))
	}
	g.files.Close()
	if g.tmp.Used() != 0 || g.files.Root.OpenFiles() != 0 {
		t.Errorf("%d bytes, %d files", g.tmp.Used(), g.files.Root.OpenFiles())
	}
}

// A guest whose own code has been taken over can pass anything.
func TestFiles_NoArgumentsHarmTheHost(t *testing.T) {
	odd := []uint64{0, 3, 1<<20 - 1, math.MaxInt32, math.MaxUint32, 89478486, 536870912, math.MaxUint64, 1 << 63}
	for _, c := range slices.Concat(calls, extensions, socketCalls) {
		g := newGuest(t, vfs.MemConfig{MaxBytes: 1 << 20, MaxEntries: 10})
		for _, fd := range []uint64{1, 3, 4, 5} {
			for _, a := range odd {
				for _, b := range odd {
					file, _ := g.open("tmp/a", oCreat, rightsReadWrite)
					dir, _ := g.open("tmp", oDirectory, rightRead)
					g.call("vivarium.sock_open", 2, 1, 0, result)
					params := []uint64{fd, a, b, a, b, b, a, b, a, b}[:max(len(c.params), 1)]
					c.do(g.files, g.mem, params)
					params = []uint64{a, b, fd, b, a, a, b, a, b, a}[:max(len(c.params), 1)]
					c.do(g.files, g.mem, params)
					g.call("fd_close", file)
					g.call("fd_close", dir)
				}
			}
		}
	}
}
