// Command numpy runs numpy's own fast tests twice: in the sandbox, by `vivarium run
// --runtime python313-science`, and natively, with the wheel of the same version. The
// page results.md says which of the tests that pass natively pass here, and failing.txt
// names the others.
//
// suite.py is the function, and the program of the native run.
package main

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	pythonwasi "vivarium/python-wasi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "numpy:", err)
		os.Exit(1)
	}
}

// outcome is what suite.py says of a file of tests.
type outcome struct {
	Outcomes map[string]string // by test: passed, failed, skipped
	Notes    map[string]string // why a test failed
}

// compared is the outcome for one file of tests.
type compared struct {
	file     string
	passed   int               // natively
	here     int               // of these, in the sandbox
	failing  map[string]string // of these, the others, and why
	skipping int               // of these, those that numpy skips on WebAssembly
	others   int               // of these, those that here have other parameters, such as types, and pass with them
}

// plus returns the numbers of both together.
func (c compared) plus(o compared) compared {
	return compared{passed: c.passed + o.passed, here: c.here + o.here, skipping: c.skipping + o.skipping, others: c.others + o.others}
}

// failed returns how many of those that pass natively fail in the sandbox.
func (c compared) failed() int { return c.passed - c.here - c.others - c.skipping }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("numpy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: numpy [flags] [pattern ...]   such as numpy/linalg/*")
		flags.PrintDefaults()
	}
	dir := flags.String("folder", "python-wasi/numpy", "the `folder` with suite.py and the results")
	program := flags.String("program", "bin/vivarium", "Vivarium's `program`")
	python := flags.String("python", "python3", "the native Python, which has pip")
	update := flags.Bool("update", false, "rewrite the results; all files are run then")
	if err := flags.Parse(args); err != nil {
		return err
	}
	info, err := pythonwasi.Science.Info()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "numpy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	s := suite{program: *program, python: *python, folder: folder}
	version := info.Packages["numpy"].Version
	if err := s.prepare(ctx, *dir, version); err != nil {
		return err
	}
	files, err := s.files(flags.Args())
	if err != nil {
		return err
	}
	known, err := readFailing(filepath.Join(*dir, "failing.txt"))
	if err != nil && !(*update && errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	var all []compared
	fresh := 0
	for _, file := range files {
		c, err := s.compare(ctx, file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		fmt.Fprintf(stdout, "%-60s %5d of %5d\n", file, c.here, c.passed)
		for _, test := range slices.Sorted(maps.Keys(c.failing)) {
			if !known[file+"::"+test] {
				fmt.Fprintf(stdout, "  %s: %s\n", test, c.failing[test])
				fresh++
			}
		}
		all = append(all, c)
	}
	if *update {
		return write(*dir, version, all)
	}
	if fresh > 0 {
		return fmt.Errorf("%d tests fail that are not in failing.txt", fresh)
	}
	return nil
}

// suite has the tests, in a folder of its own.
type suite struct{ program, python, folder string }

// prepare installs numpy and pytest natively, and makes a function of the tests in the
// wheel.
func (s *suite) prepare(ctx context.Context, dir, version string) error {
	native := filepath.Join(s.folder, "native")
	install := exec.CommandContext(ctx, s.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--target", native, "numpy=="+version, "pytest", "hypothesis")
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("native numpy: %w\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "suite.py"))
	if err != nil {
		return err
	}
	code := filepath.Join(s.folder, "code")
	err = filepath.WalkDir(filepath.Join(native, "numpy"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(native, path)
		if err != nil {
			return err
		}
		if !isTest(filepath.ToSlash(name)) {
			return nil
		}
		return copyFile(path, filepath.Join(code, "tests", name))
	})
	return errors.Join(err, os.WriteFile(filepath.Join(code, "main.py"), text, 0o644),
		os.WriteFile(filepath.Join(code, "requirements.txt"), []byte("pytest\nhypothesis\n"), 0o644))
}

// isTest reports whether a file of numpy belongs to its tests: those of what a function
// can use. f2py and the tests of annotations need compilers, those of SIMD a processor
// that has it.
func isTest(name string) bool {
	if name == "numpy/conftest.py" {
		return true
	}
	for _, other := range []string{"numpy/f2py/", "numpy/typing/", "numpy/distutils/", "numpy/_pyinstaller/",
		"numpy/_core/tests/test_simd"} {
		if strings.HasPrefix(name, other) {
			return false
		}
	}
	return strings.Contains(name, "/tests/") && !strings.HasSuffix(name, ".pyc")
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644))
}

// files returns the files of tests that match one of the patterns, all if there are none.
func (s *suite) files(patterns []string) ([]string, error) {
	root := filepath.Join(s.folder, "code", "tests")
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), "test_") || filepath.Ext(path) != ".py" {
			return err
		}
		name, err := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		if len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return strings.HasPrefix(name, p) }) {
			all = append(all, name)
		}
		return err
	})
	return all, err
}

func (s *suite) compare(ctx context.Context, file string) (compared, error) {
	c := compared{file: file, failing: map[string]string{}}
	native, err := s.native(ctx, file)
	if err != nil {
		return c, fmt.Errorf("native: %w", err)
	}
	here, err := s.sandbox(ctx, file)
	if err != nil {
		return c, err
	}
	passing := map[string]bool{} // by names without parameters
	for test, how := range here.Outcomes {
		name := function(test)
		ok, there := passing[name]
		passing[name] = how != "failed" && (ok || !there)
	}
	for test, how := range native.Outcomes {
		if how != "passed" {
			continue
		}
		c.passed++
		outcome, there := here.Outcomes[test]
		switch {
		case outcome == "passed":
			c.here++
		case outcome == "skipped":
			c.skipping++
		case !there && passing[function(test)]:
			c.others++
		default:
			c.failing[test] = cmp.Or(firstLine(here.Notes[test]), "not there")
		}
	}
	return c, nil
}

// function returns the name of a test without its parameters.
func function(test string) string {
	name, _, _ := strings.Cut(test, "[")
	return name
}

func (s *suite) native(ctx context.Context, file string) (outcome, error) {
	command := exec.CommandContext(ctx, s.python, "main.py", event(file, nil))
	command.Dir = filepath.Join(s.folder, "code")
	command.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(s.folder, "native"), "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	text, err := command.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	return decode(text)
}

// started is what suite.py writes to the log before each test.
var started = regexp.MustCompile(`(?m)^test (.*)$`)

// sandbox runs the tests of a file in the sandbox. One that ends the instance, or takes
// too long, has failed; the others are run again without it.
func (s *suite) sandbox(ctx context.Context, file string) (outcome, error) {
	var ended []string
	for {
		command := exec.CommandContext(ctx, s.program, "run", filepath.Join(s.folder, "code"),
			"--runtime", pythonwasi.Science.Name(), "--raw", "--memory", "2048", "--timeout", "30m", "-d", event(file, ended))
		var stderr bytes.Buffer
		command.Stderr = &stderr
		text, err := command.Output()
		if err == nil {
			found, err := decode(text)
			for _, test := range ended {
				found.Outcomes[test], found.Notes[test] = "failed", "ended the instance"
			}
			return found, err
		}
		tests := started.FindAllStringSubmatch(stderr.String(), -1)
		if ctx.Err() != nil || len(tests) == 0 {
			return outcome{}, fmt.Errorf("%w\n%s%s", err, text, stderr.Bytes())
		}
		ended = append(ended, tests[len(tests)-1][1])
	}
}

func event(file string, without []string) string {
	if without == nil {
		without = []string{}
	}
	text, _ := json.Marshal(map[string]any{"file": file, "without": without}) // strings can't fail
	return string(text)
}

// decode reads an answer of suite.py: JSON, compressed, as bytes.
func decode(text []byte) (outcome, error) {
	var found outcome
	r, err := zlib.NewReader(bytes.NewReader(text))
	if err != nil {
		return found, err
	}
	err = json.NewDecoder(r).Decode(&found)
	return found, err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// readFailing reads failing.txt: lines of a test, and after " # " why it fails.
func readFailing(file string) (map[string]bool, error) {
	text, err := os.ReadFile(file)
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		test, _, _ := strings.Cut(line, " # ")
		known[strings.TrimSpace(test)] = true
	}
	return known, err
}

// write writes failing.txt and results.md.
func write(dir, version string, all []compared) error {
	var failing, page bytes.Buffer
	rows, total := map[string]compared{}, compared{}
	for _, c := range all {
		for _, test := range slices.Sorted(maps.Keys(c.failing)) {
			fmt.Fprintf(&failing, "%s::%s # %s\n", c.file, test, c.failing[test])
		}
		area, _, _ := strings.Cut(c.file, "/tests/")
		rows[area], total = rows[area].plus(c), total.plus(c)
	}
	fmt.Fprintf(&page, `# numpy's own tests

The fast tests of numpy %s, but for those of f2py, of annotations and of SIMD: how many pass natively, and what becomes of these in
the sandbox. Some pass with other parameters, such as the types that have the size of a pointer, and some numpy itself skips on
WebAssembly. [failing.txt](failing.txt) names those that fail, and what they say. Made by: `+"`go tool task numpy -- -update`"+`.

| part | pass natively | pass here | pass with other parameters | skipped here | fail here |
|---|---|---|---|---|---|
`, version)
	for _, area := range slices.Sorted(maps.Keys(rows)) {
		r := rows[area]
		fmt.Fprintf(&page, "| %s | %d | %d | %d | %d | %d |\n", area, r.passed, r.here, r.others, r.skipping, r.failed())
	}
	fmt.Fprintf(&page, "| all | %d | %d | %d | %d | %d |\n\n%.1f %% of those that pass natively pass.\n", total.passed, total.here,
		total.others, total.skipping, total.failed(),
		100*float64(total.here+total.others)/float64(total.passed))
	return errors.Join(os.WriteFile(filepath.Join(dir, "failing.txt"), failing.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "results.md"), page.Bytes(), 0o644))
}
