package vfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// The calls of WASI that the guest of these tests can make, and their
// parameters: i is a 32-bit number, l a 64-bit one.
var wasiCalls = []struct{ name, params string }{
	{"path_open", "iiiiillii"},
	{"path_filestat_get", "iiiii"},
	{"path_rename", "iiiiii"},
	{"path_create_directory", "iii"},
	{"path_symlink", "iiiii"},
	{"fd_readdir", "iiili"},
	{"fd_read", "iiii"},
	{"fd_write", "iiii"},
	{"fd_close", "i"},
}

// wasiGuest is a module with a memory and, for each call, a function that makes it.
func wasiGuest() []byte {
	section := func(id byte, items ...[]byte) []byte {
		body := append([]byte{byte(len(items))}, bytes.Join(items, nil)...)
		return append(append([]byte{id}, binary.AppendUvarint(nil, uint64(len(body)))...), body...)
	}
	name := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	var types, imports, funcs, exports, codes [][]byte
	exports = append(exports, append(name("memory"), 2, 0))
	for i, c := range wasiCalls {
		kind := []byte{0x60, byte(len(c.params))}
		body := []byte{0}
		for j, p := range c.params {
			kind = append(kind, map[rune]byte{'i': 0x7f, 'l': 0x7e}[p])
			body = append(body, 0x20, byte(j))
		}
		body = append(body, 0x10, byte(i), 0x0b)
		types = append(types, append(kind, 1, 0x7f))
		imports = append(imports, slices.Concat(name("wasi_snapshot_preview1"), name(c.name), []byte{0, byte(i)}))
		funcs = append(funcs, []byte{byte(i)})
		exports = append(exports, append(name(c.name), 0, byte(len(wasiCalls)+i)))
		codes = append(codes, append([]byte{byte(len(body))}, body...))
	}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), section(1, types...), section(2, imports...),
		section(3, funcs...), section(5, []byte{0, 4}), section(7, exports...), section(10, codes...))
}

// guest calls WASI as a program would, on a Root.
type guest struct {
	t    *testing.T
	root *Root
	mod  api.Module
}

func newGuest(t *testing.T, root *Root) *guest {
	g := &guest{t: t, root: root}
	ctx := experimental.WithFunctionListenerFactory(context.Background(), g)
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, runtime)
	config := wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(root, "/")
	mod, err := runtime.InstantiateWithConfig(context.Background(), wasiGuest(), wazero.NewModuleConfig().WithFSConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	g.mod = mod
	return g
}

// NewFunctionListener and the methods that follow put the true number in the place of EIO.
func (g *guest) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener { return g }

func (g *guest) Before(context.Context, api.Module, api.FunctionDefinition, []uint64, experimental.StackIterator) {
}

func (g *guest) After(_ context.Context, _ api.Module, _ api.FunctionDefinition, results []uint64) {
	if n := g.root.TakeErrno(); n != 0 && results[0] == 29 {
		results[0] = uint64(n)
	}
}

func (g *guest) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// call makes a call; a string is put into memory and becomes a pointer and a length.
func (g *guest) call(name string, args ...any) uint32 {
	g.t.Helper()
	var params []uint64
	at := uint32(1024)
	for _, arg := range args {
		switch arg := arg.(type) {
		case int:
			params = append(params, uint64(arg))
		case string:
			g.mod.Memory().WriteString(at, arg)
			params = append(params, uint64(at), uint64(len(arg)))
			at += uint32(len(arg))
		}
	}
	results, err := g.mod.ExportedFunction(name).Call(context.Background(), params...)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return uint32(results[0])
}

func (g *guest) word(at uint32) uint32 {
	n, _ := g.mod.Memory().ReadUint32Le(at)
	return n
}

// Numbers of wasi_snapshot_preview1.
const (
	preopenFD             = 3
	oCreat, oDirectory    = 1, 2
	rightRead, rightWrite = 2, 64
)

func (g *guest) open(path string, oflags, rights int) (fd int, errno uint32) {
	g.t.Helper()
	errno = g.call("path_open", preopenFD, 1, path, oflags, rights, 0, 0, 16)
	return int(g.word(16)), errno
}

func TestGuest_ListsADirectoryLargerThanItsBuffer(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	g := newGuest(t, root)
	for i := range 100 {
		if errno := g.call("path_create_directory", preopenFD, "tmp/"+strings.Repeat("x", i+1)); errno != 0 {
			t.Fatal(errno)
		}
	}
	fd, errno := g.open("tmp", oDirectory, rightRead)
	if errno != 0 {
		t.Fatal(errno)
	}
	const buf, size = 4096, 200
	var got []string
	for cookie := 0; ; {
		if errno := g.call("fd_readdir", fd, buf, size, cookie, 16); errno != 0 {
			t.Fatal(errno)
		}
		used := g.word(16)
		for at := uint32(buf); at+24 <= buf+used; {
			length := g.word(at + 16)
			name, _ := g.mod.Memory().Read(at+24, length)
			if at+24+length > buf+used {
				break
			}
			got = append(got, string(name))
			cookie = int(g.word(at))
			at += 24 + length
		}
		if used < size {
			break
		}
	}
	if len(got) != 102 || got[0] != "." || got[1] != ".." || got[101] != strings.Repeat("x", 100) {
		t.Errorf("%d names: %.200q", len(got), got)
	}
	if errno := g.call("fd_close", fd); errno != 0 || root.OpenFiles() != 0 {
		t.Errorf("close: %d, %d open files", errno, root.OpenFiles())
	}
}

func TestGuest_ReadsWritesAndSeesTrueErrors(t *testing.T) {
	root, _ := newRoot(t, Config{MaxOpenFiles: 2}, MemConfig{MaxBytes: PageSize})
	g := newGuest(t, root)
	fd, errno := g.open("tmp/a", oCreat, rightRead|rightWrite)
	if errno != 0 {
		t.Fatal(errno)
	}
	g.mod.Memory().WriteUint32Le(512, 8192)
	g.mod.Memory().WriteUint32Le(516, PageSize+1)
	if errno := g.call("fd_write", fd, 512, 1, 16); errno != 0 || g.word(16) != PageSize {
		t.Errorf("a write that fits in part: %d, %d bytes", errno, g.word(16))
	}
	if errno := g.call("fd_write", fd, 512, 1, 16); errno != 51 {
		t.Errorf("a write that doesn't fit: %d, want ENOSPC", errno)
	}
	code, errno := g.open("function/code/main.py", 0, rightRead)
	if errno != 0 {
		t.Fatal(errno)
	}
	if errno := g.call("fd_read", code, 512, 1, 16); errno != 0 || g.word(16) != 19 {
		t.Errorf("read: %d, %d bytes", errno, g.word(16))
	}
	if text, _ := g.mod.Memory().Read(8192, 19); string(text) != "def handler(): pass" {
		t.Errorf("read %q", text)
	}
	if _, errno := g.open("tmp", 0, rightRead); errno != 33 {
		t.Errorf("too many files: %d, want EMFILE", errno)
	}
	if errno := g.call("path_rename", preopenFD, "tmp/a", preopenFD, "function/code/a"); errno != 75 {
		t.Errorf("rename: %d, want EXDEV", errno)
	}
	if errno := g.call("path_symlink", "/etc/passwd", preopenFD, "tmp/l"); errno != uint32(63) {
		t.Errorf("symlink: %d, want EPERM", errno)
	}
	if errno := g.call("path_create_directory", preopenFD, "function/code/d"); errno != 69 {
		t.Errorf("mkdir: %d, want EROFS", errno)
	}
	if errno := g.call("path_filestat_get", preopenFD, 1, "../etc/passwd", 64); errno != 63 {
		t.Errorf("stat outside: %d, want EPERM", errno)
	}
	if root.OpenFiles() != 2 {
		t.Errorf("%d open files", root.OpenFiles())
	}
	g.mod.Close(context.Background())
	if root.OpenFiles() != 0 {
		t.Errorf("%d open files after the module was closed", root.OpenFiles())
	}
}

func TestWASIErrno(t *testing.T) {
	for errno, want := range map[sys.Errno]uint32{EBUSY: 10, EFBIG: 22, EMFILE: 33, ENOMEM: 48, ENOSPC: 51, EXDEV: 75, sys.EIO: 0, 0: 0} {
		if got, ok := WASIErrno(errno); got != want || ok != (want != 0) {
			t.Errorf("%d: %d, %v", errno, got, ok)
		}
	}
}
