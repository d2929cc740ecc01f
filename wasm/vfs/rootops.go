package vfs

import (
	"io/fs"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// OpenFile implements the same method as documented on sys.FS.
func (r *Root) OpenFile(path string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	// wazero opens "/" for itself, once and whenever it is first needed, with a
	// mode that no call of a guest has; it panics if that doesn't succeed.
	preopen := path == "." && flag == sys.O_RDONLY && perm == 0
	path, mustDir, errno := clean(path)
	if errno != 0 {
		return nil, errno
	}
	if flag&(sys.O_RDWR|sys.O_WRONLY) == sys.O_RDWR|sys.O_WRONLY {
		return nil, sys.EINVAL
	}
	if r.open >= r.maxOpen && !preopen {
		return nil, r.fail(EMFILE)
	}
	var file sys.File
	if p := r.locate(path); p.mem != nil {
		file, errno = r.openMem(p, mustDir, flag, perm)
	} else {
		file, errno = r.openTree(p, mustDir, flag, preopen)
	}
	if errno != 0 {
		return nil, r.fail(errno)
	}
	if !preopen {
		r.open++
	}
	return file, 0
}

func (r *Root) openMem(p place, mustDir bool, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	n, errno := p.mem.open(p.path, mustDir, flag, perm)
	if errno != 0 {
		return nil, errno
	}
	if n.dir != nil {
		return &memDir{handle: handle{root: r}, mem: p.mem, node: n, dev: p.dev()}, 0
	}
	n.opens++
	return &memFile{
		handle: handle{root: r}, mem: p.mem, node: n, dev: p.dev(),
		read:   flag&sys.O_WRONLY == 0,
		write:  flag&(sys.O_RDWR|sys.O_WRONLY) != 0,
		append: flag&sys.O_APPEND != 0,
	}, 0
}

func (r *Root) openTree(p place, mustDir bool, flag sys.Oflag, preopen bool) (sys.File, sys.Errno) {
	const write = sys.O_RDWR | sys.O_WRONLY | sys.O_TRUNC
	n, errno := r.find(p, mustDir && flag&sys.O_CREAT == 0)
	switch {
	case errno == sys.ENOENT && flag&sys.O_CREAT != 0:
		return nil, r.absent(p)
	case errno != 0:
		return nil, errno
	case flag&(sys.O_CREAT|sys.O_EXCL) == sys.O_CREAT|sys.O_EXCL:
		return nil, sys.EEXIST
	case n.dir() && flag&(write|sys.O_CREAT) != 0:
		return nil, sys.EISDIR
	case n.dir():
		return &treeDir{handle: handle{root: r, free: preopen}, node: n, dev: p.dev()}, 0
	case mustDir || flag&sys.O_DIRECTORY != 0:
		return nil, sys.ENOTDIR
	case flag&write != 0:
		return nil, sys.EROFS
	}
	if p.tree.read(n) != nil {
		return nil, sys.EIO
	}
	return &treeFile{handle: handle{root: r}, node: n, dev: p.dev(), append: flag&sys.O_APPEND != 0}, 0
}

// absent is why nothing can be created at a place in a Tree where nothing is.
func (r *Root) absent(p place) sys.Errno {
	p.path, _ = split(p.path)
	if _, errno := r.find(p, true); errno != 0 {
		return errno
	}
	return sys.EROFS
}

// Mkdir implements the same method as documented on sys.FS.
func (r *Root) Mkdir(path string, perm fs.FileMode) sys.Errno {
	path, _, errno := clean(path)
	if errno != 0 {
		return errno
	}
	p := r.locate(path)
	if p.mem != nil {
		return r.fail(p.mem.mkdir(p.path, perm))
	}
	switch _, errno := r.find(p, false); errno {
	case 0:
		return sys.EEXIST
	case sys.ENOENT:
		return r.absent(p)
	default:
		return errno
	}
}

// Chmod implements the same method as documented on sys.FS.
func (r *Root) Chmod(path string, perm fs.FileMode) sys.Errno {
	path, mustDir, errno := clean(path)
	if errno != 0 {
		return errno
	}
	p := r.locate(path)
	if p.mem != nil {
		return p.mem.chmod(p.path, mustDir, perm)
	}
	return r.readOnly(p, mustDir)
}

// readOnly is the error of changing what is at a place in a Tree.
func (r *Root) readOnly(p place, mustDir bool) sys.Errno {
	if _, errno := r.find(p, mustDir); errno != 0 {
		return errno
	}
	return sys.EROFS
}

// Utimens implements the same method as documented on sys.FS.
func (r *Root) Utimens(path string, atim, mtim int64) sys.Errno {
	path, mustDir, errno := clean(path)
	if errno != 0 {
		return errno
	}
	p := r.locate(path)
	if p.mem == nil {
		return r.readOnly(p, mustDir)
	}
	n, errno := p.mem.find(p.path, mustDir)
	if errno != 0 {
		return errno
	}
	return p.mem.utimens(n, atim, mtim)
}

// Rmdir implements the same method as documented on sys.FS.
func (r *Root) Rmdir(path string) sys.Errno {
	path, _, errno := clean(path)
	if errno != 0 {
		return errno
	}
	p := r.locate(path)
	switch {
	case p.fixed(r):
		return r.fail(EBUSY)
	case p.mem != nil:
		return r.fail(p.mem.rmdir(p.path))
	}
	return r.readOnly(p, true)
}

// fixed reports whether a place is a mount, or on the way to one.
func (p *place) fixed(r *Root) bool {
	return p.path == "" || p.mount < 0 && r.above[p.path] != nil
}

// Unlink implements the same method as documented on sys.FS.
func (r *Root) Unlink(path string) sys.Errno {
	path, mustDir, errno := clean(path)
	if errno != 0 {
		return errno
	}
	p := r.locate(path)
	switch {
	case p.fixed(r):
		return sys.EISDIR
	case p.mem != nil:
		return r.fail(p.mem.remove(p.path, mustDir))
	}
	n, errno := r.find(p, mustDir)
	switch {
	case errno != 0:
		return errno
	case n.dir():
		return sys.EISDIR
	}
	return sys.EROFS
}

// Rename implements the same method as documented on sys.FS.
func (r *Root) Rename(from, to string) sys.Errno {
	from, fromDir, errno := clean(from)
	if errno != 0 {
		return errno
	}
	to, toDir, errno := clean(to)
	if errno != 0 {
		return errno
	}
	old, target := r.locate(from), r.locate(to)
	switch {
	case old.fixed(r) || target.fixed(r):
		return r.fail(EBUSY)
	case old.mount == target.mount && old.mem != nil:
		return r.fail(old.mem.rename(old.path, fromDir, target.path, toDir))
	}
	return r.notAcross(old, fromDir, target)
}

// notAcross is the error of renaming or linking where that isn't within one Mem.
func (r *Root) notAcross(from place, fromDir bool, to place) sys.Errno {
	if errno := r.exists(from, fromDir); errno != 0 {
		return errno
	}
	parent := to
	parent.path, _ = split(to.path)
	if errno := r.exists(parent, true); errno != 0 {
		return errno
	}
	if from.mount != to.mount {
		return r.fail(EXDEV)
	}
	return sys.EROFS
}

func (r *Root) exists(p place, mustDir bool) (errno sys.Errno) {
	if p.mem != nil {
		_, errno = p.mem.find(p.path, mustDir)
	} else {
		_, errno = r.find(p, mustDir)
	}
	return errno
}

// Link implements the same method as documented on sys.FS.
func (r *Root) Link(oldPath, newPath string) sys.Errno {
	oldPath, oldDir, errno := clean(oldPath)
	if errno != 0 {
		return errno
	}
	newPath, newDir, errno := clean(newPath)
	if errno != 0 {
		return errno
	}
	old, target := r.locate(oldPath), r.locate(newPath)
	if errno := r.exists(old, oldDir); errno != 0 {
		return errno
	}
	switch {
	case r.exists(target, false) == 0:
		return sys.EEXIST
	case old.mount == target.mount && old.mem != nil:
		return r.fail(old.mem.hardLink(old.path, oldDir, target.path, newDir))
	}
	return r.notAcross(old, oldDir, target)
}

// Symlink implements the same method as documented on sys.FS. There are no
// symbolic links, which POSIX has EPERM for.
func (r *Root) Symlink(_, linkName string) sys.Errno {
	path, _, errno := clean(linkName)
	if errno != 0 {
		return errno
	}
	p := r.locate(path)
	if r.exists(p, false) == 0 {
		return sys.EEXIST
	}
	if p.mem == nil {
		return r.absent(p)
	}
	if _, _, _, errno := p.mem.findParent(p.path); errno != 0 {
		return errno
	}
	return sys.EPERM
}

// Readlink implements the same method as documented on sys.FS: no file is a symbolic link.
func (r *Root) Readlink(path string) (string, sys.Errno) {
	path, mustDir, errno := clean(path)
	if errno != 0 {
		return "", errno
	}
	if errno := r.exists(r.locate(path), mustDir); errno != 0 {
		return "", errno
	}
	return "", sys.EINVAL
}
