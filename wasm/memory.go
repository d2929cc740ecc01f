package wasm

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"
)

// guestBytes returns the size bytes at ptr of a guest's memory without copying:
// they are valid until the guest runs again. The guest's pointers and lengths
// are untrusted; only this function follows them.
func guestBytes(m api.Memory, ptr, size uint32) ([]byte, error) {
	b, ok := m.Read(ptr, size)
	if !ok {
		return nil, fmt.Errorf("guest passed %d bytes at %#x, outside its memory of %d bytes", size, ptr, m.Size())
	}
	return b, nil
}

// denial says who has denied a guest memory.
type denial int

const (
	granted       denial = iota
	deniedByLimit        // it has all that it may have
	deniedByOwner        // its owner has no more, or the machine
)

// charge charges an instance's owner for the memory that the guest has gained
// since it was bound to its image.
type charge struct {
	reserve func(delta int64) bool // nil means no accounting
	total   int64
}

// grow reports whether the owner allows a memory to grow.
func (c *charge) grow(from, to uint64) bool {
	if to <= from {
		return true
	}
	return c.add(int64(to - from))
}

// add reports whether the owner grants the instance delta more bytes.
func (c *charge) add(delta int64) bool {
	if c.reserve == nil {
		return true
	}
	if !c.reserve(delta) {
		return false
	}
	c.total += delta
	return true
}

// give returns bytes that add got.
func (c *charge) give(delta int64) {
	delta = min(delta, c.total) // zero if the instance is closed already
	if c.reserve != nil && delta > 0 {
		c.reserve(-delta)
		c.total -= delta
	}
}

// change takes delta bytes, or returns them if it is negative.
func (c *charge) change(delta int64) bool {
	if delta < 0 {
		c.give(-delta)
		return true
	}
	return c.add(delta)
}

// clear returns everything.
func (c *charge) clear() {
	if c.reserve != nil && c.total > 0 {
		c.reserve(-c.total)
	}
	c.total = 0
}
