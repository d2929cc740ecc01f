// Package vfs is the only file system that a guest sees. It never opens a file
// of the host on behalf of a guest.
//
// A [Tree] is a read-only file tree, indexed when it is created and shared by
// all instances: the standard library, the files of a function. A [Mem] is a
// writable directory in memory with a quota, private to one instance. A [Root]
// combines them into the one tree that an instance sees as its "/":
//
//	tree, err := vfs.NewTree(library, vfs.TreeConfig{})
//	root, err := vfs.NewRoot(vfs.Config{
//		Base: tree,
//		Mounts: []vfs.Mount{
//			{Path: "function/code"},                          // attached later
//			{Path: "tmp", Mem: vfs.NewMem(vfs.MemConfig{})},
//		},
//	})
//	err = root.SetTree("function/code", code)
//
// Paths are resolved step by step, as on Linux, through symbolic links that a
// guest made in a Mem. Every step stays in the same Root: there is nothing else
// that a step could lead to. A Tree has no links.
//
// Permissions are stored and reported but never enforced: a guest is what root
// is elsewhere. What must not change is in a Tree. [Devices] is a Tree of the
// devices that programs rely on.
//
// What a guest can make the host hold is bounded: bytes and names in a Mem,
// open files, the length of names and paths, and the links followed to resolve
// a path.
//
// Errors are the ones Linux returns.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// DefaultMaxOpenFiles is the limit of open files unless Config sets another.
const DefaultMaxOpenFiles = 1024

// Config describes a Root. The zero value is an empty directory.
type Config struct {
	// Base is the contents of "/"; nil is an empty directory.
	Base *Tree
	// Mounts cover parts of Base. None may be inside another.
	Mounts []Mount
	// MaxOpenFiles bounds the files and directories open at once; 0 is
	// DefaultMaxOpenFiles.
	MaxOpenFiles int
	// Random is the source of /dev/urandom, and Stdio backs /dev/stdin,
	// /dev/stdout and /dev/stderr; nil is empty.
	Random io.Reader
	Stdio  [3]File
	// Work, if set, is told of what resolving a path takes, as it proceeds, in bytes
	// copied. It may block; the guest must not run meanwhile.
	Work func(n int)
}

// Mount is a directory of a Root with contents of its own: a Tree, a Mem, or
// (until set) neither, which is an empty read-only directory.
type Mount struct {
	Path string // absolute or relative to the root
	Tree *Tree
	Mem  *Mem
}

// Root is the file system of one instance. It is used by one goroutine at a
// time, so close it only when its guest is no longer running. Its embedded Dir
// is "/".
type Root struct {
	Dir
	base    *Tree
	mounts  []Mount
	above   map[string]*node // the directories above mounts
	top     spot             // the contents of "/"
	maxOpen int
	open    int
	random  io.Reader
	stdio   [3]File
	work    func(n int)
}

// NewRoot checks config and assembles a Root. It is cheap: a few small
// allocations.
func NewRoot(config Config) (*Root, error) {
	r := &Root{base: config.Base, maxOpen: config.MaxOpenFiles, random: config.Random, stdio: config.Stdio, work: config.Work}
	if r.work == nil {
		r.work = func(int) {}
	}
	if r.base == nil {
		r.base = empty
	}
	if r.maxOpen == 0 {
		r.maxOpen = DefaultMaxOpenFiles
	}
	for _, m := range config.Mounts {
		path := strings.Trim(m.Path, "/")
		if !isPlain(path) {
			return nil, fmt.Errorf("mount[%s]: not a path below the root", m.Path)
		}
		if m.Tree != nil && m.Mem != nil {
			return nil, fmt.Errorf("mount[%s]: both a tree and a memory", m.Path)
		}
		for _, other := range r.mounts {
			_, in := within(path, other.Path)
			_, out := within(other.Path, path)
			if in || out {
				return nil, fmt.Errorf("mount[%s]: overlaps %s", m.Path, other.Path)
			}
		}
		if m.Tree == nil && m.Mem == nil {
			m.Tree = empty
		}
		m.Path = path
		r.mounts = append(r.mounts, m)
	}
	if err := r.makeAbove(); err != nil {
		return nil, err
	}
	r.top = spot{mount: -1, node: r.baseNode("")}
	r.Dir = Dir{root: r, at: r.top}
	return r, nil
}

// empty is the contents of an empty mount. Immutable, like every Tree.
var empty = emptyTree()

// errNoMount is returned by SetTree and SetMem.
var errNoMount = errors.New("no such mount")

// SetTree replaces the contents of a mount by a Tree; nil is an empty
// directory. Files that are open in the old contents are unaffected.
func (r *Root) SetTree(path string, tree *Tree) error {
	return r.set(path, Mount{Tree: tree})
}

// SetMem replaces the contents of a mount by a Mem. It does not close the old
// one.
func (r *Root) SetMem(path string, mem *Mem) error {
	return r.set(path, Mount{Mem: mem})
}

// AddMem mounts a Mem where nothing is mounted, next to or below a folder that has other
// mounts in it. Call it before the guest runs.
func (r *Root) AddMem(path string, mem *Mem) error {
	path = strings.Trim(path, "/")
	if !isPlain(path) {
		return fmt.Errorf("mount[%s]: not a path below the root", path)
	}
	for _, other := range r.mounts {
		_, in := within(path, other.Path)
		_, out := within(other.Path, path)
		if in || out {
			return fmt.Errorf("mount[%s]: overlaps %s", path, other.Path)
		}
	}
	r.mounts = append(r.mounts[:len(r.mounts):len(r.mounts)], Mount{Path: path, Mem: mem})
	return r.makeAbove()
}

func (r *Root) set(path string, contents Mount) error {
	path = strings.Trim(path, "/")
	for i := range r.mounts {
		if r.mounts[i].Path == path {
			if contents.Tree == nil && contents.Mem == nil {
				contents.Tree = empty
			}
			contents.Path = path
			r.mounts[i] = contents
			return nil
		}
	}
	return fmt.Errorf("mount[%s]: %w", path, errNoMount)
}

// Top opens "/" without counting it as open.
func (r *Root) Top() File {
	return &treeDir{dirHandle{handle: handle{root: r, free: true}, at: r.top}}
}

// OpenFiles returns the number of files and directories that the guest has
// open.
func (r *Root) OpenFiles() int { return r.open }

// Written reports whether anything in a mounted Mem has changed.
func (r *Root) Written() bool {
	for i := range r.mounts {
		if mem := r.mounts[i].Mem; mem != nil && mem.Written() {
			return true
		}
	}
	return false
}

// Used returns the number of bytes charged for the Mems.
func (r *Root) Used() int64 {
	used := int64(0)
	for i := range r.mounts {
		if mem := r.mounts[i].Mem; mem != nil {
			used += mem.Used()
		}
	}
	return used
}

// Close closes the Mems, which returns what was charged for them. Trees are
// shared, and stay.
func (r *Root) Close() {
	for i := range r.mounts {
		if mem := r.mounts[i].Mem; mem != nil {
			mem.Close()
		}
	}
}

// makeAbove prepares the directories that contain mounts: the base's entries,
// if it has that directory, and the mounts.
func (r *Root) makeAbove() error {
	r.above = make(map[string]*node)
	for i := range r.mounts {
		for path := r.mounts[i].Path; path != ""; {
			dir, name := split(path)
			n := r.above[dir]
			if n == nil {
				n = &node{path: dir}
				if below := r.base.nodes[dir]; below != nil {
					if !below.dir() {
						return fmt.Errorf("mount[%s]: %s is a file", r.mounts[i].Path, dir)
					}
					n.stat, n.dirents = below.stat, slices.Clone(below.dirents)
				} else {
					n.stat = emptyTree().nodes[""].stat
					n.stat.Ino = 1<<32 + uint64(len(r.above))
					n.setTime(epoch)
				}
				r.above[dir] = n
			}
			dirent := Dirent{Ino: 1, Name: name, Type: fs.ModeDir}
			same := func(d Dirent) bool { return d.Name == name }
			if at := slices.IndexFunc(n.dirents, same); at < 0 {
				n.dirents = append(n.dirents, dirent)
			} else if path == r.mounts[i].Path {
				n.dirents[at] = dirent
			}
			path = dir
		}
	}
	for _, n := range r.above {
		n.stat.Nlink = linksOf(n.dirents)
	}
	return nil
}
