package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger records what has happened so far. Safe for concurrent use.
type ledger struct {
	tell func(example string) // called for the first examples of broken promises

	mu         sync.Mutex // guards all below
	phases     []*phase
	outcomes   map[string]map[string]int // of hostile calls and changes, by kind and outcome
	broken     map[string]int            // promises, by what was broken
	examples   []string                  // of broken promises
	hindrances map[hindrance]*window
	neighbours int // calls answered correctly
	attackers  int // calls that ended
	slow       []slowCall
}

// slowCall is a neighbour's call that took longer than promised.
type slowCall struct {
	f         *function
	requestID string
	took      time.Duration
	phase     string
}

// hindrance is a fault during which some failures are permitted.
type hindrance int

const (
	withoutStore   hindrance = iota // changes, asynchronous calls, logs: 503
	withoutProgram                  // everything
	withoutServer                   // a node may be behind: 503 to what builds on a change that it does not know yet
)

// window is the time of a hindrance.
type window struct {
	active bool
	until  time.Time // when it ended
}

// phase is a part of the soak, with the figures of neighbours' calls in it.
type phase struct {
	name    string
	started time.Time
	ended   time.Time
	took    []time.Duration // of calls answered correctly
	cut     int             // number of calls cut off when the program ended
	refused int             // number of 503s to changes and asynchronous calls
}

func newLedger(tell func(example string)) *ledger {
	return &ledger{
		tell:     tell,
		outcomes: map[string]map[string]int{}, broken: map[string]int{},
		hindrances: map[hindrance]*window{withoutStore: {}, withoutProgram: {}, withoutServer: {}},
	}
}

// begin begins a phase.
func (l *ledger) begin(name string) *phase {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if n := len(l.phases); n > 0 {
		l.phases[n-1].ended = now
	}
	p := &phase{name: name, started: now}
	l.phases = append(l.phases, p)
	return p
}

// phase returns the current phase. The caller holds mu.
func (l *ledger) phase() *phase { return l.phases[len(l.phases)-1] }

// hinder begins a hindrance; the returned function ends it.
func (l *ledger) hinder(h hindrance) (over func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hindrances[h].active = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		*l.hindrances[h] = window{until: time.Now()}
	}
}

// hindered reports whether a hindrance was present at any time since then.
func (l *ledger) hindered(h hindrance, since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.hindrances[h]
	return w.active || w.until.After(since)
}

// right counts a neighbour's call that was answered correctly.
func (l *ledger) right(f *function, a *answer, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.neighbours++
	p := l.phase()
	p.took = append(p.took, took)
	if took > promised {
		l.slow = append(l.slow, slowCall{f, a.header.Get("X-Request-Id"), took, p.name})
	}
}

// cut counts a neighbour's call that was cut off when the program ended.
func (l *ledger) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase().cut++
}

// count counts the outcome of anything else.
func (l *ledger) count(kind, outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outcomes[kind] == nil {
		l.outcomes[kind] = map[string]int{}
	}
	l.outcomes[kind][outcome]++
	if outcome == unavailable {
		l.phase().refused++
	}
}

// attacked counts a hostile call and its outcome.
func (l *ledger) attacked(kind, outcome string) {
	l.count(kind, outcome)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attackers++
}

// unavailable is the outcome of requests refused for lack of a store.
const unavailable = "503"

// behind is the outcome of requests to a node that does not know yet what they build on.
const behind = "not known here yet"

func isBehind(answer string) bool { return strings.Contains(answer, behind) }

// breach records a broken promise, with an example.
func (l *ledger) breach(promise, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken[promise]++
	if l.broken[promise] <= 3 {
		example := fmt.Sprintf("%s, %s: %.1000s", l.phase().name, promise, fmt.Sprintf(format, args...))
		l.examples = append(l.examples, example)
		l.tell(example)
	}
}

// breaches returns how many promises were broken, and how.
func (l *ledger) breaches() (total int, examples []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.broken {
		total += n
	}
	return total, slices.Clone(l.examples)
}

// balance returns by how many calls neighbours are ahead of attackers.
func (l *ledger) balance() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.neighbours - l.attackers
}

// spread is the distribution of how long calls took.
type spread struct {
	calls         int
	p50, p99, max time.Duration
}

func spreadOf(took []time.Duration) spread {
	if len(took) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(took))
	return spread{len(sorted), sorted[len(sorted)/2], sorted[len(sorted)*99/100], sorted[len(sorted)-1]}
}

// current returns the current phase's name and spread.
func (l *ledger) current() (name string, s spread) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.phase()
	return p.name, spreadOf(p.took)
}
