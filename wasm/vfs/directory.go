package vfs

import (
	"slices"
	"sort"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// directory is the names in one directory of a Mem.
//
// Listing goes by sequence numbers, in the order in which names were added:
// a cursor stays valid whatever is added or removed meanwhile, and costs
// nothing to keep, where a copy of the names would be memory that no quota sees.
type directory struct {
	parent  *inode // nil for the root, and once the directory is removed
	byName  map[string]*entry
	order   []*entry // ascending by seq, removed entries included
	lastSeq uint64
	peak    int // the most entries that byName has had
}

// entry is one name. Its node is nil once the name is removed.
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
}

// remove takes a name out. A map keeps the room of all that it ever held, and
// order what was removed: many directories that were full once must not hold
// memory for entries that are long given back to the quota.
func (d *directory) remove(name string) {
	e := d.byName[name]
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

// list returns up to n (all, if n <= 0) entries whose numbers are in [from, to],
// and the number to go on from.
func (d *directory) list(from, to uint64, n int) (dirents []sys.Dirent, next uint64) {
	i := sort.Search(len(d.order), func(i int) bool { return d.order[i].seq >= from })
	for ; i < len(d.order) && d.order[i].seq <= to; i++ {
		if n > 0 && len(dirents) == n {
			break
		}
		e := d.order[i]
		from = e.seq + 1
		if e.node != nil {
			dirents = append(dirents, sys.Dirent{Ino: e.node.ino, Name: e.name, Type: e.node.mode.Type()})
		}
	}
	return dirents, from
}

// isWithin reports whether n is the directory above or one of those below it.
func (n *inode) isWithin(above *inode) bool {
	for ; n != nil; n = n.dir.parent {
		if n == above {
			return true
		}
	}
	return false
}
