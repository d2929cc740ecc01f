package vfs

import (
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

func TestRoot_ErrorsOfTheReadOnlyPart(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/f", "")
	const create, excl, trunc, rw = sys.O_CREAT | sys.O_RDWR, sys.O_EXCL, sys.O_TRUNC, sys.O_RDWR
	openErrno := func(path string, flag sys.Oflag) func() sys.Errno {
		return func() sys.Errno {
			f, errno := root.OpenFile(path, flag, 0o600)
			if errno == 0 {
				f.Close()
			}
			return errno
		}
	}
	do := func(op func(string) sys.Errno, path string) func() sys.Errno {
		return func() sys.Errno { return op(path) }
	}
	two := func(op func(a, b string) sys.Errno, a, b string) func() sys.Errno {
		return func() sys.Errno { return op(a, b) }
	}
	mkdir := func(p string) sys.Errno { return root.Mkdir(p, 0o755) }
	utimens := func(p string) sys.Errno { return root.Utimens(p, 1, 1) }
	chmod := func(p string) sys.Errno { return root.Chmod(p, 0o755) }
	readlink := func(p string) sys.Errno { _, errno := root.Readlink(p); return errno }
	for name, c := range map[string]struct {
		call func() sys.Errno
		want sys.Errno
	}{
		"open a file":                       {openErrno("function/code/main.py", 0), 0},
		"open a file as a directory":        {openErrno("function/code/main.py/", 0), sys.ENOTDIR},
		"open a file with O_DIRECTORY":      {openErrno("function/code/main.py", sys.O_DIRECTORY), sys.ENOTDIR},
		"open below a file":                 {openErrno("function/code/main.py/x", 0), sys.ENOTDIR},
		"open far below a file":             {openErrno("function/code/main.py/x/y/z", create), sys.ENOTDIR},
		"open nothing":                      {openErrno("function/code/nothing", 0), sys.ENOENT},
		"open nothing in a mount's parent":  {openErrno("function/nothing", 0), sys.ENOENT},
		"open for writing":                  {openErrno("function/code/main.py", rw), sys.EROFS},
		"open and cut":                      {openErrno("function/code/main.py", trunc), sys.EROFS},
		"open or create, existing":          {openErrno("function/code/main.py", sys.O_CREAT), 0},
		"create, existing":                  {openErrno("function/code/main.py", create|excl), sys.EEXIST},
		"create":                            {openErrno("function/code/new", create), sys.EROFS},
		"create in the root":                {openErrno("new", create), sys.EROFS},
		"create above a mount":              {openErrno("function/new", create), sys.EROFS},
		"create in nothing":                 {openErrno("function/code/no/new", create), sys.ENOENT},
		"open a directory":                  {openErrno("function/code", sys.O_DIRECTORY), 0},
		"open a directory for writing":      {openErrno("function/code", rw), sys.EISDIR},
		"open the root for writing":         {openErrno(".", rw), sys.EISDIR},
		"both ways of writing":              {openErrno("tmp/f", sys.O_RDWR|sys.O_WRONLY), sys.EINVAL},
		"open with NUL":                     {openErrno("tmp/\x00", create), sys.EINVAL},
		"open outside":                      {openErrno("../etc/passwd", 0), sys.EPERM},
		"open a long name":                  {openErrno("tmp/"+strings.Repeat("x", 256), create), sys.ENAMETOOLONG},
		"mkdir":                             {do(mkdir, "function/code/d"), sys.EROFS},
		"mkdir over a directory":            {do(mkdir, "function/code/pkg"), sys.EEXIST},
		"mkdir over a file":                 {do(mkdir, "function/code/main.py"), sys.EEXIST},
		"mkdir over a mount":                {do(mkdir, "tmp"), sys.EEXIST},
		"mkdir below a file":                {do(mkdir, "function/code/main.py/d"), sys.ENOTDIR},
		"unlink":                            {do(root.Unlink, "function/code/main.py"), sys.EROFS},
		"unlink nothing":                    {do(root.Unlink, "function/code/nothing"), sys.ENOENT},
		"unlink a directory":                {do(root.Unlink, "function/code/pkg"), sys.EISDIR},
		"unlink a mount":                    {do(root.Unlink, "tmp"), sys.EISDIR},
		"rmdir":                             {do(root.Rmdir, "function/code/pkg"), sys.EROFS},
		"rmdir a file":                      {do(root.Rmdir, "function/code/main.py"), sys.ENOTDIR},
		"rmdir nothing":                     {do(root.Rmdir, "function/code/nothing"), sys.ENOENT},
		"rmdir a mount":                     {do(root.Rmdir, "tmp"), EBUSY},
		"rmdir the parent of a mount":       {do(root.Rmdir, "function"), EBUSY},
		"rmdir the root":                    {do(root.Rmdir, "."), EBUSY},
		"utimens":                           {do(utimens, "function/code/main.py"), sys.EROFS},
		"utimens of nothing":                {do(utimens, "function/code/nothing"), sys.ENOENT},
		"chmod":                             {do(chmod, "function/code/main.py"), sys.EROFS},
		"readlink":                          {do(readlink, "function/code/main.py"), sys.EINVAL},
		"readlink of nothing":               {do(readlink, "function/code/nothing"), sys.ENOENT},
		"rename within a tree":              {two(root.Rename, "function/code/main.py", "function/code/b"), sys.EROFS},
		"rename nothing":                    {two(root.Rename, "function/code/nothing", "tmp/b"), sys.ENOENT},
		"rename out of a tree":              {two(root.Rename, "function/code/main.py", "tmp/b"), EXDEV},
		"rename into a tree":                {two(root.Rename, "tmp/f", "function/code/b"), EXDEV},
		"rename into nothing":               {two(root.Rename, "tmp/f", "function/code/no/b"), sys.ENOENT},
		"rename a mount":                    {two(root.Rename, "tmp", "function/b"), EBUSY},
		"rename onto a mount":               {two(root.Rename, "tmp/f", "tmp"), EBUSY},
		"link out of a tree":                {two(root.Link, "function/code/main.py", "tmp/b"), EXDEV},
		"link into a tree":                  {two(root.Link, "tmp/f", "function/code/b"), EXDEV},
		"link within a tree":                {two(root.Link, "function/code/main.py", "function/code/b"), sys.EROFS},
		"link over a file":                  {two(root.Link, "tmp/f", "function/code/main.py"), sys.EEXIST},
		"symlink in a tree":                 {two(root.Symlink, "x", "function/code/b"), sys.EROFS},
		"symlink in the memory":             {two(root.Symlink, "/etc/passwd", "tmp/b"), sys.EPERM},
		"symlink over a file":               {two(root.Symlink, "x", "tmp/f"), sys.EEXIST},
		"symlink in nothing":                {two(root.Symlink, "x", "tmp/no/b"), sys.ENOENT},
		"stat of something below something": {func() sys.Errno { _, e := root.Stat("tmp/f/x"); return e }, sys.ENOTDIR},
	} {
		if got := c.call(); got != c.want {
			t.Errorf("%s: got %v (%d), want %v (%d)", name, got, got, c.want, c.want)
		}
	}
	if mem.entries != 1 || root.OpenFiles() != 0 {
		t.Errorf("%d entries, %d open files are left", mem.entries, root.OpenFiles())
	}
}

func TestRoot_OpenReadOnlyFiles(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	f := open(t, root, "function/code/main.py", sys.O_RDONLY)
	for name, errno := range map[string]sys.Errno{
		"write":    second(f.Write([]byte("x"))),
		"pwrite":   second(f.Pwrite([]byte("x"), 0)),
		"readdir":  second(f.Readdir(1)),
		"truncate": f.Truncate(0) ^ sys.EINVAL ^ sys.EBADF,
		"utimens":  f.Utimens(0, 0) ^ sys.EROFS ^ sys.EBADF,
	} {
		if errno != sys.EBADF {
			t.Errorf("%s: %v", name, errno)
		}
	}
	if pos, errno := f.Seek(-5, 2); pos != 14 || errno != 0 {
		t.Errorf("seek: %d, %v", pos, errno)
	}
	buf := make([]byte, 10)
	if n, _ := f.Read(buf); string(buf[:n]) != " pass" {
		t.Errorf("read %q", buf[:n])
	}
	if n, errno := f.Read(buf); n != 0 || errno != 0 {
		t.Errorf("read at the end: %d, %v", n, errno)
	}
	f.Close()
	if errno := f.Close(); errno != 0 {
		t.Errorf("second close: %v", errno)
	}
	for name, errno := range map[string]sys.Errno{
		"read": second(f.Read(buf)), "seek": second(f.Seek(0, 0)), "stat": second(f.Stat()), "sync": f.Sync(),
		"truncate": f.Truncate(0), "set append": f.SetAppend(true),
	} {
		if errno != sys.EBADF {
			t.Errorf("%s after close: %v", name, errno)
		}
	}
}

func second[T any](_ T, errno sys.Errno) sys.Errno { return errno }

func TestRoot_DirectoriesAboveMountsShowBoth(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	for path, want := range map[string][]string{
		".":             {"function", "usr", "tmp"},
		"function":      {"runtime", "code"},
		"function/code": {"main.py", "pkg"},
		"tmp":           {},
	} {
		if got := names(list(t, root, path)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	bare, err := NewRoot(Config{Mounts: []Mount{{Path: "a/b/c"}, {Path: "a/d", Mem: NewMem(MemConfig{})}}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{".": {"a"}, "a": {"b", "d"}, "a/b": {"c"}, "a/b/c": {}, "a/d": {}} {
		if got := names(list(t, bare, path)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestRoot_NoTwoFilesAreTheSame(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/a", "")
	seen := map[[2]uint64]string{}
	var visit func(path string)
	visit = func(path string) {
		st, errno := root.Stat(path)
		if errno != 0 {
			t.Fatal(errno)
		}
		if other, ok := seen[[2]uint64{st.Dev, st.Ino}]; ok {
			t.Errorf("%s and %s have the same numbers", path, other)
		}
		seen[[2]uint64{st.Dev, st.Ino}] = path
		if st.Mode.IsDir() {
			for _, e := range list(t, root, path) {
				visit(path + "/" + e.Name)
			}
		}
	}
	visit(".")
}

func TestRoot_CodeCanBeAttachedLater(t *testing.T) {
	root, err := NewRoot(Config{Mounts: []Mount{{Path: "function/code"}, {Path: "tmp"}}})
	if err != nil {
		t.Fatal(err)
	}
	before, errno := root.Stat("function/code")
	if errno != 0 {
		t.Fatal(errno)
	}
	if errno := root.Mkdir("tmp/x", 0o755); errno != sys.EROFS {
		t.Errorf("mkdir in an empty mount: %v", errno)
	}
	if err := root.SetTree("/function/code", newTree(t, map[string]string{"main.py": "x"})); err != nil {
		t.Fatal(err)
	}
	if err := root.SetMem("tmp", NewMem(MemConfig{})); err != nil {
		t.Fatal(err)
	}
	if err := root.SetTree("elsewhere", nil); err == nil {
		t.Error("no error for a mount that isn't there")
	}
	after, _ := root.Stat("function/code")
	if before.Mtim == after.Mtim {
		t.Error("an importer that has seen the empty directory can't tell that it changed")
	}
	if got := read(t, root, "function/code/main.py"); string(got) != "x" {
		t.Errorf("read %q", got)
	}
	write(t, root, "tmp/x", "y")
	if root.Used() != PageSize+EntrySize {
		t.Errorf("%d bytes used", root.Used())
	}
}

func TestRoot_RefusesMountsThatDoNotFit(t *testing.T) {
	tree := newTree(t, map[string]string{"function": "a file"})
	for name, c := range map[string]Config{
		"the root":     {Mounts: []Mount{{Path: "/"}}},
		"outside":      {Mounts: []Mount{{Path: "../x"}}},
		"twice":        {Mounts: []Mount{{Path: "a"}, {Path: "/a/"}}},
		"inside":       {Mounts: []Mount{{Path: "a"}, {Path: "a/b"}}},
		"around":       {Mounts: []Mount{{Path: "a/b"}, {Path: "a"}}},
		"both":         {Mounts: []Mount{{Path: "a", Tree: tree, Mem: NewMem(MemConfig{})}}},
		"below a file": {Base: tree, Mounts: []Mount{{Path: "function/code"}}},
	} {
		if _, err := NewRoot(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewRoot(Config{Mounts: []Mount{{Path: "a"}, {Path: "ab"}}}); err != nil {
		t.Error(err)
	}
}

func TestRoot_OpenFilesAreCountedAndBounded(t *testing.T) {
	root, _ := newRoot(t, Config{MaxOpenFiles: 3}, MemConfig{})
	// wazero's own handle of the root, and a guest's.
	preopen, errno := root.OpenFile(".", sys.O_RDONLY, 0)
	if errno != 0 || root.OpenFiles() != 0 {
		t.Fatalf("%v, %d open files", errno, root.OpenFiles())
	}
	files := []sys.File{
		open(t, root, ".", sys.O_RDONLY),
		open(t, root, "tmp/a", sys.O_CREAT|sys.O_RDWR),
		open(t, root, "function/code/main.py", sys.O_RDONLY),
	}
	for _, path := range []string{"tmp", "tmp/a", "usr"} {
		if _, errno := root.OpenFile(path, sys.O_RDONLY, 0o600); errno != EMFILE {
			t.Errorf("%s: %v", path, errno)
		}
	}
	if _, errno := root.OpenFile(".", sys.O_RDONLY, 0); errno != 0 {
		t.Errorf("wazero panics if this fails: %v", errno)
	}
	preopen.Close()
	for _, f := range files {
		if root.OpenFiles() == 0 {
			t.Error("not counted")
		}
		f.Close()
		f.Close()
	}
	if root.OpenFiles() != 0 {
		t.Errorf("%d open files", root.OpenFiles())
	}
}

func TestRoot_NamesBeingListedAreBounded(t *testing.T) {
	root, _ := newRoot(t, Config{MaxListingBytes: 3 * (direntSize + 1)}, MemConfig{})
	for _, name := range []string{"a", "b"} {
		write(t, root, "tmp/"+name, "")
	}
	one, two := open(t, root, "tmp", sys.O_RDONLY), open(t, root, "tmp", sys.O_RDONLY)
	if d, errno := one.Readdir(-1); len(d) != 2 || errno != 0 {
		t.Fatalf("%v, %v", d, errno)
	}
	if _, errno := two.Readdir(-1); errno != ENOMEM {
		t.Errorf("over the bound: %v", errno)
	}
	if _, errno := one.Seek(0, 0); errno != 0 {
		t.Error(errno)
	}
	if d, errno := two.Readdir(-1); len(d) != 2 || errno != 0 {
		t.Errorf("after rewinding the other: %v, %v", d, errno)
	}
	one.Close()
	two.Close()
	if root.listed != 0 {
		t.Errorf("%d bytes stay counted", root.listed)
	}
}

func TestRoot_RemovedDirectories(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{})
	root.Mkdir("tmp/d", 0o755)
	dir := open(t, root, "tmp/d", sys.O_RDONLY)
	if errno := root.Rmdir("tmp/d"); errno != 0 {
		t.Fatal(errno)
	}
	if _, errno := dir.Readdir(-1); errno != sys.ENOENT {
		t.Errorf("readdir: %v", errno)
	}
	for name, errno := range map[string]sys.Errno{
		"read": second(dir.Read(nil)), "write": second(dir.Write(nil)), "truncate": dir.Truncate(0), "set append": dir.SetAppend(true),
	} {
		if errno != sys.EISDIR {
			t.Errorf("%s: %v", name, errno)
		}
	}
	dir.Close()
	if mem.Used() != 0 {
		t.Errorf("%d bytes used", mem.Used())
	}
}

func TestRoot_OpenFilesTellTheSameAsTheirPaths(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/a", "x")
	for _, path := range []string{".", "usr/lib", "function", "function/code", "function/code/main.py", "tmp", "tmp/a"} {
		f := open(t, root, path, sys.O_RDONLY)
		want, _ := root.Stat(path)
		got, errno := f.Stat()
		dev, _ := f.Dev()
		ino, _ := f.Ino()
		isDir, _ := f.IsDir()
		if errno != 0 || got != want || dev != want.Dev || ino != want.Ino || isDir != want.Mode.IsDir() || f.IsAppend() {
			t.Errorf("%s: %+v, %d, %d, %v; want %+v", path, got, dev, ino, isDir, want)
		}
		if !isDir {
			f.SetAppend(true)
			if !f.IsAppend() {
				t.Errorf("%s: append mode isn't kept", path)
			}
		} else if _, errno := f.Seek(1, 0); errno != sys.EINVAL {
			t.Errorf("%s: seek in a directory: %v", path, errno)
		}
		want.Mtim = 7
		errno = f.Utimens(sys.UTIME_OMIT, 7)
		if got, _ := f.Stat(); strings.HasPrefix(path, "tmp") == (errno != 0) || errno == 0 && got.Mtim != 7 {
			t.Errorf("%s: utimens: %v, %d", path, errno, got.Mtim)
		}
		if errno := f.Datasync(); errno != 0 {
			t.Errorf("%s: sync: %v", path, errno)
		}
		f.Close()
		for name, errno := range map[string]sys.Errno{
			"stat": second(f.Stat()), "seek": second(f.Seek(0, 0)), "readdir": second(f.Readdir(1)),
			"sync": f.Datasync(), "utimens": f.Utimens(0, 0),
		} {
			if errno != sys.EBADF {
				t.Errorf("%s: %s after close: %v", path, name, errno)
			}
		}
	}
}
