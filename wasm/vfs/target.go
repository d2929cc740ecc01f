package vfs

import (
	"strings"
	"sync"
	"unsafe"
)

// longTarget is from how many bytes on the target of a link is kept in a page.
const longTarget = 512

// texts are pages that links gave up, for the next ones: functions can make and remove
// links by the hundred thousand a second, and garbage has memory collected, which stops
// everybody.
var texts = sync.Pool{New: func() any { return new(page) }}

// setTarget makes n a link. The caller's string may live in the guest's memory, which the
// guest can change.
func (n *inode) setTarget(target string) {
	if len(target) < longTarget {
		n.target = strings.Clone(target)
		return
	}
	n.text = texts.Get().(*page)
	n.target = unsafe.String(&n.text[0], copy(n.text[:], target))
}

// dropTarget ends the life of a link, and of its target as a string.
func (n *inode) dropTarget() {
	n.target = ""
	if n.text != nil {
		texts.Put(n.text)
		n.text = nil
	}
}
