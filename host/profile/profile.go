// Package profile finds out where a call's time goes, by lines of Python.
//
// # Vocabulary
//
//   - Profile: what was found, and its form for pprof.
//   - Tree (tree.go): its form for a page, lines with those that they called.
//   - Observe: notes the stack that the interpreter has at this moment, for the time that
//     is about to be told. The guest stands still meanwhile: at a yield, at which it
//     stops anyway, or at the beginning of a wait.
//   - stack (python.go): read from the guest's memory, in which CPython says by itself how
//     its structures lie (_Py_DebugOffsets). The guest has no part in it, so it
//     costs nothing when nobody observes, and a function can't tell.
//
// A guest can write whatever it likes into its memory. At worst its profile is wrong:
// everything that is read is bounded.
package profile

import (
	"compress/gzip"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"vivarium/wasm"
)

// MaxBytes is how much memory a profile takes, about: of its stacks, of which the time of
// further ones counts for none of them in particular, and of what is known of the guest's
// code.
const MaxBytes = 16 << 20

const (
	maxStacks  = 20_000
	stackBytes = 128 // counted per stack besides its frames
	frameBytes = 64  // of each
)

// Profile is where time went. Safe for concurrent use.
type Profile struct {
	began time.Time

	mu     sync.Mutex // guards all below
	python python
	stacks map[string]*spent
	order  []*spent
	full   *spent // the time of stacks that there was no room for; nil while there is
	held   int    // bytes in stacks
}

// spent is the time of one stack.
type spent struct {
	frames             []Frame // the innermost first
	samples            int64
	computing, waiting time.Duration
}

// Frame is a line of Python that is being executed.
type Frame struct {
	Function string // with the names around it, as in Class.method
	File     string
	Line     int // 0 if unknown
}

// New returns an empty profile.
func New() *Profile { return &Profile{began: time.Now(), stacks: map[string]*spent{}} }

// Observe notes the stack of a guest. What it returns adds time to that: of computing, or
// of waiting.
func (p *Profile) Observe(m wasm.Memory) func(took time.Duration, waiting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	frames := p.python.stack(m)
	if len(frames) == 0 {
		frames = []Frame{{Function: "(the interpreter)"}}
	}
	s := p.of(frames)
	return func(took time.Duration, waiting bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.samples++
		if waiting {
			s.waiting += took
		} else {
			s.computing += took
		}
	}
}

// of returns the time of a stack. The caller holds the mutex.
func (p *Profile) of(frames []Frame) *spent {
	var key strings.Builder
	for _, f := range frames {
		key.WriteString(f.File)
		key.WriteByte(0)
		key.WriteString(f.Function)
		key.WriteByte(byte(f.Line >> 16))
		key.WriteByte(byte(f.Line >> 8))
		key.WriteByte(byte(f.Line))
	}
	s := p.stacks[key.String()]
	if s == nil {
		if p.full != nil {
			return p.full
		}
		p.held += stackBytes + len(frames)*frameBytes + key.Len()
		if len(p.order) >= maxStacks || p.held > MaxBytes/2 {
			p.full = &spent{frames: []Frame{{Function: "(too many stacks)"}}}
			p.order = append(p.order, p.full)
			return p.full
		}
		s = &spent{frames: frames}
		p.order = append(p.order, s)
		p.stacks[key.String()] = s
	}
	return s
}

// Numbers of fields in pprof's profile.proto.
const (
	profileSampleType, profileSample, profileLocation, profileFunction, profileString = 1, 2, 4, 5, 6
	profileTime, profileDuration, profilePeriodType, profilePeriod, profileDefault    = 9, 10, 11, 12, 14
	typeType, typeUnit                                                                = 1, 2
	sampleLocation, sampleValue                                                       = 1, 2
	locationID, locationLine                                                          = 1, 4
	lineFunction, lineLine                                                            = 1, 2
	functionID, functionName, functionSystemName, functionFile                        = 1, 2, 3, 4
)

// Write writes the profile in pprof's format. Its samples have three values: how many
// there were, and nanoseconds of computing, cpu, and of waiting, wait.
//
// # Errors
//
// Those of w.
func (p *Profile) Write(w io.Writer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := encoder{strings: map[string]uint64{}, functions: map[Frame]uint64{}, locations: map[Frame]uint64{}}
	e.text("") // the first must be empty
	for _, of := range [][2]string{{"samples", "count"}, {"cpu", "nanoseconds"}, {"wait", "nanoseconds"}} {
		e.message(profileSampleType, e.valueType(of[0], of[1]))
	}
	for _, s := range p.order {
		if s.samples == 0 {
			continue
		}
		var ids, values, sample []byte
		for _, f := range s.frames {
			ids = protowire.AppendVarint(ids, e.location(f))
		}
		for _, n := range []int64{s.samples, int64(s.computing), int64(s.waiting)} {
			values = protowire.AppendVarint(values, uint64(n))
		}
		sample = appendBytes(sample, sampleLocation, ids)
		e.message(profileSample, appendBytes(sample, sampleValue, values))
	}
	e.message(profilePeriodType, e.valueType("cpu", "nanoseconds"))
	e.number(profilePeriod, uint64(Interval))
	e.number(profileTime, uint64(p.began.UnixNano()))
	e.number(profileDuration, uint64(time.Since(p.began)))
	e.number(profileDefault, e.text("cpu"))
	for _, s := range e.table {
		e.out = appendBytes(e.out, profileString, []byte(s))
	}
	z := gzip.NewWriter(w)
	if _, err := z.Write(e.out); err != nil {
		return err
	}
	return z.Close()
}

// Interval is for how long a guest computes, at least, between two samples.
const Interval = wasm.ObserveInterval

// encoder writes a profile, in which strings, functions and lines are named by numbers.
type encoder struct {
	out       []byte
	table     []string
	strings   map[string]uint64
	functions map[Frame]uint64 // without a line
	locations map[Frame]uint64
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func (e *encoder) message(field protowire.Number, m []byte) { e.out = appendBytes(e.out, field, m) }

func (e *encoder) number(field protowire.Number, n uint64) { e.out = appendNumber(e.out, field, n) }

// text returns the number of a string.
func (e *encoder) text(s string) uint64 {
	n, ok := e.strings[s]
	if !ok {
		n = uint64(len(e.table))
		e.strings[s] = n
		e.table = append(e.table, s)
	}
	return n
}

func (e *encoder) valueType(name, unit string) []byte {
	return appendNumber(appendNumber(nil, typeType, e.text(name)), typeUnit, e.text(unit))
}

// location returns the number of a line.
func (e *encoder) location(f Frame) uint64 {
	if id, ok := e.locations[f]; ok {
		return id
	}
	id := uint64(len(e.locations) + 1)
	e.locations[f] = id
	line := appendNumber(appendNumber(nil, lineFunction, e.function(f)), lineLine, uint64(f.Line))
	e.message(profileLocation, appendBytes(appendNumber(nil, locationID, id), locationLine, line))
	return id
}

// function returns the number of a line's function.
func (e *encoder) function(f Frame) uint64 {
	f.Line = 0
	if id, ok := e.functions[f]; ok {
		return id
	}
	id := uint64(len(e.functions) + 1)
	e.functions[f] = id
	b := appendNumber(nil, functionID, id)
	b = appendNumber(b, functionName, e.text(f.Function))
	b = appendNumber(b, functionSystemName, e.text(f.Function))
	e.message(profileFunction, appendNumber(b, functionFile, e.text(f.File)))
	return id
}
