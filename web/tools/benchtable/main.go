// Command benchtable runs the benchmarks and prints the figures that Vivarium
// is judged by: what must hold, what we aim for, and what this machine yields
// in this run.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is one figure of the table.
type row struct {
	what      string
	benchmark string // without the Benchmark prefix
	metric    string
	unit      string
	must, aim float64 // 0 means none
	atLeast   bool    // larger is better
}

var rows = []row{
	{"new instance to first response, module imported by the instance, p50", "ColdStart/Importing", "p50-ms", "ms", 4, 1.5, false},
	{"the same as a share of `python3 -I -S -c pass`", "ColdStart/Importing", "of-python", "", 0.5, 0, false},
	{"`python3 -I -S -c pass` itself, p50", "ColdStart/Importing", "python-p50-ms", "ms", 0, 0, false},
	{"the same with the import frozen, p50", "ColdStart/Frozen", "p50-ms", "ms", 0, 0, false},
	{"the same with a frozen import of 20 stdlib modules, p50", "ColdStart/Frozen20Imports", "p50-ms", "ms", 2.5, 0.8, false},
	{"the same, one cold call right after the other, p50", "ColdStart/BackToBack", "p50-ms", "ms", 0, 0, false},
	{"deploy of a small function to its first response, p50", "Deploy", "p50-ms", "ms", 1000, 0, false},
	{"warm call through host, p50", "WarmCall", "p50-ms", "ms", 0.3, 0.1, false},
	{"warm call over loopback HTTP, p50", "HTTPWarmCall", "p50-ms", "ms", 0.6, 0.25, false},
	{"… of a function whose calls are not kept in the history, p50", "HTTPWarmCallUnkept", "p50-ms", "ms", 0, 0, false},
	{"warm call over loopback HTTP, p99", "HTTPWarmCall", "p99-ms", "ms", 3, 0, false},
	{"snippet in the playground, an instance of its own, over loopback HTTP, p50", "Play", "p50-ms", "ms", 100, 10, false},
	{"… p99", "Play", "p99-ms", "ms", 0, 0, false},
	{"first paint of a function's page in the console, p50", "Console", "paint-p50-ms", "ms", 1000, 200, false},
	{"… from a click to its answer, p50", "Console", "answer-p50-ms", "ms", 100, 20, false},
	{"speed of Python, of an uninterruptible guest's: fib", "Compute/fib", "of-uninterruptible", "", 0.9, 0.97, true},
	{"… nbody", "Compute/nbody", "of-uninterruptible", "", 0.9, 0.97, true},
	{"… dicts", "Compute/dicts", "of-uninterruptible", "", 0.9, 0.97, true},
	{"… json", "Compute/json", "of-uninterruptible", "", 0.9, 0.97, true},
	{"… sort", "Compute/sort", "of-uninterruptible", "", 0.9, 0.97, true},
	{"… text", "Compute/text", "of-uninterruptible", "", 0.9, 0.97, true},
	{"speed of Python, times that of wazero's own interruption: fib", "Compute/fib", "times-wazero", "", 0, 0, true},
	{"… json", "Compute/json", "times-wazero", "", 0, 0, true},
	{"private memory of an idle instance, 1,000 live", "IdleInstances", "MiB/instance", "MiB", 2, 0.5, false},
	{"fork of a session with state, 1,000 of them, p50", "Session_Fork", "fork-p50-ms", "ms", 3, 1, false},
	{"… first snippet of a fork, p50", "Session_Fork", "first-snippet-p50-ms", "ms", 0, 0, false},
	{"… private memory of a fork", "Session_Fork", "MiB/fork", "MiB", 1, 0.5, false},
	{"… of one that has run a snippet", "Session_Fork", "MiB/fork-that-ran", "MiB", 0, 0, false},
	{"deadline overshoot, 8 hogs on all processors, p99", "DeadlineOvershoot", "p99-ms", "ms", 20, 5, false},
	{"… at worst", "DeadlineOvershoot", "max-ms", "ms", 0, 0, false},
	{"warm call beside another tenant's spinning guests, p99", "Neighbour", "p99-ms", "ms", 30, 10, false},
	{"… alone, p99", "Neighbour", "alone-p99-ms", "ms", 0, 0, false},
	{"warm call beside another tenant's long host calls, p99, times that beside loops, at worst", "HostCalls", "times-loops", "", 2, 1.2, false},
	{"computed for a long host call after its deadline, at worst", "HostCalls", "late-cpu-ms", "ms", 20, 5, false},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout, progress io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=.", "-benchtime=2s", "-timeout=30m", "./host/run", "./web", "./web/console")
	cmd.Stderr = progress
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	figures, err := read(io.TeeReader(pipe, progress))
	if err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	return write(stdout, figures)
}

// read collects the metrics in benchmark output by benchmark and unit. A
// benchmark with parts gets the worst of theirs, which is the highest.
func read(r io.Reader) (map[string]float64, error) {
	figures := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		name = strings.TrimSuffix(name, fmt.Sprintf("-%d", runtime.GOMAXPROCS(0)))
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				figures[name+" "+fields[i+1]] = v
				if whole, _, part := strings.Cut(name, "/"); part {
					figures[whole+" "+fields[i+1]] = max(figures[whole+" "+fields[i+1]], v)
				}
			}
		}
	}
	return figures, lines.Err()
}

func write(w io.Writer, figures map[string]float64) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(t, "| what\t| measured\t| must\t| aim\t|  \t|\n|---\t|---\t|---\t|---\t|---\t|\n")
	missing := 0
	for _, r := range rows {
		v, ok := figures[r.benchmark+" "+r.metric]
		if !ok {
			missing++
			fmt.Fprintf(t, "| %s\t| not measured\t| \t| \t| \t|\n", r.what)
			continue
		}
		fmt.Fprintf(t, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r.what, r.text(v), r.bound(r.must), r.bound(r.aim), r.verdict(v))
	}
	fmt.Fprintf(t, "\nMachine: %s/%s, %d processors, %s.\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if err := t.Flush(); err != nil {
		return err
	}
	if missing > 0 {
		return fmt.Errorf("%d figures are missing", missing)
	}
	return nil
}

func (r row) text(v float64) string {
	digits := strconv.FormatFloat(v, 'g', 3, 64)
	if v >= 1000 {
		digits = strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strings.TrimSpace(digits + " " + r.unit)
}

func (r row) bound(v float64) string {
	switch {
	case v == 0:
		return ""
	case r.atLeast:
		return "≥ " + r.text(v)
	}
	return "≤ " + r.text(v)
}

func (r row) verdict(v float64) string {
	meets := func(bound float64) bool { return bound != 0 && (r.atLeast && v >= bound || !r.atLeast && v <= bound) }
	switch {
	case r.must == 0:
		return ""
	case meets(r.aim):
		return "aim"
	case meets(r.must):
		return "holds"
	}
	return "MISSED"
}
