package vfs

import (
	"testing"
	"testing/fstest"
	"time"
)

// newTree builds a Tree of files; a name ending in "/" is a directory.
func newTree(t testing.TB, files map[string]string) *Tree {
	t.Helper()
	tree, err := NewTree(mapFS(files), TreeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func mapFS(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, data := range files {
		m[name] = &fstest.MapFile{Data: []byte(data), Mode: 0o644, ModTime: time.Unix(1_000_000_000, 0)}
	}
	return m
}

// newRoot builds a Root like that of an instance.
func newRoot(t testing.TB, config Config, mem MemConfig) (*Root, *Mem) {
	t.Helper()
	m := NewMem(mem)
	config.Base = newTree(t, map[string]string{
		"usr/lib/os.py":               "import sys",
		"function/runtime/runtime.py": "run()",
	})
	code := newTree(t, map[string]string{"main.py": "def handler(): pass", "pkg/__init__.py": "", "pkg/a.py": "a = 1"})
	config.Mounts = append(config.Mounts, Mount{Path: "/function/code", Tree: code}, Mount{Path: "/tmp", Mem: m})
	root, err := NewRoot(config)
	if err != nil {
		t.Fatal(err)
	}
	return root, m
}

func open(t testing.TB, r *Root, path string, flag Flag) File {
	t.Helper()
	f, errno := r.Open(path, flag, 0o600)
	if errno != 0 {
		t.Fatalf("open %s: %v", path, errno)
	}
	return f
}

func write(t testing.TB, r *Root, path, data string) {
	t.Helper()
	f := open(t, r, path, WriteOnly|Create|Truncate)
	if n, errno := f.Write([]byte(data)); n != len(data) || errno != 0 {
		t.Fatalf("write %s: %d, %v", path, n, errno)
	}
	f.Close()
}

func read(t testing.TB, r *Root, path string) []byte {
	t.Helper()
	f := open(t, r, path, ReadOnly)
	defer f.Close()
	st, errno := f.Stat()
	if errno != 0 {
		t.Fatal(errno)
	}
	buf := make([]byte, st.Size+10)
	n, errno := f.Read(buf)
	if errno != 0 || int64(n) != st.Size {
		t.Fatalf("read %s: %d, %v, want %d", path, n, errno, st.Size)
	}
	return buf[:n]
}

func list(t testing.TB, r *Root, path string) []Dirent {
	t.Helper()
	f := open(t, r, path, ReadOnly)
	defer f.Close()
	dirents, _, errno := entries(f, 0, -1)
	if errno != 0 {
		t.Fatalf("list %s: %v", path, errno)
	}
	return dirents
}

// entries lists up to n entries (all, if n < 0) of a directory from a cookie
// on, without the two dots, and returns the cookie at which to resume.
func entries(f File, cookie uint64, n int) (dirents []Dirent, next uint64, errno Errno) {
	next = cookie
	errno = f.List(next, func(d Dirent) bool {
		if len(dirents) == n {
			return false
		}
		next = d.Next
		if d.Name != "." && d.Name != ".." {
			dirents = append(dirents, d)
		}
		return true
	})
	return dirents, next, errno
}

func names(dirents []Dirent) []string {
	names := []string{}
	for _, d := range dirents {
		names = append(names, d.Name)
	}
	return names
}

// removeAll empties a directory.
func removeAll(t testing.TB, r *Root, path string) {
	t.Helper()
	for _, e := range list(t, r, path) {
		below := path + "/" + e.Name
		remove := r.Unlink
		if e.Type.IsDir() {
			removeAll(t, r, below)
			remove = r.Rmdir
		}
		if errno := remove(below); errno != 0 {
			t.Fatalf("remove %s: %v", below, errno)
		}
	}
}

// checkMem compares the counters of a Mem without orphans with its contents.
func checkMem(t testing.TB, m *Mem) {
	t.Helper()
	entries, pages, targets, seen := 0, int64(0), int64(0), map[*inode]bool{}
	var visit func(n *inode)
	visit = func(n *inode) {
		if n.dir == nil {
			if !seen[n] {
				seen[n] = true
				pages += n.content.pages
				targets += int64(len(n.target))
			}
			left := n.content.pages
			for number, e := range n.content.extents {
				used := 0
				for at, p := range e.pages {
					if p == nil {
						continue
					}
					used++
					if number := number*extentPages + int64(at); number >= pagesOf(n.content.size) {
						t.Errorf("page %d in a file of %d bytes", number, n.content.size)
					}
				}
				if left -= int64(used); used == 0 || used != e.used {
					t.Errorf("an extent counts %d pages, and has %d", e.used, used)
				}
			}
			if left != 0 {
				t.Errorf("a file counts %d pages too many", left)
			}
			return
		}
		for _, e := range n.dir.byName {
			entries++
			visit(e.node)
		}
	}
	visit(m.root)
	if entries != m.entries || pages != m.pages || m.Used() != int64(entries)*EntrySize+pages*PageSize+targets {
		t.Errorf("counted %d entries, %d pages, %d bytes; there are %d, %d",
			m.entries, m.pages, m.Used(), entries, pages)
	}
}
