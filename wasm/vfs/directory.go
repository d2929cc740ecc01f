package vfs

import (
	"slices"
	"sort"
)

// directory is the names in one directory of a Mem.
//
// Listing follows sequence numbers, in the order in which names were added: a
// cursor stays valid whatever is added or removed meanwhile, and costs nothing
// to keep. A copy of the names would be memory outside any quota.
type directory struct {
	parent  *inode // nil for the root, and once the directory has been removed
	byName  map[string]*entry
	order   []*entry // ascending by seq, including removed entries
	lastSeq uint64
	peak    int // the largest len(byName) so far
	folders int // entries that are directories
}

// entry is one name. Its node is nil once the name has been removed.
type entry struct {
	name string
	node *inode
	seq  uint64
}

func newDirectory(parent *inode) *directory {
	return &directory{parent: parent, byName: make(map[string]*entry)}
}

func (d *directory) get(name string) *inode {
	if e := d.byName[name]; e != nil {
		return e.node
	}
	return nil
}

func (d *directory) add(name string, n *inode) {
	d.lastSeq++
	e := &entry{name: name, node: n, seq: d.lastSeq}
	d.byName[name] = e
	d.order = append(d.order, e)
	d.peak = max(d.peak, len(d.byName))
	if n.dir != nil {
		d.folders++
	}
}

// remove removes a name. Neither a map nor order releases the space of removed
// entries, but directories that were once full must not hold memory that the
// quota no longer counts.
func (d *directory) remove(name string) {
	e := d.byName[name]
	if e.node.dir != nil {
		d.folders--
	}
	e.node, e.name = nil, ""
	delete(d.byName, name)
	live := len(d.byName)
	if live == 0 {
		d.byName, d.order, d.peak = make(map[string]*entry), nil, 0
		return
	}
	if len(d.order) > 2*live+4 {
		d.order = slices.DeleteFunc(d.order, func(e *entry) bool { return e.node == nil })
	}
	if d.peak > 4*live+16 {
		byName := make(map[string]*entry, live)
		for _, e := range d.byName {
			byName[e.name] = e
		}
		d.byName, d.order, d.peak = byName, slices.Clone(d.order), live
	}
}

// list passes the entries numbered from to to, inclusive, to yield until it
// returns false.
func (d *directory) list(from, to uint64, yield func(Dirent) bool) {
	i := sort.Search(len(d.order), func(i int) bool { return d.order[i].seq >= from })
	for ; i < len(d.order) && d.order[i].seq <= to; i++ {
		e := d.order[i]
		if e.node == nil {
			continue
		}
		// An entry's cookie is that of the one before it, offset by the two
		// dots.
		if !yield(Dirent{Name: e.name, Ino: e.node.ino, Type: e.node.mode.Type(), Next: e.seq + firstCookie}) {
			return
		}
	}
}

// isWithin reports whether n is above or a directory below it.
func (n *inode) isWithin(above *inode) bool {
	for ; n != nil; n = n.dir.parent {
		if n == above {
			return true
		}
	}
	return false
}
