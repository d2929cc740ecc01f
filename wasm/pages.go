package wasm

import (
	"errors"
	"math"
)

// An image's pages belong to all its instances together until one of them
// writes to a page, and from then on has that page to itself. Nobody tells: it
// is a page fault, which the kernel handles. So each instance is charged ahead
// for some, its faults are counted wherever it looks up, and when they could be
// more than it was charged for, its pages are counted (RATIONALE.md, "How is
// copied memory counted?").
const (
	// keptPages is how many bytes of an image's pages an instance may have to
	// itself uncharged: more than ordinary calls write to.
	keptPages = 1 << 20
	// pageStep is how many bytes are charged ahead, at the least.
	pageStep = 1 << 20
	// leastStep is the step when there is no memory for a larger one.
	leastStep = 64 << 10
	// sharedStep is how many bytes of an image an instance may map by reading
	// between two counts. A fault that reads maps up to 64 KiB, and counts as a
	// page, of 4 KiB, of the megabyte after which there is a count.
	sharedStep = 16 << 20
)

// errPages is why a call ended that wrote to more of its image's pages than
// there was memory for.
var errPages = errors.New("no memory for pages of the image")

// pages is what an instance has of its image. All sizes are in bytes.
type pages struct {
	own    int64  // what it had to itself at the last count
	paid   int64  // what it may have to itself
	shared int64  // what it may have mapped of the rest
	size   uint64 // of the linear memory at the last count
	faults int64  // that it may have had since, times the size of a page

	// Where the faults were at the last look; they are counted by thread.
	thread int
	before int64
}

// allot gives a new instance what it may have of its image before its pages are
// counted; where they can't be, that is all of it.
func (i *Instance) allot() bool {
	p := &i.pages
	p.paid, p.size = keptPages, i.linear.size
	if !countsPages() {
		if n := i.image.size - keptPages; n > 0 {
			if !i.linear.charge.take(n) {
				return false
			}
			p.paid += n
		}
		return true
	}
	return i.share(sharedStep)
}

// beginFaults notes where the faults are when the instance gets its turn.
func (i *Instance) beginFaults() { i.pages.thread, i.pages.before = threadFaults() }

// noteFaults counts the faults since the last look. The calls of a guest stay on
// one thread as long as they compute, as a rule. Otherwise nobody knows.
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

// chargePages charges the owner for pages that the instance has made its own,
// and says if that is allowed.
func (i *Instance) chargePages() bool {
	p := &i.pages
	// Memory beyond the image is charged when it grows, and faults once more
	// when it is touched.
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
	step := max(pageStep, i.image.size/16) // of a large image a count takes longer
	for _, ahead := range []int64{step, leastStep} {
		if own+ahead/2 <= p.paid {
			return true
		}
		if want := min(own+ahead, i.image.size) - p.paid; i.linear.charge.take(want) {
			p.paid += want
			return true
		}
	}
	return false
}

// outOf returns the error of a call that the owner has no memory for.
func (i *Instance) outOf(why error) error {
	return &MemoryError{Limit: int64(i.linear.limit), Cause: why}
}

// share changes what the instance may have mapped of its image, and says if that
// is allowed.
func (i *Instance) share(bytes int64) bool {
	if !i.image.share(bytes-i.pages.shared, i.linear.charge.reserve) {
		return false
	}
	i.pages.shared = bytes
	return true
}

// share changes what instances may have mapped of the image, one by one, and
// has reserve, which is nil when nobody wants to know, take or give back what
// that makes of all of them together. An image belongs to one owner, so it does
// not matter whose reserve that is.
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
