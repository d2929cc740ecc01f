package rewrite

// Instructions that the rewriter inspects or writes. Of all others it knows
// only the shape of their immediates.
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBrTable            = 0x0e
	opThrow              = 0x08
	opThrowRef           = 0x0a
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opCallRef            = 0x14
	opReturnCallRef      = 0x15
	opTypedSelect        = 0x1c
	opTryTable           = 0x1f
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableSet           = 0x26
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opRefNull            = 0xd0
	opRefFunc            = 0xd2
	opMisc               = 0xfc
	opVec                = 0xfd
	opAtomic             = 0xfe

	miscMemoryInit = 0x08
	miscDataDrop   = 0x09
	miscMemoryCopy = 0x0a
	miscMemoryFill = 0x0b
	miscTableGrow  = 0x0f
	miscTableFill  = 0x11

	vecConst = 0x0c
)

// shape is the kind of immediates of an opcode.
type shape uint8

const (
	shapeUnknown shape = iota
	shapeNone
	shapeU32    // an index
	shapeLabel  // the label of a branch
	shapeU32x2  // two indices
	shapeS32    // a 32-bit constant
	shapeS64    // a 64-bit constant
	shape4      // 4 bytes
	shape8      // 8 bytes
	shape16     // 16 bytes: v128.const, i8x16.shuffle
	shapeByte   // a lane number, a reserved byte
	shapeMemArg // alignment and offset
	shapeMemArgLane
	shapeBlock   // a block type
	shapeSpecial // read by the scanner itself
)

var (
	shapes, vecShapes, atomicShapes = shapeTables()

	miscShapes = [...]shape{
		0x00: shapeNone, 0x01: shapeNone, 0x02: shapeNone, 0x03: shapeNone, // saturating float to integer
		0x04: shapeNone, 0x05: shapeNone, 0x06: shapeNone, 0x07: shapeNone,
		0x08: shapeU32x2, 0x09: shapeU32, 0x0a: shapeU32x2, 0x0b: shapeU32, // memory.init, data.drop, memory.copy, .fill
		0x0c: shapeU32x2, 0x0d: shapeU32, 0x0e: shapeU32x2, // table.init, elem.drop, table.copy
		0x0f: shapeU32, 0x10: shapeU32, 0x11: shapeU32, // table.grow, .size, .fill
	}
)

// shapeTables fills the tables whose entries come in ranges; a literal would be 700 lines long.
func shapeTables() (plain, vec [256]shape, atomic [0x4f]shape) {
	set := func(table []shape, s shape, from, to int) {
		for i := from; i <= to; i++ {
			table[i] = s
		}
	}
	t := plain[:]
	set(t, shapeNone, 0x00, 0x01)    // unreachable, nop
	set(t, shapeBlock, 0x02, 0x04)   // block, loop, if
	set(t, shapeNone, 0x05, 0x05)    // else
	set(t, shapeSpecial, 0x08, 0x08) // throw
	set(t, shapeSpecial, 0x0a, 0x0a) // throw_ref
	set(t, shapeNone, 0x0b, 0x0b)    // end
	set(t, shapeLabel, 0x0c, 0x0d)   // br, br_if
	set(t, shapeSpecial, 0x0e, 0x0e) // br_table
	set(t, shapeNone, 0x0f, 0x0f)    // return
	set(t, shapeSpecial, 0x10, 0x15) // the six calls
	set(t, shapeNone, 0x1a, 0x1b)    // drop, select
	set(t, shapeSpecial, 0x1c, 0x1c) // select with types
	set(t, shapeSpecial, 0x1f, 0x1f) // try_table
	set(t, shapeU32, 0x20, 0x25)     // local.get, .set and .tee, table.get
	set(t, shapeSpecial, 0x23, 0x24) // global.get, global.set
	set(t, shapeSpecial, 0x26, 0x26) // table.set
	set(t, shapeMemArg, 0x28, 0x3e)  // loads and stores
	set(t, shapeU32, 0x3f, 0x40)     // memory.size, memory.grow
	set(t, shapeS32, 0x41, 0x41)     // i32.const
	set(t, shapeS64, 0x42, 0x42)     // i64.const
	set(t, shape4, 0x43, 0x43)       // f32.const
	set(t, shape8, 0x44, 0x44)       // f64.const
	set(t, shapeNone, 0x45, 0xc4)    // numeric instructions, sign extension
	set(t, shapeSpecial, 0xd0, 0xd0) // ref.null
	set(t, shapeNone, 0xd1, 0xd1)    // ref.is_null
	set(t, shapeSpecial, 0xd2, 0xd2) // ref.func
	set(t, shapeNone, 0xd4, 0xd4)    // ref.as_non_null
	set(t, shapeLabel, 0xd5, 0xd6)   // br_on_null, br_on_non_null
	set(t, shapeSpecial, 0xfc, 0xfe) // prefixes
	v := vec[:]
	set(v, shapeNone, 0x0e, 0xff)
	for _, hole := range []int{
		0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6,
		0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee,
	} {
		v[hole] = shapeUnknown
	}
	set(v, shapeMemArg, 0x00, 0x0b)     // loads, store
	set(v, shape16, 0x0c, 0x0d)         // v128.const, i8x16.shuffle
	set(v, shapeByte, 0x15, 0x22)       // extract and replace a lane
	set(v, shapeMemArgLane, 0x54, 0x5b) // load and store a lane
	set(v, shapeMemArg, 0x5c, 0x5d)     // load and extend with zeros
	a := atomic[:]
	set(a, shapeMemArg, 0x00, 0x02) // notify, wait
	set(a, shapeByte, 0x03, 0x03)   // fence
	set(a, shapeMemArg, 0x10, 0x4e)
	return plain, vec, atomic
}
