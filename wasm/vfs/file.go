package vfs

import (
	"io"
	"io/fs"
	"math"
)

// Flag is how a file is opened: one of the first three, combined with any of
// the others.
type Flag uint16

// Flags for Dir.Open. They do what their namesakes do on Linux.
const (
	ReadOnly  Flag = 0         // O_RDONLY
	WriteOnly Flag = 1 << iota // O_WRONLY
	ReadWrite                  // O_RDWR
	Create                     // O_CREAT
	Exclusive                  // O_EXCL
	Truncate                   // O_TRUNC
	Directory                  // O_DIRECTORY
	NoFollow                   // O_NOFOLLOW
	Append                     // O_APPEND
	NonBlock                   // O_NONBLOCK: recorded only, since nothing here ever blocks
)

// statusFlags are the flags that File.SetFlags can change.
const statusFlags = Append | NonBlock

func (f Flag) reads() bool  { return f&WriteOnly == 0 }
func (f Flag) writes() bool { return f&(WriteOnly|ReadWrite) != 0 }

// OmitTime makes Utimens keep a time.
const OmitTime = math.MinInt64

// blocksPerPage is how many units of Stat.Blocks make a page.
const blocksPerPage = PageSize / 512

// Stat describes a file; times are in nanoseconds since 1970.
type Stat struct {
	Dev, Ino, Nlink  uint64
	Mode             fs.FileMode
	Size             int64 // bytes
	Blocks           int64 // units of 512 bytes in use
	ReadOnly         bool  // in a Tree
	Atim, Mtim, Ctim int64
}

// Dirent is an entry of a directory. Next is the cookie at which listing
// resumes after it.
type Dirent struct {
	Name string
	Ino  uint64
	Type fs.FileMode
	Next uint64
}

// Position is an offset in a file. It is a named type because vet takes a Seek
// with int64 for a misspelt io.Seeker.
type Position = int64

// File is an open file, directory or device. Operations that make no sense for
// its kind fail as on Linux. Like its Root, it is used by one goroutine at a
// time, and not after Close.
type File interface {
	Stat() (Stat, Errno)
	// Flags returns the flags the file was opened with, as changed by SetFlags:
	// Append and NonBlock.
	Flags() Flag
	SetFlags(flag Flag) Errno
	// Read returns 0 bytes at the end of the file. Like the other three, it
	// accepts buffers of any size and transfers at most their length.
	Read(buf []byte) (int, Errno)
	Pread(buf []byte, off int64) (int, Errno)
	// Write writes what fits: a short write is not an error.
	Write(buf []byte) (int, Errno)
	// Pwrite writes at the offset even in append mode, as POSIX requires and
	// Linux doesn't do.
	Pwrite(buf []byte, off int64) (int, Errno)
	Seek(offset Position, whence int) (int64, Errno)
	Truncate(size int64) Errno
	// Allocate allocates the pages of a range, so that writing to it can't
	// fail.
	Allocate(off, size int64) Errno
	Utimens(atim, mtim int64) Errno
	Chmod(perm fs.FileMode) Errno
	// List passes the entries from a cookie on (0 for the first), including "."
	// and "..", to yield until it returns false. A cookie stays valid whatever
	// is added or removed meanwhile.
	List(cookie uint64, yield func(Dirent) bool) Errno
	// Close may be called twice.
	Close()
}

// handle is common to all open files: the errors of a file that supports
// nothing, and its share of the Root's limits.
type handle struct {
	root   *Root
	flag   Flag
	free   bool // not counted as open
	closed bool
}

// Flags implements File.
func (h *handle) Flags() Flag {
	return h.flag &^ (Create | Exclusive | Truncate | Directory | NoFollow)
}

// SetFlags implements File.
func (h *handle) SetFlags(flag Flag) Errno {
	h.flag = h.flag&^statusFlags | flag&statusFlags
	return 0
}

// Truncate implements File.
func (h *handle) Truncate(int64) Errno { return EINVAL }

// Allocate implements File.
func (h *handle) Allocate(int64, int64) Errno { return EBADF }

// List implements File.
func (h *handle) List(uint64, func(Dirent) bool) Errno { return ENOTDIR }

// Close implements File.
func (h *handle) Close() { h.release() }

// release returns what the handle holds, and reports whether it was still held.
func (h *handle) release() bool {
	if h.closed {
		return false
	}
	h.closed = true
	if !h.free {
		h.root.open--
	}
	return true
}

// dirHandle is an open directory except for its entries.
type dirHandle struct {
	handle
	at spot
	// pos is where Seek moved to. Listing uses cookies instead.
	pos int64
}

// Stat implements File.
func (d *dirHandle) Stat() (Stat, Errno) { return d.at.stat(), 0 }

// Read implements File.
func (d *dirHandle) Read([]byte) (int, Errno) { return 0, EISDIR }

// Pread implements File.
func (d *dirHandle) Pread([]byte, int64) (int, Errno) { return 0, EISDIR }

// Write implements File.
func (d *dirHandle) Write([]byte) (int, Errno) { return 0, EBADF }

// Pwrite implements File.
func (d *dirHandle) Pwrite([]byte, int64) (int, Errno) { return 0, EBADF }

// Seek implements File.
func (d *dirHandle) Seek(offset Position, whence int) (int64, Errno) {
	return seek(&d.pos, math.MaxInt64, offset, whence)
}

// Utimens implements File.
func (d *dirHandle) Utimens(atim, mtim int64) Errno { return d.root.utimens(d.at, atim, mtim) }

// Chmod implements File.
func (d *dirHandle) Chmod(perm fs.FileMode) Errno { return d.root.chmod(d.at, perm) }

// dots lists the two entries that every directory has, unless the cookie is
// past them, and returns false if yield wants no more.
func (d *dirHandle) dots(cookie uint64, yield func(Dirent) bool) bool {
	if cookie == 0 && !yield(Dirent{Name: ".", Ino: d.at.stat().Ino, Type: fs.ModeDir, Next: 1}) {
		return false
	}
	if cookie <= 1 {
		above, ok := d.root.parent(d.at)
		if !ok {
			above = d.at
		}
		return yield(Dirent{Name: "..", Ino: above.stat().Ino, Type: fs.ModeDir, Next: firstCookie})
	}
	return true
}

// firstCookie is the cookie after "." and "..".
const firstCookie = 2

// seek moves pos as lseek does.
func seek(pos *int64, size, offset int64, whence int) (int64, Errno) {
	base := int64(0)
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = *pos
	case io.SeekEnd:
		base = size
	default:
		return 0, EINVAL
	}
	// base is never negative, so a sum that overflows is negative as well.
	to := base + offset
	if to < 0 {
		return 0, EINVAL
	}
	*pos = to
	return to, 0
}
