// Package rewrite makes modules interruptible and takes their initial state out.
package rewrite

import "strconv"

// Options say how to rewrite. The zero value is what Vivarium uses.
type Options struct {
	// Budget is how many loop iterations and counted calls happen between two calls of the yield function; 0 means
	// DefaultBudget. It is the initial value of the countdown; the yield function returns the next ones.
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

const (
	OmitLoops     Parts = 1 << iota // do not count loops
	OmitRecursion                   // do not count calls and function entries
	OmitBulk                        // leave memory.copy and memory.fill as they are
	OmitStrides                     // count every iteration of every loop
	OmitFusing                      // leave br_if as it is
)

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
	Strided   int // of them, those that count in strides
	Entries   int // functions counted at their entry
	Sites     int // indirect calls counted
	Bulk      int // memory.copy and memory.fill
}

// Rewrite gives a module that does what the given one does, see the package documentation. The input is not changed, and
// the result shares nothing with it.
//
// # Errors
//
// A *SyntaxError says what is malformed or not supported.
func Rewrite(module []byte, o Options) (*Result, error) {
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
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
