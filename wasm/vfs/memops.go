package vfs

import (
	"io/fs"
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// The operations of a Mem on cleaned paths. Errors and their precedence are
// those of Linux; the tests compare the two.

// open opens or creates a file, or opens a directory.
func (m *Mem) open(path string, mustDir bool, flag sys.Oflag, perm fs.FileMode) (*inode, sys.Errno) {
	const readWrite = sys.O_RDWR | sys.O_WRONLY
	if flag&(sys.O_CREAT|sys.O_DIRECTORY) == sys.O_CREAT|sys.O_DIRECTORY {
		return nil, sys.EINVAL
	}
	n, errno := m.find(path, mustDir && flag&sys.O_CREAT == 0)
	switch {
	case errno == sys.ENOENT && flag&sys.O_CREAT != 0:
		return m.create(path, mustDir, perm)
	case errno != 0:
		return nil, errno
	case mustDir && flag&sys.O_CREAT != 0:
		return nil, sys.EISDIR
	case flag&(sys.O_CREAT|sys.O_EXCL) == sys.O_CREAT|sys.O_EXCL:
		return nil, sys.EEXIST
	case n.dir != nil && flag&(readWrite|sys.O_CREAT|sys.O_TRUNC) != 0:
		return nil, sys.EISDIR
	case n.dir == nil && flag&sys.O_DIRECTORY != 0:
		return nil, sys.ENOTDIR
	}
	if flag&sys.O_TRUNC != 0 {
		return n, m.truncate(n, 0)
	}
	return n, 0
}

func (m *Mem) create(path string, mustDir bool, perm fs.FileMode) (*inode, sys.Errno) {
	parent, name, _, errno := m.findParent(path)
	if errno != 0 {
		return nil, errno
	}
	if mustDir {
		return nil, sys.EISDIR
	}
	if errno := m.chargeEntry(); errno != 0 {
		return nil, errno
	}
	n := m.newInode(perm.Perm())
	m.link(parent, name, n)
	return n, 0
}

// link enters a name that is accounted for.
func (m *Mem) link(parent *inode, name string, n *inode) {
	// The caller's string is a part of a longer path, which the name must not keep alive.
	parent.dir.add(strings.Clone(name), n)
	n.nlink++
	m.touch(parent)
}

// unlink takes a name away.
func (m *Mem) unlink(parent *inode, name string, n *inode) {
	parent.dir.remove(name)
	m.dropEntry()
	m.touch(parent)
	n.nlink--
	n.ctim = parent.mtim
	if n.dir != nil {
		n.dir.parent = nil
	}
	m.unref(n)
}

func (m *Mem) mkdir(path string, perm fs.FileMode) sys.Errno {
	if path == "" {
		return sys.EEXIST
	}
	parent, name, n, errno := m.findParent(path)
	if errno != 0 {
		return errno
	}
	if n != nil {
		return sys.EEXIST
	}
	if errno := m.chargeEntry(); errno != 0 {
		return errno
	}
	n = m.newInode(fs.ModeDir | perm.Perm())
	n.dir = newDirectory(parent)
	m.link(parent, name, n)
	return 0
}

func (m *Mem) chmod(path string, mustDir bool, perm fs.FileMode) sys.Errno {
	n, errno := m.find(path, mustDir)
	if errno != 0 {
		return errno
	}
	n.mode = n.mode.Type() | perm.Perm()
	n.ctim = m.now()
	m.written = true
	return 0
}

func (m *Mem) rmdir(path string) sys.Errno {
	parent, name, n, errno := m.findParent(path)
	switch {
	case errno != 0:
		return errno
	case n == nil:
		return sys.ENOENT
	case n.dir == nil:
		return sys.ENOTDIR
	case len(n.dir.byName) > 0:
		return sys.ENOTEMPTY
	}
	m.unlink(parent, name, n)
	return 0
}

func (m *Mem) remove(path string, mustDir bool) sys.Errno {
	parent, name, n, errno := m.findParent(path)
	switch {
	case errno != 0:
		return errno
	case n == nil:
		return sys.ENOENT
	case n.dir != nil:
		return sys.EISDIR
	case mustDir:
		return sys.ENOTDIR
	}
	m.unlink(parent, name, n)
	return 0
}

func (m *Mem) hardLink(from string, fromDir bool, to string, toDir bool) sys.Errno {
	n, errno := m.find(from, fromDir)
	if errno != 0 {
		return errno
	}
	parent, name, there, errno := m.findParent(to)
	switch {
	case errno != 0:
		return errno
	case there != nil:
		return sys.EEXIST
	case toDir:
		return sys.ENOENT
	case n.dir != nil:
		return sys.EPERM
	}
	if errno := m.chargeEntry(); errno != 0 {
		return errno
	}
	m.link(parent, name, n)
	n.ctim = parent.mtim
	return 0
}

func (m *Mem) rename(from string, fromDir bool, to string, toDir bool) sys.Errno {
	oldParent, oldName, n, errno := m.findParent(from)
	if errno != 0 {
		return errno
	}
	newParent, newName, there, errno := m.findParent(to)
	switch {
	case errno != 0:
		return errno
	case n == nil:
		return sys.ENOENT
	case n.dir == nil && (fromDir || toDir):
		return sys.ENOTDIR
	case n.dir != nil && newParent.isWithin(n):
		return sys.EINVAL
	case there != nil && there.dir != nil && oldParent.isWithin(there):
		return sys.ENOTEMPTY
	case there == n:
		return 0
	case there == nil:
	case n.dir != nil && there.dir == nil:
		return sys.ENOTDIR
	case n.dir == nil && there.dir != nil:
		return sys.EISDIR
	case there.dir != nil && len(there.dir.byName) > 0:
		return sys.ENOTEMPTY
	}
	if m.closed {
		return ENOSPC
	}
	if there != nil {
		m.unlink(newParent, newName, there)
	}
	oldParent.dir.remove(oldName)
	n.nlink--
	m.touch(oldParent)
	m.link(newParent, newName, n)
	n.ctim = newParent.mtim
	if n.dir != nil {
		n.dir.parent = newParent
	}
	return 0
}
