package vfs

// PageSize is the unit in which a writable file takes memory and is charged
// for it: a file of one byte costs a page, as on any file system with blocks.
const PageSize = 4096

// MaxFileSize is the largest size of a file and the end of the offsets in it,
// in bytes: what Linux's usual file systems have.
const MaxFileSize = int64(16) << 40

type page = [PageSize]byte

// reserved stands for a page that was allocated and not yet written to. It is
// shared by all files, and never written to itself.
var reserved page

// content is the bytes of a writable file. Only pages that were written to or
// allocated exist; all others are holes, which read as zeros. The bytes past
// size in the last page are always zero, so that growing shows none of what was
// there.
type content struct {
	size  int64
	pages map[int64]*page // by their number
	peak  int             // the most that pages has had
}

// pagesOf is the number of pages that a size reaches into.
func pagesOf(size int64) int64 {
	return size/PageSize + min(size%PageSize, 1)
}

// readAt copies from offset off, and returns 0 at and past the end.
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

// missing is how many pages of a range are holes, and where the range ends when
// no more than most of them can be filled.
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

// writeAt copies buf to offset off. What it fills of holes is accounted for.
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

// reserve fills the holes of a range, which are accounted for.
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

// resize cuts the file or lengthens it with a hole. It returns how many pages
// are no longer there.
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
	// A map keeps the room of all that it ever held.
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
