// Package rewrite turns a WebAssembly module into one that can be interrupted and cloned.
//
// Machine code made from WebAssembly gives the processor back to nobody, so the module must do so itself. A rewritten
// module has a countdown, a global. Every loop iteration takes one off it, and so does whatever else could go on without
// a loop: recursion, calls through tables, the moving of much memory. When it is used up the module calls the imported
// yield function, which may look at deadlines, let others run or panic, and which returns the next budget.
//
// An instance whose linear memory and mutable globals are known can be cloned from them. So data segments are taken out
// of the module and handed over as the initial memory, and every mutable global is exported.
//
// The flow: parse splits the input, reads its sections and notes in edits what can't be copied as it is; cutCycles
// chooses which calls count; emit writes the result, copying what lies between the edits.
//
// # How is a loop counted?
//
// It is put into another loop, and goes back to that when the budget is used up:
//
//	loop                 ;; added: here is the call of yield
//	  if countdown <= 0: call tick
//	  loop               ;; the loop itself
//	    countdown -= 1
//	    if countdown <= 0: br 1
//	    ...
//
// A call within the loop itself would cost more than the counting: wazero's register allocator stores every variable of a
// loop in memory, each time it changes, if a call that is never made might need its register. This way the variables that
// live across the call are those of the outer loop. Branches that leave a loop have one more block to leave.
//
// # What does it cost?
//
// Measured on CPython 3.13 (15 CPU-bound programs, medians of interleaved runs, wazero 1.12 on amd64), speed relative to
// the module as it was; above 1 is faster:
//
//	call within the loop, loops only                    0.92
//	loop around the loop, loops only                    0.96
//	all that is counted, but br_if left as it is        0.96   (0.87 to 1.03)
//	all                                                 1.00   (0.88 to 1.13)
//	all but recursion                                   1.02
//
// The result is 16 % longer than the code and data that it keeps of the input (without debug sections), and takes some 20 %
// longer to compile. Rewriting 8.6 MB takes 70 ms. With the default budget CPython yields each 0.1 to 0.5 ms.
//
// # Why is br_if replaced?
//
// wazero compiles a comparison and the br_if behind it to four instructions instead of two if the edge needs a block of
// its own, as most do. An if around a br has no such edge. Forward branches get the opposite comparison and an else, so
// that what follows stays the straight way. This pays for the counting.
//
// # Why are iterations not counted in a local variable?
//
// Tried: innermost loops without calls counted 16 iterations in a local and took one off the countdown then. The longer
// way into such a loop costs more than its iterations gain; overall it was 1 % slower.
//
// # Is the work between two yields bounded?
//
// Yes, by the budget times the longest way through the code that passes no counted place. Cycles of direct calls are cut
// at the entry of one function of each, indirect calls that may come back are counted where they are, memory.copy and
// memory.fill count their KiBs and move 1 MiB at a time, exceptions count for what they take. What host functions do is up
// to the host, and table instructions and memory.init are bounded by the module's own size only.
package rewrite

import "strconv"

// Options say how to rewrite. The zero value is what Vivarium uses.
type Options struct {
	// Budget is how many loop iterations and counted calls happen between two calls of the yield function; 0 means
	// DefaultBudget. It is the initial value of the countdown; the yield function returns the next ones. Below 2 it is
	// taken for 2.
	Budget int32
	// YieldModule and YieldName name the imported function; empty means "vivarium" and "yield".
	YieldModule, YieldName string
	// GlobalPrefix begins the names of the exported globals, an index ends them; empty means DefaultGlobalPrefix.
	GlobalPrefix string
	// MemoryMin is the least minimum of the memory in pages. The larger one of it and the module's own is taken.
	MemoryMin uint32
	// MaxMemory bounds the initial memory in bytes; 0 means DefaultMaxMemory.
	MaxMemory int
	// KeepNames keeps the name section. All other custom sections are dropped in any case.
	KeepNames bool
	// Omit leaves parts out, to measure what they cost. Without some of them a guest can run forever.
	Omit Parts
}

// Parts are parts of the rewriting, as bits.
type Parts uint8

// The parts that can be left out.
const (
	OmitLoops     Parts = 1 << iota // do not count loops
	OmitRecursion                   // do not count calls and function entries
	OmitBulk                        // leave memory.copy and memory.fill as they are
	OmitFusing                      // leave br_if as it is
)

// What the zero values in Options stand for.
const (
	DefaultBudget       = 20_000
	DefaultGlobalPrefix = "vivarium.global."
	DefaultMaxMemory    = 64 << 20
)

// Result is the rewritten module and what was taken out of it.
type Result struct {
	Module []byte
	// Memory is the beginning of the initial linear memory; the rest of it is zero.
	Memory []byte
	// MemoryMin and MemoryMax are the limits of the memory in pages. MemoryMax is 65536 when the module states none.
	MemoryMin, MemoryMax uint32
	// Globals are all mutable globals: with the linear memory they are the state of an instance. The countdown is the
	// last of them.
	Globals []Global
	Stats   Stats
}

// Global is an exported mutable global.
type Global struct {
	ExportName string
	Type       byte // as encoded: 0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64
}

// Stats tell what was found and done.
type Stats struct {
	Functions int // defined ones, without the added ones
	Loops     int
	Entries   int // functions counted at their entry
	Sites     int // indirect calls counted
	Bulk      int // memory.copy and memory.fill
}

// Rewrite gives a module that does what the given one does, see the package documentation. The input is not changed, and
// the result shares nothing with it. Many goroutines may call it at once.
//
// The input is not validated beyond what the rewriter relies on: whoever compiles the result finds the rest.
//
// # Errors
//
// A *SyntaxError says what is malformed, or valid but not supported: a start section, imported or shared or 64-bit
// memory, more than one memory, imported mutable globals, mutable globals of other than number types, data segments whose
// offset is not an i32.const or that end outside of the initial memory. Nothing panics, and memory use is bounded by the
// length of the input and MaxMemory.
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
	exports   [][]byte // those to add, encoded
	stats     Stats

	take  asm // takes one off the countdown
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

// helper gives the function index of a helper.
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

// nameGlobals decides under which names the mutable globals are exported.
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
			Msg:    "exports " + strconv.Quote(name) + " already, which is the name for a global",
		}
	}
	p.exported = append(p.exported, Global{name, typ})
	p.exports = append(p.exports, appendU32(append(appendName(nil, name), externGlobal), index))
	return nil
}
