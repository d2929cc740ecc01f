package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Pass is a way to run the suite.
type Pass int

// The passes.
const (
	PassPlatform Pass = iota + 1 // CPython's skips for WASI are honoured
	PassStubs                    // modules that need C test modules, with stubs for these
	PassLinux                    // the skips for WASI are lifted
)

var passes = []Pass{PassPlatform, PassStubs, PassLinux}

func (p Pass) file() string { return fmt.Sprintf("pass%d.json", p) }

// runs reports whether a pass concerns a module, given the result base of
// PassPlatform: the other passes are for what that one skipped.
func (p Pass) runs(base Module) bool {
	switch p {
	case PassStubs:
		return base.needsTestModule()
	case PassLinux:
		return !base.needsTestModule() && (base.Skip != "" || len(base.Skipped) > 0)
	}
	return true
}

// of returns the part of an outcome that concerns a pass.
func (p Pass) of(name string, base Module, o Outcome) Module {
	counts := func(string) bool { return true }
	if p == PassLinux && base.Skip == "" {
		counts = base.skips(name)
	}
	m := Module{Skip: o.Skip, Error: plain(o.Error), Skipped: map[string][]string{}, Failed: map[string]string{}}
	for _, test := range o.Passed {
		if counts(test) {
			m.Passed++
		}
	}
	for reason, tests := range o.Skipped {
		if tests = slices.DeleteFunc(slices.Sorted(slices.Values(tests)), func(t string) bool { return !counts(t) }); len(tests) > 0 {
			reason = plain(reason)
			m.Skipped[reason] = slices.Sorted(slices.Values(append(m.Skipped[reason], tests...)))
		}
	}
	for test, reason := range o.Failed {
		if counts(test) {
			m.Failed[test] = plain(reason)
		}
	}
	return m
}

// Module is the recorded result of one module. Passed tests are only counted:
// the suite is pinned, so they are all those that are not named.
type Module struct {
	Passed  int                 `json:"passed,omitempty"`
	Skip    string              `json:"skip,omitempty"`    // why the whole module was skipped
	Error   string              `json:"error,omitempty"`   // why it did not finish
	Skipped map[string][]string `json:"skipped,omitempty"` // by reason
	Failed  map[string]string   `json:"failed,omitempty"`  // the exceptions
}

var testModule = regexp.MustCompile(`No module named '_(test|xxtest|ctypes_test)|^requires test modules$|^_testinternalcapi required$`)

// needsTestModule reports whether the module depends on one that CPython has in
// C for its tests alone.
func (m Module) needsTestModule() bool {
	return testModule.MatchString(m.Skip)
}

func (m Module) skipped() map[string]bool {
	all := map[string]bool{}
	for _, tests := range m.Skipped {
		for _, test := range tests {
			all[test] = true
		}
	}
	return all
}

// skips returns a function that reports whether a test was skipped, by itself
// or with its class or file. The set-up of a class with a skipped test counts
// as one.
func (m Module) skips(name string) func(test string) bool {
	skipped := m.skipped()
	return func(test string) bool {
		if skipped[test] {
			return true
		}
		if class, ok := strings.CutPrefix(test, "setUpClass ("); ok {
			class = strings.TrimSuffix(class, ")") + "."
			return slices.ContainsFunc(slices.Collect(maps.Keys(skipped)), func(s string) bool { return strings.HasPrefix(s, class) })
		}
		// Each folder, file and class above the test.
		for above := "test." + name + "." + test; ; {
			i := strings.LastIndexByte(above, '.')
			if i < 0 {
				return false
			}
			above = above[:i]
			class := strings.TrimPrefix(above, "test."+name+".")
			if skipped["setUpClass ("+class+")"] || skipped["setUpModule ("+above+")"] {
				return true
			}
		}
	}
}

// String summarizes the module in one line.
func (m Module) String() string {
	switch {
	case m.Error != "":
		return "did not end: " + m.Error
	case m.Skip != "":
		return "skipped: " + m.Skip
	}
	return fmt.Sprintf("passed %d, failed %d, skipped %d", m.Passed, len(m.Failed), len(m.skipped()))
}

// lost names what used to pass and no longer does.
func lost(name string, recorded, got Module) []string {
	switch {
	case recorded.Passed == 0:
		return nil
	case got.Error != "":
		return []string{fmt.Sprintf("%s: none of %d tests passes: %s", name, recorded.Passed, got.Error)}
	case got.Skip != "":
		return []string{fmt.Sprintf("%s: all of %d tests are skipped: %s", name, recorded.Passed, got.Skip)}
	}
	var names []string
	skipped := recorded.skipped()
	passed := func(test string) bool {
		_, failed := recorded.Failed[test]
		return !failed && !skipped[test]
	}
	for test, reason := range got.Failed {
		if passed(test) {
			names = append(names, fmt.Sprintf("%s: %s: %s", name, test, reason))
		}
	}
	for reason, tests := range got.Skipped {
		for _, test := range tests {
			if passed(test) {
				names = append(names, fmt.Sprintf("%s: %s: skipped: %s", name, test, reason))
			}
		}
	}
	slices.Sort(names)
	// What is lost with the set-up of a class has no name.
	if missing := recorded.total() - got.total(); missing > 0 && got.Passed < recorded.Passed {
		names = append(names, fmt.Sprintf("%s: %d tests are missing", name, missing))
	}
	return names
}

func (m Module) total() int { return m.Passed + len(m.Failed) + len(m.skipped()) }

// gained names what used to fail and no longer does.
func gained(recorded, got Module) []string {
	var names []string
	skipped := got.skipped()
	for test := range recorded.Failed {
		if _, failed := got.Failed[test]; !failed && !skipped[test] && got.Error == "" && got.Skip == "" {
			names = append(names, test)
		}
	}
	slices.Sort(names)
	return names
}

// Results are modules by name.
type Results map[string]Module

// tally counts tests and modules.
type tally struct {
	passed, failed, skipped int // tests; a module that did not finish counts as a failed one
	ran, skippedWhole       int // modules
}

func (r Results) tally() (t tally) {
	for _, m := range r {
		t.passed += m.Passed
		t.failed += len(m.Failed)
		t.skipped += len(m.skipped())
		switch {
		case m.Error != "":
			t.failed++
		case m.Skip != "":
			t.skippedWhole++
		default:
			t.ran++
		}
	}
	return t
}

// String summarizes the results in one line.
func (r Results) String() string {
	t := r.tally()
	return fmt.Sprintf("%d modules ran, %d skipped whole; tests: %d passed, %d failed, %d skipped",
		t.ran, t.skippedWhole, t.passed, t.failed, t.skipped)
}

// loadResults reads a file written by save; a missing file is empty results.
func loadResults(file string) (Results, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Results{}, nil
	}
	if err != nil {
		return nil, err
	}
	r := Results{}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// save writes results in a stable order, one line per test.
func (r Results) save(file string) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o644)
}

// What varies between runs.
var varying = regexp.MustCompile(`0x[0-9a-fA-F]+|/tmp/[^ '"]*`)

// plain removes what varies between runs from a text.
func plain(text string) string {
	return varying.ReplaceAllStringFunc(text, func(s string) string {
		if strings.HasPrefix(s, "/tmp/") {
			return "/tmp/…"
		}
		return "0x…"
	})
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) iter.Seq[string] {
	return slices.Values(slices.Sorted(maps.Keys(m)))
}
