package rewrite

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
)

func TestRewrite_LeavesResultsAsTheyWere(t *testing.T) {
	type run struct {
		name string
		args []uint64
	}
	var runs []run
	for _, name := range []string{"nested", "params", "table", "value", "fib", "imported", "locals"} {
		for n := uint64(1); n < 14; n++ {
			runs = append(runs, run{name, []uint64{n}})
		}
	}
	values := []uint64{0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff}
	for _, a := range values {
		for _, b := range values {
			runs = append(runs, run{"compare", []uint64{a, b}})
		}
	}
	h := newHost(t)
	module := testdata(t, "control")
	plain := h.start(t, module, nil)
	want := make([]string, len(runs))
	for i, r := range runs {
		results, failure := call(plain, r.name, r.args...)
		want[i] = fmt.Sprint(results, failure)
	}
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			h.yield = func() int32 { return o.Budget }
			m, _ := h.startRewritten(t, module, o)
			for i, r := range runs {
				results, failure := call(m, r.name, r.args...)
				if got := fmt.Sprint(results, failure); got != want[i] {
					t.Errorf("%s%v = %s, want %s", r.name, r.args, got, want[i])
				}
			}
		})
	}
}

func TestRewrite_RenumbersAllFormsOfElementSegments(t *testing.T) {
	h := newHost(t)
	module := testdata(t, "segments")
	plain := h.start(t, module, nil)
	m, _ := h.startRewritten(t, module, Options{})
	for _, phase := range []string{"before init", "after init"} {
		for i := range uint64(20) {
			want, wantFailure := call(plain, "call", i)
			got, failure := call(m, "call", i)
			if !reflect.DeepEqual(got, want) || failure != wantFailure {
				t.Errorf("%s: entry %d gives %v %s, want %v %s", phase, i, got, failure, want, wantFailure)
			}
		}
		call(plain, "init")
		call(m, "init")
	}
}

func TestRewrite_LaysActiveSegmentsOut(t *testing.T) {
	h := newHost(t)
	module := testdata(t, "data")
	plain := h.start(t, module, nil)
	m, r := h.startRewritten(t, module, Options{})
	if len(r.Memory) != 65536 || string(r.Memory[8:16]) != "aaacbbaa" || r.Memory[65535] != 'z' {
		t.Errorf("memory of %d bytes begins with %q", len(r.Memory), r.Memory[:24])
	}
	if r.MemoryMin != 1 || r.MemoryMax != 4 {
		t.Errorf("limits are %d and %d, want 1 and 4", r.MemoryMin, r.MemoryMax)
	}
	call(plain, "init")
	if _, failure := call(m, "init"); failure != "" {
		t.Errorf("init: %s", failure)
	}
	want, _ := plain.Memory().Read(0, 65536)
	if got, _ := m.Memory().Read(0, 65536); !bytes.Equal(got, want) {
		t.Error("memory differs after memory.init")
	}
	if _, failure := call(m, "gone"); failure == "" {
		t.Error("an active segment can still be read by memory.init")
	}
}

func TestRewrite_DropsTheDataSectionWhenNothingRefersToIt(t *testing.T) {
	module := appendSection(header(), sectionMemory, []byte{1, 0, 1})
	module = appendSection(module, sectionData, []byte("\x01\x00\x41\x08\x0b\x05hello"))
	r := mustRewrite(t, module, Options{})
	if string(r.Memory) != "\x00\x00\x00\x00\x00\x00\x00\x00hello" {
		t.Errorf("memory is %q", r.Memory)
	}
	if bytes.Contains(r.Module, []byte("hello")) {
		t.Error("the segment is still in the module")
	}
}

func TestRewrite_RaisesTheMemoryMinimum(t *testing.T) {
	module := testdata(t, "data")
	for _, c := range []struct{ option, want uint32 }{{0, 1}, {3, 3}, {9, 4}} {
		if r := mustRewrite(t, module, Options{MemoryMin: c.option}); r.MemoryMin != c.want {
			t.Errorf("minimum for %d is %d, want %d", c.option, r.MemoryMin, c.want)
		}
	}
}

func TestRewrite_ExportsMutableGlobals(t *testing.T) {
	h := newHost(t)
	m, r := h.startRewritten(t, testdata(t, "globals"), Options{GlobalPrefix: "g"})
	want := []Global{{"g1", typeI32}, {"c", typeI64}, {"g4", typeF32}, {"g5", typeF64}, {"g6", typeI32}, {"g7", typeI32}}
	if !reflect.DeepEqual(r.Globals, want) {
		t.Fatalf("globals are %v, want %v", r.Globals, want)
	}
	call(m, "step")
	saved := make([]uint64, len(r.Globals))
	for i, g := range r.Globals {
		saved[i] = m.ExportedGlobal(g.ExportName).Get()
	}
	if saved[0] != 2 || saved[1] != 4 || saved[4] != 99 {
		t.Errorf("globals after a step: %v", saved)
	}
	clone := h.start(t, r.Module, nil)
	for i, g := range r.Globals {
		clone.ExportedGlobal(g.ExportName).(interface{ Set(uint64) }).Set(saved[i])
	}
	if got, _ := call(clone, "step"); got[0] != 5 {
		t.Errorf("step of the clone is %d, want 5", got[0])
	}
}

func TestRewrite_KeepsNamesOnRequest(t *testing.T) {
	name := appendName(nil, "name")
	name = appendSection(name, namesFunctions, []byte("\x02\x00\x03imp\x01\x03def"))
	name = appendSection(name, namesLocals, []byte("\x01\x01\x01\x00\x03loc"))
	module := appendSection(header(), sectionType, []byte{1, typeFunc, 0, 0})
	module = appendSection(module, sectionImport, []byte("\x01\x03env\x03imp\x00\x00"))
	module = appendSection(module, sectionFunction, []byte{1, 0})
	module = appendSection(module, sectionCode, []byte{1, 4, 1, 1, typeI32, opEnd})
	module = appendSection(module, sectionCustom, appendName(nil, "producers"))
	module = appendSection(module, sectionCustom, name)
	r := mustRewrite(t, module, Options{KeepNames: true})
	for _, want := range []string{
		"\x00\x03imp\x01\x0evivarium.yield\x02\x03def\x03\x0dvivarium.tick", // functions
		"\x02\x08\x01\x02\x01\x00\x03loc",                                   // locals
	} {
		if !bytes.Contains(r.Module, []byte(want)) {
			t.Errorf("no %q in the names", want)
		}
	}
	if bytes.Contains(r.Module, []byte("producers")) {
		t.Error("another custom section was kept")
	}
	if r := mustRewrite(t, module, Options{}); bytes.Contains(r.Module, []byte("def")) {
		t.Error("names were kept without being asked for")
	}
}

func TestRewrite_DoesNotChangeItsInput(t *testing.T) {
	module := testdata(t, "control")
	before := bytes.Clone(module)
	mustRewrite(t, module, Options{})
	if !bytes.Equal(module, before) {
		t.Error("the input changed")
	}
}

func TestRewrite_CopiesAndFillsAsBefore(t *testing.T) {
	h := newHost(t)
	module := testdata(t, "bulk")
	plain := h.start(t, module, nil)
	h.yield = func() int32 { return 100 }
	m, _ := h.startRewritten(t, module, Options{})
	const size = 100 * 65536
	for i := uint32(0); i < size; i += 4 {
		plain.Memory().WriteUint32Le(i, i*2654435761)
		m.Memory().WriteUint32Le(i, i*2654435761)
	}
	lengths := []uint64{0, 1, 1023, 1024, 1025, bulkChunk - 1, bulkChunk, bulkChunk + 1, 3*bulkChunk + 5, size, size + 1, 0xffffffff}
	places := [][2]uint64{
		{0, 0}, {0, 100}, {100, 0}, {0, 2 * bulkChunk}, {2 * bulkChunk, 0}, {77, 3 * bulkChunk}, {size - 3000, 0}, {0, 0xfffffff0},
	}
	for _, n := range lengths {
		for _, p := range places {
			for _, name := range []string{"copy", "fill"} {
				_, want := call(plain, name, p[0], p[1], n)
				_, got := call(m, name, p[0], p[1], n)
				if got != want {
					t.Errorf("%s(%d, %d, %d): %q, want %q", name, p[0], p[1], n, got, want)
				}
				a, _ := plain.Memory().Read(0, size)
				if b, _ := m.Memory().Read(0, size); !bytes.Equal(a, b) {
					t.Fatalf("%s(%d, %d, %d): memory differs", name, p[0], p[1], n)
				}
			}
		}
	}
	if h.yields == 0 {
		t.Error("never yielded")
	}
}

func TestRewrite_CopiesAndFillsFewBytesAsBefore(t *testing.T) {
	h := newHost(t)
	module := testdata(t, "bulk")
	plain := h.start(t, module, nil)
	h.yield = func() int32 { return 100 }
	m, _ := h.startRewritten(t, module, Options{})
	size := m.Memory().Size()
	edges := []uint32{0, size - 256}
	for _, edge := range edges {
		for i := edge; i < edge+256; i++ {
			plain.Memory().WriteByte(i, byte(i*167))
			m.Memory().WriteByte(i, byte(i*167))
		}
	}
	places := []uint32{
		0, 3, 90, size - 100, size - 67, size - 33, size - 16, size - 9, size - 5, size - 1, size, size + 1, 0xffffffff, 0xfffffff0,
	}
	for n := range uint64(bulkSmall + 3) {
		for _, to := range places {
			for _, from := range append(places, to+1, to-1, to+uint32(n/2), to-uint32(n/2)) {
				for _, name := range []string{"copy", "fill"} {
					_, want := call(plain, name, uint64(to), uint64(from), n)
					_, got := call(m, name, uint64(to), uint64(from), n)
					if got != want {
						t.Errorf("%s(%d, %d, %d): %q, want %q", name, to, from, n, got, want)
					}
					for _, edge := range edges {
						a, _ := plain.Memory().Read(edge, 256)
						if b, _ := m.Memory().Read(edge, 256); !bytes.Equal(a, b) {
							t.Fatalf("%s(%d, %d, %d): memory differs", name, to, from, n)
						}
					}
				}
			}
		}
	}
}

func header() []byte { return []byte("\x00asm\x01\x00\x00\x00") }

func BenchmarkRewrite(b *testing.B) {
	module := testdata(b, "control")
	b.SetBytes(int64(len(module)))
	b.ReportAllocs()
	for b.Loop() {
		mustRewrite(b, module, Options{})
	}
}
