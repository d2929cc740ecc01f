package vfs

import "io/fs"

// Dir is a directory of a Root. Paths are relative to it unless they begin with
// a slash.
type Dir struct {
	root *Root
	at   spot
}

// DirOf returns the directory that a file of the Root has open.
//
// # Errors
//
// ENOTDIR if the file is not a directory.
func (r *Root) DirOf(f File) (Dir, Errno) {
	switch f := f.(type) {
	case *memDir:
		return Dir{r, f.at}, 0
	case *treeDir:
		return Dir{r, f.at}, 0
	}
	return Dir{}, ENOTDIR
}

// Open opens a file or directory, creating it with the permissions in perm if
// the flags say so. The caller closes the File.
func (d Dir) Open(path string, flag Flag, perm fs.FileMode) (File, Errno) {
	r := d.root
	if flag&(Create|Directory) == Create|Directory {
		return nil, EINVAL
	}
	how := followAlways
	switch {
	case flag&Create != 0 && flag&(Exclusive|NoFollow) != 0:
		how = followNever
	case flag&Create != 0:
		how = followFile
	case flag&NoFollow != 0:
		how = followSlash
	}
	f, errno := d.walk(path, how)
	switch {
	case errno != 0:
		return nil, errno
	case r.open >= r.maxOpen:
		return nil, EMFILE
	case f.ok:
		errno = f.openable(flag)
	case flag&Create == 0:
		errno = ENOENT
	default:
		f.at.mount = f.dir.mount
		f.at.inode, errno = r.create(&f, perm)
	}
	if errno != 0 {
		return nil, errno
	}
	return r.file(f.at, flag)
}

// openable returns why what was found can't be opened.
func (f *found) openable(flag Flag) Errno {
	switch mode := f.at.mode(); {
	case flag&Create != 0 && f.slash:
		return EISDIR
	case flag&(Create|Exclusive) == Create|Exclusive:
		return EEXIST
	case mode&fs.ModeSymlink != 0 && flag&Directory == 0:
		return ELOOP
	case mode.IsDir() && (flag.writes() || flag&(Create|Truncate) != 0):
		return EISDIR
	case !mode.IsDir() && (f.slash || flag&Directory != 0):
		return ENOTDIR
	case (flag.writes() || flag&Truncate != 0) && f.at.node != nil && f.at.node.device == noDevice:
		return EROFS
	}
	return 0
}

// create creates a file where there is none.
func (r *Root) create(f *found, perm fs.FileMode) (*inode, Errno) {
	if f.slash {
		return nil, EISDIR
	}
	mem, errno := r.writable(f.dir)
	if errno != 0 {
		return nil, errno
	}
	return mem.create(f.dir.inode, f.name, perm)
}

// writable returns the Mem of a directory in which names can be changed.
func (r *Root) writable(dir spot) (*Mem, Errno) {
	switch {
	case dir.inode == nil:
		return nil, EROFS
	case dir.inode.nlink == 0:
		return nil, ENOENT
	}
	return dir.inode.mem, 0
}

// file returns the File for what is at a spot.
func (r *Root) file(at spot, flag Flag) (File, Errno) {
	h := handle{root: r, flag: flag}
	var file File
	switch {
	case at.inode != nil && at.isDir():
		file = &memDir{dirHandle: dirHandle{handle: h, at: at}}
	case at.inode != nil:
		if flag&Truncate != 0 {
			if errno := at.inode.mem.truncate(at.inode, 0); errno != 0 {
				return nil, errno
			}
		}
		at.inode.opens++
		file = &memFile{handle: h, at: at}
	case at.node.device != noDevice:
		return r.openDevice(at, h)
	case at.isDir():
		file = &treeDir{dirHandle: dirHandle{handle: h, at: at}}
	default:
		if r.treeOf(at).read(at.node) != nil {
			return nil, EIO
		}
		file = &treeFile{handle: h, at: at}
	}
	r.open++
	return file, 0
}

// treeOf returns the Tree that a node is in.
func (r *Root) treeOf(s spot) *Tree {
	if s.mount < 0 {
		return r.base
	}
	return r.mounts[s.mount].Tree
}

// there walks to something that must exist.
func (d Dir) there(path string, how follow) (found, Errno) {
	f, errno := d.walk(path, how)
	switch {
	case errno != 0:
	case !f.ok:
		errno = ENOENT
	case f.slash && !f.at.isDir() && how != followNever:
		errno = ENOTDIR
	}
	return f, errno
}

func lastLink(through bool) follow {
	if through {
		return followAlways
	}
	return followSlash
}

// Stat describes a file or, if follow is false, a symbolic link itself.
func (d Dir) Stat(path string, follow bool) (Stat, Errno) {
	f, errno := d.there(path, lastLink(follow))
	if errno != 0 {
		return Stat{}, errno
	}
	return f.at.stat(), 0
}

// Chmod sets a file's permissions. A symbolic link's can't be set.
func (d Dir) Chmod(path string, perm fs.FileMode, follow bool) Errno {
	f, errno := d.there(path, lastLink(follow))
	if errno != 0 {
		return errno
	}
	return d.root.chmod(f.at, perm)
}

func (r *Root) chmod(at spot, perm fs.FileMode) Errno {
	switch {
	case at.inode == nil:
		return EROFS
	case at.isLink():
		return ENOTSUP
	}
	at.inode.mem.chmod(at.inode, perm)
	return 0
}

// Utimens sets the times of a file or, if follow is false, of a symbolic link
// itself; OmitTime keeps one.
func (d Dir) Utimens(path string, atim, mtim int64, follow bool) Errno {
	f, errno := d.there(path, lastLink(follow))
	if errno != 0 {
		return errno
	}
	return d.root.utimens(f.at, atim, mtim)
}

func (r *Root) utimens(at spot, atim, mtim int64) Errno {
	if at.inode == nil {
		return EROFS
	}
	at.inode.mem.utimens(at.inode, atim, mtim)
	return 0
}

// Space is the capacity of a file system and what is free of it.
type Space struct {
	Bytes, FreeBytes int64
	Names, FreeNames int64
}

// Space describes the file system that a path is in.
func (d Dir) Space(path string) (Space, Errno) {
	f, errno := d.there(path, followAlways)
	if errno != 0 {
		return Space{}, errno
	}
	if f.at.inode != nil {
		return f.at.inode.mem.space(), 0
	}
	tree := d.root.treeOf(f.at)
	return Space{Bytes: pagesOf(tree.size) * PageSize, Names: int64(tree.Entries())}, 0
}

// Mkdir creates a directory.
func (d Dir) Mkdir(path string, perm fs.FileMode) Errno {
	return d.make(path, true, func(mem *Mem, f *found) Errno { return mem.mkdir(f.dir.inode, f.name, perm) })
}

// Symlink creates a symbolic link, whose target is resolved when it is
// followed.
//
// # Errors
//
// Those of every operation that creates a name; ENOENT for an empty target,
// ENAMETOOLONG.
func (d Dir) Symlink(target, path string) Errno {
	switch {
	case target == "":
		return ENOENT
	case len(target) > MaxPath:
		return ENAMETOOLONG
	}
	return d.make(path, false, func(mem *Mem, f *found) Errno { return mem.symlink(f.dir.inode, f.name, target) })
}

// make creates a name where there is none. Only a directory's may end in a
// slash.
func (d Dir) make(path string, dir bool, do func(*Mem, *found) Errno) Errno {
	f, errno := d.walk(path, followNever)
	switch {
	case errno != 0:
		return errno
	case f.ok:
		return EEXIST
	case f.slash && !dir:
		return ENOENT
	}
	mem, errno := d.root.writable(f.dir)
	if errno != 0 {
		return errno
	}
	return do(mem, &f)
}

// Readlink returns the target of a symbolic link, which is valid until files change.
//
// # Errors
//
// EINVAL if path is not a symbolic link.
func (d Dir) Readlink(path string) (string, Errno) {
	f, errno := d.there(path, followSlash)
	switch {
	case errno != 0:
		return "", errno
	case !f.at.isLink():
		return "", EINVAL
	}
	return f.at.inode.target, 0
}

// fixed reports whether something is a mount or above one.
func (r *Root) fixed(f *found) bool {
	return f.ok && (f.at.mounted(r) || f.at == r.top || f.at.mount < 0 && r.above[f.at.node.path] != nil)
}

// Rmdir removes an empty directory.
func (d Dir) Rmdir(path string) Errno {
	f, errno := d.walk(path, followNever)
	switch {
	case errno != 0:
		return errno
	case f.name == ".":
		return EINVAL
	case f.name == "..":
		return ENOTEMPTY
	case !f.ok:
		return ENOENT
	case d.root.fixed(&f):
		return EBUSY
	case f.at.inode == nil && !f.at.isDir():
		return ENOTDIR
	case f.at.inode == nil:
		return EROFS
	}
	mem, errno := d.root.writable(f.dir)
	if errno != 0 {
		return errno
	}
	return mem.rmdir(f.dir.inode, f.name, f.at.inode)
}

// Unlink removes a name of a file.
func (d Dir) Unlink(path string) Errno {
	f, errno := d.walk(path, followNever)
	switch {
	case errno != 0:
		return errno
	case !f.named():
		return EISDIR
	case !f.ok:
		return ENOENT
	case f.at.isDir():
		return EISDIR
	case f.slash:
		return ENOTDIR
	case f.at.inode == nil:
		return EROFS
	}
	mem, errno := d.root.writable(f.dir)
	if errno != 0 {
		return errno
	}
	mem.unlink(f.dir.inode, f.name, f.at.inode)
	return 0
}

// Rename renames a file, possibly to another directory.
func (d Dir) Rename(path string, to Dir, newPath string) Errno {
	r := d.root
	from, errno := d.walk(path, followNever)
	if errno != 0 {
		return errno
	}
	target, errno := to.walk(newPath, followNever)
	switch {
	case errno != 0:
		return errno
	case !from.named() || !target.named() || r.fixed(&from) || r.fixed(&target):
		return EBUSY
	case !from.ok:
		return ENOENT
	case from.at.mount != target.mount():
		return EXDEV
	case from.at.inode == nil:
		return EROFS
	}
	mem, errno := r.writable(from.dir)
	if errno == 0 {
		_, errno = r.writable(target.dir)
	}
	if errno != 0 {
		return errno
	}
	return mem.rename(&from, &target)
}

// mount returns the mount that the path is in.
func (f *found) mount() int {
	if f.ok {
		return f.at.mount
	}
	return f.dir.mount
}

// Link gives a file another name.
func (d Dir) Link(path string, to Dir, newPath string, follow bool) Errno {
	from, errno := d.there(path, lastLink(follow))
	if errno != 0 {
		return errno
	}
	target, errno := to.walk(newPath, followNever)
	switch {
	case errno != 0:
		return errno
	case target.ok:
		return EEXIST
	case target.slash:
		return ENOENT
	case from.at.mount != target.dir.mount:
		return EXDEV
	}
	mem, errno := d.root.writable(target.dir)
	if errno != 0 {
		return errno
	}
	return mem.hardLink(from.at.inode, target.dir.inode, target.name)
}
