package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// watch observes which of the system's resources the program holds.
type watch struct {
	s       *single
	samples []sample // of the load, a second apart, until the program is killed
	start   int64    // resident bytes before anything was deployed
	before  holdings
	after   holdings
}

// sample is the program's memory at one time.
type sample struct {
	at       time.Duration // since the start of the load
	resident int64         // bytes
}

// holdings are some of the program's metrics.
type holdings struct{ goroutines, files, instances, memory float64 }

func (h holdings) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f open files, %.0f instances with %.0f MiB",
		h.goroutines, h.files, h.instances, h.memory/(1<<20))
}

// ask reads the program's metrics.
func (w *watch) ask(ctx context.Context) (h holdings, err error) {
	a, err := w.s.d.client("").call(ctx, http.MethodGet, "/metrics", nil, nil)
	if err != nil || a.status != http.StatusOK {
		return h, fmt.Errorf("metrics: %v, %v", a, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(a.body))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "go_goroutines":
			h.goroutines += n
		case "vivarium_threads": // goroutines that functions may have
			h.goroutines -= n
		case "process_open_fds":
			h.files = n
		case `vivarium_instances{state="idle"}`, `vivarium_instances{state="busy"}`:
			h.instances += n
		case "vivarium_instances_memory_bytes":
			h.memory = n
		}
	}
	return h, nil
}

// atStart measures the program before anything is deployed.
func (w *watch) atStart() { w.start = w.s.program.Load().resident() }

// beforeLoad measures the program when all functions exist and nothing is going
// on.
func (w *watch) beforeLoad(ctx context.Context) {
	pause(ctx, time.Second) // lets finished work go away
	w.s.d.http.CloseIdleConnections()
	pause(ctx, time.Second)
	var err error
	if w.before, err = w.ask(ctx); err != nil {
		w.s.d.ledger.breach("soak", "%v", err)
	}
}

const (
	// spare is how many more goroutines and open files there may be after the
	// load: connections about to close, timers about to fire.
	spare = 10
	// restLimit is how long the program may take to release what it held.
	restLimit = 90 * time.Second // longer than idle instances keep their connections
)

// afterLoad measures the program after the load.
func (w *watch) afterLoad(ctx context.Context) {
	var err error
	for end := time.Now().Add(restLimit); ctx.Err() == nil; pause(ctx, 500*time.Millisecond) {
		w.s.d.http.CloseIdleConnections()
		if w.after, err = w.ask(ctx); err == nil &&
			w.after.goroutines <= w.before.goroutines+spare && w.after.files <= w.before.files+spare {
			return
		}
		if time.Now().After(end) {
			w.s.d.ledger.breach("lets go of what it had", "after the load %v, before it %v, %v", w.after, w.before, err)
			return
		}
	}
}

// atEnd measures the program after all functions are deleted.
func (w *watch) atEnd(ctx context.Context) {
	var h holdings
	var err error
	for end := time.Now().Add(restLimit); ctx.Err() == nil; pause(ctx, 200*time.Millisecond) {
		if h, err = w.ask(ctx); err == nil && h.instances == 0 && h.memory == 0 {
			return
		}
		if time.Now().After(end) {
			w.s.d.ledger.breach("lets go of what it had", "with all functions deleted there are %v, %v", h, err)
			return
		}
	}
}

// keep takes samples and reports progress, until ctx ends.
func (w *watch) keep(ctx context.Context) {
	program, started := w.s.program.Load(), time.Now()
	var told time.Time
	var computed time.Duration
	for ; ctx.Err() == nil; pause(ctx, time.Second) {
		if w.s.program.Load() == program {
			if resident := program.resident(); resident > 0 {
				w.samples = append(w.samples, sample{time.Since(started), resident})
			}
		}
		if time.Since(told) >= tellEvery {
			now := w.s.program.Load().computed()
			w.tell(time.Since(started), float64(now-computed)/float64(time.Since(told)))
			told, computed = time.Now(), now
		}
	}
}

// tellEvery is the interval of progress reports.
const tellEvery = 5 * time.Second

// tell reports progress; processors is how many processors the program used
// recently.
func (w *watch) tell(at time.Duration, processors float64) {
	l := w.s.d.ledger
	name, s := l.current()
	l.mu.Lock()
	neighbours, attackers := l.neighbours, l.attackers
	l.mu.Unlock()
	acknowledged, owed := w.s.d.queue.figures()
	broken, _ := l.breaches()
	w.s.d.say("%3.0f s  %-28s calls %d, here p50 %s p99 %s ms  hostile %d  asynchronous %d, owed %d  memory %d MiB  processors %.1f  broken %d",
		at.Seconds(), name, neighbours, millis(s.p50), millis(s.p99), attackers, acknowledged, owed,
		w.s.program.Load().resident()>>20, max(processors, 0), broken)
}

// median returns the median memory of the program in a part of the load.
func (w *watch) median(from, to float64) int64 {
	n := float64(len(w.samples))
	part := w.samples[int(n*from):int(n*to)]
	if len(part) == 0 {
		return 0
	}
	sizes := make([]int64, len(part))
	for i, s := range part {
		sizes[i] = s.resident
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}

// slope returns the slope of the program's memory after the load's first third,
// in bytes per minute, by least squares.
func (w *watch) slope() float64 {
	part := w.samples[len(w.samples)/3:]
	var n, x, y, xx, xy float64
	for _, s := range part {
		minute, size := s.at.Minutes(), float64(s.resident)
		n, x, y, xx, xy = n+1, x+minute, y+size, xx+minute*minute, xy+minute*size
	}
	if n*xx == x*x {
		return 0
	}
	return (n*xy - x*y) / (n*xx - x*x)
}

// judge checks that the memory was flat.
func (w *watch) judge() {
	middle, last := w.median(1./3, 2./3), w.median(2./3, 1)
	if w.s.d.duration >= longForm && last > middle+middle/10+32<<20 {
		w.s.d.ledger.breach("memory is flat", "%d MiB in the second third of the load, %d in the last", middle>>20, last>>20)
	}
}
