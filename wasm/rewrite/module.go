package rewrite

import (
	"bytes"
	"encoding/binary"
	"math"
)

const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
	sectionTag       = 13

	sections = 14

	externFunc   = 0
	externTable  = 1
	externMemory = 2
	externGlobal = 3
	externTag    = 4

	maxFunctions = 1 << 27 // wazero's limit
	maxLocals    = 50_000
	maxPages     = 1 << 16
)

// sectionOrder is the order of sections: neither the data count nor the tags
// come by number.
var sectionOrder = [sections]byte{
	sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4, sectionMemory: 5, sectionTag: 6,
	sectionGlobal: 7, sectionExport: 8, sectionStart: 9, sectionElement: 10, sectionDataCount: 11, sectionCode: 12,
	sectionData: 13,
}

// span is a part of the input.
type span struct{ from, to int }

// vector is a section that is a vector: its length, and where its first element
// begins and its last one ends.
type vector struct {
	span
	count int
}

// edit is a place in the input that is not copied as is. Edits are sorted by
// position.
type edit struct {
	pos     uint32
	arg     uint32 // a function or type index, a label, or a length
	leaves  uint32 // for a branch: how many loops
	kind    editKind
	carries bool // for a loop: it has parameters
	counts  bool // for an indirect call
}

type editKind uint8

const (
	editFunc        editKind = iota // a function index to renumber
	editLoop                        // the head of a loop
	editLoopEnd                     // after the end of a loop
	editLabel                       // a branch label that leaves loops
	editBrIf                        // a br_if without operands to the head of a loop
	editCompareBrIf                 // a comparison and a br_if without operands
	editIndirect                    // before an indirect call outside of loops
	editCopy                        // a memory.copy
	editFill                        // a memory.fill
	editThrow                       // before a throw
)

// global is a defined global.
type global struct {
	typ     byte
	mutable bool
	export  string // the name under which the input exports it
	named   bool
}

// module is what parse learns about the input.
type module struct {
	in       []byte
	sections [sections]span
	has      [sections]bool
	names    span // contents of the name section

	types       vector
	params      []uint32 // number of parameters of each type
	results     []uint32 // number of results of each type
	typeKeys    [][]byte // encoding of each type
	typesOpaque bool     // equal types may have different encodings

	imports         vector
	importedFuncs   uint32
	importedGlobals uint32

	funcs []uint32 // type index of each defined function

	tableEdits  []edit
	tablesOpen  bool // a table is imported or exported
	memory      bool
	memoryPos   int
	min, max    uint32
	hasMax      bool
	globalVec   vector
	globals     []global
	globalEdits []edit
	exportVec   vector
	exportEdits []edit
	exportNames map[string]struct{}
	elemEdits   []edit
	elemFuncs   []uint32 // functions in element segments

	code code
	data data
}

// parse splits the input into sections and reads them all. It checks what the
// rewriter relies on; the rest is left to whoever compiles the result.
func parse(in []byte, o *Options) (*module, error) {
	m := &module{in: in}
	if int64(len(in)) > math.MaxInt32 {
		return nil, &SyntaxError{Offset: 0, Msg: "larger than 2 GiB"}
	}
	r := &reader{b: in, end: len(in)}
	if len(in) < 8 || string(in[:4]) != "\x00asm" {
		return nil, &SyntaxError{Offset: 0, Msg: "not a WebAssembly module"}
	}
	if v := binary.LittleEndian.Uint32(in[4:]); v != 1 {
		return nil, &SyntaxError{Offset: 4, Msg: "not a core module of version 1"}
	}
	r.pos = 8
	if m.split(r); r.err != nil {
		return nil, r.err
	}
	for _, s := range []struct {
		id   int
		read func(*reader)
	}{
		{sectionType, m.readTypes}, {sectionImport, m.readImports}, {sectionFunction, m.readFunctions},
		{sectionTable, m.readTables}, {sectionMemory, m.readMemory}, {sectionTag, m.readTags},
		{sectionGlobal, m.readGlobals},
		{sectionExport, m.readExports}, {sectionElement, m.readElements}, {sectionDataCount, m.readDataCount},
		{sectionCode, m.readCode}, {sectionData, func(r *reader) { m.readData(r, o.MaxMemory) }},
	} {
		if !m.has[s.id] {
			continue
		}
		sp := m.sections[s.id]
		r := &reader{b: in, pos: sp.from, end: sp.to}
		s.read(r)
		if r.err == nil && r.pos != r.end {
			r.failAt(r.pos, "section %d has %d bytes too many", s.id, r.left())
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	if m.data.declared && m.data.count > 0 && !m.has[sectionData] {
		return nil, &SyntaxError{Offset: m.sections[sectionDataCount].from, Msg: "data segments are declared, but missing"}
	}
	if len(m.funcs) != len(m.code.funcs) {
		return nil, &SyntaxError{Offset: m.sections[sectionCode].from, Msg: "function and code section differ in length"}
	}
	return m, nil
}

// split finds the sections.
func (m *module) split(r *reader) {
	var last byte
	for !r.done() {
		pos := r.pos
		id := r.byte()
		body := r.sub(int(r.u32()))
		if r.err != nil {
			return
		}
		if id == sectionCustom {
			name := body.bytes()
			if body.err != nil {
				r.failAt(body.err.Offset, "custom section: %s", body.err.Msg)
			} else if bytes.Equal(name, []byte("name")) {
				m.names = span{body.pos, body.end}
			}
			continue
		}
		switch {
		case int(id) >= sections:
			r.failAt(pos, "unknown section %d", id)
		case id == sectionStart:
			r.failAt(pos, "a start section is not supported: an instance must not run before its memory is bound")
		case sectionOrder[id] <= last:
			r.failAt(pos, "section %d occurs twice or is out of order", id)
		}
		if r.err != nil {
			return
		}
		last = sectionOrder[id]
		m.sections[id], m.has[id] = span{body.pos, body.end}, true
	}
}
