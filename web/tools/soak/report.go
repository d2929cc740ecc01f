package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// promised is the time within which 99 of 100 calls of neighbours should be
// answered.
const promised = 100 * time.Millisecond

// report prints the figures.
//
// # Errors
//
// One if a promise was broken.
func (d *driver) report() error {
	l := d.ledger
	l.begin("report")
	l.mu.Lock()
	t := tabwriter.NewWriter(d.out, 0, 0, 1, ' ', 0)
	d.reportCalls(t)
	d.reportOutcomes(t)
	d.target.report(t)
	fmt.Fprintf(t, "\nMachine: %s/%s, %d processors, %s, shared with the driver.\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		runtime.Version())
	l.mu.Unlock()
	if err := t.Flush(); err != nil {
		return err
	}
	broken, examples := l.breaches()
	if broken > 0 {
		return fmt.Errorf("promises were broken %d times:\n  %s", broken, strings.Join(examples, "\n  "))
	}
	fmt.Fprintln(d.out, "\nAll promises have held.")
	return nil
}

// explain finds out where slow calls have spent their time.
func (d *driver) explain(ctx context.Context) {
	d.ledger.mu.Lock()
	slow := slices.Clone(d.ledger.slow)
	d.ledger.mu.Unlock()
	slices.SortFunc(slow, func(a, b slowCall) int { return cmp.Compare(b.took, a.took) })
	for _, s := range slow[:min(len(slow), mostExplained)] {
		part := "no longer logged"
		if parts, err := s.f.report(ctx, s.requestID); err == nil && len(parts) > 0 {
			all := parts[""]
			part = "in the handler, or waiting for its turn to compute"
			switch {
			case float64(s.took)/1e6 > 2*all:
				part = "outside of the call"
			case parts["Init "] > all/2:
				part = "making an instance"
			case parts["Queuing "] > all/2:
				part = "waiting for an instance"
			}
		}
		d.ledger.count("slow calls of the load, and on what most of it went", part)
	}
}

// mostExplained bounds how many slow calls are examined: the slowest ones.
const mostExplained = 200

// reportCalls prints how neighbours' calls were answered. The ledger is locked.
func (d *driver) reportCalls(t io.Writer) {
	l := d.ledger
	var all []time.Duration
	cut := 0
	fmt.Fprintf(t, "\n| phase\t| s\t| answered right\t| p50 ms\t| p99 ms\t| max ms\t| refused without store\t|\n|---\t|---\t|---\t|---\t|---\t|---\t|---\t|\n")
	for _, p := range l.phases {
		cut += p.cut
		if len(p.took) == 0 {
			continue
		}
		s := spreadOf(p.took)
		all = append(all, p.took...)
		fmt.Fprintf(t, "| %s\t| %.0f\t| %d\t| %s\t| %s\t| %s\t| %d\t|\n", p.name, p.ended.Sub(p.started).Seconds(), s.calls,
			millis(s.p50), millis(s.p99), millis(s.max), p.refused)
	}
	s := spreadOf(all)
	verdict := "holds"
	if s.p99 > promised {
		verdict = "FAILS"
	}
	fmt.Fprintf(t, "| all\t| \t| %d\t| %s\t| %s\t| %s\t| \t|\n", s.calls, millis(s.p50), millis(s.p99), millis(s.max))
	fmt.Fprintf(t, "\nneighbours' p99 ≤ %v: %s\n", promised, verdict)
	acknowledged, owed := d.queue.figures()
	fmt.Fprintf(t, "\n| calls\t| number\t|\n|---\t|---\t|\n")
	fmt.Fprintf(t, "| of neighbours, answered right\t| %d\t|\n", l.neighbours)
	for _, what := range []string{"wrong", "lost", "crossed", "refused", "failed"} {
		fmt.Fprintf(t, "| … %s\t| %d\t|\n", what, l.broken[what])
	}
	fmt.Fprintf(t, "| … cut off by the program's own end\t| %d\t|\n", cut)
	fmt.Fprintf(t, "| hostile\t| %d\t|\n", l.attackers)
	fmt.Fprintf(t, "| asynchronous, acknowledged\t| %d\t|\n| … not made\t| %d\t|\n", acknowledged, owed)
}

// reportOutcomes prints the outcomes of everything else.
func (d *driver) reportOutcomes(t io.Writer) {
	fmt.Fprintf(t, "\n| what\t| outcomes\t|\n|---\t|---\t|\n")
	for _, kind := range slices.Sorted(maps.Keys(d.ledger.outcomes)) {
		outcomes := d.ledger.outcomes[kind]
		var parts []string
		for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
			parts = append(parts, fmt.Sprintf("%s %d", outcome, outcomes[outcome]))
		}
		fmt.Fprintf(t, "| %s\t| %s\t|\n", kind, strings.Join(parts, ", "))
	}
}

// report prints what the program held.
func (w *watch) report(t io.Writer) {
	fmt.Fprintf(t, "\n| resident memory\t| MiB\t|\n|---\t|---\t|\n| at the start\t| %d\t|\n", w.start>>20)
	for minute := 0; minute <= int(w.s.d.duration.Minutes()); minute++ {
		i := slices.IndexFunc(w.samples, func(s sample) bool { return s.at >= time.Duration(minute)*time.Minute })
		if i >= 0 {
			fmt.Fprintf(t, "| after %d min of load\t| %d\t|\n", minute, w.samples[i].resident>>20)
		}
	}
	fmt.Fprintf(t, "| median of the first, second, last third\t| %d, %d, %d\t|\n",
		w.median(0, 1./3)>>20, w.median(1./3, 2./3)>>20, w.median(2./3, 1)>>20)
	fmt.Fprintf(t, "| slope after the first third, a minute\t| %+.1f\t|\n", w.slope()/(1<<20))
	fmt.Fprintf(t, "\nbefore the load: %v\nafter it: %v\n", w.before, w.after)
}

// millis formats a duration in milliseconds.
func millis(d time.Duration) string { return fmt.Sprintf("%.3g", float64(d)/1e6) }
