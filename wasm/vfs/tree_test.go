package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

func TestTree_RefusesWhatIsNoFileOrDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "innocent.py")); err != nil {
		t.Fatal(err)
	}
	_, err := NewTree(os.DirFS(dir), TreeConfig{})
	if !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), "innocent.py") {
		t.Errorf("symbolic link: %v", err)
	}
	_, err = NewTree(fstest.MapFS{"dev": {Mode: fs.ModeDevice}}, TreeConfig{})
	if !errors.Is(err, ErrNotRegular) {
		t.Errorf("device: %v", err)
	}
}

func TestTree_RefusesALinkThatAppearsAfterListing(t *testing.T) {
	tree, err := NewTree(swapFS{fstest.MapFS{"a": {Data: []byte("x")}}}, TreeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.read(tree.nodes["a"]); !errors.Is(err, ErrNotRegular) {
		t.Errorf("got %v", err)
	}
}

// swapFS opens every file as a directory.
type swapFS struct{ fstest.MapFS }

func (s swapFS) Open(name string) (fs.File, error) { return s.MapFS.Open(".") }

func TestTree_RefusesTooMuch(t *testing.T) {
	files := mapFS(map[string]string{"a": "12345", "d/b": "12345"})
	for _, c := range []TreeConfig{{MaxBytes: 9}, {MaxBytes: 9, Eager: true}, {MaxEntries: 3}} {
		if _, err := NewTree(files, c); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	tree, err := NewTree(files, TreeConfig{MaxBytes: 10, MaxEntries: 4})
	if err != nil {
		t.Fatal(err)
	}
	if tree.Size() != 10 || tree.Entries() != 4 {
		t.Errorf("%d bytes, %d entries", tree.Size(), tree.Entries())
	}
	if _, err := NewTree(mapFS(map[string]string{strings.Repeat("x", 256): ""}), TreeConfig{}); !errors.Is(err, ErrBadName) {
		t.Errorf("long name: %v", err)
	}
}

// lyingFS declares a size of 3 for every file.
type lyingFS struct{ fstest.MapFS }

func (l lyingFS) Open(name string) (fs.File, error) {
	f, err := l.MapFS.Open(name)
	if d, ok := f.(fs.ReadDirFile); ok {
		return lyingDir{d}, err
	}
	return f, err
}

type lyingDir struct{ fs.ReadDirFile }

func (l lyingDir) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := l.ReadDirFile.ReadDir(n)
	for i := range entries {
		entries[i] = lyingEntry{entries[i]}
	}
	return entries, err
}

type lyingEntry struct{ fs.DirEntry }

func (l lyingEntry) Info() (fs.FileInfo, error) {
	info, err := l.DirEntry.Info()
	return lyingInfo{info}, err
}

type lyingInfo struct{ fs.FileInfo }

func (lyingInfo) Size() int64 { return 3 }

func TestTree_GivesAnErrorForFilesOfAnotherSizeThanDeclared(t *testing.T) {
	source := lyingFS{fstest.MapFS{"long": {Data: []byte("12345")}, "short": {Data: []byte("1")}, "right": {Data: []byte("123")}}}
	tree, err := NewTree(source, TreeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	root, _ := NewRoot(Config{Base: tree})
	for _, name := range []string{"long", "short"} {
		if _, errno := root.Open(name, ReadOnly, 0o600); errno != EIO {
			t.Errorf("%s: %v", name, errno)
		}
	}
	if got := read(t, root, "right"); string(got) != "123" {
		t.Errorf("right: %q", got)
	}
	if root.OpenFiles() != 0 {
		t.Errorf("%d files are open", root.OpenFiles())
	}
	if _, err := NewTree(source, TreeConfig{Eager: true}); err == nil {
		t.Error("eager: no error")
	}
}

func TestTree_EagerIsASnapshot(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "main.py")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	host, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	tree, err := NewTree(host.FS(), TreeConfig{Eager: true})
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(name, []byte("newer"), 0o644)
	root, _ := NewRoot(Config{Base: tree})
	if got := read(t, root, "main.py"); string(got) != "old" {
		t.Errorf("got %q", got)
	}
	if tree.Loaded() != 3 {
		t.Errorf("loaded %d", tree.Loaded())
	}
}

func TestTree_ReadsAFileOnceHoweverManyOpenIt(t *testing.T) {
	source := &countFS{FS: mapFS(map[string]string{"a": "text"})}
	tree, err := NewTree(source, TreeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if tree.Loaded() != 0 {
		t.Error("loaded before it was opened")
	}
	source.opened = nil
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			root, _ := NewRoot(Config{Base: tree})
			for range 100 {
				f, errno := root.Open("a", ReadOnly, 0o600)
				if errno != 0 {
					t.Error(errno)
					return
				}
				buf := make([]byte, 10)
				if n, _ := f.Read(buf); string(buf[:n]) != "text" {
					t.Errorf("got %q", buf[:n])
				}
				f.Close()
				dir, _ := root.Open(".", ReadOnly, 0o600)
				dir.List(0, func(Dirent) bool { return false })
				dir.Close()
			}
		})
	}
	wg.Wait()
	if !slices.Equal(source.opened, []string{"a"}) {
		t.Errorf("opened %v", source.opened)
	}
}

type countFS struct {
	fs.FS
	mu     sync.Mutex
	opened []string
}

func (c *countFS) Open(name string) (fs.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = append(c.opened, name)
	return c.FS.Open(name)
}

func TestTree_DirectoriesWithoutTimeHaveThatOfTheirNewestFile(t *testing.T) {
	tree, err := NewTree(fstest.MapFS{
		"d/old": {ModTime: time.Unix(1_000_000_100, 0)}, "d/new": {ModTime: time.Unix(1_000_000_200, 0)},
		"none/x": {}, "before/x": {ModTime: time.Date(1979, 11, 30, 0, 0, 0, 0, time.UTC)},
	}, TreeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int64{"d": 1_000_000_200e9, "none": epoch, "none/x": epoch, "before/x": epoch, "before": epoch, "": 1_000_000_200e9} {
		if got := tree.nodes[path].stat.Mtim; got != want {
			t.Errorf("%q: %d, want %d", path, got, want)
		}
	}
}

// asFS shows a Root as an fs.FS, for fstest.
type asFS struct{ root *Root }

type asFile struct {
	File
	name   string
	cookie uint64
}

// asError is an Errno that package fs understands.
func asError(errno Errno) error {
	if errno == ENOENT {
		return fs.ErrNotExist
	}
	return errors.New(errno.String())
}

type asInfo struct {
	name string
	size int64
	mode fs.FileMode
	mtim int64
}

func (i asInfo) Name() string       { return i.name }
func (i asInfo) Size() int64        { return i.size }
func (i asInfo) Mode() fs.FileMode  { return i.mode }
func (i asInfo) ModTime() time.Time { return time.Unix(0, i.mtim) }
func (i asInfo) IsDir() bool        { return i.mode.IsDir() }
func (i asInfo) Sys() any           { return nil }

func (a asFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, errno := a.root.Open(name, ReadOnly, 0o600)
	if errno != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: asError(errno)}
	}
	return &asFile{f, name, 0}, nil
}

func (f *asFile) Close() error { f.File.Close(); return nil }

func (f *asFile) Read(buf []byte) (int, error) {
	n, errno := f.File.Read(buf)
	if errno != 0 {
		return n, asError(errno)
	}
	if n == 0 && len(buf) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *asFile) Stat() (fs.FileInfo, error) {
	st, errno := f.File.Stat()
	if errno != 0 {
		return nil, asError(errno)
	}
	return asInfo{f.name[strings.LastIndexByte(f.name, '/')+1:], st.Size, st.Mode, st.Mtim}, nil
}

func (f *asFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = -1
	}
	dirents, cookie, errno := entries(f.File, f.cookie, n)
	if errno != 0 {
		return nil, asError(errno)
	}
	f.cookie = cookie
	var entries []fs.DirEntry
	for _, d := range dirents {
		entries = append(entries, asEntry{d, f})
	}
	if n > 0 && len(entries) == 0 {
		return nil, io.EOF
	}
	return entries, nil
}

type asEntry struct {
	d   Dirent
	dir *asFile
}

func (e asEntry) Name() string      { return e.d.Name }
func (e asEntry) IsDir() bool       { return e.d.Type.IsDir() }
func (e asEntry) Type() fs.FileMode { return e.d.Type }
func (e asEntry) String() string    { return fs.FormatDirEntry(e) }
func (e asEntry) Info() (fs.FileInfo, error) {
	root := e.root()
	path := e.d.Name
	if e.dir.name != "." {
		path = e.dir.name + "/" + path
	}
	return fs.Stat(asFS{root}, path)
}

func (e asEntry) root() *Root {
	switch d := e.dir.File.(type) {
	case *treeDir:
		return d.root
	case *memDir:
		return d.root
	}
	panic("not a directory")
}

func TestRoot_PassesTheFileSystemTest(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/a", strings.Repeat("0123456789", 1000))
	root.Mkdir("tmp/d", 0o755)
	write(t, root, "tmp/d/b", "")
	err := fstest.TestFS(asFS{root},
		"usr/lib/os.py", "function/runtime/runtime.py", "function/code/main.py", "function/code/pkg/a.py", "tmp/a", "tmp/d/b")
	if err != nil {
		t.Error(err)
	}
	if root.OpenFiles() != 0 {
		t.Errorf("%d files stay open", root.OpenFiles())
	}
}
