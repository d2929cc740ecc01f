// Command cpython runs CPython's own test suite in the sandbox and compares the
// outcome with the recorded results.
//
// # Flow
//
//	openSuite   Lib/test of the pinned CPython, packed by the guest's recipe
//	run         each module in an instance of its own, as a call of a function
//	compare     names every test that used to pass and no longer does
//	report      results.md, from the results and reasons.txt
//
// The results of each [Pass] are in passN.json; -update rewrites them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := runSuite(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "cpython:", err)
		os.Exit(1)
	}
}

// runSuite runs the modules that the arguments name, or all.
func runSuite(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cpython", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: cpython [flags] [test_module | pattern with * ...]")
		flags.PrintDefaults()
	}
	dir := flags.String("results", "python-wasi/cpython", "the `folder` with the results")
	number := flags.Int("pass", int(PassPlatform), "1: CPython's skips for WASI are honoured; "+
		"2: modules that need C test modules, with stubs for these; 3: the skips lifted, as on Linux")
	update := flags.Bool("update", false, "rewrite the results instead of comparing with them")
	report := flags.Bool("report", false, "run nothing; write results.md from the recorded results")
	jobs := flags.Int("jobs", 1, "how many modules run at once; each may take 1 GiB")
	timeout := flags.Duration("timeout", 300*time.Second, "how long a module may take")
	verbose := flags.Bool("v", false, "show the traceback of each failure")
	trace := flags.Bool("trace", false, "show the name of each test when it starts, and what the tests print")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pass := Pass(*number)
	if !slices.Contains(passes, pass) {
		return fmt.Errorf("there is no pass %d", *number)
	}
	if *report {
		return writeReport(*dir)
	}

	s, err := openSuite(ctx)
	if err != nil {
		return err
	}
	recorded, err := loadResults(filepath.Join(*dir, pass.file()))
	if err != nil {
		return err
	}
	base := Results{}
	if pass != PassPlatform {
		if base, err = loadResults(filepath.Join(*dir, PassPlatform.file())); err != nil {
			return err
		}
	}
	modules, err := s.choose(flags.Args())
	if err != nil {
		return err
	}
	modules = slices.DeleteFunc(modules, func(m string) bool { return !pass.runs(base[m]) })

	r, err := newRunner(ctx, s, *timeout)
	if err != nil {
		return err
	}
	defer r.close()
	if *trace {
		r.trace = stderr
	}
	before, got := maps.Clone(recorded), Results{}
	var losses []string
	var saved error
	err = each(ctx, *jobs, modules, func(name string) func() {
		known := before[name]
		m, o, l := r.compare(ctx, pass, name, known, base[name])
		return func() {
			got[name] = m
			losses = append(losses, l...)
			show(stdout, name, known, m, o, *verbose)
			if *update { // after each module, so that an interrupted run keeps what it has
				recorded[name] = m
				saved = recorded.save(filepath.Join(*dir, pass.file()))
			}
		}
	})
	if err := errors.Join(err, saved); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\npass %d: %s\n", pass, got)
	if *update {
		return writeReport(*dir)
	}
	if len(losses) > 0 {
		return errors.New("no longer passing:\n  " + strings.Join(losses, "\n  "))
	}
	return nil
}

// show prints the outcome of a module, and the tests whose outcome is new.
func show(w io.Writer, name string, known, m Module, o Outcome, verbose bool) {
	fmt.Fprintf(w, "%-48s %s (%.1f s)\n", name, m, o.CPU.Seconds())
	for test := range sorted(m.Failed) {
		if _, ok := known.Failed[test]; !ok || verbose {
			fmt.Fprintf(w, "    fails: %s: %s\n", test, m.Failed[test])
		}
		if verbose {
			fmt.Fprintln(w, indent(o.Details[test]))
		}
	}
	for _, test := range gained(known, m) {
		fmt.Fprintf(w, "    passes now: %s\n", test)
	}
}

func indent(text string) string {
	return "        " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ")
}
