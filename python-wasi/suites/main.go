// Command suites runs a package's own tests twice: in the sandbox, by `vivarium run`, with
// the package that is built in, and natively, with the wheel of the same version. The page
// PACKAGE/results.md says which of the tests that pass natively pass here, and
// PACKAGE/failing.txt names the others.
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
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vivarium/python-wasi/native"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "suites:", err)
		os.Exit(1)
	}
}

// outcome is what suite.py says of files of tests.
type outcome struct {
	Outcomes map[string]string // by file::test: passed, failed, skipped
	Notes    map[string]string // why a test failed
}

// compared is the outcome for one file of tests.
type compared struct {
	file     string
	passed   int               // natively
	here     int               // of these, in the sandbox
	failing  map[string]string // of these, the others, and why
	skipping int               // of these, those that skip themselves on WebAssembly
	others   int               // of these, those that here have other parameters, such as types, and pass with them
}

// plus returns the numbers of both together.
func (c compared) plus(o compared) compared {
	return compared{passed: c.passed + o.passed, here: c.here + o.here, skipping: c.skipping + o.skipping, others: c.others + o.others}
}

// failed returns how many of those that pass natively fail in the sandbox.
func (c compared) failed() int { return c.passed - c.here - c.others - c.skipping }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("suites", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: suites [flags] PACKAGE [beginning of files' names ...]   such as numpy numpy/linalg/")
		flags.PrintDefaults()
	}
	dir := flags.String("folder", "python-wasi/suites", "the `folder` with suite.py and the results")
	program := flags.String("program", "bin/vivarium", "Vivarium's `program`")
	python := flags.String("python", "python3", "the native Python, which has pip")
	update := flags.Bool("update", false, "rewrite the results; all files are run then")
	if err := flags.Parse(args); err != nil {
		return err
	}
	d, ok := descriptions[flags.Arg(0)]
	if !ok {
		return fmt.Errorf("name a package; there are %s", strings.Join(slices.Sorted(maps.Keys(descriptions)), ", "))
	}
	info, err := d.guest.Info()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "suites-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	s := suite{description: d, program: *program, python: *python, folder: folder}
	s.name = flags.Arg(0)
	s.version = info.Packages[s.name].Version
	if err := s.prepare(ctx, *dir); err != nil {
		return err
	}
	files, err := s.files(flags.Args()[1:])
	if err != nil {
		return err
	}
	results := filepath.Join(*dir, s.name)
	known, err := readFailing(filepath.Join(results, "failing.txt"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var all []compared
	fresh := 0
	for _, together := range s.together(files) {
		found, err := s.compare(ctx, together)
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(together, ", "), err)
		}
		for _, c := range found {
			fmt.Fprintf(stdout, "%-60s %5d of %5d\n", c.file, c.here, c.passed)
			for _, test := range slices.Sorted(maps.Keys(c.failing)) {
				if !known[test] {
					fmt.Fprintf(stdout, "  %s: %s\n", test, c.failing[test])
					fresh++
				}
			}
		}
		all = append(all, found...)
	}
	if *update {
		return s.write(results, all)
	}
	if fresh > 0 {
		return fmt.Errorf("%d tests fail that are not in failing.txt", fresh)
	}
	return nil
}

// suite has the tests of a package, in a folder of its own.
type suite struct {
	description
	name, version           string
	program, python, folder string
}

// prepare installs the package and what its tests need natively, and makes a function of
// the tests.
func (s *suite) prepare(ctx context.Context, dir string) error {
	packages := append([]string{s.name + "==" + s.version}, s.requirements...)
	var err error
	if s.python, err = native.Environment(ctx, s.python, filepath.Join(s.folder, "native"), packages...); err != nil {
		return err
	}
	from, err := s.tests(ctx, dir)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "suite.py"))
	if err != nil {
		return err
	}
	code := filepath.Join(s.folder, "code")
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".pyc") {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || !s.isTest(filepath.ToSlash(name)) {
			return err
		}
		return copyFile(path, filepath.Join(code, "tests", name))
	})
	return errors.Join(err, os.WriteFile(filepath.Join(code, "main.py"), text, 0o644),
		os.WriteFile(filepath.Join(code, "requirements.txt"), []byte(strings.Join(s.requirements, "\n")+"\n"), 0o644))
}

// tests returns the folder with the package's tests: where the wheel is installed, or the
// unpacked archive that the guest's is built from.
func (s *suite) tests(ctx context.Context, dir string) (string, error) {
	if !s.fromSource {
		return output(ctx, s.python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))")
	}
	archive, err := output(ctx, "bash", filepath.Join(dir, "source.sh"), s.name)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(s.folder, "source")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	_, err = output(ctx, "tar", "xf", archive, "-C", folder, "--strip-components=1")
	return folder, err
}

// output runs a program and returns what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	text, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(text)), err
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

// together returns the files that are run by one call each: several of a folder. Those of
// others may have the same names, which pytest can't import together.
func (s *suite) together(files []string) (all [][]string) {
	for len(files) > 0 {
		folder := path.Dir(files[0])
		n := slices.IndexFunc(files, func(file string) bool { return path.Dir(file) != folder })
		if n < 0 {
			n = len(files)
		}
		all = slices.AppendSeq(all, slices.Chunk(files[:n], s.atOnce))
		files = files[n:]
	}
	return all
}

// compare runs files of tests natively and in the sandbox.
func (s *suite) compare(ctx context.Context, files []string) ([]compared, error) {
	native, err := s.native(ctx, files)
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	here, err := s.sandbox(ctx, files)
	if err != nil {
		return nil, err
	}
	passing := map[string]bool{} // by names without parameters
	for test, how := range here.Outcomes {
		name := function(test)
		ok, there := passing[name]
		passing[name] = how != "failed" && (ok || !there)
	}
	found := make([]compared, len(files))
	for i, file := range files {
		found[i] = compared{file: file, failing: map[string]string{}}
	}
	for test, how := range native.Outcomes {
		if how != "passed" {
			continue
		}
		file, _, _ := strings.Cut(test, "::")
		c := &found[slices.Index(files, file)]
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
			c.failing[test] = cmp.Or(firstLine(here.Notes[test]), firstLine(here.Notes[file]), "not there")
		}
	}
	return found, nil
}

// function returns the name of a test without its parameters.
func function(test string) string {
	name, _, _ := strings.Cut(test, "[")
	return name
}

func (s *suite) native(ctx context.Context, files []string) (outcome, error) {
	command := exec.CommandContext(ctx, s.python, "-B", "main.py", s.event(files, nil))
	command.Dir = filepath.Join(s.folder, "code")
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

// sandbox runs files of tests in the sandbox. One that ends the instance, or takes
// too long, has failed; the others are run again without it.
func (s *suite) sandbox(ctx context.Context, files []string) (outcome, error) {
	var ended []string
	for {
		command := exec.CommandContext(ctx, s.program, "run", filepath.Join(s.folder, "code"),
			"--runtime", s.guest.Name(), "--raw", "--memory", "2048", "--timeout", "30m", "-d", s.event(files, ended))
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

func (s *suite) event(files, without []string) string {
	text, _ := json.Marshal(map[string]any{ // strings can't fail
		"files": files, "without": append([]string{}, without...), "options": append([]string{}, s.options...),
	})
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
func (s *suite) write(dir string, all []compared) error {
	var failing, page bytes.Buffer
	rows, total := map[string]compared{}, compared{}
	for _, c := range all {
		for _, test := range slices.Sorted(maps.Keys(c.failing)) {
			fmt.Fprintf(&failing, "%s # %s\n", test, c.failing[test])
		}
		area := s.area(c.file)
		rows[area], total = rows[area].plus(c), total.plus(c)
	}
	fmt.Fprintf(&page, `# The tests of %[1]s

Of %[1]s %[3]s %[2]s.

How many pass natively, and what becomes of these in the sandbox. Some may pass with other parameters, such as the types that have the
size of a pointer, and some skip themselves on WebAssembly. [failing.txt](failing.txt) names those that fail, and what they say. Made by:
`+"`go tool task suites -- -update %[1]s`"+`.

| part | pass natively | pass here | pass with other parameters | skipped here | fail here |
|---|---|---|---|---|---|
`, s.name, s.which, s.version)
	for _, area := range slices.Sorted(maps.Keys(rows)) {
		r := rows[area]
		fmt.Fprintf(&page, "| %s | %d | %d | %d | %d | %d |\n", area, r.passed, r.here, r.others, r.skipping, r.failed())
	}
	fmt.Fprintf(&page, "| all | %d | %d | %d | %d | %d |\n\n%.1f %% of those that pass natively pass.\n", total.passed, total.here,
		total.others, total.skipping, total.failed(),
		100*float64(total.here+total.others)/float64(total.passed))
	return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "failing.txt"), failing.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "results.md"), page.Bytes(), 0o644))
}
