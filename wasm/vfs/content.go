package vfs

// PageSize is the unit in which a writable file uses and is charged for memory:
// a file of one byte costs a page, as on any file system with blocks.
const PageSize = 4096

// MaxFileSize is the largest size of a file and the largest offset in it, in
// bytes: that of Linux's usual file systems.
const MaxFileSize = int64(16) << 40

type page = [PageSize]byte

// reserved stands for a page that is allocated but not yet written to. All
// files share it, and it is never written to itself.
var reserved page

// content is the bytes of a writable file. Only pages that were written to or
// allocated exist; all others are holes, which read as zeros. The bytes past
// size in the last page are always zero, so that growing a file reveals no old
// data.
type content struct {
	size  int64
	pages map[int64]*page // by page number
	peak  int             // the largest len(pages) so far
}

// pagesOf returns the number of pages that size bytes span.
func pagesOf(size int64) int64 {
	return size/PageSize + min(size%PageSize, 1)
}

// readAt copies from offset off; it returns 0 at and past the end.
func (c *content) readAt(buf []byte, off int64) (n int) {
	if off >= c.size {
		return 0
	}
	buf = buf[:min(int64(len(buf)), c.size-off)]
	if len(c.pages) == 0 {
		clear(buf)
		return len(buf)
	}
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

// missing returns how many pages of a range are holes, and the offset where the
// range must end if at most most of them can be filled.
func (c *content) missing(off, end, most int64) (count, fits int64) {
	for p := off / PageSize; p*PageSize < end; p++ {
		if c.pages[p] != nil {
			continue
		}
		if count == most {
			return count, max(p*PageSize, off)
		}
		count++
	}
	return count, end
}

// writeAt copies buf to offset off. The holes it fills must be accounted for
// already.
func (c *content) writeAt(buf []byte, off int64) {
	c.size = max(c.size, off+int64(len(buf)))
	for len(buf) > 0 {
		p := c.pages[off/PageSize]
		if p == nil || p == &reserved {
			p = new(page)
			c.put(off/PageSize, p)
		}
		n := copy(p[off%PageSize:], buf)
		buf, off = buf[n:], off+int64(n)
	}
}

// reserve fills the holes of a range, which must be accounted for already.
func (c *content) reserve(off, end int64) {
	for p := off / PageSize; p*PageSize < end; p++ {
		if c.pages[p] == nil {
			c.put(p, &reserved)
		}
	}
}

func (c *content) put(number int64, p *page) {
	if c.pages == nil {
		c.pages = make(map[int64]*page)
	}
	c.pages[number] = p
	c.peak = max(c.peak, len(c.pages))
}

// resize truncates the file or extends it with a hole, and returns how many
// pages it dropped.
func (c *content) resize(size int64) (dropped int64) {
	count, had := pagesOf(size), len(c.pages)
	switch before := pagesOf(c.size); {
	case count == 0:
		c.pages, c.peak = nil, 0
	case before-count <= int64(had):
		for p := count; p < before; p++ {
			delete(c.pages, p)
		}
	default:
		for p := range c.pages {
			if p >= count {
				delete(c.pages, p)
			}
		}
	}
	// A map never releases the space of its largest size.
	if left := len(c.pages); c.peak > 4*left+64 {
		pages := make(map[int64]*page, left)
		for number, p := range c.pages {
			pages[number] = p
		}
		c.pages, c.peak = pages, left
	}
	if tail := size % PageSize; size < c.size && tail > 0 {
		if p := c.pages[count-1]; p != nil && p != &reserved {
			clear(p[tail:])
		}
	}
	c.size = size
	return int64(had - len(c.pages))
}
