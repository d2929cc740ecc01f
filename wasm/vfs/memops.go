package vfs

import (
	"io/fs"
	"strings"
)

// Operations that change the names in a Mem. Errors and their precedence are
// Linux's; the tests compare the two.

func (m *Mem) create(parent *inode, name string, perm fs.FileMode) (*inode, Errno) {
	if errno := m.chargeEntry(0); errno != 0 {
		return nil, errno
	}
	n := m.newInode(perm & permissions)
	m.link(parent, name, n)
	return n, 0
}

func (m *Mem) mkdir(parent *inode, name string, perm fs.FileMode) Errno {
	if errno := m.chargeEntry(0); errno != 0 {
		return errno
	}
	n := m.newInode(fs.ModeDir | perm&permissions)
	n.dir = newDirectory(parent)
	m.link(parent, name, n)
	return 0
}

func (m *Mem) symlink(parent *inode, name, target string) Errno {
	if errno := m.chargeEntry(len(target)); errno != 0 {
		return errno
	}
	n := m.newInode(fs.ModeSymlink | fs.ModePerm)
	n.setTarget(target)
	m.link(parent, name, n)
	return 0
}

// link adds a name that is accounted for already.
func (m *Mem) link(parent *inode, name string, n *inode) {
	// The caller's string is part of a longer path, which the name must not
	// keep alive.
	parent.dir.add(strings.Clone(name), n)
	n.nlink++
	m.touch(parent)
}

// unlink removes a name.
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

func (m *Mem) rmdir(parent *inode, name string, n *inode) Errno {
	switch {
	case n.dir == nil:
		return ENOTDIR
	case len(n.dir.byName) > 0:
		return ENOTEMPTY
	}
	m.unlink(parent, name, n)
	return 0
}

func (m *Mem) hardLink(n, parent *inode, name string) Errno {
	if n.dir != nil {
		return EPERM
	}
	if errno := m.chargeEntry(0); errno != 0 {
		return errno
	}
	m.link(parent, name, n)
	n.ctim = parent.mtim
	return 0
}

func (m *Mem) rename(from, to *found) Errno {
	oldParent, newParent, n, there := from.dir.inode, to.dir.inode, from.at.inode, to.at.inode
	switch {
	case n.dir == nil && (from.slash || to.slash):
		return ENOTDIR
	case n.dir != nil && newParent.isWithin(n):
		return EINVAL
	case there != nil && there.dir != nil && oldParent.isWithin(there):
		return ENOTEMPTY
	case there == n:
		return 0
	case there == nil:
	case n.dir != nil && there.dir == nil:
		return ENOTDIR
	case n.dir == nil && there.dir != nil:
		return EISDIR
	case there.dir != nil && len(there.dir.byName) > 0:
		return ENOTEMPTY
	}
	if m.closed {
		return ENOSPC
	}
	if there != nil {
		m.unlink(newParent, to.name, there)
	}
	oldParent.dir.remove(from.name)
	n.nlink--
	m.touch(oldParent)
	m.link(newParent, to.name, n)
	n.ctim = newParent.mtim
	if n.dir != nil {
		n.dir.parent = newParent
	}
	return 0
}
