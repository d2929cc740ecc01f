package vfs

import "maps"

// Copy returns a Mem with the same files, bounded by config. Its memory is charged
// before anything is copied; it is nil if that is refused. No file may be open, and the
// guest must not run.
func (m *Mem) Copy(config MemConfig) *Mem {
	c := NewMem(config)
	if !c.charge(m.used.Load()) {
		return nil
	}
	c.pages, c.entries, c.lastIno, c.written = m.pages, m.entries, m.lastIno, m.written
	c.root = copier{c, map[*inode]*inode{}}.copy(m.root, nil)
	return c
}

// copier copies inodes to a Mem. Those that it has copied have several names.
type copier struct {
	to     *Mem
	copied map[*inode]*inode
}

func (c copier) copy(n, parent *inode) *inode {
	if known := c.copied[n]; known != nil {
		return known
	}
	twin := *n
	c.copied[n] = &twin
	twin.mem, twin.opens = c.to, 0
	if n.text != nil {
		twin.setTarget(n.target)
	}
	twin.content.extents = maps.Clone(n.content.extents)
	for number, e := range n.content.extents {
		twin.content.extents[number] = e.copy()
	}
	if n.dir != nil {
		dir := *n.dir
		dir.parent, dir.byName, dir.order = parent, make(map[string]*entry, len(n.dir.byName)), nil
		dir.peak = len(n.dir.byName)
		for _, e := range n.dir.order {
			if e.node != nil {
				own := &entry{e.name, c.copy(e.node, &twin), e.seq}
				dir.byName[e.name] = own
				dir.order = append(dir.order, own)
			}
		}
		twin.dir = &dir
	}
	return &twin
}

func (e *extent) copy() *extent {
	twin := *e
	for n, p := range e.pages {
		if p != nil && p != &reserved {
			own := *p
			twin.pages[n] = &own
		}
	}
	return &twin
}
