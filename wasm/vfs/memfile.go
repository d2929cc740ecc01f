package vfs

import "io/fs"

// memFile is an open file of a Mem.
type memFile struct {
	handle
	at  spot
	pos int64
}

// Stat implements File.
func (f *memFile) Stat() (Stat, Errno) { return f.at.stat(), 0 }

// Read implements File.
func (f *memFile) Read(buf []byte) (int, Errno) {
	n, errno := f.Pread(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

// Pread implements File.
func (f *memFile) Pread(buf []byte, off int64) (int, Errno) {
	switch {
	case off < 0:
		return 0, EINVAL
	case !f.flag.reads():
		return 0, EBADF
	}
	return f.at.inode.content.readAt(buf, off), 0
}

// Seek implements File.
func (f *memFile) Seek(offset Position, whence int) (int64, Errno) {
	return seek(&f.pos, f.at.inode.content.size, offset, whence)
}

// Write implements File.
func (f *memFile) Write(buf []byte) (int, Errno) {
	pos := f.pos
	if f.flag&Append != 0 {
		pos = f.at.inode.content.size
	}
	n, errno := f.Pwrite(buf, pos)
	if n > 0 {
		f.pos = pos + int64(n)
	}
	return n, errno
}

// Pwrite implements File.
func (f *memFile) Pwrite(buf []byte, off int64) (int, Errno) {
	switch {
	case off < 0:
		return 0, EINVAL
	case !f.flag.writes():
		return 0, EBADF
	}
	return f.at.inode.mem.write(f.at.inode, buf, off)
}

// Truncate implements File.
func (f *memFile) Truncate(size int64) Errno {
	if !f.flag.writes() {
		return EINVAL
	}
	return f.at.inode.mem.truncate(f.at.inode, size)
}

// Allocate implements File.
func (f *memFile) Allocate(off, size int64) Errno {
	switch {
	case off < 0 || size <= 0:
		return EINVAL
	case !f.flag.writes():
		return EBADF
	}
	return f.at.inode.mem.allocate(f.at.inode, off, size)
}

// Utimens implements File.
func (f *memFile) Utimens(atim, mtim int64) Errno { return f.root.utimens(f.at, atim, mtim) }

// Chmod implements File.
func (f *memFile) Chmod(perm fs.FileMode) Errno { return f.root.chmod(f.at, perm) }

// Close implements File.
func (f *memFile) Close() {
	if f.release() {
		f.at.inode.opens--
		f.at.inode.mem.unref(f.at.inode)
	}
}

// memDir is an open directory of a Mem.
type memDir struct {
	dirHandle
	// last is the newest entry at the time listing began, so that a program
	// that adds entries while listing terminates.
	last uint64
}

// List implements File.
func (d *memDir) List(cookie uint64, yield func(Dirent) bool) Errno {
	dir := d.at.inode.dir
	if d.at.inode.nlink == 0 {
		return ENOENT
	}
	if cookie < firstCookie || d.last == 0 {
		d.last = dir.lastSeq
	}
	if d.dots(cookie, yield) {
		dir.list(max(cookie, firstCookie)-firstCookie+1, d.last, yield)
	}
	return 0
}
