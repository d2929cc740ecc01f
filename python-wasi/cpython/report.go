package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const reportHead = `# CPython's own tests in the sandbox

Written by ` + "`go tool task cpython -- -update`" + `; README.md in the folder above says how to read it.
Each row is about the modules that have been run in its pass, and about no others.

`

var passTitles = map[Pass]string{
	PassPlatform: "CPython's skips for WASI honoured",
	PassStubs:    "modules that need C test modules, with stubs for these",
	PassLinux:    "the skips for WASI lifted, as on Linux: what pass 1 skipped",
}

// writeReport writes results.md from the results and reasons in a folder.
func writeReport(dir string) error {
	text, err := report(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, reportFile), text, 0o644)
}

const reportFile = "results.md"

func report(dir string) ([]byte, error) {
	reasons, err := loadReasons(filepath.Join(dir, "reasons.txt"))
	if err != nil {
		return nil, err
	}
	all := map[Pass]Results{}
	for _, pass := range passes {
		if all[pass], err = loadResults(filepath.Join(dir, pass.file())); err != nil {
			return nil, err
		}
	}
	var w bytes.Buffer
	w.WriteString(reportHead)
	w.WriteString("| pass | passed | failed | rate | skipped | modules run | skipped whole |\n|---|---|---|---|---|---|---|\n")
	for _, pass := range passes {
		t := all[pass].tally()
		fmt.Fprintf(&w, "| %d: %s | %d | %d | %s | %d | %d | %d |\n",
			pass, passTitles[pass], t.passed, t.failed, rate(t), t.skipped, t.ran, t.skippedWhole)
	}
	w.WriteString("\n## Why tests fail\n\n| class |")
	for _, pass := range passes {
		fmt.Fprintf(&w, " pass %d |", pass)
	}
	w.WriteString("\n|---|" + strings.Repeat("---|", len(passes)) + "\n")
	failures := map[Pass][]failure{}
	for _, pass := range passes {
		failures[pass] = all[pass].failures(reasons)
	}
	for _, c := range classes {
		if c == classLinux {
			continue
		}
		fmt.Fprintf(&w, "| %s |", c.title())
		for _, pass := range passes {
			n := 0
			for _, f := range failures[pass] {
				if f.why.class == c {
					n++
				}
			}
			fmt.Fprintf(&w, " %d |", n)
		}
		w.WriteString("\n")
	}
	for _, pass := range passes {
		fmt.Fprintf(&w, "\n## Pass %d: %s\n", pass, passTitles[pass])
		writeFailures(&w, failures[pass])
	}
	w.WriteString("\n## Why tests are skipped in pass 3\n\nModules that are skipped whole count as one.\n\n| class | why | tests | modules |\n|---|---|---|---|\n")
	writeSkips(&w, all[PassLinux].skips(reasons))
	return w.Bytes(), nil
}

func rate(t tally) string {
	if t.passed+t.failed == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(t.passed)/float64(t.passed+t.failed))
}

// failure is a failing or skipped test, with the reason.
type failure struct {
	module, test, exception string
	why                     reason
}

// failures lists failures by class, reason, module and test.
func (r Results) failures(reasons []reason) []failure {
	var all []failure
	for module, m := range r {
		if m.Error != "" {
			all = append(all, failure{module: module, exception: m.Error, why: why(reasons, false, module, m.Error)})
		}
		for test, exception := range m.Failed {
			all = append(all, failure{module, test, exception, why(reasons, false, module+"."+test, exception)})
		}
	}
	sortFailures(all)
	return all
}

// skips lists skipped tests in the same order.
func (r Results) skips(reasons []reason) []failure {
	var all []failure
	for module, m := range r {
		if m.Skip != "" {
			all = append(all, failure{module: module, exception: m.Skip, why: why(reasons, true, module, m.Skip)})
		}
		for text, tests := range m.Skipped {
			for _, test := range tests {
				all = append(all, failure{module, test, text, why(reasons, true, module+"."+test, text)})
			}
		}
	}
	sortFailures(all)
	return all
}

func sortFailures(all []failure) {
	slices.SortFunc(all, func(a, b failure) int {
		return cmp.Or(cmp.Compare(a.why.order(), b.why.order()), cmp.Compare(a.why.text, b.why.text),
			cmp.Compare(a.module, b.module), cmp.Compare(a.test, b.test))
	})
}

// sameReason returns how many of sorted failures have the reason of the first.
func sameReason(all []failure) int {
	f := all[0]
	if n := slices.IndexFunc(all, func(g failure) bool { return g.why.class != f.why.class || g.why.text != f.why.text }); n >= 0 {
		return n
	}
	return len(all)
}

// namedModules is how many modules with skipped tests of one reason are named.
const namedModules = 4

// writeSkips writes a row for each class and reason. The tests' names are in the results.
func writeSkips(w *bytes.Buffer, all []failure) {
	for len(all) > 0 {
		f, n := all[0], sameReason(all)
		var modules []string
		for _, g := range all[:n] {
			modules = append(modules, g.module)
		}
		modules = slices.Compact(modules)
		names := strings.Join(modules[:min(len(modules), namedModules)], ", ")
		if more := len(modules) - namedModules; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(w, "| %s | %s | %d | %s |\n", f.why.title(), f.why.text, n, names)
		all = all[n:]
	}
}

// namedFailures is how many tests of one reason and module are named.
const namedFailures = 12

// writeFailures writes a list for each class and reason. Where many tests of a
// module share a reason, they are counted: their names are in the results.
func writeFailures(w *bytes.Buffer, all []failure) {
	for len(all) > 0 {
		f, n := all[0], sameReason(all)
		fmt.Fprintf(w, "\n**%s: %s** (%d)\n\n", f.why.title(), f.why.text, n)
		modules := map[string][]failure{}
		for _, g := range all[:n] {
			modules[g.module] = append(modules[g.module], g)
		}
		for _, module := range slices.Sorted(maps.Keys(modules)) {
			tests := modules[module]
			if len(tests) > namedFailures {
				fmt.Fprintf(w, "- %s: %d tests\n", module, len(tests))
				continue
			}
			for _, g := range tests {
				fmt.Fprintf(w, "- %s: `%s`\n", strings.TrimSuffix(module+"."+g.test, "."), strings.ReplaceAll(g.exception, "`", "'"))
			}
		}
		all = all[n:]
	}
}
