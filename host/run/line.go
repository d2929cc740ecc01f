package run

import "slices"

// waiter is a call that waits for an instance.
type waiter struct {
	// given receives a warm instance, or nil for the right to make one.
	given chan *instance // of capacity 1
}

// line is the calls that wait for an instance of one version, in order.
type line []*waiter

// next takes the first waiter out of the line, which is not empty.
func (l *line) next() *waiter {
	w := (*l)[0]
	(*l)[0] = nil
	*l = (*l)[1:]
	return w
}

// leave takes a waiter out of the line, and reports whether it was still there.
func (l *line) leave(w *waiter) bool {
	i := slices.Index(*l, w)
	if i < 0 {
		return false
	}
	*l = slices.Delete(*l, i, i+1)
	return true
}
