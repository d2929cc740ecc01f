package vfs

import "slices"

// PageSize is the unit in which a writable file takes memory and is charged
// for it: a file of one byte costs a page, as on any file system with blocks.
const PageSize = 4096

type page = [PageSize]byte

// content is the bytes of a writable file. Pages are allocated when they are
// written to; a nil one is a hole and reads as zeros. The bytes past size in
// the last page are always zero, so that growing shows none of what was there.
type content struct {
	size  int64
	pages []*page
}

// pagesOf is the number of pages that a file of the given size is charged for.
func pagesOf(size int64) int64 {
	return size/PageSize + min(size%PageSize, 1)
}

// readAt copies from offset off, and returns 0 at and past the end.
func (c *content) readAt(buf []byte, off int64) (n int) {
	if off >= c.size {
		return 0
	}
	buf = buf[:min(int64(len(buf)), c.size-off)]
	for n < len(buf) {
		at := off + int64(n)
		part := buf[n:min(len(buf), n+PageSize-int(at%PageSize))]
		if p := c.pages[at/PageSize]; p != nil {
			copy(part, p[at%PageSize:])
		} else {
			clear(part)
		}
		n += len(part)
	}
	return n
}

// writeAt copies buf to offset off; the size must cover it already.
func (c *content) writeAt(buf []byte, off int64) {
	for len(buf) > 0 {
		p := c.pages[off/PageSize]
		if p == nil {
			p = new(page)
			c.pages[off/PageSize] = p
		}
		n := copy(p[off%PageSize:], buf)
		buf, off = buf[n:], off+int64(n)
	}
}

// resize cuts the file or lengthens it with a hole.
func (c *content) resize(size int64) {
	count := int(pagesOf(size))
	switch {
	case count > len(c.pages):
		c.pages = slices.Grow(c.pages, count-len(c.pages))[:count]
	case count < len(c.pages):
		clear(c.pages[count:])
		c.pages = c.pages[:count]
		// The table of a file that was large once must not stay with it.
		if cap(c.pages) > 4*count+64 {
			c.pages = slices.Clip(slices.Clone(c.pages))
		}
	}
	if tail := size % PageSize; size < c.size && tail > 0 {
		if p := c.pages[count-1]; p != nil {
			clear(p[tail:])
		}
	}
	c.size = size
}
