//go:build unix && !plaincopy

package wasm

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linearMemory is one instance's linear memory: a private mapping whose address
// space is reserved once, so that the memory never moves as it grows. It
// implements wazero's experimental.LinearMemory.
//
// wazero checks every guest access against the length of the slice it last got,
// so the pages beyond need no protection of their own.
type linearMemory struct {
	region []byte // the whole reservation; nil after Free
	size   uint64 // what the guest has
	limit  uint64 // what the guest may have
	denied denial // since the last reset
	charge charge
}

// reserve reserves address space for the largest memory that a guest can have.
// It costs no memory or swap until pages are touched.
func reserve(limit uint64) (*linearMemory, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(limit), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|mapNoReserve)
	if err != nil {
		return nil, fmt.Errorf("wasm: reserve %d MiB of address space: %w", limit>>20, err)
	}
	region := unsafe.Slice((*byte)(p), limit)
	adviseSmallPages(region)
	return &linearMemory{region: region, limit: limit}, nil
}

// Reallocate implements experimental.LinearMemory.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit || size > uint64(len(m.region)) {
		m.denied = deniedByLimit
		return nil
	}
	if !m.charge.grow(m.size, size) {
		m.denied = deniedByOwner
		return nil
	}
	m.size = size
	return m.region[:size:size]
}

// Free implements experimental.LinearMemory. It returns the memory to the
// system.
func (m *linearMemory) Free() {
	if m.region == nil {
		return
	}
	// Unmapping a region that mmap returned fails only for wrong arguments.
	_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(m.region)), uintptr(len(m.region)))
	m.region = nil
	m.charge.clear()
}

// bind maps a private copy-on-write view of an image over the memory, which
// must already have its size and be zero.
func (m *linearMemory) bind(image *Image) error {
	if m.region == nil {
		return ErrClosed
	}
	at := int64(headerSize)
	for _, r := range image.runs {
		_, err := unix.MmapPtr(int(image.f.Fd()), at, unsafe.Pointer(&m.region[r.Start]), uintptr(r.Length),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
		if err != nil {
			return fmt.Errorf("wasm: map image: %w", err)
		}
		at += r.Length
	}
	return nil
}
