//go:build !unix || plaincopy

package wasm

import "io"

// linearMemory is one instance's linear memory where the system has no private
// file mappings: an ordinary slice into which images are copied. The build tag
// plaincopy takes it elsewhere too, for its tests.
type linearMemory struct {
	region []byte
	size   uint64
	limit  uint64
	denied bool
	charge charge
}

func reserve(limit uint64) (*linearMemory, error) { return &linearMemory{limit: limit}, nil }

// Reallocate implements experimental.LinearMemory.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit || !m.charge.grow(m.size, size) {
		m.denied = true
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
	_, err := io.ReadFull(io.NewSectionReader(image.f, headerSize, image.length), m.region[image.start:][:image.length])
	return err
}

// span is a range of bytes of a linear memory.
type span struct{ offset, size int }

func (m *linearMemory) privatePages(int64) []span { return nil }

func (m *linearMemory) populate([]span) {}
