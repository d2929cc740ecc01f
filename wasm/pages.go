package wasm

import (
	"errors"
	"math"
)

// All instances of an image share its pages until one writes to a page, which
// then becomes private to it. The kernel does that in a page fault and tells
// nobody. So each instance is charged for some pages in advance, its faults are
// counted at each check, and once they could exceed what was charged, its
// private pages are counted (RATIONALE.md, "How is copied memory counted?").
const (
	// keptPages is how many bytes of an image's pages an instance may have
	// private uncharged: more than ordinary calls write to.
	keptPages = 1 << 20
	// pageStep is the minimum charged in advance, in bytes.
	pageStep = 1 << 20
	// leastStep is the step if there is no memory for a larger one.
	leastStep = 64 << 10
	// sharedStep is how many bytes of an image an instance may map by reading
	// between two counts. A read fault maps up to 64 KiB but counts as one 4
	// KiB page of the megabyte that triggers a count.
	sharedStep = 16 << 20
)

// errPages ends a call that wrote to more of its image's pages than there was
// memory for.
var errPages = errors.New("no memory for pages of the image")

// pages is an instance's share of its image. All sizes are in bytes.
type pages struct {
	own    int64  // private at the last count
	paid   int64  // private pages paid for
	shared int64  // shared pages that it may have mapped
	size   uint64 // of the linear memory at the last count
	faults int64  // possible since the last count, times the page size

	// Fault count at the last check; the system counts faults by thread.
	thread int
	before int64
}

// allot grants a new instance pages of its image before any are counted; where
// they can't be counted, all of them.
func (i *Instance) allot() bool {
	p := &i.pages
	p.paid, p.size = keptPages, i.linear.size
	if !countsPages() {
		if n := i.image.size - keptPages; n > 0 {
			if !i.linear.charge.add(n) {
				return false
			}
			p.paid += n
		}
		return true
	}
	return i.share(sharedStep)
}

// beginFaults records the fault count as the instance gets its turn.
func (i *Instance) beginFaults() { i.pages.thread, i.pages.before = threadFaults() }

// noteFaults counts the faults since the last check. A computing guest's calls
// normally stay on one thread; if not, the count is unknown.
func (i *Instance) noteFaults() {
	p := &i.pages
	thread, faults := threadFaults()
	if thread == p.thread && p.faults < math.MaxInt64 {
		p.faults += (faults - p.before) * int64(pageBytes)
	} else {
		p.faults = math.MaxInt64
	}
	p.thread, p.before = thread, faults
}

// chargePages charges the owner for pages that have become private to the
// instance, and reports whether that is allowed.
func (i *Instance) chargePages() bool {
	p := &i.pages
	// Memory beyond the image is charged as it grows, and faults again when
	// first touched.
	grown := int64(i.linear.size - p.size)
	if p.paid >= i.image.size || p.faults <= p.paid-p.own+grown && p.faults < math.MaxInt64 {
		return true
	}
	own, shared, ok := i.linear.count(i.image.size)
	if !ok {
		own, shared = i.image.size, 0
	}
	p.own, p.faults, p.size = own, 0, i.linear.size
	if !i.share(shared + sharedStep) {
		return false
	}
	step := max(pageStep, i.image.size/16) // counting a large image takes longer
	for _, ahead := range []int64{step, leastStep} {
		if own+ahead/2 <= p.paid {
			return true
		}
		if want := min(own+ahead, i.image.size) - p.paid; i.linear.charge.add(want) {
			p.paid += want
			return true
		}
	}
	return false
}

// outOf returns the error of a call whose owner ran out of memory.
func (i *Instance) outOf(why error) error {
	i.linear.denied = deniedByOwner
	return i.noMemory(why)
}

// noMemory returns the error of a call that was denied memory.
func (i *Instance) noMemory(cause error) error {
	return &MemoryError{Limit: int64(i.linear.limit), Owner: i.linear.denied == deniedByOwner, Cause: cause}
}

// share changes how much of its image the instance may have mapped, and reports
// whether that is allowed.
func (i *Instance) share(bytes int64) bool {
	if !i.image.share(bytes-i.pages.shared, i.linear.charge.reserve) {
		return false
	}
	i.pages.shared = bytes
	return true
}

// share adjusts the sum of what instances may have mapped of the image, and
// settles the difference for all of them together through reserve, which is nil
// if there is no accounting. An image has only one owner, so any of its
// instances' reserve will do.
func (m *Image) share(delta int64, reserve func(delta int64) bool) bool {
	taken := int64(0)
	for {
		m.sharing.Lock()
		need := min(m.shared+delta, m.length) - m.charged
		if need <= taken || reserve == nil {
			m.shared += delta
			m.charged += need
			m.sharing.Unlock()
			if reserve != nil && need < taken {
				reserve(need - taken)
			}
			return true
		}
		m.sharing.Unlock() // reserve may close other instances of the image
		if !reserve(need - taken) {
			if taken > 0 {
				reserve(-taken)
			}
			return false
		}
		taken = need
	}
}
