// Command benchpackages measures what the packages cost a cold start that functions import
// most: for each, how long a new instance takes to its first answer, beside `python3 -c`
// with the same imports, in turns, and whether the import is frozen: `go tool task
// bench:packages`. The page python-wasi/IMPORTS.md has the table.
//
// The functions are python-wasi/everyday/scripts/NAME.py. They do at import what a
// function would: they define models, make clients. Those that have a bound have a handler
// of their own, for the scripts' try all that a package can do.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	pythonwasi "vivarium/python-wasi"
)

// bound is how soon the first answer of a package should be there.
type bound struct {
	ms      float64 // 0 means that nothing is wanted
	handler string  // instead of the script's, unless it is empty
}

// bounds are the packages that are measured if none is named.
var bounds = map[string]bound{
	"aiogram": {}, "django": {}, "fastapi": {}, "lxml": {}, "openai": {}, "python-telegram-bot": {}, "sqlalchemy": {}, "yandexcloud": {}, "ydb": {},
	"boto3":    {5, `return s3.meta.region_name`},
	"pandas":   {15, `return int(pd.Series([1, 2]).sum())`},
	"pydantic": {3, `return Item.model_validate({"kind": "a", "count": "3", "at": "2024-02-29"}).model_dump(mode="json")`},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := benchmark(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchpackages:", err)
		os.Exit(1)
	}
}

func benchmark(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("benchpackages", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: benchpackages [flags] [package ...]")
		flags.PrintDefaults()
	}
	dir := flags.String("folder", "python-wasi", "the `folder` with everyday/scripts and the page")
	python := flags.String("python", "python3", "the native Python, which has pip")
	rounds := flags.Int("rounds", 30, "how often each is measured")
	update := flags.Bool("update", false, "rewrite the page, of which all packages are measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := flags.Args()
	if len(names) == 0 || *update {
		names = names[:0]
		for name := range bounds {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	var all []measured
	var failed error
	for _, name := range names {
		m, err := measure(ctx, *dir, *python, name, *rounds)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
			continue
		}
		fmt.Fprint(stdout, m)
		all = append(all, m)
	}
	if *update && failed == nil {
		return os.WriteFile(filepath.Join(*dir, "IMPORTS.md"), page(all), 0o644)
	}
	return failed
}

// measured are the figures of a package.
type measured struct {
	name, version string
	whyNot        string // why the import is not frozen; empty if it is
	here, native  timings
}

// String returns the package's line of the table.
func (m measured) String() string {
	frozen, bound := "yes", ""
	if m.whyNot != "" {
		frozen = "no: " + m.whyNot
	}
	if ms := bounds[m.name].ms; ms > 0 {
		bound = fmt.Sprintf("≤ %g ms", ms)
	}
	here, native := m.here.median(), m.native.median()
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %.2g |\n", m.name, m.version, frozen, inMS(here), bound, inMS(native),
		here.Seconds()/native.Seconds())
}

func inMS(d time.Duration) string { return fmt.Sprintf("%.3g ms", d.Seconds()*1000) }

// timings are durations of one kind of operation.
type timings []time.Duration

func (t *timings) time(f func() error) error {
	start := time.Now()
	err := f()
	*t = append(*t, time.Since(start))
	return err
}

func (t timings) median() time.Duration { return slices.Sorted(slices.Values(t))[len(t)/2] }

// page renders IMPORTS.md.
func page(all []measured) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Cold starts with packages

What a new instance takes to its first answer, when its function imports a package and does at import what functions do there, such as
defining models or making a client (`+"`everyday/scripts`"+`). Beside it `+"`python3 -c`"+` with the same imports, which answers nothing.
Both in turns, medians. Where an import is not frozen, each instance does it again, and the function's log says why. What the handler does counts,
too: that of pydantic validates an event, that of boto3 names its client's region (to sign a URL takes 12 ms more, the first time),
that of pandas adds two numbers, and the others try what their package can do. Made by:
`+"`go tool task bench:packages -- -update`"+`.

| package | version | import frozen | first answer | wanted | `+"`python3 -c`"+` | share |
|---|---|---|---|---|---|---|
`)
	for _, m := range all {
		fmt.Fprint(&b, m)
	}
	fmt.Fprintf(&b, "\nMachine: %s/%s, %d processors.\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	return b.Bytes()
}

// guestOf returns the guest to measure a package in: the full one, or the scientific one
// if the package is not in that.
func guestOf(name string) (pythonwasi.Guest, error) {
	if !slices.Contains([]string{"numpy", "pandas"}, name) {
		return pythonwasi.Full, pythonwasi.Full.Built()
	}
	return pythonwasi.Science, pythonwasi.Science.Built()
}

// requirementsOf returns the lines of requirements.txt that a script asks for.
func requirementsOf(name, script string) []string {
	wanted := []string{name}
	for line := range strings.Lines(script) {
		if more, ok := strings.CutPrefix(line, "# requires: "); ok {
			wanted = append(wanted, strings.Fields(more)...)
		}
	}
	return wanted
}
