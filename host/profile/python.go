package profile

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"vivarium/wasm"
)

// Bounds of what is read of a guest.
const (
	maxFrames = 128      // of a stack; the outermost ones are left out
	codeBytes = 256      // counted per function besides its texts
	maxName   = 512      // bytes
	maxTable  = 64 << 10 // bytes, of a function's table of lines
	// maxSearch is how far the interpreter's static data can lie.
	maxSearch = 64 << 20
)

// cookie begins _Py_DebugOffsets, in which an interpreter of Python 3.13 tells how its
// structures lie.
const cookie = "xdebugpy"

// Indexes into _Py_DebugOffsets, in words of eight bytes.
const (
	offVersion          = 1
	offInterpreters     = 5
	offThreads          = 9
	offHolder           = 18
	offCurrentFrame     = 23
	offFramePrevious    = 29
	offFrameExecutable  = 30
	offFrameInstruction = 31
	offFrameOwner       = 33
	offCodeFile         = 35
	offCodeQualname     = 37
	offCodeTable        = 38
	offCodeFirstLine    = 39
	offCodeCode         = 43
	offObjectType       = 45
	offTypeName         = 47
	offBytesSize        = 65
	offBytesValue       = 66
	offTextState        = 68
	offTextLength       = 69
	offTextASCII        = 70
	offsets             = 73
)

// ownedByC is the owner of a frame that stands for a call by C, and has no code.
const ownedByC = 3

// python reads the state of an interpreter from its memory. The zero value is for one that
// is yet to be found.
type python struct {
	runtime uint32 // address of _PyRuntime; 0 until it is found
	absent  bool   // there is none that is understood
	at      [offsets]uint32
	codes   map[codeKey]*code
	held    int // bytes in codes
}

// codeKey is where a code object is. Its memory may be another's later.
type codeKey struct{ address, table, first uint32 }

// code is what is known of a code object.
type code struct {
	name, file string
	first      int
	start      uint32 // address of its instructions
	table      []byte // of its lines
}

// reader reads memory, or zeros where there is none.
type reader struct{ wasm.Memory }

func (r reader) u32(at uint32) uint32 {
	b, ok := r.Read(at, 4)
	if !ok {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func (r reader) bytes(at, n uint32) []byte {
	b, ok := r.Read(at, n)
	if !ok {
		return nil
	}
	return bytes.Clone(b)
}

// find looks for the interpreter, once.
func (p *python) find(r reader) bool {
	if p.runtime != 0 || p.absent {
		return p.runtime != 0
	}
	const step, overlap = 1 << 20, 8
	for at := uint32(0); at < maxSearch; at += step - overlap {
		part, ok := r.Read(at, step)
		if !ok {
			break
		}
		n := bytes.Index(part, []byte(cookie))
		if n < 0 {
			continue
		}
		table, ok := r.Read(at+uint32(n), offsets*8)
		if !ok || binary.LittleEndian.Uint64(table[offVersion*8:])>>16 != 0x030d { // 3.13
			break
		}
		for i := range p.at {
			p.at[i] = binary.LittleEndian.Uint32(table[i*8:])
		}
		p.runtime, p.codes = at+uint32(n), map[codeKey]*code{}
		return true
	}
	p.absent = true
	return false
}

// stack returns the frames of the thread that runs, the innermost first.
func (p *python) stack(m wasm.Memory) (frames []Frame) {
	r := reader{m}
	if !p.find(r) {
		return nil
	}
	interpreter := r.u32(p.runtime + p.at[offInterpreters])
	if interpreter == 0 {
		return nil
	}
	thread := r.u32(interpreter + p.at[offHolder])
	if thread == 0 {
		thread = r.u32(interpreter + p.at[offThreads])
	}
	if thread == 0 {
		return nil
	}
	frame := r.u32(thread + p.at[offCurrentFrame])
	for n := 0; frame != 0 && n < 2*maxFrames && len(frames) < maxFrames; n++ {
		if owner := r.u32(frame + p.at[offFrameOwner]); owner&0xff != ownedByC {
			if c := p.code(r, r.u32(frame+p.at[offFrameExecutable])); c != nil {
				at := r.u32(frame + p.at[offFrameInstruction])
				frames = append(frames, Frame{Function: c.name, File: c.file, Line: c.line((at - c.start) / 2)})
			}
		}
		frame = r.u32(frame + p.at[offFramePrevious])
	}
	return frames
}

// code returns what is known of a code object, nil if it is none.
func (p *python) code(r reader, at uint32) *code {
	if at == 0 {
		return nil
	}
	key := codeKey{at, r.u32(at + p.at[offCodeTable]), r.u32(at + p.at[offCodeFirstLine])}
	if c := p.codes[key]; c != nil {
		return c
	}
	kind := r.u32(at + p.at[offObjectType])
	if string(r.bytes(r.u32(kind+p.at[offTypeName]), 5)) != "code\x00" {
		return nil
	}
	c := &code{
		name: p.text(r, r.u32(at+p.at[offCodeQualname])), file: p.text(r, r.u32(at+p.at[offCodeFile])),
		first: int(int32(key.first)), start: at + p.at[offCodeCode],
	}
	c.table = r.bytes(key.table+p.at[offBytesValue], min(r.u32(key.table+p.at[offBytesSize]), maxTable))
	if size := codeBytes + len(c.name) + len(c.file) + len(c.table); p.held+size <= MaxBytes/2 {
		p.held += size
		p.codes[key] = c
	}
	return c
}

// text returns a str object's text, or the beginning of it.
func (p *python) text(r reader, at uint32) string {
	state, length := r.u32(at+p.at[offTextState]), r.u32(at+p.at[offTextLength])
	width, compact, ascii := state>>2&7, state>>5&1 == 1, state>>6&1 == 1
	if at == 0 || !compact || width != 1 && width != 2 && width != 4 {
		return "?"
	}
	from := at + p.at[offTextASCII]
	if !ascii {
		from += 8 // the length and the address of its UTF-8
	}
	raw := r.bytes(from, min(length, maxName)*width)
	var b strings.Builder
	for ; len(raw) >= int(width); raw = raw[width:] {
		c := rune(raw[0])
		switch width {
		case 2:
			c = rune(binary.LittleEndian.Uint16(raw))
		case 4:
			c = rune(binary.LittleEndian.Uint32(raw))
		}
		if c == 0 || !utf8.ValidRune(c) {
			c = utf8.RuneError
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Kinds of entries in a table of lines, see CPython's Objects/locations.md.
const (
	entryOneLine  = 10 // and the next two: so many lines on
	entryNoColumn = 13
	entryLong     = 14
	entryNone     = 15
)

// line returns the line of an instruction, which is one by its number; 0 if it has none.
func (c *code) line(instruction uint32) int {
	line, rest := c.first, c.table
	for at := uint32(0); len(rest) > 0; {
		first := rest[0]
		if first&0x80 == 0 {
			return 0 // not a table of lines
		}
		kind, delta := first>>3&15, 0
		rest = rest[1:]
		switch {
		case kind >= entryOneLine && kind < entryNoColumn:
			delta = int(kind - entryOneLine)
		case kind == entryNoColumn || kind == entryLong:
			delta = signedVarint(rest)
		}
		line += delta
		for len(rest) > 0 && rest[0]&0x80 == 0 { // its columns; only the first byte of an entry has the highest bit
			rest = rest[1:]
		}
		if at += uint32(first&7) + 1; instruction < at {
			if kind == entryNone {
				return 0
			}
			return line
		}
	}
	return 0
}

// signedVarint reads a number in pieces of six bits, the lowest first, the sign last.
func signedVarint(b []byte) int {
	var n uint
	for i, shift := 0, 0; i < len(b) && shift < 32; i, shift = i+1, shift+6 {
		n |= uint(b[i]&63) << shift
		if b[i]&64 == 0 {
			break
		}
	}
	if n&1 == 1 {
		return -int(n >> 1)
	}
	return int(n >> 1)
}
