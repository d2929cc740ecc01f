package rewrite

import (
	"fmt"
	"testing"
)

// catch begins a try_table without results and with one clause.
func (a asm) catch(clause ...byte) asm {
	return append(append(a, opTryTable, typeEmpty, 1), clause...)
}

// exceptions is written by hand, as wat2wasm knows only the older kind of exceptions.
func exceptions() []byte {
	const n = 0 // parameter
	step := func(a asm) asm { return a.get(n).i32(1).op(opI32Sub).tee(n) }
	within := step(asm{}.branch(opLoop).branch(opBlock).
		catch(0, 0, 0).op(opThrow, 0, opEnd). // catch to the block
		op(opEnd)).
		with(opBrIf, 0).op(opEnd).get(n)
	toLoop := step(asm{}.branch(opLoop)).
		op(opI32Eqz).branch(opIf).get(n).op(opReturn, opEnd).
		catch(2, 0).op(opThrow, 0, opEnd). // catch_all to the loop
		op(opUnreachable, opEnd, opUnreachable)
	out := step(asm{}.branch(opBlock).branch(opLoop)).
		i32(5).op(opI32GtS).with(opBrIf, 0).
		catch(0, 0, 1).op(opThrow, 0, opEnd). // catch to the block around the loop
		op(opUnreachable, opEnd, opEnd).get(n)
	endless := asm{}.branch(opLoop).catch(2, 0).op(opThrow, 0, opEnd, opEnd).op(opUnreachable)

	module := appendSection(header(), sectionType, []byte{2, typeFunc, 0, 0, typeFunc, 1, typeI32, 1, typeI32})
	module = appendSection(module, sectionFunction, []byte{4, 1, 1, 1, 1})
	module = appendSection(module, sectionTag, []byte{1, 0, 0})
	module = appendSection(module, sectionExport, []byte("\x04\x06within\x00\x00\x06toLoop\x00\x01\x03out\x00\x02\x07endless\x00\x03"))
	code := []byte{4}
	for _, a := range []asm{within, toLoop, out, endless} {
		code = append(code, a.function(0, 0)...)
	}
	return appendSection(module, sectionCode, code)
}

func TestRewrite_KeepsExceptions(t *testing.T) {
	h := newHost(t)
	plain := h.start(t, exceptions(), nil)
	for name, o := range variants() {
		m, _ := h.startRewritten(t, exceptions(), o)
		for _, function := range []string{"within", "toLoop", "out"} {
			for n := range uint64(20) {
				want := fmt.Sprint(call(plain, function, n+1))
				if got := fmt.Sprint(call(m, function, n+1)); got != want {
					t.Errorf("%s: %s(%d) = %s, want %s", name, function, n+1, got, want)
				}
			}
		}
	}
}

func TestRewrite_EndlessCatchingYields(t *testing.T) {
	h := newHost(t)
	m, _ := h.startRewritten(t, exceptions(), Options{})
	h.yield = func() int32 {
		if h.yields == 3 {
			panic(errStop)
		}
		return DefaultBudget
	}
	if _, failure := call(m, "endless", 0); h.yields != 3 {
		t.Errorf("%d yields, ended with %q", h.yields, failure)
	}
}
