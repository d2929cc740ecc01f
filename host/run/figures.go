package run

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// FiguresStep is the time that one FiguresPoint tells of.
	FiguresStep = 10 * time.Second
	// MaxFigures is how many points are remembered.
	MaxFigures = 60
	// sampleInterval is how often instances are counted: each step gets a sample.
	sampleInterval = FiguresStep / 2
)

// FiguresPoint is what became of a function's calls within one step. Those that
// were cancelled by their callers are in none of the numbers.
type FiguresPoint struct {
	Time     time.Time // when the step began
	Calls    int
	Errors   int           // calls that failed, through the function or the platform
	P50, P99 time.Duration // of calls that got an instance; 0 when there were none
	Idle     int           // instances that waited for a call
	Busy     int           // instances that processed one, or were being made
	Memory   int64         // bytes that instances had taken for themselves
}

// FunctionFigures are the last steps of a function, oldest first, the present
// one last.
type FunctionFigures struct {
	FunctionID string
	Total      FiguresPoint // of all points together; instances and memory as they are now
	Points     []FiguresPoint

	steps []figuresStep // which the points show
}

// Figures returns the last points, up to MaxFigures, of a function.
func (r *Runner) Figures(functionID string, points int) FunctionFigures {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f := r.functions[functionID]
	if f == nil { // it has no versions
		f = &functionRuns{}
	}
	idle, busy, memory := f.instances()
	all := f.figures.last(time.Now(), min(max(points, 1), MaxFigures), idle, busy, memory)
	all.FunctionID = functionID
	return all
}

// instances counts the function's instances. The caller holds the runner's mutex.
func (f *functionRuns) instances() (idle, busy int, memory int64) {
	for _, v := range f.versions {
		s := v.stats()
		idle += s.Idle
		busy += s.Busy
		memory += s.Memory
	}
	return idle, busy, memory
}

// sample notes how many instances each function has, until Close.
func (r *Runner) sample() {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			r.mu.RLock()
			for _, f := range r.functions {
				idle, busy, memory := f.instances()
				f.figures.sample(now, idle, busy, memory)
			}
			r.mu.RUnlock()
		case <-r.running.Done():
			return
		}
	}
}

// figures remembers the last steps of one function: about 27 KiB when there were
// calls in all of them, nothing when there were none. Safe for concurrent use;
// nil drops what it is told.
type figures struct {
	active atomic.Bool // there are steps

	mu    sync.Mutex // guards steps; held for a few dozen instructions
	steps []figuresStep
}

// figuresStep is one step, of the number that its place in the ring has had
// last.
type figuresStep struct {
	number     int64 // FiguresSteps since the epoch
	calls      uint32
	errors     uint32
	idle, busy uint32
	memory     int64
	latencies  [latencyBuckets]uint32
}

func stepOf(at time.Time) int64 { return at.UnixNano() / int64(FiguresStep) }

// step returns the step of that number, an empty one if it is new. The caller
// holds the mutex.
func (g *figures) step(number int64) *figuresStep {
	if g.steps == nil {
		g.steps = make([]figuresStep, MaxFigures)
		g.active.Store(true)
	}
	s := &g.steps[number%MaxFigures]
	if s.number != number {
		*s = figuresStep{number: number}
	}
	return s
}

// call notes a call that ended at a time. A latency below 0 means none.
func (g *figures) call(at time.Time, latency time.Duration, failed bool) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.step(stepOf(at))
	s.calls++
	if failed {
		s.errors++
	}
	if latency >= 0 {
		s.latencies[latencyBucket(latency)]++
	}
}

// sample notes what instances there are. A function that has had neither calls
// nor instances for long enough is forgotten.
func (g *figures) sample(now time.Time, idle, busy int, memory int64) {
	if idle+busy == 0 && !g.active.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	number := stepOf(now)
	if idle+busy == 0 && !slices.ContainsFunc(g.steps, func(s figuresStep) bool { return s.number > number-MaxFigures }) {
		g.steps = nil
		g.active.Store(false)
		return
	}
	if idle+busy == 0 && g.steps[number%MaxFigures].number != number {
		return // an empty step says the same
	}
	s := g.step(number)
	s.idle, s.busy, s.memory = uint32(idle), uint32(busy), memory
}

// last returns the last points, with the instances that there are now.
func (g *figures) last(now time.Time, points, idle, busy int, memory int64) FunctionFigures {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := FunctionFigures{steps: make([]figuresStep, points)}
	for i := range all.steps {
		number := stepOf(now) - int64(points-1-i)
		all.steps[i].number = number
		if g.steps != nil && g.steps[number%MaxFigures].number == number {
			all.steps[i] = g.steps[number%MaxFigures]
		}
	}
	last := &all.steps[points-1]
	last.idle, last.busy, last.memory = uint32(idle), uint32(busy), memory
	all.show()
	return all
}

// show makes the points and the total of what the steps have.
func (f *FunctionFigures) show() {
	f.Points = make([]FiguresPoint, len(f.steps))
	total := figuresStep{number: f.steps[0].number}
	for i := range f.steps {
		f.Points[i] = f.steps[i].point()
		total.add(&f.steps[i])
	}
	last := &f.steps[len(f.steps)-1]
	total.idle, total.busy, total.memory = last.idle, last.busy, last.memory
	f.Total = total.point()
}

func (s *figuresStep) add(more *figuresStep) {
	s.calls += more.calls
	s.errors += more.errors
	s.idle += more.idle
	s.busy += more.busy
	s.memory += more.memory
	for bucket, n := range more.latencies {
		s.latencies[bucket] += n
	}
}

func (s *figuresStep) point() FiguresPoint {
	return FiguresPoint{
		Time: time.Unix(0, s.number*int64(FiguresStep)).UTC(), Calls: int(s.calls), Errors: int(s.errors),
		P50: s.quantile(0.50), P99: s.quantile(0.99), Idle: int(s.idle), Busy: int(s.busy), Memory: s.memory,
	}
}

// The histogram of latencies: four buckets to an octave, so that a quantile is
// at most a quarter off, from latencyUnit to an hour, the longest timeout.
const (
	latencyUnit    = 16 * time.Microsecond
	latencyBuckets = 108
)

func latencyBucket(d time.Duration) int {
	n := uint64(d / latencyUnit)
	if n < 4 {
		return int(n)
	}
	octave := bits.Len64(n) - 3
	return min(octave*4+int(n>>octave), latencyBuckets-1)
}

// latencyBound returns where a bucket begins.
func latencyBound(bucket int) time.Duration {
	if bucket < 8 {
		return time.Duration(bucket) * latencyUnit
	}
	octave := bucket/4 - 1
	return time.Duration(4+bucket%4) << octave * latencyUnit
}

// quantile returns the latency that a share q of the calls did not exceed, as
// if the calls of a bucket lay evenly in it.
func (s *figuresStep) quantile(q float64) time.Duration {
	count := 0
	for _, n := range s.latencies {
		count += int(n)
	}
	rank := q * float64(count)
	for bucket, n := range s.latencies {
		if n > 0 && rank <= float64(n) {
			from, to := latencyBound(bucket), latencyBound(bucket+1)
			return from + time.Duration(rank/float64(n)*float64(to-from))
		}
		rank -= float64(n)
	}
	return 0
}
