package vfs

import (
	"strings"
	"testing"
)

func TestWalk(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	root.Mkdir("tmp/a", 0o755)
	root.Mkdir("tmp/a/b", 0o755)
	write(t, root, "tmp/a/f", "")
	code, _ := root.Stat("function/code/main.py", true)
	long := strings.Repeat("x", MaxName)
	for _, c := range []struct {
		path, same string
		errno      Errno
	}{
		{"tmp", "tmp", 0},
		{".", "/", 0},
		{"/", "/", 0},
		{"..", "/", 0},
		{"/../..", "/", 0},
		{"../../tmp/a", "tmp/a", 0},
		{"tmp/..", "/", 0},
		{"tmp/a/..", "tmp", 0},
		{"tmp/a/b/../../..", "/", 0},
		{"tmp/a/../../function/../tmp//a/./f", "tmp/a/f", 0},
		{"function/code/pkg/../..", "function", 0},
		{"function/code/..//code/pkg/../main.py", "function/code/main.py", 0},
		{"/function/code/main.py", "function/code/main.py", 0},
		{"tmp/a/f/", "", ENOTDIR},
		{"tmp/a/f/..", "", ENOTDIR},
		{"tmp/a/f/.", "", ENOTDIR},
		{"function/code/main.py/.", "", ENOTDIR},
		{"tmp/no/../a", "", ENOENT},
		{"tmp/TMP", "", ENOENT},
		{"...", "", ENOENT},
		{"tmp/..b", "", ENOENT},
		{`tmp\..\function`, "", ENOENT},
		{"", "", ENOENT},
		{"tmp\x00", "", EINVAL},
		{"tmp/" + long, "", ENOENT},
		{"tmp/" + long + "x", "", ENAMETOOLONG},
		{strings.Repeat("./", MaxPath/2), "/", 0},
		{strings.Repeat("./", MaxPath/2) + "..", "", ENAMETOOLONG},
	} {
		got, errno := root.Stat(c.path, true)
		if errno != c.errno {
			t.Errorf("%.40q: %v, want %v", c.path, errno, c.errno)
		}
		if c.same != "" {
			if want, _ := root.Stat(c.same, true); got != want {
				t.Errorf("%.40q is not %s but %+v", c.path, c.same, got)
			}
		}
	}
	if again, _ := root.Stat("function/code/main.py", true); again != code {
		t.Errorf("%+v, then %+v", code, again)
	}
}

func TestWalk_AllocatesNothingInTrees(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	if n := testing.AllocsPerRun(100, func() { root.Stat("function/code/pkg/a.py", true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzPath checks that all operations agree on where a path leads, and that a
// path can change nothing outside of /tmp.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"", ".", "tmp/a", "tmp/../function/code/main.py", "../x", "tmp//x/./..", "a\x00", "/tmp/", "function/code/main.py/", "tmp/\xff",
		"tmp/b/../b", "/tmp/b/x", "b", "../function", "/", "tmp/b/",
	} {
		f.Add(seed, "tmp/b")
		f.Add("tmp/b", seed)
	}
	f.Fuzz(func(t *testing.T, p, q string) {
		root, mem := newRoot(t, Config{}, MemConfig{MaxBytes: 4 * PageSize, MaxEntries: 4})
		root.Mkdir(p, 0o755)
		if file, errno := root.Open(p, ReadWrite|Create, 0o600); errno == 0 {
			if st, _ := file.Stat(); st.Dev != 3 {
				t.Errorf("%q could be opened for writing: %+v", p, st)
			}
			file.Write([]byte(q))
			file.Close()
		}
		root.Rename(p, root.Dir, q)
		root.Link(q, root.Dir, p, false)
		root.Symlink(p, q)
		root.Symlink(q, p)
		root.Readlink(p)
		root.Utimens(q, 1, 1, true)
		root.Chmod(q, 0o755, true)
		root.Unlink(p)
		root.Rmdir(q)
		checkMem(t, mem)
		for _, path := range []string{p, q} {
			st, errno := root.Stat(path, true)
			file, errno2 := root.Open(path, ReadOnly, 0o600)
			if errno != errno2 {
				t.Errorf("%q: stat says %v, open %v", path, errno, errno2)
			}
			if errno2 == 0 {
				if fst, errno := file.Stat(); errno != 0 || fst != st {
					t.Errorf("%q: stat %+v, fstat %+v, %v", path, st, fst, errno)
				}
				file.Close()
			}
		}
		if root.OpenFiles() != 0 {
			t.Errorf("%d open files", root.OpenFiles())
		}
		if got := read(t, root, "function/code/main.py"); string(got) != "def handler(): pass" {
			t.Errorf("the code is %q", got)
		}
	})
}
