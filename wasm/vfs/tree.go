package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a Tree unless its TreeConfig sets others.
const (
	DefaultTreeBytes   = 680 << 20
	DefaultTreeEntries = 100_000
)

// Why NewTree refuses a file tree; the error names the file.
var (
	ErrNotRegular = errors.New("neither a regular file nor a directory")
	ErrTooLarge   = errors.New("larger than allowed")
	ErrBadName    = errors.New("not a name that a file can have")
)

// epoch stands in for missing modification times: the first day that is in 1980
// in every time zone, the earliest year that archives can express. It differs
// from the time of an empty mount, 0, because Python's importer rereads a
// directory only when its time has changed.
var epoch = time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC).UnixNano()

// TreeConfig limits what NewTree accepts. The zero value is ready to use.
type TreeConfig struct {
	// Eager makes NewTree read every file at once, so that the Tree is a
	// snapshot. Otherwise a file is read when it is first opened, and the
	// source must not change while the Tree is in use.
	Eager bool
	// MaxBytes bounds the total size of the files; 0 is DefaultTreeBytes.
	MaxBytes int64
	// MaxEntries bounds the number of files and directories; 0 is DefaultTreeEntries.
	MaxEntries int
}

// Tree is a read-only file tree: directories and regular files, nothing else.
// The contents of a file stay in memory from the first time it is opened.
//
// A Tree never changes. Any number of Roots and goroutines may use it at once.
type Tree struct {
	source fs.FS
	nodes  map[string]*node // by cleaned path; the root is ""
	byIno  []*node          // the first is 1
	size   int64
	loaded atomic.Int64
}

// node is a file or directory of a Tree.
type node struct {
	path string
	stat Stat
	// dirents lists a directory in name order. Cookies are not set.
	dirents []Dirent
	device  device // if it is one

	load sync.Once
	data []byte
	err  error
}

// NewTree indexes all of source.
//
// For a folder of the host, pass the FS of an [os.Root]: it follows no symbolic
// link out of the folder, even if one is planted while NewTree reads.
//
// # Errors
//
// ErrNotRegular (symbolic links, devices ...), ErrTooLarge and ErrBadName,
// wrapped with the path of the first offender; and whatever source returns.
func NewTree(source fs.FS, config TreeConfig) (*Tree, error) {
	if config.MaxBytes == 0 {
		config.MaxBytes = DefaultTreeBytes
	}
	if config.MaxEntries == 0 {
		config.MaxEntries = DefaultTreeEntries
	}
	t := &Tree{source: source, nodes: make(map[string]*node)}
	info, err := fs.Stat(source, ".")
	if err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	if !info.IsDir() {
		return nil, errors.New("tree: the root is not a directory")
	}
	if _, err := t.addDir("", info, &config); err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	if config.Eager {
		t.source = nil
	}
	return t, nil
}

// emptyTree is a directory without entries.
func emptyTree() *Tree {
	root := &node{stat: Stat{Ino: 1, Mode: fs.ModeDir | 0o555, Nlink: 2}}
	return &Tree{nodes: map[string]*node{"": root}, byIno: []*node{root}}
}

// Size returns the total size of all files, in bytes.
func (t *Tree) Size() int64 { return t.size }

// Entries returns the number of files and directories, including the root.
func (t *Tree) Entries() int { return len(t.nodes) }

// Loaded returns the number of bytes of file contents that the Tree holds now.
func (t *Tree) Loaded() int64 { return t.loaded.Load() }

// child returns the entry of a directory with a given name, nil if there is none. Its
// path would be a text of kilobytes for each step of a walk.
func (t *Tree) child(dir *node, name string) *node {
	at, ok := slices.BinarySearchFunc(dir.dirents, name, func(d Dirent, name string) int { return strings.Compare(d.Name, name) })
	if !ok {
		return nil
	}
	return t.byIno[dir.dirents[at].Ino-1]
}

func (t *Tree) addDir(path string, info fs.FileInfo, config *TreeConfig) (*node, error) {
	n := t.add(path, info, fs.ModeDir|0o555)
	entries, err := t.readDir(path, config)
	if err != nil {
		return nil, err
	}
	newest := int64(0)
	for _, entry := range entries {
		child, err := t.addEntry(path, entry, config)
		if err != nil {
			return nil, err
		}
		newest = max(newest, child.stat.Mtim)
		n.dirents = append(n.dirents, Dirent{
			Ino: child.stat.Ino, Name: entry.Name(), Type: child.stat.Mode.Type(),
		})
	}
	n.dirents = slices.Clip(n.dirents)
	n.stat.Nlink = linksOf(n.dirents)
	// Archives often lack entries for directories, hence times.
	if n.stat.Mtim == 0 {
		if newest == 0 {
			newest = epoch
		}
		n.setTime(newest)
	}
	return n, nil
}

// readDir lists a directory in pieces, so that a huge one is refused before it
// fills memory.
func (t *Tree) readDir(path string, config *TreeConfig) ([]fs.DirEntry, error) {
	name := path
	if path == "" {
		name = "."
	}
	f, err := t.source.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("%s: cannot be listed", name)
	}
	var entries []fs.DirEntry
	for {
		some, err := dir.ReadDir(1024)
		entries = append(entries, some...)
		if len(t.nodes)+len(entries) > config.MaxEntries {
			return nil, fmt.Errorf("%s: %w: more than %d files", name, ErrTooLarge, config.MaxEntries)
		}
		if err == io.EOF || err == nil && len(some) == 0 {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (t *Tree) addEntry(dir string, entry fs.DirEntry, config *TreeConfig) (*node, error) {
	path := entry.Name()
	if dir != "" {
		path = dir + "/" + path
	}
	if !isPlain(path) || strings.ContainsAny(entry.Name(), "/\x00") || len(path) > MaxPath {
		return nil, fmt.Errorf("%q: %w", path, ErrBadName)
	}
	if t.nodes[path] != nil {
		return nil, fmt.Errorf("%s: %w: it occurs twice", path, ErrBadName)
	}
	if kind := entry.Type(); !kind.IsDir() && !kind.IsRegular() {
		return nil, fmt.Errorf("%s: %w (%v)", path, ErrNotRegular, kind)
	}
	info, err := entry.Info()
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return t.addDir(path, info, config)
	case info.Mode().IsRegular():
		return t.addFile(path, info, config)
	}
	return nil, fmt.Errorf("%s: %w (%v)", path, ErrNotRegular, info.Mode().Type())
}

func (t *Tree) addFile(path string, info fs.FileInfo, config *TreeConfig) (*node, error) {
	left := config.MaxBytes - t.size
	if info.Size() < 0 || info.Size() > left {
		return nil, fmt.Errorf("%s: %w: more than %d bytes in all", path, ErrTooLarge, config.MaxBytes)
	}
	// Whatever its permissions when packed, functions can read it.
	mode := fs.FileMode(0o444)
	if info.Mode()&0o111 != 0 {
		mode |= 0o111
	}
	n := t.add(path, info, mode)
	if n.stat.Mtim == 0 {
		n.setTime(epoch)
	}
	n.stat.Size = info.Size()
	n.stat.Blocks = pagesOf(n.stat.Size) * blocksPerPage
	t.size += n.stat.Size
	if config.Eager {
		if err := t.read(n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (t *Tree) add(path string, info fs.FileInfo, mode fs.FileMode) *node {
	n := &node{path: path}
	n.stat = Stat{Ino: uint64(len(t.nodes) + 1), Mode: mode, Nlink: 1}
	// Nanoseconds since 1970 can't express years after 2261, and archives
	// without times say 1979.
	if at := info.ModTime(); at.Year() >= 1980 && at.Year() < 2262 {
		n.setTime(at.UnixNano())
	}
	t.nodes[path] = n
	t.byIno = append(t.byIno, n)
	return n
}

func (n *node) setTime(nanos int64) {
	n.stat.Atim, n.stat.Mtim, n.stat.Ctim = nanos, nanos, nanos
}

// read loads a file's contents into memory. A file is read only once, and an
// error is permanent: the source of a Tree doesn't change.
func (t *Tree) read(n *node) error {
	n.load.Do(func() {
		n.data, n.err = t.readSource(n)
		t.loaded.Add(int64(len(n.data)))
	})
	return n.err
}

func (t *Tree) readSource(n *node) ([]byte, error) {
	f, err := t.source.Open(n.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// The name may refer to something else than when it was listed.
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w (%v)", n.path, ErrNotRegular, info.Mode().Type())
	}
	// Archives lie about sizes: read the declared size and check that the file
	// ends there.
	data := make([]byte, n.stat.Size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: shorter than its declared %d bytes: %w", n.path, len(data), err)
	}
	if extra, err := f.Read(make([]byte, 1)); extra != 0 {
		return nil, fmt.Errorf("%s: %w: more than its declared %d bytes", n.path, ErrTooLarge, len(data))
	} else if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", n.path, err)
	}
	return data, nil
}

// linksOf returns a directory's number of links: its name, its own "." and the
// ".." of each subdirectory.
func linksOf(dirents []Dirent) uint64 {
	n := uint64(2)
	for i := range dirents {
		if dirents[i].Type.IsDir() {
			n++
		}
	}
	return n
}

func (n *node) dir() bool { return n.stat.Mode.IsDir() }
