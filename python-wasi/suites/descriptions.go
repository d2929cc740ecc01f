package main

import (
	"slices"
	"strings"

	pythonwasi "vivarium/python-wasi"
)

// description says what the tests of a package are.
type description struct {
	which        string // of the tests, for the page
	guest        pythonwasi.Guest
	requirements []string // pytest and what else the tests import
	options      []string // of pytest
	atOnce       int      // files that one call runs: less to start, but more to run again after a crash
	// fromSource is whether the tests are in the archive that the package is built from. Otherwise the wheel has them.
	fromSource bool
	isTest     func(file string) bool   // whether a file there is of the tests
	area       func(file string) string // the part of the package that a file tests, for the page
}

// descriptions are the packages, by their names on PyPI.
var descriptions = map[string]description{
	"numpy": {
		which:        "the fast tests, but for those of f2py, of annotations and of SIMD",
		guest:        pythonwasi.Science,
		requirements: []string{"pytest", "hypothesis"},
		options:      []string{"-m", "not slow"},
		atOnce:       10,
		isTest: func(file string) bool {
			// f2py and the tests of annotations need compilers, those of SIMD a processor that has it.
			return file == "numpy/conftest.py" || below(file, "numpy/") && strings.Contains(file, "/tests/") && !below(file,
				"numpy/f2py/", "numpy/typing/", "numpy/distutils/", "numpy/_pyinstaller/", "numpy/_core/tests/test_simd")
		},
		area: func(file string) string {
			area, _, _ := strings.Cut(file, "/tests/")
			return area
		},
	},
	"pydantic-core": {
		which: "all tests, without the benchmarks",
		guest: pythonwasi.Full,
		requirements: []string{"pytest", "pytest-mock", "hypothesis", "dirty-equals", "inline-snapshot", "typing-inspection",
			"python-dateutil", "tzdata"},
		options:    []string{"-o", "xfail_strict=true"},
		atOnce:     20,
		fromSource: true,
		isTest: func(file string) bool {
			return below(file, "tests/") && !below(file, "tests/benchmarks/test_")
		},
		area: func(file string) string {
			area := strings.Split(file, "/")[1]
			if strings.HasSuffix(area, ".py") {
				return "others"
			}
			return area
		},
	},
}

// below reports whether a file's name begins with one of some folders' names.
func below(file string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(file, folder) })
}
