package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// class is a kind of reason for a test to fail.
type class string

// The classes.
const (
	classPlatform class = "platform" // the platform lacks it for good
	classRule     class = "rule"     // the contract forbids it
	classOurs     class = "ours"     // ours to fix
	classLinux    class = "linux"    // Linux skips it, too; of skipped tests alone
)

// classes are the classes in the order of the report.
var classes = []class{classPlatform, classRule, classOurs, classLinux}

func (c class) order() int { return slices.Index(classes, c) }

func (c class) title() string {
	return map[class]string{
		classPlatform: "the platform lacks it",
		classRule:     "a rule of the contract",
		classOurs:     "ours to fix",
		classLinux:    "skipped on Linux, too",
	}[c]
}

// reason explains why tests fail, or are skipped.
type reason struct {
	class
	skip      bool           // is about skipped tests
	test      *regexp.Regexp // matches the test's name, including the module's
	exception *regexp.Regexp // matches what it raised, or why it is skipped
	text      string
}

// skipMark begins the exception of a reason for tests to be skipped.
const skipMark = "skipped: "

// unknown is the reason if no other fits.
var unknown = reason{class: classOurs, text: "not looked into"}

// loadReasons reads reasons.txt: one reason per line, its members separated by
// tabs, with * in patterns for anything; # begins a comment.
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
			return nil, fmt.Errorf("%s:%d: want class, test, exception and reason, separated by tabs", file, i+1)
		}
		exception, skip := strings.CutPrefix(f[2], skipMark)
		r := reason{class(f[0]), skip, pattern(f[1]), pattern(exception), f[3]}
		if r.class.title() == "" || r.class == classLinux && !skip {
			return nil, fmt.Errorf("%s:%d: there is no class %q", file, i+1, f[0])
		}
		all = append(all, r)
	}
	return all, nil
}

// why returns the first matching reason for a test to fail, or to be skipped.
func why(reasons []reason, skip bool, test, exception string) reason {
	for _, r := range reasons {
		if r.skip == skip && r.test.MatchString(test) && r.exception.MatchString(exception) {
			return r
		}
	}
	return unknown
}
