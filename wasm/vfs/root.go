// Package vfs is the only file system that a guest sees. Nothing in it opens a
// file of the host on behalf of a guest.
//
// A [Tree] is a read-only file tree, indexed when it is made and shared by all
// instances: the standard library, the files of a function. A [Mem] is a
// writable directory in memory with a quota, private to one instance. A [Root]
// puts them together into the one tree an instance is given as its "/":
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
// There are no symbolic links, in any of them: resolving a path never leads
// anywhere but down, so what a path means doesn't depend on what a guest did.
//
// What a guest can make the host hold is bounded: bytes and names in a Mem, open
// files, names in directories being listed, the length of a name and of a path.
//
// Errors are those that Linux gives, as far as [sys.Errno] can say them; see [ENOSPC]
// and Root.TakeErrno for those that it can't.
package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// What an instance may hold unless Config says otherwise.
const (
	DefaultMaxOpenFiles    = 1024
	DefaultMaxListingBytes = 16 << 20
)

// Config is the make-up of a Root. The zero value is an empty directory.
type Config struct {
	// Base is what is at "/"; nil is an empty directory.
	Base *Tree
	// Mounts are what lies over Base. None may be inside another.
	Mounts []Mount
	// MaxOpenFiles bounds files and directories open at once; 0 is DefaultMaxOpenFiles.
	MaxOpenFiles int
	// MaxListingBytes bounds what the names in directories that are being
	// listed take in the host, all together; 0 is DefaultMaxListingBytes.
	MaxListingBytes int64
}

// Mount is a directory of a Root with contents of its own: a Tree, a Mem, or
// for the time being neither, which is an empty read-only directory.
type Mount struct {
	Path string // absolute or relative to the root
	Tree *Tree
	Mem  *Mem
}

// Root is the file system of one instance. It is used by one goroutine at a
// time, as wazero's own table of open files is; so an instance must have left
// its guest before it is closed.
type Root struct {
	experimentalsys.UnimplementedFS
	base      *Tree
	mounts    []Mount
	above     map[string]*node // the directories on the way to a mount
	maxOpen   int
	maxListed int64
	open      int
	listed    int64
	unnamed   uint32
}

// place is where a path leads: into a Mem, or else into a Tree.
type place struct {
	path  string // cleaned, relative to the mount
	mem   *Mem
	tree  *Tree
	mount int // index into mounts, or -1 for the base
}

// NewRoot checks config and puts its parts together. It is cheap: a few small allocations.
func NewRoot(config Config) (*Root, error) {
	r := &Root{base: config.Base, maxOpen: config.MaxOpenFiles, maxListed: config.MaxListingBytes}
	if r.base == nil {
		r.base = empty
	}
	if r.maxOpen == 0 {
		r.maxOpen = DefaultMaxOpenFiles
	}
	if r.maxListed == 0 {
		r.maxListed = DefaultMaxListingBytes
	}
	for _, m := range config.Mounts {
		path, _, errno := clean(strings.TrimLeft(m.Path, "/"))
		if errno != 0 || path == "" {
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
	return r, r.makeAbove()
}

// empty is what a mount without contents shows. Immutable, as every Tree.
var empty = emptyTree()

// errNoMount is returned by SetTree and SetMem.
var errNoMount = errors.New("no such mount")

// SetTree puts a Tree in the place of what a mount has; nil is an empty
// directory. Files that are open in the old contents stay as they are.
func (r *Root) SetTree(path string, tree *Tree) error {
	return r.set(path, Mount{Tree: tree})
}

// SetMem puts a Mem in the place of what a mount has. The old one isn't closed.
func (r *Root) SetMem(path string, mem *Mem) error {
	return r.set(path, Mount{Mem: mem})
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

// OpenFiles is the number of files and directories that the guest has open.
// The handle of "/" that wazero opens for itself is not among them.
func (r *Root) OpenFiles() int { return r.open }

// Written reports whether anything was changed in a Mem that is mounted.
func (r *Root) Written() bool {
	for i := range r.mounts {
		if mem := r.mounts[i].Mem; mem != nil && mem.Written() {
			return true
		}
	}
	return false
}

// Used is the number of bytes that the Mems are charged for.
func (r *Root) Used() int64 {
	used := int64(0)
	for i := range r.mounts {
		if mem := r.mounts[i].Mem; mem != nil {
			used += mem.Used()
		}
	}
	return used
}

// Close closes the Mems, which gives back what they were charged. Trees are shared, and stay.
func (r *Root) Close() {
	for i := range r.mounts {
		if mem := r.mounts[i].Mem; mem != nil {
			mem.Close()
		}
	}
}

// TakeErrno returns the wasi_snapshot_preview1 number of the last error that
// wazero reported as EIO for want of a name, and forgets it; 0 is none. Whoever
// sees a host function return EIO may put this in its place.
func (r *Root) TakeErrno() uint32 {
	n := r.unnamed
	r.unnamed = 0
	return n
}

// fail notes an error that wazero has no name for.
func (r *Root) fail(errno experimentalsys.Errno) experimentalsys.Errno {
	if n, ok := WASIErrno(errno); ok {
		r.unnamed = n
	}
	return errno
}

// makeAbove prepares the directories that contain mounts: the entries of
// the base, if it has that directory, and those of the mounts.
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
			dirent := experimentalsys.Dirent{Ino: 1, Name: name, Type: fs.ModeDir}
			same := func(d experimentalsys.Dirent) bool { return d.Name == name }
			if at := slices.IndexFunc(n.dirents, same); at < 0 {
				n.dirents = append(n.dirents, dirent)
			} else if path == r.mounts[i].Path {
				n.dirents[at] = dirent
			}
			path = dir
		}
	}
	return nil
}

// locate says where a cleaned path leads.
func (r *Root) locate(path string) place {
	for i := range r.mounts {
		if rest, ok := within(path, r.mounts[i].Path); ok {
			return place{path: rest, mem: r.mounts[i].Mem, tree: r.mounts[i].Tree, mount: i}
		}
	}
	return place{path: path, tree: r.base, mount: -1}
}

// dev is the number of the device that a place is on.
func (p *place) dev() uint64 { return uint64(p.mount + 2) }

// find returns what is at a place in a Tree.
func (r *Root) find(p place, mustDir bool) (*node, experimentalsys.Errno) {
	if p.mount < 0 {
		if n := r.above[p.path]; n != nil {
			return n, 0
		}
	}
	return p.tree.find(p.path, mustDir)
}

// Stat implements the same method as documented on sys.FS.
func (r *Root) Stat(path string) (sys.Stat_t, experimentalsys.Errno) {
	path, mustDir, errno := clean(path)
	if errno != 0 {
		return sys.Stat_t{}, errno
	}
	p := r.locate(path)
	if p.mem != nil {
		n, errno := p.mem.find(p.path, mustDir)
		if errno != 0 {
			return sys.Stat_t{}, errno
		}
		return n.stat(p.dev()), 0
	}
	n, errno := r.find(p, mustDir)
	if errno != 0 {
		return sys.Stat_t{}, errno
	}
	st := n.stat
	st.Dev = p.dev()
	return st, 0
}

// Lstat implements the same method as documented on sys.FS.
func (r *Root) Lstat(path string) (sys.Stat_t, experimentalsys.Errno) { return r.Stat(path) }
