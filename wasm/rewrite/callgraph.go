package rewrite

// Recursion must count too: only a bounded amount of work may happen between
// two checks of the countdown. Calls inside a loop pass its head, so only calls
// outside of loops can form a cycle that does not count. Each such cycle is
// cut:
//
//  - an indirect call counts at the call, if a function it may reach can lead back to it;
//  - of the remaining cycles, which consist of direct calls, one function each counts at its entry.

// cutCycles chooses the places to count.
func (m *module) cutCycles() (sites, entries int) {
	component := m.components()
	c := &m.code
	for i := range c.funcs {
		f := &c.funcs[i]
		next := f.indirect
		for j := f.edits; j < f.editsEnd; j++ {
			e := &c.edits[j]
			if e.kind != editIndirect {
				continue
			}
			if component == nil || component.of[i] == component.of[component.class(c.indirect[next])] {
				e.counts = true
				sites++
			}
			next++
		}
	}
	return sites, m.cutDirect()
}

// cutDirect marks the targets of the back edges of a depth-first walk over the direct calls.
func (m *module) cutDirect() (entries int) {
	c := &m.code
	const (
		unseen = iota
		open
		closed
	)
	state := make([]byte, len(c.funcs))
	type frame struct{ f, next uint32 }
	var stack []frame
	for root := range c.funcs {
		if state[root] != unseen {
			continue
		}
		state[root] = open
		stack = append(stack[:0], frame{uint32(root), c.funcs[root].direct})
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.next == c.funcs[top.f].directEnd {
				state[top.f] = closed
				stack = stack[:len(stack)-1]
				continue
			}
			callee := c.direct[top.next] - m.importedFuncs // wraps for an imported one
			top.next++
			if callee >= uint32(len(c.funcs)) {
				continue
			}
			switch state[callee] {
			case unseen:
				state[callee] = open
				stack = append(stack, frame{callee, c.funcs[callee].direct})
			case open:
				if !c.funcs[callee].entry {
					c.funcs[callee].entry = true
					entries++
				}
			}
		}
	}
	return entries
}

// components are the strongly connected components of the graph of calls
// outside of loops. Its nodes are the functions, followed by the classes of
// equal types: an indirect call leads to the class of its type, and from there
// to every function of that type in an element segment.
type components struct {
	funcs   int
	classes []uint32 // for each type
	of      []uint32 // for each node, its component
}

func (c *components) class(typ uint32) int { return c.funcs + int(c.classes[typ]) }

// components returns nil if the targets of indirect calls can't be known.
func (m *module) components() *components {
	if m.typesOpaque || m.tablesOpen || m.code.changes || m.code.callRef {
		return nil
	}
	g := &components{funcs: len(m.code.funcs), classes: make([]uint32, len(m.params))}
	classes := make(map[string]uint32)
	for i, key := range m.typeKeys {
		id, ok := classes[string(key)]
		if !ok {
			id = uint32(len(classes))
			classes[string(key)] = id
		}
		g.classes[i] = id
	}
	members := make([][]uint32, len(classes))
	for _, f := range m.code.elems(m) {
		class := g.classes[m.funcs[f]]
		members[class] = append(members[class], f)
	}
	g.of = tarjan(g.funcs+len(classes), func(node uint32, i int) (uint32, bool) {
		if int(node) >= g.funcs {
			list := members[int(node)-g.funcs]
			if i >= len(list) {
				return 0, false
			}
			return list[i], true
		}
		f := &m.code.funcs[node]
		direct := int(f.directEnd - f.direct)
		if i < direct {
			callee := m.code.direct[int(f.direct)+i] - m.importedFuncs
			if callee >= uint32(g.funcs) {
				return node, true // an edge to itself means nothing
			}
			return callee, true
		}
		if i -= direct; i < int(f.indirectEnd-f.indirect) {
			return uint32(g.class(m.code.indirect[int(f.indirect)+i])), true
		}
		return 0, false
	})
	return g
}

// elems returns the defined functions in element segments, each once.
func (c *code) elems(m *module) []uint32 {
	seen := make([]bool, len(c.funcs))
	var list []uint32
	for _, f := range m.elemFuncs {
		if i := f - m.importedFuncs; i < uint32(len(seen)) && !seen[i] {
			seen[i] = true
			list = append(list, i)
		}
	}
	return list
}

// tarjan numbers the strongly connected components of a graph; edge returns the
// i-th edge of a node.
func tarjan(nodes int, edge func(node uint32, i int) (uint32, bool)) []uint32 {
	type frame struct {
		node uint32
		next int
	}
	var (
		of      = make([]uint32, nodes) // component, from 1
		index   = make([]uint32, nodes) // order of the visit, from 1
		low     = make([]uint32, nodes)
		visited uint32
		found   uint32
		path    []uint32
		stack   []frame
	)
	for root := range uint32(nodes) {
		if index[root] != 0 {
			continue
		}
		stack = append(stack[:0], frame{node: root})
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			v := top.node
			if top.next == 0 {
				visited++
				index[v], low[v] = visited, visited
				path = append(path, v)
			}
			w, ok := edge(v, top.next)
			if ok {
				top.next++
				if index[w] == 0 {
					stack = append(stack, frame{node: w})
				} else if of[w] == 0 {
					low[v] = min(low[v], index[w])
				}
				continue
			}
			if low[v] == index[v] {
				found++
				for {
					w := path[len(path)-1]
					path = path[:len(path)-1]
					of[w] = found
					if w == v {
						break
					}
				}
			}
			stack = stack[:len(stack)-1]
			if len(stack) > 0 {
				u := stack[len(stack)-1].node
				low[u] = min(low[u], low[v])
			}
		}
	}
	return of
}
