//go:build !plaincopy

package wasm

import (
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var pageBytes = int64(os.Getpagesize())

// mapNoReserve keeps the reservation out of the system's overcommit accounting.
const mapNoReserve = unix.MAP_NORESERVE

// adviseSmallPages disables huge pages: an instance that touches a few bytes of
// its heap should cost a few pages, not 2 MiB.
func adviseSmallPages(region []byte) { _ = unix.Madvise(region, unix.MADV_NOHUGEPAGE) }

// span is a range of bytes of a linear memory.
type span struct{ offset, size int }

// Bits of an entry of /proc/self/pagemap.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageShared  = 1 << 61 // a page of a file, or of shared memory
)

// eachPage calls f for each page below size, with its number and its entry in
// the system's page map.
func (m *linearMemory) eachPage(size int64, f func(page int, entry uint64)) error {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	defer pagemap.Close()
	start := int64(uintptr(unsafe.Pointer(unsafe.SliceData(m.region)))) / pageBytes
	pages := int(size / pageBytes)
	var entries [32 << 10]byte
	for n := 0; n < pages; {
		part := entries[:min(len(entries), (pages-n)*8)]
		if _, err := io.ReadFull(io.NewSectionReader(pagemap, (start+int64(n))*8, int64(len(part))), part); err != nil {
			return err
		}
		for ; len(part) > 0; part = part[8:] {
			f(n, binary.LittleEndian.Uint64(part))
			n++
		}
	}
	return nil
}

// privatePages returns the ranges below size that this memory no longer shares
// with its image, because the guest wrote to them, up to most bytes of them.
// Ranges separated by small gaps are merged.
func (m *linearMemory) privatePages(size, most int64) []span {
	const maxGap = 2 // pages
	var spans []span
	last, total := -maxGap-2, int64(0)
	err := m.eachPage(size, func(n int, entry uint64) {
		if entry&pagePresent == 0 || entry&pageShared != 0 {
			return
		}
		page := int(pageBytes)
		add := page
		if n-last <= maxGap+1 && len(spans) > 0 {
			add = (n - last) * page
		}
		if total += int64(add); total > most {
			return
		}
		if add > page || n == last+1 && len(spans) > 0 {
			spans[len(spans)-1].size += add
		} else {
			spans = append(spans, span{n * page, page})
		}
		last = n
	})
	if err != nil {
		return nil // no /proc: clones fault their pages in one by one
	}
	return spans
}

// count returns how many bytes below size are private to the memory, and how
// many of the shared ones are mapped.
func (m *linearMemory) count(size int64) (own, shared int64, ok bool) {
	err := m.eachPage(size, func(_ int, entry uint64) {
		switch {
		case entry&pagePresent != 0 && entry&pageShared != 0:
			shared += pageBytes
		case entry&(pagePresent|pageSwapped) != 0:
			own += pageBytes
		}
	})
	return own, shared, err == nil
}

// threadFaults returns the calling thread's id and how many page faults it has
// had.
func threadFaults() (thread int, faults int64) {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &usage) != nil { // never fails
		return 0, 0
	}
	return unix.Gettid(), usage.Minflt + usage.Majflt
}

// countsPages reports whether this system shows a process its page faults and
// pages; some lookalikes of Linux do not.
var countsPages = sync.OnceValue(func() bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m, err := reserve(uint64(16 * pageBytes))
	if err != nil {
		return false
	}
	defer m.Free()
	_, before := threadFaults()
	for n := range 4 {
		m.region[n*int(pageBytes)] = 1
	}
	_, after := threadFaults()
	own, _, ok := m.count(16 * pageBytes)
	return ok && own == 4*pageBytes && after-before >= 4
})

// populate makes the ranges private in a few system calls instead of one page
// fault per page. Kernels before 5.14 can't; there the pages fault.
func (m *linearMemory) populate(spans []span) {
	for _, s := range spans {
		if unix.Madvise(m.region[s.offset:s.offset+s.size], unix.MADV_POPULATE_WRITE) != nil {
			return
		}
	}
}
