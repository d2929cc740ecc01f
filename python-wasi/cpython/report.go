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
	return w.Bytes(), nil
}

func rate(t tally) string {
	if t.passed+t.failed == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(t.passed)/float64(t.passed+t.failed))
}

// failure is a failing test, with the reason.
type failure struct {
	module, test, exception string
	why                     reason
}

// failures lists failures by class, reason, module and test.
func (r Results) failures(reasons []reason) []failure {
	var all []failure
	for module, m := range r {
		if m.Error != "" {
			all = append(all, failure{module: module, exception: m.Error, why: why(reasons, module, m.Error)})
		}
		for test, exception := range m.Failed {
			all = append(all, failure{module, test, exception, why(reasons, module+"."+test, exception)})
		}
	}
	slices.SortFunc(all, func(a, b failure) int {
		return cmp.Or(cmp.Compare(a.why.order(), b.why.order()), cmp.Compare(a.why.text, b.why.text),
			cmp.Compare(a.module, b.module), cmp.Compare(a.test, b.test))
	})
	return all
}

// namedFailures is how many tests of one reason and module are named.
const namedFailures = 12

// writeFailures writes a list for each class and reason. Where many tests of a
// module share a reason, they are counted: their names are in the results.
func writeFailures(w *bytes.Buffer, all []failure) {
	for len(all) > 0 {
		f := all[0]
		n := slices.IndexFunc(all, func(g failure) bool { return g.why.class != f.why.class || g.why.text != f.why.text })
		if n < 0 {
			n = len(all)
		}
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
