package wasm

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"
)

// guestBytes returns the size bytes at ptr of a guest's memory, without copying
// them: they are the guest's until it runs again. Pointer and length come from
// the guest and are not to be trusted: this is the only place of this package
// that follows them.
func guestBytes(m api.Memory, ptr, size uint32) ([]byte, error) {
	b, ok := m.Read(ptr, size)
	if !ok {
		return nil, fmt.Errorf("guest passed %d bytes at %#x, outside its memory of %d bytes", size, ptr, m.Size())
	}
	return b, nil
}

// charge tells the owner of an instance what memory the guest has grown by
// since it was bound to its image.
type charge struct {
	reserve func(delta int64) bool // nil means nobody wants to know
	total   int64
}

// grow says if the owner lets a memory grow.
func (c *charge) grow(from, to uint64) bool {
	if to <= from {
		return true
	}
	return c.take(int64(to - from))
}

// take says if the owner lets the instance have so many bytes more.
func (c *charge) take(delta int64) bool {
	if c.reserve == nil {
		return true
	}
	if !c.reserve(delta) {
		return false
	}
	c.total += delta
	return true
}

// give gives back what take got.
func (c *charge) give(delta int64) {
	delta = min(delta, c.total) // none when the instance is closed already
	if c.reserve != nil && delta > 0 {
		c.reserve(-delta)
		c.total -= delta
	}
}

// clear gives all of it back.
func (c *charge) clear() {
	if c.reserve != nil && c.total > 0 {
		c.reserve(-c.total)
	}
	c.total = 0
}
