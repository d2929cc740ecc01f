package vfs

import "io/fs"

// treeFile is an open file of a Tree. It is never open for writing.
type treeFile struct {
	handle
	at  spot
	pos int64
}

// Stat implements File.
func (f *treeFile) Stat() (Stat, Errno) { return f.at.stat(), 0 }

// Read implements File.
func (f *treeFile) Read(buf []byte) (int, Errno) {
	n, errno := f.Pread(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

// Pread implements File.
func (f *treeFile) Pread(buf []byte, off int64) (int, Errno) {
	data := f.at.node.data
	switch {
	case off < 0:
		return 0, EINVAL
	case off >= int64(len(data)):
		return 0, 0
	}
	return copy(buf, data[off:]), 0
}

// Seek implements File.
func (f *treeFile) Seek(offset Position, whence int) (int64, Errno) {
	return seek(&f.pos, f.at.node.stat.Size, offset, whence)
}

// Write implements File.
func (f *treeFile) Write([]byte) (int, Errno) { return 0, EBADF }

// Pwrite implements File.
func (f *treeFile) Pwrite([]byte, int64) (int, Errno) { return 0, EBADF }

// Utimens implements File.
func (f *treeFile) Utimens(int64, int64) Errno { return EROFS }

// Chmod implements File.
func (f *treeFile) Chmod(fs.FileMode) Errno { return EROFS }

// treeDir is an open directory of a Tree.
type treeDir struct{ dirHandle }

// List implements File.
func (d *treeDir) List(cookie uint64, yield func(Dirent) bool) Errno {
	if !d.dots(cookie, yield) {
		return 0
	}
	dirents := d.at.node.dirents
	for i := max(cookie, firstCookie) - firstCookie; i < uint64(len(dirents)); i++ {
		entry := dirents[i]
		entry.Next = firstCookie + i + 1
		if !yield(entry) {
			return 0
		}
	}
	return 0
}
