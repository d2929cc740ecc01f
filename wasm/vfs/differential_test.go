//go:build linux

package vfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestMem_DoesAsLinuxDoes runs the same random operations on a Mem and on a
// directory of this machine, and compares each result.
func TestMem_DoesAsLinuxDoes(t *testing.T) {
	runs := 100
	if testing.Short() {
		runs = 30
	}
	for seed := range runs {
		d := newDiffer(t, uint64(seed))
		for range 400 {
			d.step()
			if t.Failed() {
				t.Fatalf("seed %d, after:\n%s", seed, strings.Join(d.log[max(0, len(d.log)-40):], "\n"))
			}
		}
		d.finish()
	}
}

// errnoOf returns the Errno for an error of the system.
func errnoOf(err error) Errno {
	if err == nil {
		return 0
	}
	switch err {
	case syscall.EBADF:
		return EBADF
	case syscall.EBUSY:
		return EBUSY
	case syscall.EEXIST:
		return EEXIST
	case syscall.EFBIG:
		return EFBIG
	case syscall.EINVAL:
		return EINVAL
	case syscall.EISDIR:
		return EISDIR
	case syscall.ELOOP:
		return ELOOP
	case syscall.ENAMETOOLONG:
		return ENAMETOOLONG
	case syscall.ENOENT:
		return ENOENT
	case syscall.ENOTDIR:
		return ENOTDIR
	case syscall.ENOTEMPTY:
		return ENOTEMPTY
	case syscall.EOPNOTSUPP:
		return ENOTSUP
	case syscall.EPERM:
		return EPERM
	}
	panic("an error that no case is for: " + err.Error())
}

// differ holds one Mem, one real directory, and pairs of files open in both.
type differ struct {
	t     *testing.T
	rnd   *rand.Rand
	root  *Root
	mem   *Mem
	dir   string
	files []*pair
	log   []string
}

type pair struct {
	real   int
	file   File
	isDir  bool
	append bool
}

func newDiffer(t *testing.T, seed uint64) *differ {
	d := &differ{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir()}
	if err := os.Chmod(d.dir, 0o1777); err != nil {
		t.Fatal(err)
	}
	d.mem = NewMem(MemConfig{})
	root, err := NewRoot(Config{Mounts: []Mount{{Path: "tmp", Mem: d.mem}}})
	if err != nil {
		t.Fatal(err)
	}
	d.root = root
	return d
}

// path returns a random path in both worlds, of few names so that paths
// collide.
func (d *differ) path() (real, virtual string) { return d.pathOf(true) }

func (d *differ) pathOf(up bool) (real, virtual string) {
	p := ""
	for range 1 + d.rnd.IntN(3) {
		p += "/" + string(rune('a'+d.rnd.IntN(3)))
		switch d.rnd.IntN(24) {
		case 0:
			p += "/."
		case 1:
			p += "/"
		case 2:
			// One ".." at most, and none in a link's target: no path may lead
			// out of the directory, where the two worlds differ.
			if up {
				p, up = p+"/..", false
			}
		}
	}
	return d.dir + p, "tmp" + p
}

// target returns a random target for a symbolic link.
func (d *differ) target() (real, virtual string) {
	real, virtual = d.pathOf(false)
	if d.rnd.IntN(4) == 0 {
		return real, "/" + virtual
	}
	relative := strings.TrimPrefix(real, d.dir+"/")
	if d.rnd.IntN(4) == 0 { // too long to be kept as a short one is
		relative = strings.Repeat("./", longTarget) + relative
	}
	return relative, relative
}

func (d *differ) note(format string, args ...any) {
	d.log = append(d.log, strings.ReplaceAll(fmt.Sprintf(format, args...), d.dir, ""))
}

// same compares the results of an operation.
func (d *differ) same(err error, errno Errno, results ...any) bool {
	d.t.Helper()
	want := errnoOf(err)
	if want != errno {
		d.note("-> want %v, got %v", err, errno)
		d.t.Errorf("error: want %v, got %v", err, errno)
		return false
	}
	for i := 0; i+1 < len(results); i += 2 {
		if errno == 0 && fmt.Sprint(results[i]) != fmt.Sprint(results[i+1]) {
			d.t.Errorf("result: want %v, got %v", results[i], results[i+1])
		}
	}
	return errno == 0
}

func (d *differ) step() {
	if len(d.files) > 0 && d.rnd.IntN(2) == 0 {
		d.fileStep()
		return
	}
	real, virtual := d.path()
	switch d.rnd.IntN(14) {
	case 0, 1, 2:
		d.open(real, virtual)
	case 3:
		d.note("mkdir %s", virtual)
		d.same(syscall.Mkdir(real, 0o755), d.root.Mkdir(virtual, 0o755))
	case 4:
		d.note("rmdir %s", virtual)
		d.same(syscall.Rmdir(real), d.root.Rmdir(virtual))
	case 5:
		d.note("unlink %s", virtual)
		d.same(syscall.Unlink(real), d.root.Unlink(virtual))
	case 6:
		real2, virtual2 := d.path()
		d.note("rename %s %s", virtual, virtual2)
		d.same(syscall.Rename(real, real2), d.root.Rename(virtual, d.root.Dir, virtual2))
	case 7:
		real2, virtual2 := d.path()
		d.note("link %s %s", virtual, virtual2)
		d.same(syscall.Link(real, real2), d.root.Link(virtual, d.root.Dir, virtual2, false))
	case 8:
		d.note("stat %s", virtual)
		var want syscall.Stat_t
		err := syscall.Stat(real, &want)
		got, errno := d.root.Stat(virtual, true)
		if d.same(err, errno) {
			d.sameStat(&want, got)
		}
	case 9, 10:
		realTarget, target := d.target()
		d.note("symlink %s %s", target, virtual)
		d.same(syscall.Symlink(realTarget, real), d.root.Symlink(target, virtual))
	case 11:
		d.note("lstat %s", virtual)
		var want syscall.Stat_t
		err := syscall.Lstat(real, &want)
		got, errno := d.root.Stat(virtual, false)
		if d.same(err, errno) {
			d.sameStat(&want, got)
		}
	case 12:
		d.note("readlink %s", virtual)
		buf := make([]byte, 4096)
		n, err := syscall.Readlink(real, buf)
		got, errno := d.root.Readlink(virtual)
		want := strings.Replace(string(buf[:max(n, 0)]), d.dir, "/tmp", 1)
		d.same(err, errno, want, got)
	case 13:
		// Always with the owner's permissions: the tests may run as root, who
		// needs none.
		perm := uint32(0o700 | d.rnd.IntN(0o100))
		d.note("chmod %s %o", virtual, perm)
		d.same(syscall.Chmod(real, perm), d.root.Chmod(virtual, fs.FileMode(perm), true))
	}
}

// sameStat compares the metadata of a file.
func (d *differ) sameStat(want *syscall.Stat_t, got Stat) {
	d.t.Helper()
	kinds := map[uint32]fs.FileMode{syscall.S_IFREG: 0, syscall.S_IFDIR: fs.ModeDir, syscall.S_IFLNK: fs.ModeSymlink}
	d.same(nil, 0, kinds[want.Mode&syscall.S_IFMT]|fs.FileMode(want.Mode&0o777), got.Mode&^fs.ModeSticky)
	switch {
	case got.Mode.IsRegular():
		d.same(nil, 0, want.Size, got.Size, want.Nlink, got.Nlink)
	case got.Mode&fs.ModeSymlink != 0 && int64(len(d.dir)) > want.Size:
		d.same(nil, 0, want.Size, got.Size, want.Nlink, got.Nlink)
	}
}

func (d *differ) open(real, virtual string) {
	modes := []struct {
		real    int
		virtual Flag
	}{{syscall.O_RDONLY, ReadOnly}, {syscall.O_WRONLY, WriteOnly}, {syscall.O_RDWR, ReadWrite}}
	mode := modes[d.rnd.IntN(3)]
	add := func(odds int, real int, virtual Flag) {
		if d.rnd.IntN(odds) == 0 {
			mode.real |= real
			mode.virtual |= virtual
		}
	}
	if d.rnd.IntN(5) == 0 {
		add(1, syscall.O_DIRECTORY, Directory)
	} else {
		add(2, syscall.O_CREAT, Create)
		add(5, syscall.O_EXCL, Exclusive)
	}
	add(5, syscall.O_TRUNC, Truncate)
	add(5, syscall.O_APPEND, Append)
	add(5, syscall.O_NOFOLLOW, NoFollow)
	d.note("open %s %#x", virtual, mode.real)
	fd, err := syscall.Open(real, mode.real|syscall.O_CLOEXEC, 0o644)
	f, errno := d.root.Open(virtual, mode.virtual, 0o644)
	if !d.same(err, errno) {
		if err == nil {
			syscall.Close(fd)
		}
		return
	}
	st, _ := f.Stat()
	isDir := st.Mode.IsDir()
	if d.rnd.IntN(4) == 0 {
		var want syscall.Stat_t
		if err := syscall.Fstat(fd, &want); err != nil {
			d.t.Fatal(err)
		}
		d.sameStat(&want, st)
	}
	d.files = append(d.files, &pair{fd, f, isDir, mode.real&syscall.O_APPEND != 0})
	if len(d.files) > 8 {
		d.close(0)
	}
}

func (d *differ) close(i int) {
	p := d.files[i]
	p.file.Close()
	if err := syscall.Close(p.real); err != nil {
		d.t.Fatal(err)
	}
	d.files = slices.Delete(d.files, i, i+1)
}

func (d *differ) fileStep() {
	i := d.rnd.IntN(len(d.files))
	p := d.files[i]
	if p.isDir {
		if d.rnd.IntN(4) == 0 {
			d.close(i)
			return
		}
		d.note("readdir %d", i)
		want, err := readNames(p.real)
		var got []string
		var errno Errno
		for cookie := uint64(0); errno == 0; {
			var some []Dirent
			if some, cookie, errno = entries(p.file, cookie, 2); len(some) == 0 {
				break
			}
			got = append(got, names(some)...)
		}
		slices.Sort(want)
		slices.Sort(got)
		d.same(err, errno, want, got)
		return
	}
	// Mostly around page boundaries.
	off := int64(d.rnd.IntN(4))*PageSize + int64(d.rnd.IntN(5)) - 2
	if d.rnd.IntN(10) == 0 {
		off += 1 << 32 // past a hole
	}
	buf := make([]byte, []int{0, 1, 100, PageSize, 3*PageSize + 5}[d.rnd.IntN(5)])
	buf2 := make([]byte, len(buf))
	switch d.rnd.IntN(12) {
	case 0:
		d.note("close %d", i)
		d.close(i)
	case 1, 2:
		d.note("read %d %d", i, len(buf))
		n, err := syscall.Read(p.real, buf)
		m, errno := p.file.Read(buf2)
		if d.same(err, errno, n, m) && !bytes.Equal(buf, buf2) {
			d.t.Error("read: different contents")
		}
	case 3:
		d.note("pread %d %d at %d", i, len(buf), off)
		n, err := syscall.Pread(p.real, buf, off)
		m, errno := p.file.Pread(buf2, off)
		if d.same(err, errno, n, m) && !bytes.Equal(buf, buf2) {
			d.t.Error("pread: different contents")
		}
	case 4, 5:
		d.fill(buf)
		d.note("write %d %d", i, len(buf))
		n, err := syscall.Write(p.real, buf)
		m, errno := p.file.Write(buf)
		d.same(err, errno, n, m)
	case 6:
		if p.append {
			return // Linux appends, against POSIX.
		}
		d.fill(buf)
		d.note("pwrite %d %d at %d", i, len(buf), off)
		n, err := syscall.Pwrite(p.real, buf, off)
		m, errno := p.file.Pwrite(buf, off)
		d.same(err, errno, n, m)
	case 7:
		whence := d.rnd.IntN(3)
		d.note("seek %d %d %d", i, off, whence)
		n, err := syscall.Seek(p.real, off, whence)
		m, errno := p.file.Seek(off, whence)
		d.same(err, errno, n, m)
	case 8:
		d.note("truncate %d %d", i, off)
		d.same(syscall.Ftruncate(p.real, off), p.file.Truncate(off))
	case 9:
		d.note("fstat %d", i)
		var want syscall.Stat_t
		err := syscall.Fstat(p.real, &want)
		got, errno := p.file.Stat()
		d.same(err, errno, want.Size, got.Size, want.Nlink, got.Nlink)
	case 11:
		d.note("fallocate %d %d at %d", i, len(buf), off)
		d.same(syscall.Fallocate(p.real, 0, off, int64(len(buf))), p.file.Allocate(off, int64(len(buf))))
	case 10:
		p.append = d.rnd.IntN(2) == 0
		flag := 0
		if p.append {
			flag = syscall.O_APPEND
		}
		d.note("setappend %d %v", i, p.append)
		_, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(p.real), syscall.F_SETFL, uintptr(flag))
		var err error
		if e != 0 {
			err = e
		}
		status := Flag(0)
		if p.append {
			status = Append
		}
		d.same(err, p.file.SetFlags(status))
	}
}

func (d *differ) fill(buf []byte) {
	for i := range buf {
		buf[i] = byte(d.rnd.Uint32())
	}
}

func readNames(fd int) (names []string, err error) {
	if _, err := syscall.Seek(fd, 0, io.SeekStart); err != nil {
		return nil, err
	}
	buf := make([]byte, 8192)
	for {
		n, err := syscall.ReadDirent(fd, buf)
		if n <= 0 || err != nil {
			return names, err
		}
		_, _, names = syscall.ParseDirent(buf[:n], -1, names)
	}
}

// finish compares everything left, then deletes it and checks that nothing
// stays charged.
func (d *differ) finish() {
	t := d.t
	for len(d.files) > 0 {
		d.close(0)
	}
	want, got := map[string]string{}, map[string]string{}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == d.dir {
			return err
		}
		data := []byte("(directory)")
		if e.Type()&fs.ModeSymlink != 0 {
			data = []byte("(link)")
		} else if info, err := e.Info(); err != nil {
			return err
		} else if info.Size() > 1<<30 {
			data = fmt.Append(nil, info.Size())
		} else if !e.IsDir() {
			if data, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		want[strings.TrimPrefix(path, d.dir)] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.walk("", got)
	if len(want) != len(got) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	for path := range want {
		if want[path] != got[path] {
			t.Errorf("%s: different contents", path)
		}
	}
	checkMem(t, d.mem)
	removeAll(t, d.root, "tmp")
	if d.mem.Used() != 0 || d.mem.entries != 0 || d.mem.pages != 0 {
		t.Errorf("after deleting all: %d bytes, %d entries, %d pages", d.mem.Used(), d.mem.entries, d.mem.pages)
	}
	if n := d.root.OpenFiles(); n != 0 {
		t.Errorf("%d files are counted as open", n)
	}
}

func (d *differ) walk(dir string, into map[string]string) {
	for _, e := range list(d.t, d.root, "tmp"+dir) {
		path := dir + "/" + e.Name
		if e.Type.IsDir() {
			into[path] = "(directory)"
			d.walk(path, into)
			continue
		}
		if e.Type&fs.ModeSymlink != 0 {
			into[path] = "(link)"
			continue
		}
		if st, _ := d.root.Stat("tmp"+path, false); st.Size > 1<<30 {
			into[path] = fmt.Sprint(st.Size)
			continue
		}
		into[path] = string(read(d.t, d.root, "tmp"+path))
	}
}
