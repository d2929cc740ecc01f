package rewrite

// emit writes the module.
func (p *plan) emit() []byte {
	m := p.m
	code := p.codeSection()
	dropped := m.sections[sectionCode].to - m.sections[sectionCode].from + len(m.data.memory)
	out := make([]byte, 0, max(0, len(m.in)-dropped)+len(code)+4096)
	out = append(out, m.in[:8]...)
	out = p.vector(out, sectionType, m.types, addedTypeCodes[:], nil)
	yield := appendName(appendName(nil, p.o.YieldModule), p.o.YieldName)
	yield = appendU32(append(yield, externFunc), p.firstNew+typeYield)
	out = p.vector(out, sectionImport, m.imports, [][]byte{yield}, nil)
	out = p.functionSection(out)
	out = p.edited(out, sectionTable, m.tableEdits)
	out = p.memorySection(out)
	out = p.edited(out, sectionTag, nil)
	countdown := append(asm{typeI32, 1}.i32(p.o.Budget), opEnd)
	out = p.vector(out, sectionGlobal, m.globalVec, [][]byte{countdown}, m.globalEdits)
	out = p.vector(out, sectionExport, m.exportVec, p.exports, m.exportEdits)
	out = p.edited(out, sectionElement, m.elemEdits)
	out = m.appendDataCount(out)
	out = appendSection(out, sectionCode, code)
	out = m.appendData(out)
	if p.o.KeepNames {
		out = p.nameSection(out)
	}
	return out
}

// vector appends a section with elements added at its end.
func (p *plan) vector(out []byte, id byte, v vector, added [][]byte, edits []edit) []byte {
	body := appendU32(nil, uint32(v.count+len(added)))
	body = p.copy(body, v.from, v.to, edits)
	for _, a := range added {
		body = append(body, a...)
	}
	return appendSection(out, id, body)
}

// edited appends a section, if there is one, with function indices renumbered.
func (p *plan) edited(out []byte, id byte, edits []edit) []byte {
	if !p.m.has[id] {
		return out
	}
	s := p.m.sections[id]
	return appendSection(out, id, p.copy(nil, s.from, s.to, edits))
}

// copy appends a part of the input with function indices renumbered.
func (p *plan) copy(out []byte, from, to int, edits []edit) []byte {
	for _, e := range edits {
		out = append(out, p.m.in[from:e.pos]...)
		out, from = p.renumber(out, e)
	}
	return append(out, p.m.in[from:to]...)
}

// renumber appends a function index and returns the position after the old one.
func (p *plan) renumber(out []byte, e edit) ([]byte, int) {
	return appendU32(out, e.arg+1), skipLEB(p.m.in, int(e.pos))
}

func skipLEB(b []byte, pos int) int {
	for b[pos] >= 0x80 {
		pos++
	}
	return pos + 1
}

func (p *plan) functionSection(out []byte) []byte {
	body := appendU32(nil, uint32(len(p.m.funcs)+helpers))
	for _, t := range p.m.funcs {
		body = appendU32(body, t)
	}
	for _, t := range helperTypes {
		body = appendU32(body, p.firstNew+t)
	}
	return appendSection(out, sectionFunction, body)
}

func (p *plan) memorySection(out []byte) []byte {
	if !p.m.memory {
		return out
	}
	body := []byte{1, 0}
	if p.m.hasMax {
		body[1] = 1
	}
	body = appendU32(body, p.memoryMin())
	if p.m.hasMax {
		body = appendU32(body, p.m.max)
	}
	return appendSection(out, sectionMemory, body)
}

func (p *plan) codeSection() []byte {
	m := p.m
	size := m.sections[sectionCode].to - m.sections[sectionCode].from
	out := make([]byte, 0, size+size/5+1024)
	out = appendU32(out, uint32(len(m.code.funcs)+helpers))
	var body []byte
	for i := range m.code.funcs {
		body = p.function(body[:0], &m.code.funcs[i])
		out = append(appendU32(out, uint32(len(body))), body...)
	}
	for _, b := range p.helperBodies() {
		out = append(out, b...)
	}
	return out
}
