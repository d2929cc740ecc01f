package rewrite

// generator generates valid modules from bytes: a few functions that call each
// other, loop, branch, and touch memory and globals. Each loop and call burns
// fuel, and the module traps when it is used up, so every run ends.
type generator struct {
	src    []byte
	funcs  []genType // types of the functions, all of which are in the table
	labels []genLabel
	locals int // of type i32, after the parameters
	fn     genType
	budget int // instructions left to generate
}

// genType is a function type: parameters of type i32, and results of it.
type genType struct{ params, results int }

// genLabel is an open block: how many i32 operands a branch to it takes.
type genLabel int

var genTypes = []genType{{0, 0}, {0, 1}, {1, 1}, {2, 1}, {3, 0}, {1, 2}, {1, 0}}

const (
	genFuel    = 0 // globals
	genCounter = 1
	genGlobals = 3
	genLocals  = 4
	genTable   = 12
	fuel       = 3000
)

// next returns a number below n, and 0 when the bytes are used up.
func (g *generator) next(n int) int {
	if len(g.src) == 0 {
		return 0
	}
	b := g.src[0]
	g.src = g.src[1:]
	return int(b) % n
}

// module generates a module with the exports "run", "memory" and "g0" to "g2".
func (g *generator) module() []byte {
	n := 1 + g.next(6)
	g.funcs = []genType{{2, 1}}
	for range n {
		g.funcs = append(g.funcs, genTypes[g.next(len(genTypes))])
	}
	out := header()
	types := appendU32(nil, uint32(len(genTypes)))
	for _, t := range genTypes {
		types = append(types, typeFunc)
		for _, n := range []int{t.params, t.results} {
			types = appendU32(types, uint32(n))
			for range n {
				types = append(types, typeI32)
			}
		}
	}
	out = appendSection(out, sectionType, types)
	count := uint32(len(g.funcs))
	funcs, table, code := appendU32(nil, count), asm{1, 0, opI32Const, 0, opEnd, genTable}, appendU32(nil, count)
	for _, t := range g.funcs {
		funcs = appendU32(funcs, g.typeIndex(t))
	}
	for i := range genTable {
		table = appendU32(table, uint32(i%len(g.funcs)))
	}
	for _, t := range g.funcs {
		code = append(code, g.body(t)...)
	}
	out = appendSection(out, sectionFunction, funcs)
	out = appendSection(out, sectionTable, []byte{1, typeFuncref, 0, genTable})
	out = appendSection(out, sectionMemory, []byte{1, 0, 1})
	globals := append(append(asm{genGlobals, typeI32, 1}.i32(fuel), opEnd, typeI32, 1).i32(7), opEnd, typeI64, 1, opI64Const, 9, opEnd)
	out = appendSection(out, sectionGlobal, globals)
	out = appendSection(out, sectionExport, []byte("\x05\x03run\x00\x00\x06memory\x02\x00\x02g0\x03\x00\x02g1\x03\x01\x02g2\x03\x02"))
	out = appendSection(out, sectionElement, table)
	out = appendSection(out, sectionCode, code)
	return appendSection(out, sectionData, []byte("\x02\x00\x41\x04\x0b\x04data\x00\x41\x06\x0b\x03\x01\x02\x03"))
}

func (g *generator) typeIndex(t genType) uint32 {
	for i, other := range genTypes {
		if t == other {
			return uint32(i)
		}
	}
	panic("no such type")
}

func (g *generator) body(t genType) []byte {
	g.fn, g.locals, g.budget = t, genLocals, 150
	g.labels = []genLabel{genLabel(t.results)}
	a := g.burn(nil)
	a = g.statements(a, 4)
	for range t.results {
		a = g.value(a, 3)
	}
	return a.function(genLocals, typeI32)
}

// burn burns fuel.
func (g *generator) burn(a asm) asm {
	return a.with(opGlobalGet, genFuel).op(opI32Eqz).branch(opIf).op(opUnreachable, opEnd).
		with(opGlobalGet, genFuel).i32(1).op(opI32Sub).with(opGlobalSet, genFuel)
}

func (g *generator) local() uint32 { return uint32(g.next(g.fn.params + g.locals)) }

func (g *generator) statements(a asm, depth int) asm {
	for range 1 + g.next(4) {
		a = g.statement(a, depth)
	}
	return a
}

// statement generates code that leaves the operand stack as it was.
func (g *generator) statement(a asm, depth int) asm {
	g.budget--
	if depth == 0 || g.budget < 0 {
		return g.value(a, 1).set(g.local())
	}
	switch g.next(12) {
	case 0:
		return g.value(a, depth-1).with(opGlobalSet, genCounter)
	case 1:
		return g.address(a, depth-1).opValue(g, depth-1).op(0x36, 2, 8) // i32.store
	case 2:
		a = g.value(a, depth-1).branch(opIf)
		a = g.nested(a, 0, depth)
		if g.next(2) == 0 {
			a = g.nested(a.op(opElse), 0, depth)
		}
		return a.op(opEnd)
	case 3:
		return g.nested(a.branch(opBlock), 0, depth).op(opEnd)
	case 4, 5:
		return g.loop(a, depth)
	case 6:
		return g.carryingLoop(a, depth)
	case 7, 8:
		return g.branchIf(a, depth)
	case 9:
		return g.call(a, depth)
	case 10:
		a = g.value(a, 1).i32(0x3fff).op(opI32And)
		if g.next(2) == 0 {
			return g.address(a, 1).opValue(g, 1).i32(0x3fff).op(opI32And).copyMemory()
		}
		return a.opValue(g, 1).opValue(g, 1).i32(0x7fff).op(opI32And).fillMemory()
	default:
		return g.value(a, depth-1).set(g.local())
	}
}

// within generates the inside of a block whose label takes operands.
func (g *generator) within(label genLabel, inside func() asm) asm {
	g.labels = append(g.labels, label)
	a := inside()
	g.labels = g.labels[:len(g.labels)-1]
	return a
}

func (g *generator) nested(a asm, label genLabel, depth int) asm {
	return g.within(label, func() asm { return g.statements(a, depth-1) })
}

func (g *generator) loop(a asm, depth int) asm {
	return g.within(0, func() asm {
		a = g.statements(g.burn(a.branch(opLoop)), depth-1)
		return g.condition(a, depth-1).with(opBrIf, 0).op(opEnd)
	})
}

// carryingLoop generates a loop that has a parameter and a result.
func (g *generator) carryingLoop(a asm, depth int) asm {
	a = g.value(a, depth-1)
	a = appendS32(a.op(opLoop), int32(g.typeIndex(genType{1, 1})))
	return g.within(1, func() asm {
		a = g.statements(g.burn(a.set(g.local())), depth-1)
		return g.condition(g.value(a, 1), 1).with(opBrIf, 0).op(opEnd).set(g.local())
	})
}

// branchIf generates br_if and br_table to labels that take no operands.
func (g *generator) branchIf(a asm, depth int) asm {
	var free []uint32
	for i := range g.labels {
		if g.labels[len(g.labels)-1-i] == 0 {
			free = append(free, uint32(i))
		}
	}
	if len(free) == 0 {
		return g.value(a, 1).set(g.local())
	}
	if g.next(4) > 0 {
		return g.condition(a, depth-1).with(opBrIf, free[g.next(len(free))])
	}
	a = g.within(0, func() asm { return g.value(a.branch(opBlock), depth-1) }).i32(7).op(opI32And).op(opBrTable)
	n := g.next(4)
	a = appendU32(a, uint32(n))
	for range n + 1 {
		a = appendU32(a, free[g.next(len(free))]+1)
	}
	return a.op(opEnd)
}

// condition generates a value, mostly by a comparison.
func (g *generator) condition(a asm, depth int) asm {
	switch g.next(4) {
	case 0:
		return g.value(a, depth)
	case 1:
		return g.value(a, depth).op(opI32Eqz)
	case 2:
		return g.value(a, depth).op(opI64ExtI32).opValue(g, depth).op(opI64ExtI32, opI64Eq+byte(g.next(10)))
	default:
		return g.value(a, depth).opValue(g, depth).op(opI32Eq + byte(g.next(10)))
	}
}

func (g *generator) call(a asm, depth int) asm {
	i := g.next(len(g.funcs))
	t := g.funcs[i]
	for range t.params {
		a = g.value(a, 1)
	}
	switch g.next(3) {
	case 0: // the type fits, or the call traps
		a = g.value(a, 1).i32(15).op(opI32And)
		a = append(a.with(opCallIndirect, g.typeIndex(t)), 0)
	case 1:
		a = append(a.i32(int32(i)).with(opCallIndirect, g.typeIndex(t)), 0)
	default:
		a = a.call(uint32(i))
	}
	for range t.results {
		a = a.set(g.local())
	}
	return a
}

func (g *generator) address(a asm, depth int) asm { return g.value(a, depth).i32(0xfff).op(opI32And) }

// value generates code that pushes an i32.
func (g *generator) value(a asm, depth int) asm {
	g.budget--
	if depth <= 0 || g.budget < 0 {
		switch g.next(3) {
		case 0:
			return a.i32(int32(int8(g.next(256))))
		case 1:
			return a.with(opGlobalGet, genCounter)
		default:
			return a.get(g.local())
		}
	}
	switch g.next(9) {
	case 0:
		return g.address(a, depth-1).op(0x28, 2, 4) // i32.load
	case 1:
		return g.condition(a, depth-1)
	case 2:
		a = append(g.condition(a, depth-1), opIf, typeI32)
		return g.within(1, func() asm { return g.value(g.value(a, depth-1).op(opElse), depth-1).op(opEnd) })
	case 3:
		a = append(a, opBlock, typeI32)
		return g.within(1, func() asm {
			return g.condition(g.value(g.statement(a, depth-1), depth-1), depth-1).with(opBrIf, 0).op(opEnd)
		})
	case 4:
		return g.value(a, depth-1).opValue(g, depth-1).opValue(g, depth-1).op(opSelect)
	case 5:
		return g.value(a, depth-1).tee(g.local())
	case 6:
		return a.op(opMemSize, 0)
	default:
		ops := []byte{opI32Add, opI32Sub, 0x6c, opI32And, opI32Or, 0x73, 0x74, opI32ShrU}
		return g.value(a, depth-1).opValue(g, depth-1).op(ops[g.next(8)])
	}
}

func (a asm) opValue(g *generator, depth int) asm { return g.value(a, depth) }
