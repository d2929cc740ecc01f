package rewrite

// data is the contents of the data section.
type data struct {
	count    uint32 // as declared
	declared bool   // there is a data count section
	segments []segment
	passive  bool   // some segment is passive
	memory   []byte // the active segments, laid out
}

// segment is a passive segment, or a placeholder for an active one.
type segment struct {
	span
	passive bool
}

func (m *module) readDataCount(r *reader) {
	m.data.count, m.data.declared = r.u32(), true
}

// readData lays out the active segments in a memory image, in order: later ones
// overwrite earlier ones.
func (m *module) readData(r *reader, limit int) {
	type active struct {
		offset uint32
		bytes  []byte
	}
	var todo []active
	size := 0
	start := r.pos
	n := r.count()
	if r.err == nil && m.data.declared && uint32(n) != m.data.count {
		r.failAt(start, "%d data segments, but %d are declared", n, m.data.count)
	}
	for range n {
		pos := r.pos
		flags := r.u32()
		switch {
		case r.err != nil:
			return
		case flags > 2:
			r.failAt(pos, "unknown form of data segment %d", flags)
			return
		case flags == 1:
			m.data.segments = append(m.data.segments, segment{span{pos, 0}, true})
			r.bytes()
			m.data.segments[len(m.data.segments)-1].to = r.pos
			m.data.passive = true
			continue
		case flags == 2:
			if p := r.pos; r.u32() != 0 {
				r.failAt(p, "more than one memory is not supported")
			}
		}
		if !m.memory {
			r.failAt(pos, "data segment without a memory")
		}
		at := r.pos
		if op := r.byte(); op != opI32Const {
			r.failAt(at, "the offset of a data segment must be an i32.const, not instruction %#x", op)
		}
		offset := uint32(r.s32())
		if p := r.pos; r.byte() != opEnd {
			r.failAt(p, "the offset of a data segment must be one i32.const")
		}
		b := r.bytes()
		if r.err != nil {
			return
		}
		end := uint64(offset) + uint64(len(b))
		if end > uint64(m.min)<<16 {
			r.failAt(pos, "data segment ends at %d, past the memory of %d pages", end, m.min)
			return
		}
		m.data.segments = append(m.data.segments, segment{})
		if len(b) == 0 {
			continue
		}
		if end > uint64(limit) {
			r.failAt(pos, "data segment ends at %d, past the limit of %d for initial memory", end, limit)
			return
		}
		size = max(size, int(end))
		todo = append(todo, active{offset, b})
	}
	m.data.memory = make([]byte, size)
	for _, a := range todo {
		copy(m.data.memory[a.offset:], a.bytes)
	}
	m.data.memory = trimZeros(m.data.memory)
}

func trimZeros(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// appendData appends the data section: the passive segments, and an empty
// passive one for each active one so that indices stay valid. It is omitted if
// nothing refers to it.
func (m *module) appendData(out []byte) []byte {
	if !m.keepsData() {
		return out
	}
	body := appendU32(nil, uint32(len(m.data.segments)))
	for _, s := range m.data.segments {
		if s.passive {
			body = append(body, m.in[s.from:s.to]...)
		} else {
			body = append(body, 1, 0)
		}
	}
	return appendSection(out, sectionData, body)
}

func (m *module) appendDataCount(out []byte) []byte {
	if !m.keepsData() {
		return out
	}
	return appendSection(out, sectionDataCount, appendU32(nil, uint32(len(m.data.segments))))
}

func (m *module) keepsData() bool { return m.data.passive || m.code.usesData }
