package vfs

import (
	"maps"
	"sync"
)

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

// extentPages is how many neighbouring pages a file finds, and gives up, together.
const extentPages = 16

// extent is a range of a file, which begins at a multiple of its length.
type extent struct {
	pages [extentPages]*page // nil is a hole
	used  int                // those that are not
}

// content is the bytes of a writable file. Only pages that were written to or
// allocated exist; all others are holes, which read as zeros. The bytes past
// size in the last page are always zero, so that growing a file reveals no old
// data.
type content struct {
	size    int64
	extents map[int64]*extent // by number; none is empty
	pages   int64             // in the extents
	peak    int               // the largest len(extents) so far
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
	if c.pages == 0 {
		clear(buf)
		return len(buf)
	}
	for n < len(buf) {
		at := off + int64(n)
		part := buf[n:min(len(buf), n+PageSize-int(at%PageSize))]
		if p := c.page(at / PageSize); p != nil {
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
		if c.page(p) != nil {
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
		p := c.page(off / PageSize)
		if p == nil || p == &reserved {
			p = newPage()
			if off%PageSize > 0 || len(buf) < PageSize {
				clear(p[:])
			}
			c.put(off/PageSize, p)
		}
		n := copy(p[off%PageSize:], buf)
		buf, off = buf[n:], off+int64(n)
	}
}

// reserve fills the holes of a range, which must be accounted for already.
func (c *content) reserve(off, end int64) {
	for p := off / PageSize; p*PageSize < end; p++ {
		if c.page(p) == nil {
			c.put(p, &reserved)
		}
	}
}

// page returns a page, nil where there is a hole.
func (c *content) page(number int64) *page {
	if e := c.extents[number/extentPages]; e != nil {
		return e.pages[number%extentPages]
	}
	return nil
}

// put fills a hole, or replaces what was reserved for a page.
func (c *content) put(number int64, p *page) {
	e := c.extents[number/extentPages]
	if e == nil {
		if c.extents == nil {
			c.extents = make(map[int64]*extent)
		}
		e = new(extent)
		c.extents[number/extentPages] = e
		c.peak = max(c.peak, len(c.extents))
	}
	if e.pages[number%extentPages] == nil {
		e.used++
		c.pages++
	}
	e.pages[number%extentPages] = p
}

// resize truncates the file or extends it with a hole, and returns how many
// pages it dropped.
func (c *content) resize(size int64) (dropped int64) {
	count, had := pagesOf(size), c.pages
	first, end := count/extentPages, pagesOf(c.size)/extentPages+1
	if end-first <= int64(len(c.extents)) {
		for number := first; number < end; number++ {
			c.cut(number, count)
		}
	} else {
		for number := range c.extents {
			c.cut(number, count)
		}
	}
	// A map never releases the space of its largest size.
	if left := len(c.extents); c.peak > 4*left+64/extentPages {
		extents := make(map[int64]*extent, left)
		maps.Copy(extents, c.extents)
		c.extents, c.peak = extents, left
	}
	if tail := size % PageSize; size < c.size && tail > 0 {
		if p := c.page(count - 1); p != nil && p != &reserved {
			clear(p[tail:])
		}
	}
	c.size = size
	return had - c.pages
}

// cut drops the pages of an extent, if there is one, that a file of count pages does
// not have.
func (c *content) cut(number, count int64) {
	e, keep := c.extents[number], count-number*extentPages
	switch {
	case e == nil || keep >= extentPages:
		return
	case keep > 0:
		rest := new(extent)
		for n := keep; n < extentPages; n++ {
			if p := e.pages[n]; p != nil {
				e.pages[n], rest.pages[n] = nil, p
				rest.used++
			}
		}
		e.used -= rest.used
		c.pages -= int64(rest.used)
		spare.Put(rest)
		if e.used > 0 {
			return
		}
	default:
		c.pages -= int64(e.used)
		spare.Put(e)
	}
	delete(c.extents, number)
}

// spare are extents that files gave up, whose pages others get: as garbage they would
// have memory collected again and again, which stops everybody. The garbage collector
// drops those that nobody takes.
var spare sync.Pool

// newPage returns a page for a file, which may hold what another file's had.
func newPage() *page {
	for {
		e, ok := spare.Get().(*extent)
		if !ok {
			return new(page)
		}
		for n, p := range e.pages {
			if e.pages[n] = nil; p != nil && p != &reserved {
				spare.Put(e)
				return p
			}
		}
	}
}
