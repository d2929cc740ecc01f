package vfs

import (
	"io/fs"
	"sync/atomic"
	"time"
)

// Limits of a Mem unless its MemConfig sets others.
const (
	DefaultMemBytes   = 512 << 20
	DefaultMemEntries = 65_536
)

// EntrySize is what one name adds to Mem.Used, in addition to the pages of its
// file or the target of its symbolic link. It exceeds what the name, the inode
// and the directory entry ever occupy.
const EntrySize = 1024

// MemConfig bounds a Mem. The zero value is ready to use.
type MemConfig struct {
	// MaxBytes bounds the contents of all files, in whole pages; 0 is
	// DefaultMemBytes. Holes are free.
	MaxBytes int64
	// MaxEntries bounds the number of names; 0 is DefaultMemEntries.
	MaxEntries int
	// Now returns the time for timestamps; nil is time.Now.
	Now func() time.Time
	// Reserve, if set, is called before each change of Used. It may refuse a
	// positive delta by returning false, and the guest sees ENOSPC; for a
	// negative one the result is ignored.
	Reserve func(delta int64) bool
}

// Mem is one instance's writable directory in memory: files, directories, hard
// and symbolic links.
//
// A Mem is used by one goroutine at a time, except for Used.
type Mem struct {
	config  MemConfig
	root    *inode
	pages   int64
	entries int
	lastIno uint64
	written bool
	closed  bool
	used    atomic.Int64
}

// inode is a file, directory or symbolic link of a Mem, under any number of
// names.
type inode struct {
	mem              *Mem
	ino              uint64
	mode             fs.FileMode
	nlink            int // number of names
	opens            int
	atim, mtim, ctim int64
	content          content    // of a file
	dir              *directory // nil unless a directory
	target           string     // of a symbolic link
	text             *page      // has the target, if that is long
}

// NewMem returns an empty directory.
func NewMem(config MemConfig) *Mem {
	if config.MaxBytes == 0 {
		config.MaxBytes = DefaultMemBytes
	}
	if config.MaxEntries == 0 {
		config.MaxEntries = DefaultMemEntries
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	m := &Mem{config: config}
	m.root = m.newInode(fs.ModeDir | fs.ModeSticky | 0o777)
	// No guest may see when the Mem was created: reading that would be reading
	// a clock, which Written does not report.
	m.root.atim, m.root.mtim, m.root.ctim = epoch, epoch, epoch
	m.root.nlink = 1
	m.root.dir = newDirectory(nil)
	return m
}

// Used returns the bytes of memory charged for the Mem, metadata included. It
// may be called from any goroutine.
func (m *Mem) Used() int64 { return m.used.Load() }

// Written reports whether anything has changed since NewMem.
func (m *Mem) Written() bool { return m.written }

// Close drops all files and returns what was charged for them. Files that are
// still open stay usable until they are closed, but nothing can grow.
func (m *Mem) Close() {
	if m.closed {
		return
	}
	m.closed = true
	m.root.dir = newDirectory(nil)
	m.charge(-m.used.Load())
}

func (m *Mem) now() int64 { return m.config.Now().UnixNano() }

func (m *Mem) newInode(mode fs.FileMode) *inode {
	m.lastIno++
	at := m.now()
	return &inode{mem: m, ino: m.lastIno, mode: mode, atim: at, mtim: at, ctim: at}
}

// charge counts memory; it is false when a growth is refused.
func (m *Mem) charge(delta int64) bool {
	if delta == 0 {
		return true
	}
	if m.config.Reserve != nil && !m.config.Reserve(delta) && delta > 0 {
		return false
	}
	m.used.Add(delta)
	return true
}

// chargeEntry counts one more name, and as much more as it needs.
func (m *Mem) chargeEntry(more int) Errno {
	if m.closed || m.entries >= m.config.MaxEntries || !m.charge(EntrySize+int64(more)) {
		return ENOSPC
	}
	m.entries++
	return 0
}

func (m *Mem) dropEntry() {
	if m.closed {
		return
	}
	m.entries--
	m.charge(-EntrySize)
}

// free is the number of pages that the quota has left.
func (m *Mem) free() int64 { return m.config.MaxBytes/PageSize - m.pages }

// reserve counts pages that a file is about to get.
func (m *Mem) reserve(pages int64) bool {
	if pages == 0 {
		return true
	}
	if m.closed || pages > m.free() || !m.charge(pages*PageSize) {
		return false
	}
	m.pages += pages
	return true
}

// write writes what fits: fewer bytes than asked for are no error, none are.
func (m *Mem) write(n *inode, buf []byte, off int64) (int, Errno) {
	if len(buf) == 0 {
		return 0, 0
	}
	if off >= MaxFileSize {
		return 0, EFBIG
	}
	end := min(off+int64(len(buf)), MaxFileSize)
	pages, fits := n.content.missing(off, end, m.free())
	if fits == off || !m.reserve(pages) {
		return 0, ENOSPC
	}
	n.content.writeAt(buf[:fits-off], off)
	m.touch(n)
	return int(fits - off), 0
}

// allocate is posix_fallocate.
func (m *Mem) allocate(n *inode, off, size int64) Errno {
	switch {
	case size > MaxFileSize-off:
		return EFBIG
	case pagesOf(size) > m.free()+n.content.pages:
		return ENOSPC
	}
	end := off + size
	pages, fits := n.content.missing(off, end, m.free())
	if fits < end || !m.reserve(pages) {
		return ENOSPC
	}
	n.content.reserve(off, end)
	n.content.size = max(n.content.size, end)
	m.touch(n)
	return 0
}

// truncate is ftruncate.
func (m *Mem) truncate(n *inode, size int64) Errno {
	switch {
	case size < 0:
		return EINVAL
	case size > MaxFileSize:
		return EFBIG
	}
	m.resize(n, size)
	m.touch(n)
	return 0
}

func (m *Mem) resize(n *inode, size int64) {
	dropped := n.content.resize(size)
	m.pages -= dropped
	if !m.closed {
		m.charge(-dropped * PageSize)
	}
}

// touch notes that the contents of a file or directory have changed.
func (m *Mem) touch(n *inode) {
	m.written = true
	n.mtim = m.now()
	n.ctim = n.mtim
}

// unref drops the contents of what nothing leads to any more.
func (m *Mem) unref(n *inode) {
	if n.nlink > 0 || n.opens > 0 || n.dir != nil {
		return
	}
	m.resize(n, 0)
	if n.target != "" && !m.closed {
		m.charge(-int64(len(n.target)))
	}
	n.dropTarget()
}

func (n *inode) stat() Stat {
	st := Stat{
		Ino: n.ino, Mode: n.mode, Nlink: uint64(n.nlink), Size: n.content.size, Blocks: n.content.pages * blocksPerPage,
		Atim: n.atim, Mtim: n.mtim, Ctim: n.ctim,
	}
	switch {
	case n.dir != nil && n.nlink > 0:
		st.Nlink = uint64(2 + n.dir.folders)
	case n.target != "":
		st.Size = int64(len(n.target))
	}
	return st
}

func (m *Mem) utimens(n *inode, atim, mtim int64) {
	if atim != OmitTime {
		n.atim = atim
	}
	if mtim != OmitTime {
		n.mtim = mtim
	}
	n.ctim = m.now()
	m.written = true
}

func (m *Mem) chmod(n *inode, perm fs.FileMode) {
	n.mode = n.mode.Type() | perm&permissions
	n.ctim = m.now()
	m.written = true
}

// permissions are the bits of a mode that chmod can set.
const permissions = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

func (m *Mem) space() Space {
	return Space{
		Bytes: m.config.MaxBytes / PageSize * PageSize, FreeBytes: m.free() * PageSize,
		Names: int64(m.config.MaxEntries), FreeNames: int64(m.config.MaxEntries - m.entries),
	}
}
