package vfs

import (
	"io"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// treeFile is an open file of a Tree.
type treeFile struct {
	handle
	node   *node
	dev    uint64
	pos    int64
	append bool
}

// Dev implements the same method as documented on sys.File.
func (f *treeFile) Dev() (uint64, experimentalsys.Errno) { return f.dev, 0 }

// Ino implements the same method as documented on sys.File.
func (f *treeFile) Ino() (sys.Inode, experimentalsys.Errno) { return f.node.stat.Ino, 0 }

// IsDir implements the same method as documented on sys.File.
func (f *treeFile) IsDir() (bool, experimentalsys.Errno) { return false, 0 }

// IsAppend implements the same method as documented on sys.File.
func (f *treeFile) IsAppend() bool { return f.append }

// SetAppend implements the same method as documented on sys.File.
func (f *treeFile) SetAppend(enable bool) experimentalsys.Errno {
	if f.closed {
		return experimentalsys.EBADF
	}
	f.append = enable
	return 0
}

// Stat implements the same method as documented on sys.File.
func (f *treeFile) Stat() (sys.Stat_t, experimentalsys.Errno) {
	if f.closed {
		return sys.Stat_t{}, experimentalsys.EBADF
	}
	st := f.node.stat
	st.Dev = f.dev
	return st, 0
}

// Read implements the same method as documented on sys.File.
func (f *treeFile) Read(buf []byte) (int, experimentalsys.Errno) {
	n, errno := f.Pread(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

// Pread implements the same method as documented on sys.File.
func (f *treeFile) Pread(buf []byte, off int64) (int, experimentalsys.Errno) {
	if f.closed {
		return 0, experimentalsys.EBADF
	}
	if off < 0 {
		return 0, experimentalsys.EINVAL
	}
	if off >= int64(len(f.node.data)) {
		return 0, 0
	}
	return copy(buf, f.node.data[off:]), 0
}

// Seek implements the same method as documented on sys.File.
func (f *treeFile) Seek(offset position, whence int) (int64, experimentalsys.Errno) {
	if f.closed {
		return 0, experimentalsys.EBADF
	}
	return seek(&f.pos, f.node.stat.Size, offset, whence)
}

// Readdir implements the same method as documented on sys.File.
func (f *treeFile) Readdir(int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	return nil, experimentalsys.EBADF
}

// Write implements the same method as documented on sys.File.
func (f *treeFile) Write([]byte) (int, experimentalsys.Errno) { return 0, experimentalsys.EBADF }

// Pwrite implements the same method as documented on sys.File.
func (f *treeFile) Pwrite([]byte, int64) (int, experimentalsys.Errno) {
	return 0, experimentalsys.EBADF
}

// Truncate implements the same method as documented on sys.File.
func (f *treeFile) Truncate(int64) experimentalsys.Errno {
	if f.closed {
		return experimentalsys.EBADF
	}
	return experimentalsys.EINVAL
}

// Utimens implements the same method as documented on sys.File.
func (f *treeFile) Utimens(int64, int64) experimentalsys.Errno {
	if f.closed {
		return experimentalsys.EBADF
	}
	return experimentalsys.EROFS
}

// seek moves pos as lseek does.
func seek(pos *int64, size, offset int64, whence int) (int64, experimentalsys.Errno) {
	base := int64(0)
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = *pos
	case io.SeekEnd:
		base = size
	default:
		return 0, experimentalsys.EINVAL
	}
	// base is never negative, so a sum that wraps around is negative as well.
	to := base + offset
	if to < 0 {
		return 0, experimentalsys.EINVAL
	}
	*pos = to
	return to, 0
}

// treeDir is an open directory of a Tree.
type treeDir struct {
	experimentalsys.DirFile
	handle
	node *node
	dev  uint64
	pos  int
}

// Dev implements the same method as documented on sys.File.
func (d *treeDir) Dev() (uint64, experimentalsys.Errno) { return d.dev, 0 }

// Ino implements the same method as documented on sys.File.
func (d *treeDir) Ino() (sys.Inode, experimentalsys.Errno) { return d.node.stat.Ino, 0 }

// Stat implements the same method as documented on sys.File.
func (d *treeDir) Stat() (sys.Stat_t, experimentalsys.Errno) {
	if d.closed {
		return sys.Stat_t{}, experimentalsys.EBADF
	}
	st := d.node.stat
	st.Dev = d.dev
	return st, 0
}

// Seek implements the same method as documented on sys.File.
func (d *treeDir) Seek(offset position, whence int) (int64, experimentalsys.Errno) {
	if errno := d.rewind(offset, whence); errno != 0 {
		return 0, errno
	}
	d.pos = 0
	return 0, 0
}

// Readdir implements the same method as documented on sys.File.
func (d *treeDir) Readdir(n int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	if d.closed {
		return nil, experimentalsys.EBADF
	}
	rest := d.node.dirents[d.pos:]
	if n > 0 && n < len(rest) {
		rest = rest[:n]
	}
	if errno := d.list(rest); errno != 0 {
		return nil, errno
	}
	d.pos += len(rest)
	// Clipped: the caller appends to what it gets, and this is everybody's.
	return rest[:len(rest):len(rest)], 0
}

// Utimens implements the same method as documented on sys.File.
func (d *treeDir) Utimens(int64, int64) experimentalsys.Errno {
	if d.closed {
		return experimentalsys.EBADF
	}
	return experimentalsys.EROFS
}
