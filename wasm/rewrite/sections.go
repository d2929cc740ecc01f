package rewrite

func (m *module) readTypes(r *reader) {
	groups := r.count()
	m.types = vector{span{r.pos, r.end}, groups}
	for range groups {
		n := 1
		if r.err == nil && r.pos < r.end && r.b[r.pos] == typeRecGroup {
			r.pos++
			n = r.count()
			m.typesOpaque = true
		}
		for range n {
			m.readType(r)
			if r.err != nil {
				return
			}
		}
	}
}

func (m *module) readType(r *reader) {
	pos := r.pos
	if t := r.byte(); t != typeFunc {
		r.failAt(pos, "unknown kind of type %#x", t)
	}
	params := r.count()
	for range params {
		m.valType(r)
	}
	results := r.count()
	for range results {
		m.valType(r)
	}
	if r.err == nil {
		m.params = append(m.params, uint32(params))
		m.results = append(m.results, uint32(results))
		m.typeKeys = append(m.typeKeys, r.b[pos:r.pos])
	}
}

// valType reads a value type and returns its first byte.
func (m *module) valType(r *reader) byte {
	pos := r.pos
	switch t := r.byte(); t {
	case typeI32, typeI64, typeF32, typeF64, typeV128, typeFuncref, typeExternref, typeExnref:
		return t
	case typeRefNull, typeRef:
		m.heapType(r)
		return t
	default:
		r.failAt(pos, "unknown value type %#x", t)
		return 0
	}
}

// heapType reads a heap type: a type index, or a negative number for a kind.
func (m *module) heapType(r *reader) {
	pos := r.pos
	switch t := r.s33(); {
	case t >= int64(len(m.params)):
		r.failAt(pos, "unknown type %d", t)
	case t >= 0:
		m.typesOpaque = true
	}
}

func (m *module) readImports(r *reader) {
	n := r.count()
	m.imports = vector{span{r.pos, r.end}, n}
	for range n {
		r.bytes()
		r.bytes()
		pos := r.pos
		switch kind := r.byte(); kind {
		case externFunc:
			m.importedFuncs++
			m.typeIndex(r)
		case externTable:
			m.tablesOpen = true
			m.valType(r)
			r.limits()
		case externMemory:
			r.failAt(pos, "an imported memory is not supported")
		case externGlobal:
			m.importedGlobals++
			m.valType(r)
			if pos := r.pos; r.byte() != 0 {
				r.failAt(pos, "an imported mutable global is not supported")
			}
		case externTag:
			r.byte()
			m.typeIndex(r)
		default:
			r.failAt(pos, "unknown kind of import %#x", kind)
		}
		if r.err != nil {
			return
		}
	}
}

func (m *module) readFunctions(r *reader) {
	n := r.count()
	if n > maxFunctions {
		r.failAt(r.pos, "too many functions: %d", n)
		return
	}
	m.funcs = make([]uint32, 0, n)
	for range n {
		t := m.typeIndex(r)
		if r.err != nil {
			return
		}
		m.funcs = append(m.funcs, t)
	}
}

func (m *module) readTables(r *reader) {
	for range r.count() {
		init := r.err == nil && r.pos < r.end && r.b[r.pos] == 0x40
		if init {
			r.skip(2)
		}
		m.valType(r)
		r.limits()
		if init {
			m.tableEdits = m.constExpr(r, m.tableEdits)
			m.tablesOpen = true
		}
		if r.err != nil {
			return
		}
	}
}

func (m *module) readMemory(r *reader) {
	pos := r.pos
	switch n := r.count(); {
	case n == 0:
		return
	case n > 1:
		r.failAt(pos, "more than one memory is not supported")
		return
	}
	m.memoryPos = r.pos
	m.min, m.max, m.hasMax = r.limits()
	m.memory = true
	if r.err == nil && (m.min > maxPages || m.hasMax && (m.max > maxPages || m.max < m.min)) {
		r.failAt(m.memoryPos, "memory of %d to %d pages", m.min, m.max)
	}
}

func (m *module) readTags(r *reader) {
	for range r.count() {
		r.byte() // attribute
		m.typeIndex(r)
		if r.err != nil {
			return
		}
	}
}

func (m *module) readGlobals(r *reader) {
	n := r.count()
	m.globalVec = vector{span{r.pos, r.end}, n}
	for range n {
		pos := r.pos
		g := global{typ: m.valType(r)}
		switch mut := r.byte(); {
		case mut > 1:
			r.failAt(r.pos-1, "global is neither mutable nor constant: %#x", mut)
		case mut == 1:
			g.mutable = true
			switch g.typ {
			case typeI32, typeI64, typeF32, typeF64:
			case typeV128:
				r.failAt(pos, "a mutable v128 global is not supported: its value can't be saved")
			default:
				r.failAt(pos, "a mutable global of a reference type is not supported: its value can't be saved")
			}
		}
		m.globalEdits = m.constExpr(r, m.globalEdits)
		if r.err != nil {
			return
		}
		m.globals = append(m.globals, g)
	}
}

func (m *module) readExports(r *reader) {
	n := r.count()
	m.exportVec = vector{span{r.pos, r.end}, n}
	m.exportNames = make(map[string]struct{})
	for range n {
		name := string(r.bytes())
		m.exportNames[name] = struct{}{}
		pos := r.pos
		switch kind := r.byte(); kind {
		case externFunc:
			_, m.exportEdits = m.funcIndex(r, m.exportEdits)
		case externTable:
			m.tablesOpen = true
			r.u32()
		case externGlobal:
			if i := m.globalIndex(r) - m.importedGlobals; i < uint32(len(m.globals)) && !m.globals[i].named {
				m.globals[i].export, m.globals[i].named = name, true
			}
		case externMemory, externTag:
			r.u32()
		default:
			r.failAt(pos, "unknown kind of export %#x", kind)
		}
		if r.err != nil {
			return
		}
	}
}

// funcIndex reads a function index and records it if it changes. What the
// rewriter adds must stay out of reach, so an index past the last function is
// refused here; likewise for globals and types.
func (m *module) funcIndex(r *reader, edits []edit) (uint32, []edit) {
	pos := r.pos
	index := r.u32()
	if index < m.importedFuncs || r.err != nil {
		return index, edits
	}
	if index-m.importedFuncs >= uint32(len(m.funcs)) {
		r.failAt(pos, "unknown function %d", index)
		return index, edits
	}
	return index, append(edits, edit{pos: uint32(pos), kind: editFunc, arg: index})
}

func (m *module) globalIndex(r *reader) uint32 {
	pos := r.pos
	index := r.u32()
	if r.err == nil && uint64(index) >= uint64(m.importedGlobals)+uint64(len(m.globals)) {
		r.failAt(pos, "unknown global %d", index)
	}
	return index
}

func (m *module) typeIndex(r *reader) uint32 {
	pos := r.pos
	index := r.u32()
	if r.err == nil && uint64(index) >= uint64(len(m.params)) {
		r.failAt(pos, "unknown type %d", index)
	}
	return index
}

// constExpr reads a constant expression and records the function indices in it.
func (m *module) constExpr(r *reader, edits []edit) []edit {
	for r.err == nil {
		pos := r.pos
		switch op := r.byte(); op {
		case opEnd:
			return edits
		case opI32Const:
			r.s32()
		case opI64Const:
			r.skipLEB(10)
		case opF32Const:
			r.skip(4)
		case opF64Const:
			r.skip(8)
		case opGlobalGet:
			m.globalIndex(r)
		case opRefNull:
			m.heapType(r)
		case opRefFunc:
			_, edits = m.funcIndex(r, edits)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul of i32 and i64
		case opVec:
			if r.u32() != vecConst {
				r.failAt(pos, "instruction is not constant")
			}
			r.skip(16)
		default:
			r.failAt(pos, "instruction %#x is not constant", op)
		}
	}
	return edits
}

// readElements records the function indices in the eight forms of element
// segments.
func (m *module) readElements(r *reader) {
	for range r.count() {
		pos := r.pos
		flags := r.u32()
		if flags > 7 {
			r.failAt(pos, "unknown form of element segment %d", flags)
			return
		}
		passive, explicit, exprs := flags&1 != 0, flags&2 != 0, flags&4 != 0
		if !passive {
			if explicit {
				r.u32() // table
			}
			m.elemEdits = m.constExpr(r, m.elemEdits)
		}
		if passive || explicit {
			if exprs {
				m.valType(r)
			} else {
				r.byte() // element kind
			}
		}
		for range r.count() {
			before := len(m.elemEdits)
			if exprs {
				m.elemEdits = m.constExpr(r, m.elemEdits)
			} else {
				_, m.elemEdits = m.funcIndex(r, m.elemEdits)
			}
			if r.err != nil {
				return
			}
			for _, e := range m.elemEdits[before:] {
				m.elemFuncs = append(m.elemFuncs, e.arg)
			}
		}
	}
}
