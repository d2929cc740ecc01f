package rewrite

// function appends a function body. The input between edits is copied in one
// go.
func (p *plan) function(out []byte, f *function) []byte {
	in := p.m.in
	edits := p.m.code.edits[f.edits:f.editsEnd]
	from := int(f.body)
	out = append(out, in[from:f.code]...)
	from = int(f.code)
	if f.entry {
		out = append(out, p.count...)
	}
	for _, e := range edits {
		out = append(out, in[from:e.pos]...)
		out, from = p.apply(out, e)
	}
	return append(out, in[from:f.end]...)
}

// apply appends the result of an edit and returns the input position after it.
func (p *plan) apply(out []byte, e edit) ([]byte, int) {
	in, from := p.m.in, int(e.pos)
	switch e.kind {
	case editFunc:
		return p.renumber(out, e)
	case editLabel:
		return appendU32(out, e.arg+p.left(e)), skipLEB(in, from)
	case editLoop:
		from += int(e.arg)
		return p.loopHead(out, in[e.pos:from], e), from
	case editLoopEnd:
		if p.wraps() {
			out = append(out, opEnd)
		}
		return out, from
	case editBrIf:
		label := e.arg + p.left(e)
		if p.o.Omit&OmitFusing != 0 {
			out = asm(out).with(opBrIf, label)
		} else {
			out = asm(out).branch(opIf).with(opBr, label+1).op(opEnd)
		}
		return out, skipLEB(in, from+1)
	case editCompareBrIf:
		label := e.arg + p.left(e)
		if p.o.Omit&OmitFusing != 0 {
			out = asm(out).op(in[from]).with(opBrIf, label)
		} else {
			out = asm(out).inverse(in[from]).branch(opIf).op(opElse).with(opBr, label+1).op(opEnd)
		}
		return out, skipLEB(in, from+2)
	case editIndirect:
		if e.counts {
			out = append(out, p.count...)
		}
		return out, from
	case editThrow:
		if p.o.Omit&OmitRecursion == 0 {
			out = asm(out).i32(throwPrice).call(p.helper(helperPay))
		}
		return out, from
	case editCopy, editFill:
		if p.o.Omit&OmitBulk != 0 {
			return out, from
		}
		p.stats.Bulk++
		helper := helperCopy
		if e.kind == editFill {
			helper = helperFill
		}
		return asm(out).call(p.helper(helper)), from + int(e.arg)
	default:
		panic("unknown edit")
	}
}

// left returns how many wrapping loops a branch leaves.
func (p *plan) left(e edit) uint32 {
	if p.wraps() {
		return e.leaves
	}
	return 0
}
