package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// class is the kind of reason that a test has to fail for.
type class string

// The classes.
const (
	classPlatform class = "platform" // the platform lacks it, and will
	classLater    class = "later"    // comes with a network or with threads
	classRule     class = "rule"     // a rule of the contract forbids it
	classOurs     class = "ours"     // to be mended
)

// classes is their order in the report.
var classes = []class{classPlatform, classLater, classRule, classOurs}

func (c class) order() int { return slices.Index(classes, c) }

func (c class) title() string {
	return map[class]string{
		classPlatform: "the platform lacks it",
		classLater:    "comes with network or threads",
		classRule:     "a rule of the contract",
		classOurs:     "ours to mend",
	}[c]
}

// reason says why tests fail.
type reason struct {
	class
	test      *regexp.Regexp // of the test's name, the module's in front
	exception *regexp.Regexp // of what it raised
	text      string
}

// unknown is the reason of what no other fits.
var unknown = reason{class: classOurs, text: "not looked into"}

// loadReasons reads reasons.txt: a line for each reason, its members between
// tabs, the patterns' * for anything; # begins a comment.
func loadReasons(file string) ([]reason, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []reason
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("%s:%d: want class, test, exception and reason with tabs between them", file, i+1)
		}
		r := reason{class(f[0]), pattern(f[1]), pattern(f[2]), f[3]}
		if r.class.title() == "" {
			return nil, fmt.Errorf("%s:%d: there is no class %q", file, i+1, f[0])
		}
		all = append(all, r)
	}
	return all, nil
}

// why returns the first reason that fits.
func why(reasons []reason, test, exception string) reason {
	for _, r := range reasons {
		if r.test.MatchString(test) && r.exception.MatchString(exception) {
			return r
		}
	}
	return unknown
}
