package rewrite

import (
	"fmt"
	"unicode/utf8"
)

// SyntaxError reports what in the input is malformed, or valid but not
// supported, and where.
type SyntaxError struct {
	Offset int // bytes from the start of the input
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("wasm module: offset %#x: %s", e.Offset, e.Msg)
}

// reader walks a part of the input. The first error sticks: after it, every
// read returns zero and advances nothing, so callers may check err once per
// loop. Reads are bounds-checked against the part, not the whole input.
type reader struct {
	b   []byte // the whole input, so that offsets in errors are positions in it
	pos int
	end int
	err *SyntaxError
}

func (r *reader) failAt(pos int, format string, args ...any) {
	if r.err == nil {
		r.err = &SyntaxError{Offset: pos, Msg: fmt.Sprintf(format, args...)}
	}
}

func (r *reader) done() bool { return r.err != nil || r.pos >= r.end }

// left returns how many bytes are left. It bounds every count that the input
// claims: each element takes at least a byte.
func (r *reader) left() int { return r.end - r.pos }

func (r *reader) byte() byte {
	if r.err != nil || r.pos >= r.end {
		r.failAt(r.pos, "unexpected end")
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

func (r *reader) u32() uint32 {
	if r.err == nil && r.pos < r.end { // by far the most frequent
		if c := r.b[r.pos]; c < 0x80 {
			r.pos++
			return uint32(c)
		}
	}
	start := r.pos
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && c > 0x0f {
			break
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.failAt(start, "integer does not fit in 32 bits")
	return 0
}

// s32 and s33 read signed integers of that many bits.
func (r *reader) s32() int32 { return int32(r.signed(32)) }
func (r *reader) s33() int64 { return r.signed(33) }

func (r *reader) signed(bits int) int64 {
	start := r.pos
	var v int64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			v = v << (57 - shift) >> (57 - shift) // sign-extend
			if v<<(64-bits)>>(64-bits) != v {
				break
			}
			return v
		}
	}
	r.failAt(start, "integer does not fit in %d bits", bits)
	return 0
}

// skipLEB skips an integer of at most n bytes.
func (r *reader) skipLEB(n int) {
	start := r.pos
	for range n {
		if c := r.byte(); r.err != nil || c < 0x80 {
			return
		}
	}
	r.failAt(start, "integer is longer than %d bytes", n)
}

func (r *reader) skip(n int) {
	if r.err != nil {
		return
	}
	if n < 0 || n > r.left() {
		r.failAt(r.pos, "unexpected end")
		return
	}
	r.pos += n
}

// bytes reads a length and that many bytes; the result is a part of the input.
func (r *reader) bytes() []byte {
	n := r.u32()
	start := r.pos
	r.skip(int(n))
	if r.err != nil {
		return nil
	}
	return r.b[start:r.pos]
}

// name reads a UTF-8 string.
func (r *reader) name() string {
	pos := r.pos
	b := r.bytes()
	if !utf8.Valid(b) {
		r.failAt(pos, "name is not UTF-8")
	}
	return string(b)
}

// count reads the length of a vector. It never exceeds the bytes left, so it is
// safe to allocate by it.
func (r *reader) count() int {
	start := r.pos
	n := r.u32()
	if r.err == nil && int64(n) > int64(r.left()) {
		r.failAt(start, "vector of %d elements in %d bytes", n, r.left())
		return 0
	}
	return int(n)
}

// sub returns a reader of the next n bytes and skips them.
func (r *reader) sub(n int) reader {
	start := r.pos
	r.skip(n)
	return reader{b: r.b, pos: start, end: r.pos, err: r.err}
}

// limits reads the bounds of a table or memory.
func (r *reader) limits() (low, high uint32, hasMax bool) {
	pos := r.pos
	switch flags := r.byte(); flags {
	case 0:
		return r.u32(), 0, false
	case 1:
		low = r.u32()
		return low, r.u32(), true
	case 2, 3:
		r.failAt(pos, "shared memory or table is not supported")
	case 4, 5, 6, 7:
		r.failAt(pos, "64-bit memory or table is not supported")
	default:
		r.failAt(pos, "unknown limits %#x", flags)
	}
	return 0, 0, false
}

const (
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeF32       = 0x7d
	typeF64       = 0x7c
	typeV128      = 0x7b
	typeFuncref   = 0x70
	typeExternref = 0x6f
	typeExnref    = 0x69
	typeRefNull   = 0x63
	typeRef       = 0x64
	typeEmpty     = 0x40 // as a block type
	typeFunc      = 0x60
	typeRecGroup  = 0x4e
)

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS32(b []byte, v int32) []byte {
	for v < -64 || v > 63 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}

// appendSection adds a section to a module.
func appendSection(b []byte, id byte, body []byte) []byte {
	return append(appendU32(append(b, id), uint32(len(body))), body...)
}
