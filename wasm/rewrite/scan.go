package rewrite

import "sort"

// code is the result of scanning the code section.
type code struct {
	funcs    []function
	edits    []edit
	direct   []uint32 // targets of direct calls outside of loops, by caller
	indirect []uint32 // types of indirect calls outside of loops, by caller
	usesData bool     // memory.init or data.drop
	changes  bool     // the code changes tables
	callRef  bool
	loops    int
}

// function is the body of a defined function.
type function struct {
	body, code, end uint32 // positions: local declarations, instructions, end
	entry           bool   // count at the entry
	// Its ranges of the slices in code.
	edits, editsEnd       uint32
	direct, directEnd     uint32
	indirect, indirectEnd uint32
}

// scanner finds the edits of function bodies, one after the other. It reuses
// its stacks.
type scanner struct {
	m      *module
	blocks []block
	loops  []int // indices of the open loops in blocks
	result bool  // the function has results
	prev   byte  // the last instruction
}

// block is an open block.
type block struct {
	loop    bool
	carries bool // a branch to its label carries operands
}

func (m *module) readCode(r *reader) {
	n := r.count()
	if r.err == nil && n != len(m.funcs) {
		r.failAt(r.pos, "%d function bodies for %d functions", n, len(m.funcs))
	}
	if r.err != nil {
		return
	}
	m.code.funcs = make([]function, 0, n)
	m.code.edits = make([]edit, 0, r.left()/64) // CPython has one per 60 bytes
	s := scanner{m: m}
	for i := range n {
		size := r.u32()
		body := r.sub(int(size))
		if r.err != nil {
			return
		}
		f := function{
			body: uint32(body.pos), end: uint32(body.end),
			edits: uint32(len(m.code.edits)), direct: uint32(len(m.code.direct)), indirect: uint32(len(m.code.indirect)),
		}
		s.result = m.results[m.funcs[i]] > 0
		s.scan(&body, &f, m.params[m.funcs[i]])
		if r.err = body.err; r.err != nil {
			return
		}
		f.editsEnd, f.directEnd = uint32(len(m.code.edits)), uint32(len(m.code.direct))
		f.indirectEnd = uint32(len(m.code.indirect))
		m.code.funcs = append(m.code.funcs, f)
	}
}

func (s *scanner) scan(r *reader, f *function, params uint32) {
	pos := r.pos
	locals := uint64(params)
	for range r.count() {
		locals += uint64(r.u32())
		s.m.valType(r)
		if r.err != nil {
			return
		}
	}
	if locals >= maxLocals {
		r.failAt(pos, "too many locals: %d", locals)
		return
	}
	f.code = uint32(r.pos)
	s.blocks, s.loops = s.blocks[:0], s.loops[:0]
	for r.err == nil {
		pos := r.pos
		op := r.byte()
		if op == opEnd {
			n := len(s.blocks) - 1
			if n < 0 {
				if r.pos != r.end {
					r.failAt(r.pos, "code behind the end of the function")
				}
				return
			}
			if s.blocks[n].loop {
				s.loops = s.loops[:len(s.loops)-1]
				s.m.code.loops++
				s.edit(editLoopEnd, r.pos, 0)
			}
			s.blocks = s.blocks[:n]
			s.prev = op
			continue
		}
		switch shapes[op] {
		case shapeNone:
		case shapeU32:
			r.u32()
		case shapeLabel:
			s.label(r, op, pos)
		case shapeMemArg:
			memArg(r)
		case shapeS32:
			r.skipLEB(5)
		case shapeS64:
			r.skipLEB(10)
		case shape4:
			r.skip(4)
		case shape8:
			r.skip(8)
		case shapeBlock:
			s.open(r, op == opLoop, pos)
		case shapeSpecial:
			s.special(r, op, pos)
		default:
			r.failAt(pos, "unknown instruction %#x", op)
		}
		s.prev = op
	}
}

// open begins a block, loop or if; the reader is past the opcode.
func (s *scanner) open(r *reader, loop bool, pos int) {
	params, results := s.m.blockType(r)
	if !loop {
		s.blocks = append(s.blocks, block{carries: results > 0})
		return
	}
	s.loops = append(s.loops, len(s.blocks))
	s.blocks = append(s.blocks, block{loop: true, carries: params > 0})
	e := edit{pos: uint32(pos), kind: editLoop, arg: uint32(r.pos - pos), carries: params > 0}
	s.m.code.edits = append(s.m.code.edits, e)
}

func (s *scanner) edit(kind editKind, pos int, arg uint32) {
	s.m.code.edits = append(s.m.code.edits, edit{pos: uint32(pos), kind: kind, arg: arg})
}

// label reads the label of a branch, and records it if the branch leaves a loop
// or is a br_if to rewrite; op is the branch if it may be one, at its position.
func (s *scanner) label(r *reader, op byte, at int) {
	pos := r.pos
	label := r.u32()
	if r.err != nil || uint64(label) > uint64(len(s.blocks)) {
		r.failAt(pos, "unknown label %d", label)
		return
	}
	target := len(s.blocks) - 1 - int(label)
	to := block{carries: s.result} // the function
	if target >= 0 {
		to = s.blocks[target]
	}
	e := edit{pos: uint32(pos), kind: editLabel, arg: label}
	if n := len(s.loops); n > 0 && s.loops[n-1] > target {
		kept := sort.Search(n, func(i int) bool { return s.loops[i] > target })
		e.leaves = uint32(n - kept)
	}
	switch {
	case op == opBrIf && !to.carries && to.loop:
		e.pos, e.kind = uint32(at), editBrIf
	case op == opBrIf && !to.carries && s.prev >= opI32Eqz && s.prev <= opI64GeU:
		e.pos, e.kind = uint32(at)-1, editCompareBrIf
	case e.leaves == 0:
		return
	}
	s.m.code.edits = append(s.m.code.edits, e)
}

// special reads the immediates of instructions with more than plain ones, or
// that matter.
func (s *scanner) special(r *reader, op byte, pos int) {
	c := &s.m.code
	switch op {
	case opBrTable:
		for range r.count() {
			s.label(r, 0, 0)
			if r.err != nil {
				return
			}
		}
		s.label(r, 0, 0)
	case opCall, opReturnCall:
		var callee uint32
		callee, c.edits = s.m.funcIndex(r, c.edits)
		if len(s.loops) == 0 {
			c.direct = append(c.direct, callee)
		}
	case opCallIndirect, opReturnCallIndirect, opCallRef, opReturnCallRef:
		t := s.m.typeIndex(r)
		if op == opCallIndirect || op == opReturnCallIndirect {
			r.u32()
		} else {
			c.callRef = true
		}
		if len(s.loops) == 0 {
			s.edit(editIndirect, pos, t)
			c.indirect = append(c.indirect, t)
		}
	case opRefFunc:
		_, c.edits = s.m.funcIndex(r, c.edits)
	case opTypedSelect:
		for range r.count() {
			s.m.valType(r)
		}
	case opRefNull:
		s.m.heapType(r)
	case opGlobalGet, opGlobalSet:
		s.m.globalIndex(r)
	case opTableSet:
		r.u32()
		c.changes = true
	case opTryTable:
		_, results := s.m.blockType(r)
		for range r.count() {
			at := r.pos
			switch kind := r.byte(); kind {
			case 0, 1: // catch, catch_ref
				r.u32()
			case 2, 3: // catch_all, catch_all_ref
			default:
				r.failAt(at, "unknown kind of catch %#x", kind)
			}
			s.label(r, 0, 0)
			if r.err != nil {
				return
			}
		}
		s.blocks = append(s.blocks, block{carries: results > 0})
	case opThrow:
		r.u32()
		s.edit(editThrow, pos, 0)
	case opThrowRef:
		s.edit(editThrow, pos, 0)
	case opMisc:
		s.misc(r, pos)
	case opVec:
		prefixed(r, vecShapes[:], pos)
	case opAtomic:
		prefixed(r, atomicShapes[:], pos)
	}
}

// misc reads an instruction with the prefix 0xfc.
func (s *scanner) misc(r *reader, pos int) {
	switch n := prefixed(r, miscShapes[:], pos); n {
	case miscMemoryInit, miscDataDrop:
		s.m.code.usesData = true
		if !s.m.data.declared {
			r.failAt(pos, "instruction needs a data count section")
		}
	case miscMemoryCopy, miscMemoryFill:
		if !s.m.memory {
			r.failAt(pos, "memory instruction without a memory")
		}
		kind := editCopy
		if n == miscMemoryFill {
			kind = editFill
		}
		s.edit(kind, pos, uint32(r.pos-pos))
	case miscTableGrow, miscTableFill:
		s.m.code.changes = true
	}
}
