package rewrite

import "slices"

// Functions that the rewriter adds after the module's own.
const (
	helperTick     = iota // () : yield, begin a new budget
	helperPay             // (n): subtract n from the countdown, tick when it is used up
	helperCopy            // (to, from, n): memory.copy
	helperFill            // (to, value, n): memory.fill
	helperBulkCopy        // the same of many bytes
	helperBulkFill
	helpers
)

// helperTypes are the types added after the module's own: of the yield
// function, then of each helper.
const (
	typeYield = iota
	typeTick
	typePay
	typeBulk
	addedTypes
)

var (
	addedTypeCodes = [addedTypes][]byte{
		typeYield: {typeFunc, 0, 1, typeI32},
		typeTick:  {typeFunc, 0, 0},
		typePay:   {typeFunc, 1, typeI32, 0},
		typeBulk:  {typeFunc, 3, typeI32, typeI32, typeI32, 0},
	}
	helperTypes = [helpers]uint32{
		helperTick: typeTick, helperPay: typePay,
		helperCopy: typeBulk, helperFill: typeBulk, helperBulkCopy: typeBulk, helperBulkFill: typeBulk,
	}
)

const (
	// byteShift converts bytes moved at once to loop iterations: 1 KiB takes
	// about as long as one iteration.
	byteShift = 10
	// bulkSmall is the size up to which moves are done by loads and stores, uncounted.
	bulkSmall = 64
	// bulkChunk is how many bytes are moved between two checks of the
	// countdown: some 50 µs.
	bulkChunk = 1 << 20
	// throwPrice is what an exception counts: wazero needs some 0.1 ms for one.
	throwPrice = 1000
)

func (p *plan) helperBodies() [helpers][]byte {
	return [helpers][]byte{
		helperTick:     p.tick(),
		helperPay:      p.pay(),
		helperCopy:     p.smallCopy(),
		helperFill:     p.smallFill(),
		helperBulkCopy: p.bulkCopy(),
		helperBulkFill: p.bulkFill(),
	}
}

// tick never leaves a countdown below minBudget, whatever the host returns.
func (p *plan) tick() []byte {
	return asm{}.
		call(p.yield).tee(0).
		i32(minBudget).
		get(0).i32(minBudget).op(opI32GtS).
		op(opSelect).
		with(opGlobalSet, p.countdown).
		function(1, typeI32)
}

func (p *plan) pay() []byte {
	return asm{}.
		with(opGlobalGet, p.countdown).get(0).op(opI32Sub).with(opGlobalSet, p.countdown).
		op(p.look...).
		function(0, 0)
}

// outOfBounds pushes whether n bytes from the address in a local on exceed the
// memory.
func (a asm) outOfBounds(local, n uint32) asm {
	return a.
		get(local).op(opI64ExtI32).get(n).op(opI64ExtI32).op(opI64Add).
		op(opMemSize, 0).op(opI64ExtI32).i64(16).op(opI64Shl).
		op(opI64GtU)
}

// smallCopy copies like memory.copy. Few bytes are copied by loads and stores of
// both ends, which may overlap. All loads come before the first store, and the last
// bytes are stored first, so that nothing is written before a trap.
func (p *plan) smallCopy() []byte {
	const to, from, n = 0, 1, 2
	if !p.m.memory {
		return asm{}.op(opUnreachable).function(0, 0)
	}
	a := asm{}.
		branch(opBlock). // at its end: what is not small
		get(n).i32(bulkSmall).op(opI32GtU).with(opBrIf, 0).
		// Addresses that might wrap around.
		get(to).get(from).op(opI32Or).i32(-bulkSmall).op(opI32GeU).with(opBrIf, 0)
	for _, least := range []uint32{33, 16, 8, 4, 2, 1} {
		width, offsets := least, []uint32{0}
		if least == 33 {
			width, offsets = 16, []uint32{0, 16}
		}
		tail := width * uint32(len(offsets))
		a = a.get(n).i32(int32(least)).op(opI32GeU).branch(opIf)
		for _, o := range offsets {
			a = a.get(to).get(from).load(width, o)
		}
		for _, o := range offsets {
			a = a.end(to, n, tail).end(from, n, tail).load(width, o)
		}
		for range 2 {
			for _, o := range slices.Backward(offsets) {
				a = a.store(width, o)
			}
		}
		a = a.op(opReturn, opEnd)
	}
	return a.op(opEnd).get(to).get(from).get(n).call(p.helper(helperBulkCopy)).function(0, 0)
}

// smallFill fills like memory.fill, few bytes as smallCopy does.
func (p *plan) smallFill() []byte {
	const to, value, n, bytes = 0, 1, 2, 3
	if !p.m.memory {
		return asm{}.op(opUnreachable).function(0, 0)
	}
	a := asm{}.
		branch(opBlock).
		get(n).i32(bulkSmall).op(opI32GtU).with(opBrIf, 0).
		get(to).i32(-bulkSmall).op(opI32GeU).with(opBrIf, 0).
		get(value).i32(0xff).op(opI32And).op(opI64ExtI32).i64(0x01010101).op(opI64Mul).tee(bytes).
		get(bytes).i64(32).op(opI64Shl).op(opI64Or).set(bytes)
	for _, least := range []uint32{33, 17, 8} {
		var offsets []uint32
		for o := uint32(0); o < least-1 || o == 0; o += 8 {
			offsets = append(offsets, o)
		}
		tail := 8 * uint32(len(offsets))
		a = a.get(n).i32(int32(least)).op(opI32GeU).branch(opIf)
		for _, o := range slices.Backward(offsets) {
			a = a.end(to, n, tail).get(bytes).store(8, o)
		}
		for _, o := range offsets {
			a = a.get(to).get(bytes).store(8, o)
		}
		a = a.op(opReturn, opEnd)
	}
	return a.op(opEnd).get(to).get(value).get(n).call(p.helper(helperBulkFill)).function(1, typeI64)
}

// end pushes the address of the last bytes of n from an address on.
func (a asm) end(from, n, bytes uint32) asm {
	return a.get(from).get(n).op(opI32Add).i32(int32(bytes)).op(opI32Sub)
}

// bulkCopy copies like memory.copy, in chunks. A copy that traps must do so
// before a byte is written, so it is left to one memory.copy.
func (p *plan) bulkCopy() []byte {
	const to, from, n = 0, 1, 2
	if !p.m.memory {
		return asm{}.op(opUnreachable).function(0, 0)
	}
	a := asm{}.
		branch(opBlock). // at its end: copy the rest at once
		get(n).i32(bulkChunk).op(opI32LeU).with(opBrIf, 0).
		outOfBounds(to, n).with(opBrIf, 0).
		outOfBounds(from, n).with(opBrIf, 0).
		get(to).get(from).op(opI32Sub).get(n).op(opI32GeU). // to is not within the source
		branch(opIf).
		branch(opLoop).
		get(to).get(from).i32(bulkChunk).copyMemory().
		i32(bulkChunk>>byteShift).call(p.helper(helperPay)).
		get(to).i32(bulkChunk).op(opI32Add).set(to).
		get(from).i32(bulkChunk).op(opI32Add).set(from).
		get(n).i32(bulkChunk).op(opI32Sub).tee(n).
		i32(bulkChunk).op(opI32GtU).with(opBrIf, 0).
		op(opEnd).
		op(opElse).
		branch(opLoop). // backwards
		get(n).i32(bulkChunk).op(opI32Sub).set(n).
		get(to).get(n).op(opI32Add).get(from).get(n).op(opI32Add).i32(bulkChunk).copyMemory().
		i32(bulkChunk>>byteShift).call(p.helper(helperPay)).
		get(n).i32(bulkChunk).op(opI32GtU).with(opBrIf, 0).
		op(opEnd).
		op(opEnd).
		op(opEnd).
		get(to).get(from).get(n).copyMemory().
		get(n).i32(byteShift).op(opI32ShrU).call(p.helper(helperPay))
	return a.function(0, 0)
}

func (p *plan) bulkFill() []byte {
	const to, value, n = 0, 1, 2
	if !p.m.memory {
		return asm{}.op(opUnreachable).function(0, 0)
	}
	a := asm{}.
		branch(opBlock).
		get(n).i32(bulkChunk).op(opI32LeU).with(opBrIf, 0).
		outOfBounds(to, n).with(opBrIf, 0).
		branch(opLoop).
		get(to).get(value).i32(bulkChunk).fillMemory().
		i32(bulkChunk>>byteShift).call(p.helper(helperPay)).
		get(to).i32(bulkChunk).op(opI32Add).set(to).
		get(n).i32(bulkChunk).op(opI32Sub).tee(n).
		i32(bulkChunk).op(opI32GtU).with(opBrIf, 0).
		op(opEnd).
		op(opEnd).
		get(to).get(value).get(n).fillMemory().
		get(n).i32(byteShift).op(opI32ShrU).call(p.helper(helperPay))
	return a.function(0, 0)
}
