package rewrite

// prefixed reads the number of a prefixed instruction and skips its immediates.
func prefixed(r *reader, shapes []shape, pos int) uint32 {
	n := r.u32()
	if r.err == nil && uint64(n) >= uint64(len(shapes)) {
		r.failAt(pos, "unknown instruction %#x %#x", r.b[pos], n)
	}
	if r.err != nil {
		return 0
	}
	if immediates(r, shapes[n]); shapes[n] == shapeUnknown {
		r.failAt(pos, "unknown instruction %#x %#x", r.b[pos], n)
	}
	return n
}

// immediates skips the immediates of an opcode.
func immediates(r *reader, s shape) {
	switch s {
	case shapeU32:
		r.u32()
	case shapeU32x2:
		r.u32()
		r.u32()
	case shape16:
		r.skip(16)
	case shapeByte:
		r.byte()
	case shapeMemArg:
		memArg(r)
	case shapeMemArgLane:
		memArg(r)
		r.byte()
	}
}

func memArg(r *reader) {
	pos := r.pos
	if align := r.u32(); align >= 32 {
		r.failAt(pos, "alignment of 2^%d, or more than one memory, is not supported", align)
	}
	r.u32()
}

// blockType reads a block type (none, one value, or a type index) and returns
// its numbers of parameters and results.
func (m *module) blockType(r *reader) (params, results uint32) {
	if r.err == nil && r.pos < r.end && r.b[r.pos]&0xc0 == 0x40 { // a one-byte negative number
		if r.b[r.pos] == typeEmpty {
			r.pos++
			return 0, 0
		}
		m.valType(r)
		return 0, 1
	}
	pos := r.pos
	t := r.s33()
	if r.err == nil && (t < 0 || t >= int64(len(m.params))) {
		r.failAt(pos, "unknown block type %d", t)
	}
	if r.err != nil {
		return 0, 0
	}
	return m.params[t], m.results[t]
}
