// Package rewrite turns a WebAssembly module into one that can be interrupted and cloned.
//
// Machine code compiled from WebAssembly never yields the processor, so the module must do so itself. A rewritten module
// has a countdown, a global. Every loop iteration decrements it, and so does whatever else could go on without a loop:
// recursion, calls through tables, moving much memory. When it is used up, the module calls the imported yield function,
// which may check deadlines, let others run or panic, and which returns the next budget.
//
// An instance can be cloned from its linear memory and mutable globals if both are accessible. So data segments are
// extracted from the module as its initial memory, and every mutable global is exported.
//
// The flow: parse splits the input, reads its sections and records as edits what can't be copied as is; cutCycles chooses
// which calls count; emit writes the result, copying what lies between the edits.
//
// # How is a loop counted?
//
// It is wrapped in another loop, and jumps back to that one when the budget is used up:
//
//	loop                 ;; added: tick is called here
//	  if countdown <= 0: call tick
//	  loop               ;; the loop itself
//	    countdown -= 1
//	    if countdown <= 0: br 1
//	    ...
//
// A call within the loop itself would cost more than the counting: wazero's register allocator stores every variable of a
// loop in memory whenever it changes if a call, even one that is never made, might need its register. This way, only
// variables of the outer loop live across the call. Branches that leave a loop have one more block to leave.
//
// # What does it cost?
//
// Measured on CPython 3.13 (15 CPU-bound programs, medians of interleaved runs, wazero 1.12 on amd64), as speed relative
// to the original module; above 1 is faster:
//
//	call within the loop, loops only                    0.92
//	loop around the loop, loops only                    0.96
//	everything counted, but br_if left as it is         0.96   (0.87 to 1.03)
//	everything                                          1.00   (0.88 to 1.13)
//	everything but recursion                            1.02
//
// The result is 16 % larger than the code and data that it keeps of the input (without debug sections), and takes some
// 20 % longer to compile. Rewriting 8.6 MB takes 70 ms. With the default budget, CPython yields every 0.1 to 0.5 ms.
//
// # Why is br_if replaced?
//
// wazero compiles a comparison followed by br_if to four instructions instead of two if the edge needs a block of its
// own, as most do. An if around a br has no such edge. Forward branches get the opposite comparison and an else, so that
// falling through stays the straight path. This pays for the counting.
//
// # Why are iterations not counted in a local variable?
//
// Tried: innermost loops without calls counted 16 iterations in a local before decrementing the countdown. Entering such a
// loop then costs more than its iterations gain; overall it was 1 % slower.
//
// # Why are memory.copy and memory.fill calls of helpers?
//
// A function with one of them saves and restores eight vector registers whenever it is called, and the instruction itself
// leaves wazero's code for the Go runtime's. The helpers move up to 64 bytes, which is what a guest mostly moves, by loads
// and stores, and leave the rest to others that have the instruction. CPython is some 3 % faster, and the
// result smaller.
//
// # Is the work between two yields bounded?
//
// Yes, by the budget times the longest path through the code that passes no counted place. Cycles of direct calls are cut
// at the entry of one function each, indirect calls that may lead back count at the call, memory.copy and memory.fill
// count their KiBs and move 1 MiB at a time, and exceptions count for the time they take. What host functions do is up to
// the host, and table instructions and memory.init are bounded only by the module's own size.
package rewrite

import "strconv"

// Options configure Rewrite. The zero value is what Vivarium uses.
type Options struct {
	// Budget is how many loop iterations and counted calls happen between two
	// calls of the yield function; 0 means DefaultBudget. It is the initial
	// value of the countdown; the yield function returns the next ones. The
	// minimum is 2.
	Budget int32
	// YieldModule and YieldName name the imported function; empty means "vivarium" and "yield".
	YieldModule, YieldName string
	// GlobalPrefix starts the names of exported globals, followed by an index;
	// empty means DefaultGlobalPrefix.
	GlobalPrefix string
	// MemoryMin is a lower bound for the memory's minimum, in pages; the
	// module's own may be larger.
	MemoryMin uint32
	// MaxMemory bounds the initial memory in bytes; 0 means DefaultMaxMemory.
	MaxMemory int
	// KeepNames keeps the name section. All other custom sections are always
	// dropped.
	KeepNames bool
	// Omit leaves parts out, to measure their cost. Without some of them a
	// guest can run forever.
	Omit Parts
}

// Parts is a set of parts of the rewriting.
type Parts uint8

// Parts that can be left out.
const (
	OmitLoops     Parts = 1 << iota // do not count loops
	OmitRecursion                   // do not count calls and function entries
	OmitBulk                        // leave memory.copy and memory.fill as they are
	OmitFusing                      // leave br_if as it is
)

// Defaults for Options.
const (
	DefaultBudget       = 20_000
	DefaultGlobalPrefix = "vivarium.global."
	DefaultMaxMemory    = 64 << 20
)

// Result is the rewritten module and what was extracted from it.
type Result struct {
	Module []byte
	// Memory is the start of the initial linear memory; the rest is zero.
	Memory []byte
	// MemoryMin and MemoryMax are the limits of the memory in pages. MemoryMax
	// is 65536 if the module sets none.
	MemoryMin, MemoryMax uint32
	// Globals are all mutable globals; with the linear memory they are the
	// state of an instance. The countdown is the last one.
	Globals []Global
	Stats   Stats
}

// Global is an exported mutable global.
type Global struct {
	ExportName string
	Type       byte // as encoded: 0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64
}

// Stats counts what was found and changed.
type Stats struct {
	Functions int // defined in the input
	Loops     int
	Entries   int // functions counted at their entry
	Sites     int // indirect calls counted
	Bulk      int // memory.copy and memory.fill
}

// Rewrite returns a module that behaves like the given one; see the package
// documentation for what it adds. The input is not changed, and the result
// shares nothing with it. It is safe for concurrent use.
//
// The input is validated only as far as the rewriter relies on it: whoever
// compiles the result finds the rest.
//
// # Errors
//
// A *SyntaxError reports what is malformed, or valid but not supported: a start
// section, imported or shared or 64-bit memory, more than one memory, imported
// mutable globals, mutable globals of other than number types, data segments
// whose offset is not an i32.const or that end outside of the initial memory.
// Nothing panics, and memory use is bounded by the length of the input and
// MaxMemory.
func Rewrite(module []byte, o Options) (*Result, error) {
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	o.Budget = max(o.Budget, minBudget)
	if o.YieldModule == "" {
		o.YieldModule = "vivarium"
	}
	if o.YieldName == "" {
		o.YieldName = "yield"
	}
	if o.GlobalPrefix == "" {
		o.GlobalPrefix = DefaultGlobalPrefix
	}
	if o.MaxMemory <= 0 {
		o.MaxMemory = DefaultMaxMemory
	}
	m, err := parse(module, &o)
	if err != nil {
		return nil, err
	}
	p := newPlan(m, &o)
	if err := p.nameGlobals(); err != nil {
		return nil, err
	}
	res := &Result{
		Module:    p.emit(),
		Memory:    m.data.memory,
		MemoryMin: p.memoryMin(),
		MemoryMax: maxPages,
		Globals:   p.exported,
		Stats:     p.stats,
	}
	if !m.memory {
		res.MemoryMax = 0
	} else if m.hasMax {
		res.MemoryMax = m.max
	}
	return res, nil
}

// plan is what is decided before the result is written.
type plan struct {
	m         *module
	o         *Options
	yield     uint32 // function index of the import
	countdown uint32 // global index
	firstNew  uint32 // type index of the first added type
	exported  []Global
	exports   [][]byte // to be added, encoded
	stats     Stats

	take  asm // subtracts one from the countdown
	look  asm // begins a new budget when the countdown is used up
	count asm // both
}

func newPlan(m *module, o *Options) *plan {
	p := &plan{
		m: m, o: o,
		yield:     m.importedFuncs,
		countdown: m.importedGlobals + uint32(len(m.globals)),
		firstNew:  uint32(len(m.params)),
	}
	p.stats.Functions, p.stats.Loops = len(m.code.funcs), m.code.loops
	if o.Omit&OmitRecursion == 0 {
		p.stats.Sites, p.stats.Entries = m.cutCycles()
	}
	p.take, p.look = p.decrement(), p.guard()
	p.count = append(append(asm{}, p.take...), p.look...)
	return p
}

// helper returns the function index of a helper.
func (p *plan) helper(h int) uint32 {
	return p.m.importedFuncs + 1 + uint32(len(p.m.code.funcs)) + uint32(h)
}

func (p *plan) memoryMin() uint32 {
	if !p.m.memory {
		return 0
	}
	n := max(p.m.min, p.o.MemoryMin)
	if p.m.hasMax {
		n = min(n, p.m.max)
	}
	return min(n, maxPages)
}

// nameGlobals chooses the names under which mutable globals are exported.
func (p *plan) nameGlobals() error {
	for i, g := range p.m.globals {
		if g.named && g.mutable {
			p.exported = append(p.exported, Global{g.export, g.typ})
		} else if g.mutable {
			if err := p.export(p.m.importedGlobals+uint32(i), g.typ); err != nil {
				return err
			}
		}
	}
	return p.export(p.countdown, typeI32)
}

// export adds the export of a global.
func (p *plan) export(index uint32, typ byte) error {
	name := p.o.GlobalPrefix + strconv.Itoa(int(index))
	if _, ok := p.m.exportNames[name]; ok {
		return &SyntaxError{
			Offset: p.m.sections[sectionExport].from,
			Msg:    "already exports " + strconv.Quote(name) + ", the name needed for a global",
		}
	}
	p.exported = append(p.exported, Global{name, typ})
	p.exports = append(p.exports, appendU32(append(appendName(nil, name), externGlobal), index))
	return nil
}
