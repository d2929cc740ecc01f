package vfs

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func TestMem_QuotaOfBytesIsExact(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{MaxBytes: 10*PageSize + 100})
	f := open(t, root, "tmp/a", ReadWrite|Create)
	buf := bytes.Repeat([]byte("x"), 4*PageSize)
	total := 0
	for range 3 {
		n, errno := f.Write(buf)
		if errno != 0 {
			t.Fatal(errno)
		}
		total += n
	}
	if total != 10*PageSize {
		t.Errorf("wrote %d bytes", total)
	}
	if n, errno := f.Write(buf); n != 0 || errno != ENOSPC {
		t.Errorf("over the quota: %d, %v", n, errno)
	}
	if n, errno := f.Pwrite(buf, 0); n != len(buf) || errno != 0 {
		t.Errorf("writing over what is there: %d, %v", n, errno)
	}
	// The last byte of a page is as cheap as the first.
	if errno := f.Truncate(9*PageSize + 1); errno != 0 {
		t.Error(errno)
	}
	if n, errno := f.Pwrite(buf, 9*PageSize+1); n != PageSize-1 || errno != 0 {
		t.Errorf("the rest of a page: %d, %v", n, errno)
	}
	if errno := f.Truncate(0); errno != 0 || mem.Used() != EntrySize {
		t.Errorf("truncate: %v, %d bytes used", errno, mem.Used())
	}
	f.Close()
	if errno := root.Unlink("tmp/a"); errno != 0 || mem.Used() != 0 {
		t.Errorf("unlink: %v, %d bytes used", errno, mem.Used())
	}
}

func TestMem_QuotaOfEntriesIsExact(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{MaxEntries: 3})
	write(t, root, "tmp/a", "")
	if errno := root.Mkdir("tmp/d", 0o755); errno != 0 {
		t.Fatal(errno)
	}
	if errno := root.Link("tmp/a", root.Dir, "tmp/d/a", false); errno != 0 {
		t.Fatal(errno)
	}
	if _, errno := root.Open("tmp/b", Create|ReadWrite, 0o600); errno != ENOSPC {
		t.Errorf("open: %v", errno)
	}
	if errno := root.Mkdir("tmp/b", 0o755); errno != ENOSPC {
		t.Errorf("mkdir: %v", errno)
	}
	if errno := root.Link("tmp/a", root.Dir, "tmp/b", false); errno != ENOSPC {
		t.Errorf("link: %v", errno)
	}
	if errno := root.Rename("tmp/d/a", root.Dir, "tmp/b"); errno != 0 {
		t.Errorf("rename needs no entry: %v", errno)
	}
	if root.OpenFiles() != 0 {
		t.Errorf("%d open files", root.OpenFiles())
	}
	checkMem(t, mem)
	removeAll(t, root, "tmp")
	if mem.Used() != 0 {
		t.Errorf("%d bytes used", mem.Used())
	}
}

func TestMem_HolesTakeNothing(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{MaxBytes: 4 * PageSize})
	f := open(t, root, "tmp/a", ReadWrite|Create)
	for _, size := range []int64{MaxFileSize + 1, math.MaxInt64, math.MaxInt64 - 1, 1 << 62} {
		if errno := f.Truncate(size); errno != EFBIG {
			t.Errorf("truncate to %d: %v", size, errno)
		}
		if n, errno := f.Pwrite([]byte("x"), size); n != 0 || errno != EFBIG {
			t.Errorf("write at %d: %d, %v", size, n, errno)
		}
		if errno := f.Allocate(0, size); errno != EFBIG {
			t.Errorf("allocate %d: %v", size, errno)
		}
	}
	if n, errno := f.Pwrite([]byte("xy"), MaxFileSize-1); n != 1 || errno != 0 {
		t.Errorf("write over the largest size: %d, %v", n, errno)
	}
	f.Truncate(0)
	if errno := f.Truncate(-1); errno != EINVAL {
		t.Error(errno)
	}
	if _, errno := f.Seek(math.MaxInt64, io.SeekStart); errno != 0 {
		t.Error(errno)
	}
	if _, errno := f.Seek(1, io.SeekCurrent); errno != EINVAL {
		t.Errorf("seek over the end of the numbers: %v", errno)
	}
	if n, errno := f.Read(make([]byte, 1)); n != 0 || errno != 0 {
		t.Errorf("read far out: %d, %v", n, errno)
	}
	if errno := f.Truncate(1 << 40); errno != 0 || mem.Used() != EntrySize {
		t.Errorf("a terabyte of nothing: %v, %d bytes used", errno, mem.Used())
	}
	for _, off := range []int64{1 << 30, 5, 1<<40 - 1, 1 << 30} {
		if n, errno := f.Pwrite([]byte("x"), off); n != 1 || errno != 0 {
			t.Errorf("write at %d: %d, %v", off, n, errno)
		}
	}
	st, _ := f.Stat()
	if st.Size != 1<<40 || st.Blocks != 3*8 || mem.Used() != EntrySize+3*PageSize {
		t.Errorf("%+v, %d bytes used", st, mem.Used())
	}
	if n, errno := f.Pwrite(make([]byte, 2*PageSize), 100); n != 2*PageSize-100 || errno != 0 {
		t.Errorf("a write for which there are pages in part: %d, %v", n, errno)
	}
	if n, errno := f.Pwrite([]byte("x"), 1<<35); n != 0 || errno != ENOSPC {
		t.Errorf("a write into a hole for which there is no page: %d, %v", n, errno)
	}
	if errno := f.Truncate(1<<30 + 1); errno != 0 || mem.Used() != EntrySize+3*PageSize {
		t.Errorf("%v, %d bytes used", errno, mem.Used())
	}
	buf := make([]byte, 3)
	if n, _ := f.Pread(buf, 1<<30-1); n != 2 || buf[0] != 0 || buf[1] != 'x' {
		t.Errorf("read %q", buf[:n])
	}
}

func TestMem_WhatIsAllocatedCountsAndCanBeWritten(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{MaxBytes: 4 * PageSize})
	a, b := open(t, root, "tmp/a", ReadWrite|Create), open(t, root, "tmp/b", ReadWrite|Create)
	if errno := a.Allocate(10, 3*PageSize-10); errno != 0 || mem.Used() != 2*EntrySize+3*PageSize {
		t.Fatalf("%v, %d bytes used", errno, mem.Used())
	}
	if errno := b.Allocate(0, 2*PageSize); errno != ENOSPC {
		t.Errorf("more than there is: %v", errno)
	}
	if errno := b.Allocate(0, 1<<40); errno != ENOSPC {
		t.Errorf("a terabyte: %v", errno)
	}
	write(t, root, "tmp/b", "x")
	if n, errno := a.Pwrite([]byte("x"), PageSize); n != 1 || errno != 0 {
		t.Errorf("write: %d, %v", n, errno)
	}
	a.Truncate(100)
	c := open(t, root, "tmp/c", ReadWrite|Create)
	c.Allocate(0, 1)
	buf := make([]byte, 1)
	if n, _ := c.Pread(buf, 0); n != 1 || buf[0] != 0 || reserved != (page{}) {
		t.Errorf("what is allocated in one file has the contents of another: %q", buf)
	}
	checkMem(t, mem)
}

func TestMem_ReserveIsToldAndAsked(t *testing.T) {
	total, limit := int64(0), int64(5*PageSize)
	root, mem := newRoot(t, Config{}, MemConfig{Reserve: func(delta int64) bool {
		if delta > 0 && total+delta > limit {
			return false
		}
		total += delta
		return true
	}})
	write(t, root, "tmp/a", strings.Repeat("x", 3*PageSize))
	f := open(t, root, "tmp/b", WriteOnly|Create)
	if _, errno := f.Write(make([]byte, 2*PageSize)); errno != ENOSPC {
		t.Errorf("refused: %v", errno)
	}
	if total != mem.Used() || total != 3*PageSize+2*EntrySize {
		t.Errorf("told %d, used %d", total, mem.Used())
	}
	root.Unlink("tmp/b")
	mem.Close()
	mem.Close()
	f.Close()
	if total != 0 || mem.Used() != 0 {
		t.Errorf("after Close: told %d, used %d", total, mem.Used())
	}
}

func TestMem_AfterCloseNothingCanBeWritten(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/a", "text")
	f := open(t, root, "tmp/a", ReadWrite)
	dir := open(t, root, "tmp", ReadOnly)
	root.Close()
	if _, errno := f.Pwrite([]byte("x"), 100_000); errno != ENOSPC {
		t.Errorf("write: %v", errno)
	}
	if errno := f.Truncate(0); errno != 0 {
		t.Errorf("truncate: %v", errno)
	}
	if _, errno := root.Open("tmp/b", Create|ReadWrite, 0o600); errno != ENOSPC {
		t.Errorf("create: %v", errno)
	}
	if _, _, errno := entries(dir, 0, -1); errno != 0 {
		t.Errorf("list: %v", errno)
	}
	f.Close()
	dir.Close()
	if mem.Used() != 0 || root.OpenFiles() != 0 {
		t.Errorf("%d bytes, %d files", mem.Used(), root.OpenFiles())
	}
}

func TestMem_AnUnlinkedFileLivesAndCountsUntilItIsClosed(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/a", "text")
	f, g := open(t, root, "tmp/a", ReadWrite), open(t, root, "tmp/a", ReadOnly)
	if errno := root.Unlink("tmp/a"); errno != 0 {
		t.Fatal(errno)
	}
	f.Close()
	f.Close()
	if mem.Used() != PageSize {
		t.Errorf("%d bytes while it is open", mem.Used())
	}
	buf := make([]byte, 4)
	if n, _ := g.Read(buf); string(buf[:n]) != "text" {
		t.Errorf("read %q", buf[:n])
	}
	if st, _ := g.Stat(); st.Nlink != 0 {
		t.Errorf("%d links", st.Nlink)
	}
	g.Close()
	if mem.Used() != 0 {
		t.Errorf("%d bytes after it was closed", mem.Used())
	}
}

func TestMem_BytesThatWereCutOffDoNotComeBack(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	f := open(t, root, "tmp/a", ReadWrite|Create)
	f.Write(bytes.Repeat([]byte("secret"), 2000))
	f.Truncate(5)
	f.Truncate(12000)
	got := make([]byte, 12000)
	f.Pread(got, 0)
	if want := append([]byte("secre"), make([]byte, 11995)...); !bytes.Equal(got, want) {
		t.Error("old contents are visible")
	}
}

func TestMem_PagesThatAreUsedAgainShowNothing(t *testing.T) {
	const pages = 5*extentPages/2 + 1
	for n, cut := range []int64{0, 1, PageSize, extentPages*PageSize + 1} {
		one, _ := newRoot(t, Config{}, MemConfig{})
		f := open(t, one, "tmp/a", ReadWrite|Create)
		f.Write(bytes.Repeat([]byte("secret.."), pages*PageSize/8))
		f.Truncate(cut)
		other, mem := newRoot(t, Config{}, MemConfig{})
		g := open(t, other, "tmp/b", ReadWrite|Create)
		g.Allocate(0, pages*PageSize)
		want := make([]byte, pages*PageSize)
		for page := range int64(pages) {
			at := page*PageSize + 7*page
			g.Pwrite([]byte{'x'}, at)
			want[at] = 'x'
		}
		got := make([]byte, len(want))
		if g.Pread(got, 0); !bytes.Equal(got, want) {
			t.Errorf("case %d: contents of another's file are visible", n)
		}
		checkMem(t, mem)
	}
}

func TestMem_DirectoriesThatWereFullGiveTheirRoomBack(t *testing.T) {
	root, mem := newRoot(t, Config{}, MemConfig{})
	for i := range 1000 {
		write(t, root, fmt.Sprint("tmp/", i), "")
	}
	dir := mem.root.dir
	for left := 999; left >= 0; left-- {
		if errno := root.Unlink(fmt.Sprint("tmp/", left)); errno != 0 {
			t.Fatal(errno)
		}
		if len(dir.order) > 2*left+4 || cap(dir.order) > 4*left+64 || dir.peak > 4*left+16 {
			t.Fatalf("%d names left: order %d of %d, peak %d", left, len(dir.order), cap(dir.order), dir.peak)
		}
	}
}

func TestMem_ListingGoesOnWhileNamesComeAndGo(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	for i := range 200 {
		write(t, root, fmt.Sprintf("tmp/%03d", i), "")
	}
	dir := open(t, root, "tmp", ReadOnly)
	defer dir.Close()
	seen := map[string]int{}
	cookie := uint64(0)
	for i := 0; ; i++ {
		var some []Dirent
		var errno Errno
		some, cookie, errno = entries(dir, cookie, 3)
		if errno != 0 {
			t.Fatal(errno)
		}
		for _, e := range some {
			seen[e.Name]++
			if errno := root.Unlink("tmp/" + e.Name); errno != 0 {
				t.Fatal(errno)
			}
			write(t, root, fmt.Sprint("tmp/new", i, e.Name), "")
		}
		if len(some) < 3 {
			break
		}
	}
	if len(seen) != 200 {
		t.Errorf("saw %d names", len(seen))
	}
	for name, n := range seen {
		if n != 1 || strings.HasPrefix(name, "new") {
			t.Errorf("saw %s %d times", name, n)
		}
	}
	dir.List(0, func(Dirent) bool { return false })
	if all, _, _ := entries(dir, 0, -1); len(all) != 200 {
		t.Errorf("from the start again: %d names", len(all))
	}
}

func TestMem_Times(t *testing.T) {
	now := time.Unix(100, 0)
	root, mem := newRoot(t, Config{}, MemConfig{Now: func() time.Time { return now }})
	if mem.Written() || root.Written() {
		t.Error("new, and written")
	}
	now = now.Add(time.Second)
	write(t, root, "tmp/a", "x")
	if !mem.Written() || !root.Written() {
		t.Error("not written")
	}
	now = now.Add(time.Second)
	f := open(t, root, "tmp/a", ReadWrite)
	f.Write([]byte("y"))
	st, _ := f.Stat()
	if dir, _ := root.Stat("tmp", true); dir.Mtim != 101e9 || st.Mtim != 102e9 || st.Ctim != 102e9 || st.Atim != 101e9 {
		t.Errorf("directory %d, file %+v", dir.Mtim, st)
	}
	if errno := root.Utimens("tmp/a", OmitTime, 5, true); errno != 0 {
		t.Error(errno)
	}
	if errno := f.Utimens(6, OmitTime); errno != 0 {
		t.Error(errno)
	}
	if st, _ = root.Stat("tmp/a", true); st.Mtim != 5 || st.Atim != 6 || st.Ctim != 102e9 {
		t.Errorf("%+v", st)
	}
}

func TestMem_ModesAreKept(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/a", "")
	root.Mkdir("tmp/d", 0o700)
	if errno := root.Chmod("tmp/a", 0o4751, true); errno != 0 {
		t.Error(errno)
	}
	if errno := root.Chmod("tmp/a/", 0o700, true); errno != ENOTDIR {
		t.Error(errno)
	}
	a, _ := root.Stat("tmp/a", true)
	d, _ := root.Stat("tmp/d", true)
	if a.Mode.String() != "-rwxr-x--x" || d.Mode.String() != "drwx------" {
		t.Errorf("%v %v", a.Mode, d.Mode)
	}
}

func TestMem_InodesAreStableAndNeverReused(t *testing.T) {
	root, _ := newRoot(t, Config{}, MemConfig{})
	write(t, root, "tmp/a", "")
	a, _ := root.Stat("tmp/a", true)
	root.Rename("tmp/a", root.Dir, "tmp/b")
	root.Link("tmp/b", root.Dir, "tmp/c", false)
	b, _ := root.Stat("tmp/b", true)
	c, _ := root.Stat("tmp/c", false)
	if a.Ino != b.Ino || b != c || c.Nlink != 2 {
		t.Errorf("%+v %+v %+v", a, b, c)
	}
	removeAll(t, root, "tmp")
	write(t, root, "tmp/a", "")
	if again, _ := root.Stat("tmp/a", true); again.Ino == a.Ino {
		t.Error("a new file has the number of an old one")
	}
}
