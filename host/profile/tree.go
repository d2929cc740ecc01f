package profile

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"
)

// MaxLines is how many lines a tree has at most, and maxText how many bytes each of their
// names: a tree is for a page to draw.
const (
	MaxLines = 1000
	maxText  = 120
)

// Line is a line of Python in a tree of calls, with the time of what it called.
type Line struct {
	Frame
	Depth              int // 0 for the outermost
	Computing, Waiting time.Duration
}

// node is a line while the tree grows.
type node struct {
	Line
	called []*node
}

// Tree returns the lines with those that they called, each before what it called, and of
// those the one that took longest first. When there are more than MaxLines, the time of
// the shortest stacks is that of the innermost of their lines that is there.
func (p *Profile) Tree() []Line {
	p.mu.Lock()
	defer p.mu.Unlock()
	stacks := slices.Clone(p.order)
	slices.SortStableFunc(stacks, func(a, b *spent) int { return cmp.Compare(b.time(), a.time()) })
	root, left := &node{}, MaxLines
	for _, s := range stacks {
		if s.time() == 0 {
			break
		}
		at := root
		for _, f := range slices.Backward(s.frames) {
			next := at.find(f)
			if next == nil {
				if left == 0 {
					break
				}
				left--
				next = &node{Line: Line{Frame: f, Depth: at.Depth + 1}}
				at.called = append(at.called, next)
			}
			next.Computing += s.computing
			next.Waiting += s.waiting
			at = next
		}
	}
	return root.lines(make([]Line, 0, MaxLines-left))
}

func (s *spent) time() time.Duration { return s.computing + s.waiting }

// find returns the line among those called.
func (n *node) find(f Frame) *node {
	for _, c := range n.called {
		if c.Frame == f {
			return c
		}
	}
	return nil
}

// lines appends all that a line called.
func (n *node) lines(to []Line) []Line {
	slices.SortStableFunc(n.called, func(a, b *node) int {
		return cmp.Compare(b.Computing+b.Waiting, a.Computing+a.Waiting)
	})
	for _, c := range n.called {
		line := c.Line
		line.Depth-- // the root is no line
		line.Function, line.File = short(line.Function), short(line.File)
		to = c.lines(append(to, line))
	}
	return to
}

// short returns the end of a name, which tells most.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	s = s[len(s)-maxText+len("…"):]
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return "…" + s
}
