// Command benchpython measures how fast Python computes in the product beside
// native Python, and beside other builds of the product: `go tool task bench:python`.
//
// Small programs (function/programs.py) run everywhere in turns, each in a call that
// takes a fraction of a second. What counts is the CPU time of the process, which
// other work on the machine changes least; of several rounds the least is taken.
package main

import (
	"bytes"
	"context"
	"embed"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

//go:embed function
var function embed.FS

// programs are the functions in programs.py.
var programs = []string{
	"fib", "nbody", "dicts", "objects", "jsons", "sorts", "text", "gens", "excs", "sha", "bigint", "strs",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchpython:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("benchpython", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: benchpython [flags] [program ...]")
		flags.PrintDefaults()
	}
	var builds []string
	flags.Func("program", "a `build` of Vivarium; several are compared with the first (default bin/vivarium)", func(path string) error {
		builds = append(builds, path)
		return nil
	})
	nativePath := flags.String("python", "python3", "the native `Python`, of the guest's version")
	pyodideDir := flags.String("pyodide", "", "a `folder` where npm has installed pyodide, to be run by Node.js too")
	rounds := flags.Int("rounds", 5, "how often each is measured")
	pip := flags.String("pyperformance", "", "a `Python` whose pip gets pyperformance, for some of its programs to be measured too")
	share := flags.Duration("time", 100*time.Millisecond, "native Python's share of a measurement")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if len(builds) == 0 {
		builds = append(builds, "bin/vivarium")
	}
	folder, err := os.MkdirTemp("", "benchpython-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	files, err := fs.Sub(function, "function")
	if err != nil {
		return err
	}
	if err := os.CopyFS(folder, files); err != nil {
		return err
	}
	suites := [][]string{programs}
	if *pip != "" {
		if err := getPyperformance(ctx, *pip, folder); err != nil {
			return err
		}
		suites = append(suites, pyperformance)
	}
	if flags.NArg() > 0 {
		suites = [][]string{flags.Args()}
	}
	version, err := exec.CommandContext(ctx, *nativePath, "-V").Output()
	if err != nil {
		return fmt.Errorf("%s: %w", *nativePath, err)
	}
	var pythons []*python
	add := func(p *python, err error) error {
		if err == nil {
			pythons = append(pythons, p)
		}
		return err
	}
	defer func() {
		for _, p := range pythons {
			p.close()
		}
	}()
	if err := add(startNative(ctx, *nativePath, folder)); err != nil {
		return err
	}
	for _, path := range builds {
		if err := add(startProduct(ctx, path, folder)); err != nil {
			return err
		}
	}
	if *pyodideDir != "" {
		if err := add(startPyodide(ctx, *pyodideDir, folder)); err != nil {
			return err
		}
	}
	for _, names := range suites {
		table := map[string][]time.Duration{}
		for _, name := range names {
			fmt.Fprintln(stderr, name)
			if table[name], err = measure(pythons, name, *rounds, *share); err != nil {
				return err
			}
		}
		if err := write(stdout, pythons, names, table); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stdout, "Machine: %s/%s, %d processors. Native: %s.\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), bytes.TrimSpace(version))
	return err
}

// measure returns how long each Python takes for a program.
func measure(pythons []*python, program string, rounds int, share time.Duration) ([]time.Duration, error) {
	times, err := timesFor(pythons[0], program, share)
	if err != nil {
		return nil, err
	}
	var want []byte
	least := make([]time.Duration, len(pythons))
	// The first round is for warming up.
	for round := range rounds + 1 {
		for i, p := range pythons {
			value, took, err := p.run(program, times)
			if err != nil {
				return nil, err
			}
			if want == nil {
				want = value
			}
			if !bytes.Equal(value, want) {
				return nil, fmt.Errorf("%s: %s yields %s, not %s", p.name, program, value, want)
			}
			if round < 2 || took < least[i] {
				least[i] = took
			}
		}
	}
	return least, nil
}

// timesFor returns how often a program fills the time. The first runs, and those that
// are much shorter than the system's clock of CPU time ticks, tell little.
func timesFor(p *python, program string, share time.Duration) (int, error) {
	for times := 1; ; times *= 2 {
		_, took, err := p.run(program, times)
		if err != nil {
			return 0, err
		}
		if took*time.Duration(times) >= share/2 {
			return max(1, int(share/took)), nil
		}
	}
}

// write prints the table: native Python's milliseconds, the others' as multiples
// of them, and how much faster than the first build the other builds are.
func write(w io.Writer, pythons []*python, names []string, table map[string][]time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	head, rule := "| program\t| native, ms\t|", "|---\t|---\t|"
	for i, p := range pythons[1:] {
		head, rule = head+fmt.Sprintf(" %s / native\t|", p.name), rule+"---\t|"
		if i > 0 {
			head, rule = head+fmt.Sprintf(" %s / %s\t|", pythons[1].name, p.name), rule+"---\t|"
		}
	}
	fmt.Fprintf(t, "%s\n%s\n", head, rule)
	ratio := func(name string, a, b int) float64 { return float64(table[name][a]) / float64(table[name][b]) }
	row := func(name, native string, figure func(a, b int) float64) {
		fmt.Fprintf(t, "| %s\t| %s\t|", name, native)
		for i := 1; i < len(pythons); i++ {
			fmt.Fprintf(t, " %.2f\t|", figure(i, 0))
			if i > 1 {
				fmt.Fprintf(t, " %.2f\t|", figure(1, i))
			}
		}
		fmt.Fprintln(t)
	}
	for _, name := range names {
		row(name, fmt.Sprintf("%.2f", table[name][0].Seconds()*1000), func(a, b int) float64 { return ratio(name, a, b) })
	}
	row("**geometric mean**", "", func(a, b int) float64 {
		var sum float64
		for _, name := range names {
			sum += math.Log(ratio(name, a, b))
		}
		return math.Exp(sum / float64(len(names)))
	})
	row("**worst**", "", func(a, b int) float64 {
		var ratios []float64
		for _, name := range names {
			ratios = append(ratios, ratio(name, a, b))
		}
		if b > 0 { // how much faster something is
			return slices.Min(ratios)
		}
		return slices.Max(ratios)
	})
	fmt.Fprintln(t)
	return t.Flush()
}
