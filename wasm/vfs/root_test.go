package vfs

import (
	"slices"
	"strings"
	"testing"
)

func TestRoot_ErrorsOfTheReadOnlyPart(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/f", "")
	const create, excl, trunc, rw = Create | ReadWrite, Exclusive, Truncate, ReadWrite
	openErrno := func(path string, flag Flag) func() Errno {
		return func() Errno {
			f, errno := root.Open(path, flag, 0o600)
			if errno == 0 {
				f.Close()
			}
			return errno
		}
	}
	do := func(op func(string) Errno, path string) func() Errno {
		return func() Errno { return op(path) }
	}
	two := func(op func(a, b string) Errno, a, b string) func() Errno {
		return func() Errno { return op(a, b) }
	}
	mkdir := func(p string) Errno { return root.Mkdir(p, 0o755) }
	utimens := func(p string) Errno { return root.Utimens(p, 1, 1, true) }
	chmod := func(p string) Errno { return root.Chmod(p, 0o755, true) }
	rename := func(p, q string) Errno { return root.Rename(p, root.Dir, q) }
	link := func(p, q string) Errno { return root.Link(p, root.Dir, q, false) }
	readlink := func(p string) Errno { _, errno := root.Readlink(p); return errno }
	for name, c := range map[string]struct {
		call func() Errno
		want Errno
	}{
		"open a file":                       {openErrno("function/code/main.py", 0), 0},
		"open a file as a directory":        {openErrno("function/code/main.py/", 0), ENOTDIR},
		"open a file with O_DIRECTORY":      {openErrno("function/code/main.py", Directory), ENOTDIR},
		"open below a file":                 {openErrno("function/code/main.py/x", 0), ENOTDIR},
		"open far below a file":             {openErrno("function/code/main.py/x/y/z", create), ENOTDIR},
		"open nothing":                      {openErrno("function/code/nothing", 0), ENOENT},
		"open nothing in a mount's parent":  {openErrno("function/nothing", 0), ENOENT},
		"open for writing":                  {openErrno("function/code/main.py", rw), EROFS},
		"open and cut":                      {openErrno("function/code/main.py", trunc), EROFS},
		"open or create, existing":          {openErrno("function/code/main.py", Create), 0},
		"create, existing":                  {openErrno("function/code/main.py", create|excl), EEXIST},
		"create":                            {openErrno("function/code/new", create), EROFS},
		"create in the root":                {openErrno("new", create), EROFS},
		"create above a mount":              {openErrno("function/new", create), EROFS},
		"create in nothing":                 {openErrno("function/code/no/new", create), ENOENT},
		"open a directory":                  {openErrno("function/code", Directory), 0},
		"open a directory for writing":      {openErrno("function/code", rw), EISDIR},
		"open the root for writing":         {openErrno(".", rw), EISDIR},
		"open with NUL":                     {openErrno("tmp/\x00", create), EINVAL},
		"open outside":                      {openErrno("../etc/passwd", 0), ENOENT},
		"open a long name":                  {openErrno("tmp/"+strings.Repeat("x", 256), create), ENAMETOOLONG},
		"mkdir":                             {do(mkdir, "function/code/d"), EROFS},
		"mkdir over a directory":            {do(mkdir, "function/code/pkg"), EEXIST},
		"mkdir over a file":                 {do(mkdir, "function/code/main.py"), EEXIST},
		"mkdir over a mount":                {do(mkdir, "tmp"), EEXIST},
		"mkdir below a file":                {do(mkdir, "function/code/main.py/d"), ENOTDIR},
		"unlink":                            {do(root.Unlink, "function/code/main.py"), EROFS},
		"unlink nothing":                    {do(root.Unlink, "function/code/nothing"), ENOENT},
		"unlink a directory":                {do(root.Unlink, "function/code/pkg"), EISDIR},
		"unlink a mount":                    {do(root.Unlink, "tmp"), EISDIR},
		"rmdir":                             {do(root.Rmdir, "function/code/pkg"), EROFS},
		"rmdir a file":                      {do(root.Rmdir, "function/code/main.py"), ENOTDIR},
		"rmdir nothing":                     {do(root.Rmdir, "function/code/nothing"), ENOENT},
		"rmdir a mount":                     {do(root.Rmdir, "tmp"), EBUSY},
		"rmdir the parent of a mount":       {do(root.Rmdir, "function"), EBUSY},
		"rmdir the root":                    {do(root.Rmdir, "/"), EBUSY},
		"rmdir the directory itself":        {do(root.Rmdir, "."), EINVAL},
		"utimens":                           {do(utimens, "function/code/main.py"), EROFS},
		"utimens of nothing":                {do(utimens, "function/code/nothing"), ENOENT},
		"chmod":                             {do(chmod, "function/code/main.py"), EROFS},
		"readlink":                          {do(readlink, "function/code/main.py"), EINVAL},
		"readlink of nothing":               {do(readlink, "function/code/nothing"), ENOENT},
		"rename within a tree":              {two(rename, "function/code/main.py", "function/code/b"), EROFS},
		"rename nothing":                    {two(rename, "function/code/nothing", "tmp/b"), ENOENT},
		"rename out of a tree":              {two(rename, "function/code/main.py", "tmp/b"), EXDEV},
		"rename into a tree":                {two(rename, "tmp/f", "function/code/b"), EXDEV},
		"rename into nothing":               {two(rename, "tmp/f", "function/code/no/b"), ENOENT},
		"rename a mount":                    {two(rename, "tmp", "function/b"), EBUSY},
		"rename onto a mount":               {two(rename, "tmp/f", "tmp"), EBUSY},
		"link out of a tree":                {two(link, "function/code/main.py", "tmp/b"), EXDEV},
		"link into a tree":                  {two(link, "tmp/f", "function/code/b"), EXDEV},
		"link within a tree":                {two(link, "function/code/main.py", "function/code/b"), EROFS},
		"link over a file":                  {two(link, "tmp/f", "function/code/main.py"), EEXIST},
		"symlink in a tree":                 {two(root.Symlink, "x", "function/code/b"), EROFS},
		"symlink in the memory":             {two(root.Symlink, "", "tmp/b"), ENOENT},
		"symlink over a file":               {two(root.Symlink, "x", "tmp/f"), EEXIST},
		"symlink in nothing":                {two(root.Symlink, "x", "tmp/no/b"), ENOENT},
		"stat of something below something": {func() Errno { _, e := root.Stat("tmp/f/x", true); return e }, ENOTDIR},
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
	f := open(t, root, "function/code/main.py", ReadOnly)
	for name, errno := range map[string]Errno{
		"write":    second(f.Write([]byte("x"))),
		"pwrite":   second(f.Pwrite([]byte("x"), 0)),
		"list":     f.List(0, nil) ^ ENOTDIR ^ EBADF,
		"truncate": f.Truncate(0) ^ EINVAL ^ EBADF,
		"utimens":  f.Utimens(0, 0) ^ EROFS ^ EBADF,
	} {
		if errno != EBADF {
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
}

func second[T any](_ T, errno Errno) Errno { return errno }

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
		st, errno := root.Stat(path, true)
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
	before, errno := root.Stat("function/code", true)
	if errno != 0 {
		t.Fatal(errno)
	}
	if errno := root.Mkdir("tmp/x", 0o755); errno != EROFS {
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
	after, _ := root.Stat("function/code", true)
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
	files := []File{
		open(t, root, ".", ReadOnly),
		open(t, root, "tmp/a", Create|ReadWrite),
		open(t, root, "function/code/main.py", ReadOnly),
	}
	for _, path := range []string{"tmp", "tmp/a", "usr"} {
		if _, errno := root.Open(path, ReadOnly, 0o600); errno != EMFILE {
			t.Errorf("%s: %v", path, errno)
		}
	}
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

func TestRoot_RemovedDirectories(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{})
	root.Mkdir("tmp/d", 0o755)
	dir := open(t, root, "tmp/d", ReadOnly)
	if errno := root.Rmdir("tmp/d"); errno != 0 {
		t.Fatal(errno)
	}
	if errno := dir.List(0, func(Dirent) bool { return true }); errno != ENOENT {
		t.Errorf("list: %v", errno)
	}
	for name, errno := range map[string]Errno{
		"read": second(dir.Read(nil)) ^ EISDIR ^ EBADF, "write": second(dir.Write(nil)), "truncate": dir.Truncate(0) ^ EINVAL ^ EBADF,
	} {
		if errno != EBADF {
			t.Errorf("%s: %v", name, errno)
		}
	}
	at, errno := root.DirOf(dir)
	if errno != 0 {
		t.Fatal(errno)
	}
	for name, errno := range map[string]Errno{
		"create": second(at.Open("x", Create|ReadWrite, 0o600)), "mkdir": at.Mkdir("x", 0o700), "up": second(at.Stat("..", true)),
		"symlink": at.Symlink("x", "y"), "out": second(at.Stat("../../usr", true)),
	} {
		if errno != ENOENT {
			t.Errorf("%s: %v", name, errno)
		}
	}
	if _, errno := at.Stat(".", true); errno != 0 {
		t.Errorf("itself: %v", errno)
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
		f := open(t, root, path, ReadOnly)
		want, _ := root.Stat(path, true)
		got, errno := f.Stat()
		if errno != 0 || got != want || f.Flags() != ReadOnly {
			t.Errorf("%s: %+v, %v; want %+v", path, got, f.Flags(), want)
		}
		f.SetFlags(Append | NonBlock | Create)
		if f.Flags() != Append|NonBlock {
			t.Errorf("%s: flags are %v", path, f.Flags())
		}
		want.Mtim = 7
		errno = f.Utimens(OmitTime, 7)
		if got, _ := f.Stat(); strings.HasPrefix(path, "tmp") == (errno != 0) || errno == 0 && got.Mtim != 7 {
			t.Errorf("%s: utimens: %v, %d", path, errno, got.Mtim)
		}
		f.Close()
		f.Close()
	}
	if root.OpenFiles() != 0 {
		t.Errorf("%d open files", root.OpenFiles())
	}
}

// A Mem that is added later is like one that was there: its parents are read-only, and
// nothing overlaps.
func TestRoot_AddMem(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	disk := NewMem(MemConfig{MaxBytes: 1 << 20})
	if err := root.AddMem("/function/storage/disk", disk); err != nil {
		t.Fatal(err)
	}
	write(t, root, "function/storage/disk/f", "four")
	if got := read(t, root, "function/storage/disk/f"); string(got) != "four" {
		t.Errorf("got %q", got)
	}
	for _, name := range []string{"function/storage/other", "function/other"} {
		if _, errno := root.Open(name, Create|ReadWrite, 0o600); errno != EROFS {
			t.Errorf("%s: %v", name, errno)
		}
	}
	if !root.Written() || root.Used() == 0 {
		t.Errorf("written %v, %d bytes", root.Written(), root.Used())
	}
	for _, path := range []string{"function/storage/disk", "function/storage/disk/in", "function/storage", "function/code/x", "", "../x", "a//b"} {
		if err := root.AddMem(path, NewMem(MemConfig{})); err == nil {
			t.Errorf("%q was added", path)
		}
	}
}
