package rewrite

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
)

// withCode builds a module of one function () -> () with the given code.
func withCode(code ...byte) []byte {
	m := appendSection(header(), sectionType, []byte{1, typeFunc, 0, 0})
	m = appendSection(m, sectionFunction, []byte{1, 0})
	body := append(append([]byte{0}, code...), opEnd)
	return appendSection(m, sectionCode, append(appendU32([]byte{1}, uint32(len(body))), body...))
}

func TestRewrite_RefusesWithAnOffset(t *testing.T) {
	section := func(id byte, body string) []byte { return appendSection(header(), id, []byte(body)) }
	for _, c := range []struct {
		name   string
		module []byte
		offset int
		msg    string
	}{
		{"nothing", nil, 0, "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), 4, "not a core module"},
		{"a section that is too long", append(header(), sectionType, 9, 0), 10, "unexpected end"},
		{"a section twice", append(section(sectionType, "\x00"), sectionType, 1, 0), 11, "twice"},
		{"an unknown section", section(14, ""), 8, "unknown section"},
		{"a start section", section(sectionStart, "\x00"), 8, "start section"},
		{"an imported memory", section(sectionImport, "\x01\x01e\x01m\x02\x00\x01"), 15, "imported memory"},
		{"an imported mutable global", section(sectionImport, "\x01\x01e\x01g\x03\x7f\x01"), 17, "imported mutable global"},
		{"two memories", section(sectionMemory, "\x02\x00\x01\x00\x01"), 10, "more than one memory"},
		{"a shared memory", section(sectionMemory, "\x01\x03\x01\x01"), 11, "shared"},
		{"a 64-bit memory", section(sectionMemory, "\x01\x04\x01"), 11, "64-bit"},
		{"a memory of 5 GiB", section(sectionMemory, "\x01\x00\x81\x80\x05"), 11, "pages"},
		{"a mutable v128 global", section(sectionGlobal, "\x01\x7b\x01\xfd\x0c"+strings.Repeat("\x00", 16)+"\x0b"), 11, "v128"},
		{"a mutable funcref global", section(sectionGlobal, "\x01\x70\x01\xd0\x70\x0b"), 11, "reference type"},
		{"data without a memory", section(sectionData, "\x01\x00\x41\x00\x0b\x00"), 11, "without a memory"},
		{"an unknown instruction", withCode(0x27), 23, "unknown instruction 0x27"},
		{"an unknown vector instruction", withCode(0xfd, 0x9a, 0x01), 23, "unknown instruction 0xfd"},
		{"an unknown label", withCode(opBr, 1), 24, "unknown label 1"},
		{"an unknown function", withCode(opCall, 1), 24, "unknown function 1"},
		{"the countdown", withCode(opGlobalGet, 0), 24, "unknown global 0"},
		{"an added type", withCode(opBlock, 1, opEnd), 24, "unknown block type 1"},
		{"a memory instruction without a memory", withCode(opMisc, miscMemoryFill, 0), 23, "without a memory"},
		{"memory.init without a data count", withCode(opMisc, miscMemoryInit, 0, 0), 23, "data count"},
		{"code behind the end", withCode(opEnd, opEnd), 24, "behind the end"},
		{"an end that is missing", withCode(opBlock, typeEmpty), 26, "unexpected end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Rewrite(c.module, Options{})
			syntax, ok := errors.AsType[*SyntaxError](err)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if syntax.Offset != c.offset || !strings.Contains(syntax.Msg, c.msg) {
				t.Errorf("error is %v, want offset %#x and %q", err, c.offset, c.msg)
			}
		})
	}
}

func TestRewrite_RefusesDataOutsideOfTheMemory(t *testing.T) {
	for _, c := range []struct{ data, msg string }{
		{"\x01\x00\x41\xff\xff\x03\x0b\x02ab", "past the memory"},                   // at 65535
		{"\x01\x00\x41\x7f\x0b\x02ab", "past the memory"},                           // at 2^32-1
		{"\x01\x00\x23\x00\x0b\x01a", "must be an i32.const, not instruction 0x23"}, // global.get
		{"\x01\x00\x41\x01\x41\x01\x6a\x0b\x01a", "must be one i32.const"},          // 1+1
		{"\x01\x02\x01\x41\x00\x0b\x01a", "more than one memory"},
		{"\x01\x03", "unknown form"},
	} {
		module := appendSection(header(), sectionMemory, []byte{1, 0, 1})
		module = appendSection(module, sectionGlobal, []byte{1, typeI32, 0, opI32Const, 0, opEnd})
		module = appendSection(module, sectionData, []byte(c.data))
		if _, err := Rewrite(module, Options{}); err == nil || !strings.Contains(err.Error(), c.msg) {
			t.Errorf("error is %v, want %q", err, c.msg)
		}
	}
}

func TestRewrite_RefusesANameThatIsTaken(t *testing.T) {
	module := appendSection(header(), sectionMemory, []byte{1, 0, 1})
	module = appendSection(module, sectionExport, append(appendName([]byte{1}, DefaultGlobalPrefix+"0"), externMemory, 0))
	if _, err := Rewrite(module, Options{}); err == nil || !strings.Contains(err.Error(), "exports") {
		t.Errorf("error is %v", err)
	}
	mustRewrite(t, module, Options{GlobalPrefix: "other"})
}

// A few bytes may claim billions of elements, which must not cost memory.
func TestRewrite_BelievesNoLength(t *testing.T) {
	huge := "\xff\xff\xff\xff\x0f"
	var modules [][]byte
	for id := range byte(sections) {
		if id != sectionStart && id != sectionCustom {
			modules = append(modules, appendSection(header(), id, []byte(huge)), appendSection(header(), id, []byte("\x01"+huge)))
		}
	}
	modules = append(modules,
		withCode(opBrTable, 0xff, 0xff, 0xff, 0xff, 0x0f), withCode(opTryTable, typeEmpty, 0xff, 0xff, 0xff, 0xff, 0x0f))
	memory := appendSection(header(), sectionMemory, []byte("\x01\x00\x80\x80\x04")) // 4 GiB
	modules = append(modules, appendSection(memory, sectionData, []byte("\x01\x00\x41\x7e\x0b\x01a")))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, m := range modules {
		if _, err := Rewrite(m, Options{}); err == nil {
			t.Errorf("%x was accepted", m)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d modules took %d bytes", len(modules), n)
	}
}

// Nesting is bounded only by the length of a function, so it must cost neither
// stack nor quadratic time.
func TestRewrite_TakesDeepNesting(t *testing.T) {
	const depth = 200_000
	var code []byte
	for range depth {
		code = append(code, opLoop, typeEmpty)
	}
	for range depth {
		code = asm(code).with(opBr, depth/2)
	}
	for range depth {
		code = append(code, opEnd)
	}
	r := mustRewrite(t, withCode(code...), Options{})
	if r.Stats.Loops != depth {
		t.Errorf("%d loops, want %d", r.Stats.Loops, depth)
	}
}

func TestReader_Integers(t *testing.T) {
	for _, v := range []int32{0, 1, -1, 63, 64, -64, -65, 8191, 8192, math.MaxInt32, math.MinInt32} {
		b := appendS32(nil, v)
		r := reader{b: b, end: len(b)}
		if got := r.s32(); got != v || r.err != nil || r.left() != 0 {
			t.Errorf("%d is read as %d, %v", v, got, r.err)
		}
		b = appendU32(nil, uint32(v))
		r = reader{b: b, end: len(b)}
		if got := r.u32(); got != uint32(v) || r.err != nil || r.left() != 0 {
			t.Errorf("%d is read as %d, %v", uint32(v), got, r.err)
		}
	}
	for _, b := range []string{"", "\x80", "\xff\xff\xff\xff\x1f", "\x80\x80\x80\x80\x80\x00"} {
		r := reader{b: []byte(b), end: len(b)}
		if v := r.u32(); v != 0 || r.err == nil {
			t.Errorf("%q is read as %d", b, v)
		}
		r = reader{b: []byte(b), end: len(b)}
		if v := r.s32(); v != 0 || r.err == nil {
			t.Errorf("%q is read as signed %d", b, v)
		}
	}
}
