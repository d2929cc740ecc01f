//go:build !plaincopy

package wasm

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapNoReserve keeps the reservation out of the system's accounts.
const mapNoReserve = unix.MAP_NORESERVE

// adviseSmallPages keeps huge pages away: an instance that touches a few bytes
// of its heap should cost a few pages, not 2 MiB.
func adviseSmallPages(region []byte) { _ = unix.Madvise(region, unix.MADV_NOHUGEPAGE) }

// span is a range of bytes of a linear memory.
type span struct{ offset, size int }

// privatePages returns the ranges below size that this memory no longer shares
// with its image, because the guest wrote to them. Ranges with small gaps
// between them come as one.
func (m *linearMemory) privatePages(size int64) []span {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil // no /proc: clones fault their pages in one by one
	}
	defer f.Close()
	const (
		present = 1 << 63
		shared  = 1 << 61 // file page or shared anonymous page
		maxGap  = 2       // pages
	)
	page := os.Getpagesize()
	entries := make([]byte, int(size)/page*8)
	base := int64(uintptr(unsafe.Pointer(unsafe.SliceData(m.region)))) / int64(page) * 8
	if _, err := f.ReadAt(entries, base); err != nil {
		return nil
	}
	var spans []span
	last := -maxGap - 2
	for i := 0; i < len(entries); i += 8 {
		e := binary.LittleEndian.Uint64(entries[i:])
		if e&present == 0 || e&shared != 0 {
			continue
		}
		n := i / 8
		if n-last <= maxGap+1 && len(spans) > 0 {
			spans[len(spans)-1].size = (n+1)*page - spans[len(spans)-1].offset
		} else {
			spans = append(spans, span{n * page, page})
		}
		last = n
	}
	return spans
}

// populate makes the ranges private now, in a few system calls instead of a
// page fault each. Kernels before 5.14 don't know how; then they fault.
func (m *linearMemory) populate(spans []span) {
	for _, s := range spans {
		if unix.Madvise(m.region[s.offset:s.offset+s.size], unix.MADV_POPULATE_WRITE) != nil {
			return
		}
	}
}
