// Command everyday tries the packages that functions use most: each is installed
// by `vivarium run`, used by a short function, and gives the same answer as
// under native Python, or does not. The page EVERYDAY.md has the outcome.
//
// scripts/NAME.py is the function of the package NAME. A line of it may name more
// packages: "# requires: NAME ...".
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	pythonwasi "vivarium/python-wasi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "everyday:", err)
		os.Exit(1)
	}
}

// module is the function that calls that of a package.
const module = `import inspect
from importlib.metadata import version

import script

if inspect.iscoroutinefunction(script.handler):

    async def handler(event, context):
        return {"version": version(event), "answer": await script.handler(event, context)}

else:

    def handler(event, context):
        return {"version": version(event), "answer": script.handler(event, context)}
`

// native runs module under a Python without Vivarium.
const native = `import asyncio, inspect, json, sys, main
answer = main.handler(sys.argv[1], None)
print(json.dumps(asyncio.run(answer) if inspect.isawaitable(answer) else answer, ensure_ascii=False))`

// patience is how long one installation or one call may take.
const patience = 10 * time.Minute

// tried is the outcome for one package.
type tried struct {
	name, version string
	how           string // "built in" or more, or empty
	wrong         string // why it does not work; empty if it does
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("everyday", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: everyday [flags] [package ...]")
		flags.PrintDefaults()
	}
	dir := flags.String("folder", "python-wasi/everyday", "the `folder` with the scripts")
	program := flags.String("program", "bin/vivarium", "Vivarium's `program`")
	python := flags.String("python", "python3", "the native Python, which has pip")
	update := flags.Bool("update", false, "rewrite the page, or the lines of the packages that are named")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := flags.Args()
	var all []tried
	file := filepath.Join(*dir, "..", "EVERYDAY.md")
	if *update && len(names) > 0 {
		page, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all = others(page, names)
	}
	if len(names) == 0 {
		scripts, err := filepath.Glob(filepath.Join(*dir, "scripts", "*.py"))
		if err != nil {
			return err
		}
		names = names[:0]
		for _, s := range scripts {
			names = append(names, strings.TrimSuffix(filepath.Base(s), ".py"))
		}
	}
	for _, name := range names {
		guest, how, err := guestOf(name)
		if err != nil {
			return err
		}
		t := try(ctx, *program, *python, *dir, name, guest)
		if err := ctx.Err(); err != nil {
			return err
		}
		t.how = how
		fmt.Fprintf(stdout, "%-24s %-12s %s\n", t.name, t.version, cmp.Or(t.wrong, "right"))
		all = append(all, t)
	}
	if *update {
		return os.WriteFile(file, page(all), 0o644)
	}
	if n := wrong(all); n > 0 {
		return fmt.Errorf("%d of %d packages do not work", n, len(all))
	}
	return nil
}

// guestOf returns the guest to try a package in: the full one, or the scientific one
// if only that has it built in.
func guestOf(name string) (g pythonwasi.Guest, how string, err error) {
	for _, g := range []pythonwasi.Guest{pythonwasi.Full, pythonwasi.Science} {
		info, err := g.Info()
		if g == pythonwasi.Science && errors.Is(err, pythonwasi.ErrNotBuilt) {
			break
		}
		if err != nil {
			return g, "", err
		}
		if _, ok := info.Packages[name]; ok {
			if g == pythonwasi.Science {
				how = ", " + g.Name()
			}
			return g, "built in" + how, nil
		}
	}
	return pythonwasi.Full, "", nil
}

// others returns the lines of a page but those of some packages.
func others(page []byte, names []string) []tried {
	var all []tried
	for line := range strings.Lines(string(page)) {
		cells := strings.SplitN(strings.Trim(strings.TrimSpace(line), "|"), " | ", 4)
		if len(cells) < 4 || strings.HasPrefix(line, "|-") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		t := tried{name: cells[0], version: cells[1], how: cells[2], wrong: strings.ReplaceAll(cells[3], `\|`, "|")}
		if t.wrong == "right" {
			t.wrong = ""
		}
		if t.name != "package" && !slices.Contains(names, t.name) {
			all = append(all, t)
		}
	}
	return all
}

func wrong(all []tried) int {
	n := 0
	for _, t := range all {
		if t.wrong != "" {
			n++
		}
	}
	return n
}

var requires = regexp.MustCompile(`(?m)^# requires: (.*)$`)

// try runs a package's function twice, in the sandbox and natively.
func try(ctx context.Context, program, python, dir, name string, guest pythonwasi.Guest) tried {
	t := tried{name: name}
	err := func() error {
		script, err := os.ReadFile(filepath.Join(dir, "scripts", name+".py"))
		if err != nil {
			return err
		}
		folder, err := os.MkdirTemp("", "everyday-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		wanted := []string{name}
		for _, line := range requires.FindAllStringSubmatch(string(script), -1) {
			wanted = append(wanted, strings.Fields(line[1])...)
		}
		code := filepath.Join(folder, "code")
		if err := os.Mkdir(code, 0o755); err != nil {
			return err
		}
		for file, text := range map[string]string{
			"main.py": module, "script.py": string(script), "requirements.txt": strings.Join(wanted, "\n") + "\n",
		} {
			if err := os.WriteFile(filepath.Join(code, file), []byte(text), 0o644); err != nil {
				return err
			}
		}
		var got, want struct {
			Version string
			Answer  json.RawMessage
		}
		event, err := json.Marshal(name)
		if err != nil {
			return err
		}
		err = command(ctx, folder, &got, program, "run", code, "--runtime", guest.Name(), "--raw", "-d", string(event),
			"--timeout", "60s", "--memory", "512", "--allow-net=127.0.0.1")
		if err != nil {
			return err
		}
		t.version = got.Version
		wanted[0] += "==" + got.Version
		packages := filepath.Join(folder, "packages")
		install := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", packages}, wanted...)
		if err := command(ctx, folder, nil, python, install...); err != nil {
			return fmt.Errorf("native Python: %w", err)
		}
		path := "import sys; sys.path[:0] = [" + quote(code) + ", " + quote(packages) + "]\n"
		if err := command(ctx, folder, &want, python, "-I", "-c", path+native, name); err != nil {
			return fmt.Errorf("native Python: %w", err)
		}
		if !equal(got.Answer, want.Answer) {
			return fmt.Errorf("answers %s, native Python %s", got.Answer, want.Answer)
		}
		return nil
	}()
	if err != nil {
		t.wrong = err.Error()
	}
	return t
}

func quote(text string) string {
	quoted, _ := json.Marshal(text) // a string can't fail
	return string(quoted)
}

// equal reports whether two JSON texts mean the same.
func equal(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// command runs a program in a folder; result gets the JSON that it prints.
func command(ctx context.Context, folder string, result any, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	program, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return errors.New(cmp.Or(reason(stdout.String()), reason(stderr.String()), err.Error()))
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(stdout.Bytes(), result)
}

// reason returns the line of a text that says best what went wrong: the first
// detail, or the end.
func reason(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "  ") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// page renders EVERYDAY.md.
func page(all []tried) []byte {
	slices.SortFunc(all, func(a, b tried) int { return cmp.Compare(a.name, b.name) })
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Everyday packages

Packages that functions use most. Each was installed by `+"`vivarium run --runtime %s`"+`, used by a function in
`+"`everyday/scripts`"+`, and the answer compared with that of native Python: %d of %d are right. Made by: `+"`go tool task everyday -- -update`"+`.

| package | version | | |
|---|---|---|---|
`, pythonwasi.Full.Name(), len(all)-wrong(all), len(all))
	for _, t := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.name, t.version, t.how, strings.ReplaceAll(cmp.Or(t.wrong, "right"), "|", `\|`))
	}
	return b.Bytes()
}
