package rewrite

// helperNames are the names that a profiler shows for the added functions.
var helperNames = [helpers]string{
	helperTick: "vivarium.tick", helperPay: "vivarium.pay", helperCopy: "vivarium.copy", helperFill: "vivarium.fill",
	helperBulkCopy: "vivarium.bulk_copy", helperBulkFill: "vivarium.bulk_fill",
}

const (
	namesModule    = 0
	namesFunctions = 1
	namesLocals    = 2
)

// nameSection appends the name section with functions renumbered. It drops the
// names of labels, which added loops would shift, and whatever comes after the
// functions. It drops a malformed section too, since no one has to understand
// it.
func (p *plan) nameSection(out []byte) []byte {
	s := p.m.names
	if s.from == 0 {
		return out
	}
	r := &reader{b: p.m.in, pos: s.from, end: s.to}
	body := appendName(nil, "name")
	for !r.done() {
		id := r.byte()
		sub := r.sub(int(r.u32()))
		if r.err != nil {
			break
		}
		var b []byte
		switch id {
		case namesModule:
			b = appendName(nil, sub.name())
		case namesFunctions:
			b = p.functionNames(&sub)
		case namesLocals:
			b = p.localNames(&sub)
		default:
			continue
		}
		if sub.err != nil || sub.left() > 0 {
			return out
		}
		body = appendSection(body, id, b)
	}
	if r.err != nil {
		return out
	}
	return appendSection(out, sectionCustom, body)
}

// renumbered returns the new index of a function.
func (p *plan) renumbered(index uint32) uint32 {
	if index < p.m.importedFuncs {
		return index
	}
	return index + 1
}

// functionNames reads and writes a map from function indices, in their order, to names.
func (p *plan) functionNames(r *reader) []byte {
	n := r.count()
	body := appendU32(nil, uint32(n+1+helpers))
	yielded := false
	yield := func() {
		if !yielded {
			body = appendName(appendU32(body, p.yield), p.o.YieldModule+"."+p.o.YieldName)
			yielded = true
		}
	}
	for range n {
		index := r.u32()
		name := r.name()
		if r.err != nil {
			return nil
		}
		if index >= p.m.importedFuncs {
			yield()
		}
		body = appendName(appendU32(body, p.renumbered(index)), name)
	}
	yield()
	for h, name := range helperNames {
		body = appendName(appendU32(body, p.helper(h)), name)
	}
	return body
}

// localNames reads and writes a map from function indices to maps from local indices to names.
func (p *plan) localNames(r *reader) []byte {
	n := r.count()
	body := appendU32(nil, uint32(n))
	for range n {
		index := r.u32()
		from := r.pos
		for range r.count() {
			r.u32()
			r.name()
			if r.err != nil {
				return nil
			}
		}
		if r.err != nil {
			return nil
		}
		body = append(appendU32(body, p.renumbered(index)), p.m.in[from:r.pos]...)
	}
	return body
}
