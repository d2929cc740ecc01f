package vfs

import (
	"io/fs"
	"strings"
)

// spot is a place in a Root: a node of a Tree, or an inode of a Mem.
type spot struct {
	mount int // index into Root.mounts, or -1 for the base
	node  *node
	inode *inode
}

func (s spot) mode() fs.FileMode {
	if s.inode != nil {
		return s.inode.mode
	}
	return s.node.stat.Mode
}

func (s spot) isDir() bool  { return s.mode().IsDir() }
func (s spot) isLink() bool { return s.mode()&fs.ModeSymlink != 0 }

func (s spot) stat() Stat {
	st := Stat{}
	if s.inode != nil {
		st = s.inode.stat()
	} else {
		st = s.node.stat
	}
	st.Dev = uint64(s.mount + 2)
	st.ReadOnly = s.inode == nil
	return st
}

// baseNode returns what the base has at a plain path, including directories
// above mounts; nil if nothing.
func (r *Root) baseNode(path string) *node {
	if n := r.above[path]; n != nil {
		return n
	}
	return r.base.nodes[path]
}

// mounted returns the root of a mount.
func (r *Root) mounted(i int) spot {
	if mem := r.mounts[i].Mem; mem != nil {
		return spot{mount: i, inode: mem.root}
	}
	return spot{mount: i, node: r.mounts[i].Tree.nodes[""]}
}

// mounted reports whether a spot is the root of a mount.
func (s spot) mounted(r *Root) bool { return s.mount >= 0 && s == r.mounted(s.mount) }

// child returns the entry of a directory with a given name.
func (r *Root) child(dir spot, name string) (spot, bool) {
	if dir.inode != nil {
		n := dir.inode.dir.get(name)
		return spot{mount: dir.mount, inode: n}, n != nil
	}
	if dir.mount >= 0 {
		n := r.mounts[dir.mount].Tree.child(dir.node, name)
		return spot{mount: dir.mount, node: n}, n != nil
	}
	path := join(dir.node.path, name)
	for i := range r.mounts {
		if r.mounts[i].Path == path {
			return r.mounted(i), true
		}
	}
	n := r.baseNode(path)
	return spot{mount: -1, node: n}, n != nil
}

// parent returns what ".." in a directory leads to; nothing in a removed one.
func (r *Root) parent(dir spot) (spot, bool) {
	switch {
	case dir.inode != nil && dir.inode.dir.parent != nil:
		return spot{mount: dir.mount, inode: dir.inode.dir.parent}, true
	case dir.inode != nil && !dir.mounted(r):
		return spot{}, false
	case dir.node != nil && dir.node.path != "":
		above, _ := split(dir.node.path)
		if dir.mount < 0 {
			return spot{mount: -1, node: r.baseNode(above)}, true
		}
		return spot{mount: dir.mount, node: r.mounts[dir.mount].Tree.nodes[above]}, true
	case dir.mount < 0:
		return dir, true
	}
	above, _ := split(r.mounts[dir.mount].Path)
	return spot{mount: -1, node: r.baseNode(above)}, true
}

// follow is how to treat a symbolic link in the last place of a path.
type follow uint8

const (
	followNever  follow = iota // the link itself, even with a trailing slash
	followSlash                // the link itself, unless a trailing slash says that it leads to a directory
	followAlways               // what the link leads to
	followFile                 // the same, except that a trailing slash asks for a directory, which can't be created
)

// follows reports whether a link in the last place is followed, given whether a
// slash trails it.
func (how follow) follows(slash bool) bool {
	switch how {
	case followSlash:
		return slash
	case followFile:
		return !slash
	}
	return how == followAlways
}

// found is what a path leads to.
type found struct {
	dir   spot   // the directory of name, if nothing is there or it is in a Mem
	name  string // the last name; "", "." or ".." if the path ends in none
	at    spot   // what is there
	ok    bool   // something is there
	slash bool   // the path is spelled as a directory's
}

// named reports whether the path ends in a name rather than in "." or "..".
func (f *found) named() bool { return f.name != "" && f.name != "." && f.name != ".." }

// perStep is what a step of a path costs, in bytes copied.
const perStep = 256

// walk resolves a path as Linux does. Its work is bounded: MaxLinks links, each
// to a path of MaxPath bytes. What it returns has parts of the path and of links'
// targets in it.
//
// # Errors
//
// ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG; EINVAL for a NUL byte. If only the last
// name is missing, found.ok is false instead.
func (d Dir) walk(path string, how follow) (found, Errno) {
	r := d.root
	switch {
	case path == "":
		return found{}, ENOENT
	case len(path) > MaxPath:
		return found{}, ENAMETOOLONG
	case strings.IndexByte(path, 0) >= 0:
		return found{}, EINVAL
	}
	at := d.at
	if path[0] == '/' {
		at = r.top
	}
	if at == r.top && isPlain(path) {
		// The fast path: nearly all paths are plain, and most lead into a Tree,
		// which needs no walk.
		_, name := split(path)
		var n *node
		n, at, path = r.jump(path)
		if n != nil {
			return found{name: name, at: spot{mount: at.mount, node: n}, ok: true}, 0
		}
	}
	var after [MaxLinks]string // what follows the links that were followed; none is empty
	left := 0                  // of those
	trailing := false          // a slash trails a link that was the last name
	for links := 0; ; {
		r.work(perStep)
		if path = strings.TrimLeft(path, "/"); path == "" && left > 0 {
			left--
			path = after[left]
		}
		name, rest, slash := strings.Cut(path, "/")
		if rest = strings.TrimLeft(rest, "/"); rest == "" && left > 0 {
			left--
			rest, slash = after[left], true
		}
		last := rest == ""
		slash = slash || trailing
		switch {
		case !at.isDir():
			return found{}, ENOTDIR
		case name == "": // the root, or the root of a mount
			return found{at: at, ok: true, slash: true}, 0
		case len(name) > MaxName:
			return found{}, ENAMETOOLONG
		}
		f := found{dir: at, name: name, slash: slash, ok: true}
		switch name {
		case ".":
			f.at = at
		case "..":
			f.at, f.ok = r.parent(at)
		default:
			f.at, f.ok = r.child(at, name)
		}
		switch {
		case !f.ok && (!last || !f.named()):
			return found{}, ENOENT
		case f.ok && f.at.isLink() && (!last || how.follows(slash)):
			if links++; links > MaxLinks {
				return found{}, ELOOP
			}
			target := f.at.inode.target
			if target[0] == '/' {
				at = r.top
			}
			if path = target; !last {
				after[left] = rest
				left++
			} else {
				trailing = slash
			}
		case last:
			return f, 0
		default:
			at, path = f.at, rest
		}
	}
}

// jump follows a plain path from the root in a single step: to a node of a
// Tree, or else to a directory from which to walk on with the rest of the path.
func (r *Root) jump(path string) (*node, spot, string) {
	for i := range r.mounts {
		m := &r.mounts[i]
		if rest, ok := within(path, m.Path); ok {
			if m.Mem != nil {
				return nil, r.mounted(i), rest
			}
			return m.Tree.nodes[rest], r.mounted(i), rest
		}
	}
	return r.baseNode(path), r.top, path
}
