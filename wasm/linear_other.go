//go:build !unix || plaincopy

package wasm

import "io"

// linearMemory is one instance's linear memory on systems without private file
// mappings: an ordinary slice that images are copied into. The build tag
// plaincopy selects it elsewhere, for its tests.
type linearMemory struct {
	region []byte
	size   uint64
	limit  uint64
	denied denial
	charge charge
}

func reserve(limit uint64) (*linearMemory, error) { return &linearMemory{limit: limit}, nil }

// Reallocate implements experimental.LinearMemory.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.denied = deniedByLimit
		return nil
	}
	if !m.charge.grow(m.size, size) {
		m.denied = deniedByOwner
		return nil
	}
	if size > uint64(cap(m.region)) {
		grown := make([]byte, size, size+size/4)
		copy(grown, m.region)
		m.region = grown
	}
	m.size = size
	m.region = m.region[:size]
	return m.region
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() {
	m.region = nil
	m.charge.clear()
}

func (m *linearMemory) bind(image *Image) error {
	content := io.NewSectionReader(image.f, headerSize, image.length)
	for _, r := range image.runs {
		if _, err := io.ReadFull(content, m.region[r.Start:][:r.Length]); err != nil {
			return err
		}
	}
	return nil
}

// span is a range of bytes of a linear memory.
type span struct{ offset, size int }

func (m *linearMemory) privatePages(_, _ int64) []span { return nil }

// Private pages can't be counted here: the whole image counts as private.
const pageBytes = 0

func countsPages() bool { return false }

func threadFaults() (thread int, faults int64) { return 0, 0 }

func (m *linearMemory) count(size int64) (own, shared int64, ok bool) { return size, 0, false }

func (m *linearMemory) populate([]span) {}
