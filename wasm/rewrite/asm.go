package rewrite

import "math/bits"

// asm is a piece of code under construction.
type asm []byte

func (a asm) op(ops ...byte) asm         { return append(a, ops...) }
func (a asm) with(op byte, v uint32) asm { return appendU32(append(a, op), v) }
func (a asm) get(local uint32) asm       { return a.with(opLocalGet, local) }
func (a asm) set(local uint32) asm       { return a.with(opLocalSet, local) }
func (a asm) tee(local uint32) asm       { return a.with(opLocalTee, local) }
func (a asm) call(f uint32) asm          { return a.with(opCall, f) }
func (a asm) i32(v int32) asm            { return appendS32(append(a, opI32Const), v) }
func (a asm) i64(v int32) asm            { return appendS32(append(a, opI64Const), v) }
func (a asm) branch(op byte) asm         { return append(a, op, typeEmpty) } // block, loop, if

// load and store move as many bytes as a width in bytes says, between the stack and
// the address on it, plus an offset. The encoding of alignment is a hint.
func (a asm) load(width, offset uint32) asm {
	return append(a.memory(width, opI32Load8U, opI32Load16U, opI32Load, opI64Load, vecLoad), appendU32([]byte{0}, offset)...)
}
func (a asm) store(width, offset uint32) asm {
	return append(a.memory(width, opI32Store8, opI32Store16, opI32Store, opI64Store, vecStore), appendU32([]byte{0}, offset)...)
}

// memory appends the opcode for a width of 1, 2, 4, 8 or 16 bytes.
func (a asm) memory(width uint32, ops ...byte) asm {
	if width == 16 {
		a = append(a, opVec)
	}
	return append(a, ops[bits.TrailingZeros32(width)])
}

func (a asm) copyMemory() asm { return append(a, opMisc, miscMemoryCopy, 0, 0) }
func (a asm) fillMemory() asm { return append(a, opMisc, miscMemoryFill, 0) }

// inverse appends the comparison of integers with the opposite result. For
// i32.eqz it appends nothing: its operand is as good a condition.
func (a asm) inverse(op byte) asm {
	switch op {
	case opI32Eqz:
		return a
	case opI64Eqz:
		return append(a, opI64Const, 0, opI64Ne)
	}
	const eq, ne, ltS, ltU, gtS, gtU, leS, leU, geS, geU = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	first := byte(opI32Eq)
	if op >= opI64Eq {
		first = opI64Eq
	}
	return append(a, first+[...]byte{ne, eq, geS, geU, leS, leU, gtS, gtU, ltS, ltU}[op-first])
}

// function wraps code into a function body with locals of one type.
func (a asm) function(locals uint32, typ byte) []byte {
	body := asm{0}
	if locals > 0 {
		body = append(appendU32(asm{1}, locals), typ)
	}
	body = append(append(body, a...), opEnd)
	return append(appendU32(nil, uint32(len(body))), body...)
}

const (
	opBr         = 0x0c
	opBrIf       = 0x0d
	opReturn     = 0x0f
	opSelect     = 0x1b
	opI32Load    = 0x28
	opI64Load    = 0x29
	opI32Load8U  = 0x2d
	opI32Load16U = 0x2f
	opI32Store   = 0x36
	opI64Store   = 0x37
	opI32Store8  = 0x3a
	opI32Store16 = 0x3b
	opMemSize    = 0x3f
	opI32Eqz     = 0x45
	opI64Eqz     = 0x50
	opI32Eq      = 0x46
	opI64Eq      = 0x51
	opI64Ne      = 0x52
	opI64GeU     = 0x5a
	opI32LtU     = 0x49
	opI32GtS     = 0x4a
	opI32GtU     = 0x4b
	opI32LeS     = 0x4c
	opI32LeU     = 0x4d
	opI32GeU     = 0x4f
	opI64GtU     = 0x56
	opI32Add     = 0x6a
	opI32Sub     = 0x6b
	opI32And     = 0x71
	opI32Or      = 0x72
	opI32ShrU    = 0x76
	opI64Add     = 0x7c
	opI64Mul     = 0x7e
	opI64Or      = 0x84
	opI64Shl     = 0x86
	opI64ExtI32  = 0xad

	vecLoad  = 0x00
	vecStore = 0x0b
)
