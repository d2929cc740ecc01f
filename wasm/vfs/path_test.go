package vfs

import (
	"path"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

func TestClean(t *testing.T) {
	long := strings.Repeat("x", MaxName)
	for _, c := range []struct {
		path, want string
		mustDir    bool
		errno      sys.Errno
	}{
		{"", "", true, 0},
		{".", "", true, 0},
		{"/", "", true, 0},
		{"a", "a", false, 0},
		{"a/", "a", true, 0},
		{"a//", "a", true, 0},
		{"a/.", "a", true, 0},
		{"a/./", "a", true, 0},
		{"/a//b", "a/b", false, 0},
		{"./a/./b", "a/b", false, 0},
		{"a/../b", "b", false, 0},
		{"a/b/..", "a", true, 0},
		{"a/..", "", true, 0},
		{"..", "", false, sys.EPERM},
		{"a/../..", "", false, sys.EPERM},
		{"a/../../etc/passwd", "", false, sys.EPERM},
		{"...", "...", false, 0},
		{"a/..b", "a/..b", false, 0},
		{`a\..\b`, `a\..\b`, false, 0},
		{"a\x00b", "", false, sys.EINVAL},
		{"\xff\xfe", "\xff\xfe", false, 0},
		{long, long, false, 0},
		{long + "x", "", false, sys.ENAMETOOLONG},
		{"./a/" + long + "x", "", false, sys.ENAMETOOLONG},
		{strings.Repeat("a/", MaxPath/2), strings.Repeat("a/", MaxPath/2-1) + "a", true, 0},
		{strings.Repeat("a/", MaxPath/2) + "a", "", false, sys.ENAMETOOLONG},
	} {
		got, mustDir, errno := clean(c.path)
		if got != c.want || mustDir != c.mustDir || errno != c.errno {
			t.Errorf("clean(%.40q) = %q, %v, %v; want %q, %v, %v", c.path, got, mustDir, errno, c.want, c.mustDir, c.errno)
		}
	}
}

func TestClean_AllocatesNothingForCleanPaths(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { clean("usr/lib/python3.13/encodings/") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzPath sees that no path leads out of the root, and that all operations
// agree with a slow and simple way to read it.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"", ".", "tmp/a", "tmp/../function/code/main.py", "../x", "tmp//x/./..", "a\x00", "/tmp/", "function/code/main.py/", "tmp/\xff"} {
		f.Add(seed, "tmp/b")
	}
	f.Fuzz(func(t *testing.T, p, q string) {
		cleaned, _, errno := clean(p)
		if errno == 0 {
			if want := strings.TrimPrefix(path.Clean("/"+p), "/"); cleaned != want {
				t.Errorf("clean(%q) = %q, want %q", p, cleaned, want)
			}
			if again, _, errno := clean(cleaned); again != cleaned || errno != 0 {
				t.Errorf("clean(%q) = %q, %v: not clean yet", cleaned, again, errno)
			}
		} else if cleaned != "" {
			t.Errorf("clean(%q) = %q with %v", p, cleaned, errno)
		}
		root, mem := newRoot(t, Config{}, MemConfig{MaxBytes: 4 * PageSize, MaxEntries: 4})
		root.Mkdir(p, 0o755)
		if file, errno := root.OpenFile(p, sys.O_RDWR|sys.O_CREAT, 0o600); errno == 0 {
			if !strings.HasPrefix(cleaned, "tmp/") {
				t.Errorf("%q could be opened for writing", p)
			}
			file.Write([]byte(q))
			file.Close()
		}
		root.Rename(p, q)
		root.Link(q, p)
		root.Symlink(p, q)
		root.Readlink(p)
		root.Utimens(q, 1, 1)
		root.Unlink(p)
		root.Rmdir(q)
		checkMem(t, mem)
		st, errno := root.Stat(p)
		file, errno2 := root.OpenFile(p, sys.O_RDONLY, 0o600)
		if errno != errno2 {
			t.Errorf("%q: stat says %v, open %v", p, errno, errno2)
		}
		if errno2 == 0 {
			if fst, errno := file.Stat(); errno != 0 || fst != st {
				t.Errorf("%q: stat %+v, fstat %+v, %v", p, st, fst, errno)
			}
			file.Close()
		}
		if root.OpenFiles() != 0 {
			t.Errorf("%d open files", root.OpenFiles())
		}
	})
}
