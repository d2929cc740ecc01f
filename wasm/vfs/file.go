package vfs

import (
	"io"
	"io/fs"
	"math"
)

// Flag says how a file is opened: one of the first three, and any of the others.
type Flag uint16

// The flags of Dir.Open. What they do is what their namesakes do on Linux.
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
	NonBlock                   // O_NONBLOCK: kept and told, since nothing here ever blocks
)

// statusFlags are what File.SetFlags can change.
const statusFlags = Append | NonBlock

func (f Flag) reads() bool  { return f&WriteOnly == 0 }
func (f Flag) writes() bool { return f&(WriteOnly|ReadWrite) != 0 }

// OmitTime leaves a time of Utimens as it is.
const OmitTime = math.MinInt64

// blocksPerPage is how many of the units of Stat.Blocks a page has.
const blocksPerPage = PageSize / 512

// Stat is what is known about a file; times are in nanoseconds since 1970.
type Stat struct {
	Dev, Ino, Nlink  uint64
	Mode             fs.FileMode
	Size             int64 // bytes
	Blocks           int64 // units of 512 bytes that are taken
	ReadOnly         bool  // it is in a Tree
	Atim, Mtim, Ctim int64
}

// Dirent is an entry of a directory. Next is the cookie from which listing
// goes on after it.
type Dirent struct {
	Name string
	Ino  uint64
	Type fs.FileMode
	Next uint64
}

// Position is an offset in a file. It has a name of its own because vet takes a
// Seek of an int64 for a misspelt io.Seeker.
type Position = int64

// File is an open file, directory or device. What makes no sense for its kind
// gives the error that Linux gives. It is used as its Root is: by one goroutine
// at a time; and not after Close.
type File interface {
	Stat() (Stat, Errno)
	// Flags returns how the file was opened, and what SetFlags has changed:
	// Append and NonBlock.
	Flags() Flag
	SetFlags(flag Flag) Errno
	// Read returns 0 bytes at the end of the file. Like the other three it
	// may be given buffers of any size: no more is done than they have bytes.
	Read(buf []byte) (int, Errno)
	Pread(buf []byte, off int64) (int, Errno)
	// Write writes what fits: fewer bytes than asked for are no error.
	Write(buf []byte) (int, Errno)
	// Pwrite writes at the offset in append mode too, as POSIX wants and Linux
	// doesn't.
	Pwrite(buf []byte, off int64) (int, Errno)
	Seek(offset Position, whence int) (int64, Errno)
	Truncate(size int64) Errno
	// Allocate takes the pages of a range, so that writing to it can't fail.
	Allocate(off, size int64) Errno
	Utimens(atim, mtim int64) Errno
	Chmod(perm fs.FileMode) Errno
	// List calls yield with the entries from a cookie on, 0 for the first, "."
	// and ".." among them, until yield returns false. A cookie stays good
	// whatever is added or removed meanwhile.
	List(cookie uint64, yield func(Dirent) bool) Errno
	// Close may be called twice.
	Close()
}

// handle is what all open files share: the answers of a file that can do
// nothing, and their place among the limits of a Root.
type handle struct {
	root   *Root
	flag   Flag
	free   bool // it does not count as open
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

// release gives back what the handle holds, and is false if that was done before.
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

// dirHandle is an open directory but for its entries.
type dirHandle struct {
	handle
	at spot
	// pos is where Seek was to. Listing goes by cookies instead.
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

// dots lists the two entries that every directory has, as far as the cookie
// does not lead past them, and is false when yield wants no more.
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

// firstCookie is the one behind "." and "..".
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
	// base is never negative, so a sum that wraps around is negative as well.
	to := base + offset
	if to < 0 {
		return 0, EINVAL
	}
	*pos = to
	return to, 0
}
