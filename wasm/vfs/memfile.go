package vfs

import (
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// memFile is an open file of a Mem.
type memFile struct {
	handle
	mem    *Mem
	node   *inode
	dev    uint64
	pos    int64
	read   bool
	write  bool
	append bool
}

// Dev implements the same method as documented on sys.File.
func (f *memFile) Dev() (uint64, experimentalsys.Errno) { return f.dev, 0 }

// Ino implements the same method as documented on sys.File.
func (f *memFile) Ino() (sys.Inode, experimentalsys.Errno) { return f.node.ino, 0 }

// IsDir implements the same method as documented on sys.File.
func (f *memFile) IsDir() (bool, experimentalsys.Errno) { return false, 0 }

// IsAppend implements the same method as documented on sys.File.
func (f *memFile) IsAppend() bool { return f.append }

// SetAppend implements the same method as documented on sys.File.
func (f *memFile) SetAppend(enable bool) experimentalsys.Errno {
	if f.closed {
		return experimentalsys.EBADF
	}
	f.append = enable
	return 0
}

// Stat implements the same method as documented on sys.File.
func (f *memFile) Stat() (sys.Stat_t, experimentalsys.Errno) {
	if f.closed {
		return sys.Stat_t{}, experimentalsys.EBADF
	}
	return f.node.stat(f.dev), 0
}

// Read implements the same method as documented on sys.File.
func (f *memFile) Read(buf []byte) (int, experimentalsys.Errno) {
	n, errno := f.Pread(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

// Pread implements the same method as documented on sys.File.
func (f *memFile) Pread(buf []byte, off int64) (int, experimentalsys.Errno) {
	switch {
	case off < 0 && !f.closed:
		return 0, experimentalsys.EINVAL
	case f.closed || !f.read:
		return 0, experimentalsys.EBADF
	}
	return f.node.content.readAt(buf, off), 0
}

// Seek implements the same method as documented on sys.File.
func (f *memFile) Seek(offset position, whence int) (int64, experimentalsys.Errno) {
	if f.closed {
		return 0, experimentalsys.EBADF
	}
	return seek(&f.pos, f.node.content.size, offset, whence)
}

// Readdir implements the same method as documented on sys.File.
func (f *memFile) Readdir(int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	return nil, experimentalsys.EBADF
}

// Write implements the same method as documented on sys.File.
func (f *memFile) Write(buf []byte) (int, experimentalsys.Errno) {
	pos := f.pos
	if f.append {
		pos = f.node.content.size
	}
	n, errno := f.Pwrite(buf, pos)
	if n > 0 {
		f.pos = pos + int64(n)
	}
	return n, errno
}

// Pwrite implements the same method as documented on sys.File. It writes at
// the offset in append mode too, as POSIX wants and Linux doesn't.
func (f *memFile) Pwrite(buf []byte, off int64) (int, experimentalsys.Errno) {
	switch {
	case off < 0 && !f.closed:
		return 0, experimentalsys.EINVAL
	case f.closed || !f.write:
		return 0, experimentalsys.EBADF
	}
	n, errno := f.mem.write(f.node, buf, off)
	return n, f.root.fail(errno)
}

// Truncate implements the same method as documented on sys.File.
func (f *memFile) Truncate(size int64) experimentalsys.Errno {
	switch {
	case f.closed:
		return experimentalsys.EBADF
	case !f.write:
		return experimentalsys.EINVAL
	}
	return f.root.fail(f.mem.truncate(f.node, size))
}

// Utimens implements the same method as documented on sys.File.
func (f *memFile) Utimens(atim, mtim int64) experimentalsys.Errno {
	if f.closed {
		return experimentalsys.EBADF
	}
	return f.mem.utimens(f.node, atim, mtim)
}

// Close implements the same method as documented on sys.File.
func (f *memFile) Close() experimentalsys.Errno {
	if f.release() {
		f.node.opens--
		f.mem.unref(f.node)
	}
	return 0
}

// memDir is an open directory of a Mem.
type memDir struct {
	experimentalsys.DirFile
	handle
	mem  *Mem
	node *inode
	dev  uint64
	// next is the entry to go on from, 0 before the first; last is the newest
	// that was there when listing began, so that a program which adds as it
	// lists comes to an end.
	next, last uint64
}

// Dev implements the same method as documented on sys.File.
func (d *memDir) Dev() (uint64, experimentalsys.Errno) { return d.dev, 0 }

// Ino implements the same method as documented on sys.File.
func (d *memDir) Ino() (sys.Inode, experimentalsys.Errno) { return d.node.ino, 0 }

// Stat implements the same method as documented on sys.File.
func (d *memDir) Stat() (sys.Stat_t, experimentalsys.Errno) {
	if d.closed {
		return sys.Stat_t{}, experimentalsys.EBADF
	}
	return d.node.stat(d.dev), 0
}

// Seek implements the same method as documented on sys.File.
func (d *memDir) Seek(offset position, whence int) (int64, experimentalsys.Errno) {
	if errno := d.rewind(offset, whence); errno != 0 {
		return 0, errno
	}
	d.next = 0
	return 0, 0
}

// Readdir implements the same method as documented on sys.File.
func (d *memDir) Readdir(n int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	switch {
	case d.closed:
		return nil, experimentalsys.EBADF
	case d.node.nlink == 0:
		return nil, experimentalsys.ENOENT
	}
	if d.next == 0 {
		d.next, d.last = 1, d.node.dir.lastSeq
	}
	dirents, next := d.node.dir.list(d.next, d.last, n)
	if errno := d.list(dirents); errno != 0 {
		return nil, errno
	}
	d.next = next
	return dirents, 0
}

// Utimens implements the same method as documented on sys.File.
func (d *memDir) Utimens(atim, mtim int64) experimentalsys.Errno {
	if d.closed {
		return experimentalsys.EBADF
	}
	return d.mem.utimens(d.node, atim, mtim)
}
