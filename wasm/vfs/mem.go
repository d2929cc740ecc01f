package vfs

import (
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// What a Mem may hold unless its MemConfig says otherwise.
const (
	DefaultMemBytes   = 512 << 20
	DefaultMemEntries = 65_536
)

// EntrySize is what one name counts in Mem.Used, next to the pages of its file.
// It is more than the name, the inode and the place in the directory ever take.
const EntrySize = 1024

// MemConfig bounds a Mem. The zero value is ready to use.
type MemConfig struct {
	// MaxBytes bounds the contents of all files, counted in whole pages; 0 is
	// DefaultMemBytes. Holes count like data, so memory never runs out where
	// a program has been told that there is room.
	MaxBytes int64
	// MaxEntries bounds the number of names; 0 is DefaultMemEntries.
	MaxEntries int
	// Now tells the time that files are stamped with; nil is time.Now.
	Now func() time.Time
	// Reserve, if set, is called with each change of Used before it happens.
	// For a positive one it may return false, and the guest sees ENOSPC;
	// for a negative one the result is ignored.
	Reserve func(delta int64) bool
}

// Mem is a writable directory in memory, of one instance. It has files,
// directories and hard links, and no symbolic links: a program that checks
// names before it uses them is then right about where they lead.
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

// inode is a file or directory of a Mem, whatever its names.
type inode struct {
	ino              uint64
	mode             fs.FileMode
	nlink            int // names that lead here
	opens            int
	atim, mtim, ctim int64
	content          content
	dir              *directory // nil for a file
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
	m.root = m.newInode(fs.ModeDir | 0o755)
	m.root.nlink = 1
	m.root.dir = newDirectory(nil)
	return m
}

// Used is the number of bytes of memory that the Mem is charged for, metadata
// included. It may be called from any goroutine.
func (m *Mem) Used() int64 { return m.used.Load() }

// Written reports whether anything was changed since NewMem.
func (m *Mem) Written() bool { return m.written }

// Close drops all files and gives back what they were charged. Files that are
// still open can be used until they are closed, but nothing can grow.
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
	return &inode{ino: m.lastIno, mode: mode, atim: at, mtim: at, ctim: at}
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

// chargeEntry counts one more name.
func (m *Mem) chargeEntry() experimentalsys.Errno {
	if m.closed || m.entries >= m.config.MaxEntries || !m.charge(EntrySize) {
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

// resize sets the size of a file, within the quota.
func (m *Mem) resize(n *inode, size int64) experimentalsys.Errno {
	delta := pagesOf(size) - pagesOf(n.content.size)
	if delta > 0 && (m.closed || delta > m.free() || !m.charge(delta*PageSize)) {
		return ENOSPC
	}
	n.content.resize(size)
	m.pages += delta
	if delta < 0 && !m.closed {
		m.charge(delta * PageSize)
	}
	return 0
}

// free is the number of pages that the quota has left.
func (m *Mem) free() int64 { return m.config.MaxBytes/PageSize - m.pages }

// write writes what fits: fewer bytes than asked for are no error, none are.
func (m *Mem) write(n *inode, buf []byte, off int64) (int, experimentalsys.Errno) {
	if len(buf) == 0 {
		return 0, 0
	}
	end := off + int64(len(buf))
	if end < 0 {
		return 0, EFBIG
	}
	if end > n.content.size {
		if most := max((pagesOf(n.content.size)+m.free())*PageSize, n.content.size); end > most {
			if off >= most {
				return 0, ENOSPC
			}
			end = most
			buf = buf[:end-off]
		}
		if end > n.content.size {
			if errno := m.resize(n, end); errno != 0 {
				return 0, errno
			}
		}
	}
	n.content.writeAt(buf, off)
	m.touch(n)
	return len(buf), 0
}

// truncate is ftruncate.
func (m *Mem) truncate(n *inode, size int64) experimentalsys.Errno {
	if size < 0 {
		return experimentalsys.EINVAL
	}
	if errno := m.resize(n, size); errno != 0 {
		return errno
	}
	m.touch(n)
	return 0
}

// touch notes that the contents of a file or directory have changed.
func (m *Mem) touch(n *inode) {
	m.written = true
	n.mtim = m.now()
	n.ctim = n.mtim
}

// unref drops the contents of a file that nothing leads to any more.
func (m *Mem) unref(n *inode) {
	if n.nlink == 0 && n.opens == 0 && n.dir == nil {
		m.resize(n, 0)
	}
}

func (n *inode) stat(dev uint64) sys.Stat_t {
	return sys.Stat_t{
		Dev: dev, Ino: n.ino, Mode: n.mode, Nlink: uint64(n.nlink), Size: n.content.size,
		Atim: n.atim, Mtim: n.mtim, Ctim: n.ctim,
	}
}

func (m *Mem) utimens(n *inode, atim, mtim int64) experimentalsys.Errno {
	if atim != experimentalsys.UTIME_OMIT {
		n.atim = atim
	}
	if mtim != experimentalsys.UTIME_OMIT {
		n.mtim = mtim
	}
	n.ctim = m.now()
	m.written = true
	return 0
}

// find returns what is at a cleaned path.
func (m *Mem) find(path string, mustDir bool) (*inode, experimentalsys.Errno) {
	n := m.root
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		if n.dir == nil {
			return nil, experimentalsys.ENOTDIR
		}
		if n = n.dir.get(name); n == nil {
			// A missing element in the middle is ENOENT, whatever follows.
			return nil, experimentalsys.ENOENT
		}
	}
	if mustDir && n.dir == nil {
		return nil, experimentalsys.ENOTDIR
	}
	return n, 0
}

// findParent returns the directory that a cleaned path other than "" is in,
// the last name, and what it leads to, if anything.
func (m *Mem) findParent(path string) (parent *inode, name string, n *inode, errno experimentalsys.Errno) {
	dir, name := split(path)
	if parent, errno = m.find(dir, true); errno != 0 {
		return nil, "", nil, errno
	}
	return parent, name, parent.dir.get(name), 0
}
