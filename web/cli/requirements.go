package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	pythonwasi "vivarium/python-wasi"
)

// requirementsFile lists the packages that a function needs.
const requirementsFile = "requirements.txt"

// packagesOf returns the packages that a folder's requirementsFile asks for,
// installed, or nil when it has none. Only wheels of pure Python are taken: the
// guest has no dynamic linker.
//
// They are kept below cacheDir, by the text of the file, of those it includes,
// and the guest's Python.
// So a file that pins no versions gets those of its first installation until
// refresh asks for new ones.
func packagesOf(ctx context.Context, s *session, folder, cacheDir string, refresh bool) (fs.FS, error) {
	file := filepath.Join(folder, requirementsFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(requirementLines(string(text))) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", requirementsFile, err)
	}
	guest, err := pythonwasi.Versions()
	if err != nil {
		return nil, err
	}
	key := sha256.New()
	fmt.Fprintf(key, "1 %s\n%s", guest.CPython, text)
	for _, m := range nestedFile.FindAllSubmatch(text, -1) {
		nested, _ := os.ReadFile(filepath.Join(folder, string(m[1]))) // the installer complains when it is missing
		key.Write(nested)
	}
	dir := filepath.Join(cacheDir, "packages", hex.EncodeToString(key.Sum(nil))[:32])
	if _, err := os.Stat(dir); err == nil {
		if !refresh {
			return os.DirFS(dir), nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("packages: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("packages: %w; name another directory with --cache-dir", err)
	}
	// Installed beside its place and moved there whole, so that no half of it is
	// ever taken for all.
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-")
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	defer os.RemoveAll(unfinished)
	install, err := findInstaller(guest.CPython)
	if err != nil {
		return nil, err
	}
	done := announce(s.stderr, "installing "+requirementsFile+" with "+install.name+" ...")
	err = install.run(ctx, folder, unfinished, text)
	done(err)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(unfinished, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, exists := os.Stat(dir); exists != nil { // else somebody else was faster
			return nil, fmt.Errorf("packages: %w", err)
		}
	}
	return os.DirFS(dir), nil
}

// nestedFile finds the files that a requirements file includes.
var nestedFile = regexp.MustCompile(`(?m)^(?:-r|-c|--requirement|--constraint)[ =]*(\S+)`)

// requirementLines returns the lines that name a package.
func requirementLines(text string) []string {
	var lines []string
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	for line := range strings.Lines(text) {
		if i := strings.Index(" "+line, " #"); i >= 0 {
			line = line[:i]
		}
		if line = strings.TrimSpace(line); line != "" && line[0] != '-' {
			lines = append(lines, line)
		}
	}
	return lines
}

// requirementOptions returns what the file says of where packages come from.
func requirementOptions(text string) []string {
	var options []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "--") && !strings.HasPrefix(line, "--requirement") && !strings.HasPrefix(line, "--constraint") {
			options = append(options, strings.Fields(line)...)
		}
	}
	return options
}

// installer is a program that installs packages.
type installer struct {
	name    string
	command []string // without what is to be installed, and where
	// blames finds in the program's complaint the packages that it could not have.
	blames *regexp.Regexp
}

// findInstaller returns uv, or else the pip of a Python on this machine.
func findInstaller(python string) (*installer, error) {
	if parts := strings.SplitN(python, ".", 3); len(parts) == 3 {
		python = parts[0] + "." + parts[1]
	}
	if uv, err := exec.LookPath("uv"); err == nil {
		return &installer{
			name: "uv",
			// Of the platforms that uv knows this one is nearest to the guest.
			command: []string{uv, "pip", "install", "--quiet", "--no-config", "--only-binary", ":all:", "--python-version", python,
				"--python-platform", "wasm32-pyodide2024"},
			blames: regexp.MustCompile("Wheels are required for `([^`]+)`|[Bb]ecause ([-\\w.]+) was not found"),
		}, nil
	}
	for _, command := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}, {"python", "-m", "pip"}} {
		if exec.Command(command[0], append(command[1:], "--version")...).Run() != nil {
			continue
		}
		return &installer{
			name: "pip",
			command: append(command, "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile",
				"--only-binary=:all:", "--platform", "any", "--implementation", "py", "--abi", "none", "--python-version", python),
			blames: regexp.MustCompile(`No matching distribution found for ([-\w.]+)`),
		}, nil
	}
	return nil, fmt.Errorf("%s: there is neither uv nor pip to install it with; install one of them, or put the packages beside "+
		"the code and take %s away", requirementsFile, requirementsFile)
}

// run installs what the file in folder asks for into the directory target.
func (i *installer) run(ctx context.Context, folder, target string, text []byte) error {
	complaint, err := i.install(ctx, folder, "--target", target, "-r", requirementsFile)
	if err == nil {
		if native := impure(os.DirFS(target)); len(native) > 0 {
			return &noWheelError{native}
		}
		return nil
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	// The programs stop at the first package they can't have. Users want to know
	// of all: so each line is tried alone.
	var missing []string
	for n, line := range requirementLines(string(text)) {
		alone := filepath.Join(target, fmt.Sprintf("line-%d", n))
		args := append([]string{"--target", alone}, requirementOptions(string(text))...)
		complaint, err := i.install(ctx, folder, append(args, line)...)
		var names []string
		if err == nil {
			names = impure(os.DirFS(alone))
		}
		for _, m := range i.blames.FindAllStringSubmatch(complaint, -1) {
			names = append(names, strings.Join(m[1:], ""))
		}
		for _, name := range names {
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	if len(missing) > 0 {
		return &noWheelError{missing}
	}
	return fmt.Errorf("%s: %s failed: %w\n%s", requirementsFile, i.name, err, strings.TrimSpace(complaint))
}

// install runs the program and returns what it complains of.
func (i *installer) install(ctx context.Context, folder string, args ...string) (complaint string, err error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, i.command[0], append(slices.Clone(i.command[1:]), args...)...)
	command.Dir, command.Stderr = folder, &stderr // lines such as "-r more.txt" are relative to it
	err = command.Run()
	return stderr.String(), err
}

// noWheelError says which packages can't be had for the guest.
type noWheelError struct{ packages []string }

// Error implements error.
func (e *noWheelError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: these packages have no wheel of pure Python, which is all that functions can load:\n", requirementsFile)
	for _, name := range e.packages {
		fmt.Fprintf(&b, "  %s\n", name)
	}
	b.WriteString("If the name is right, use a package in Python alone instead; for one that has only its sources published, " +
		"make a wheel with `pip wheel` and name that file in " + requirementsFile)
	return b.String()
}

// nativeFile are endings of files that need a dynamic linker.
var nativeFile = regexp.MustCompile(`\.(so|pyd|dylib|dll)(\.[0-9.]+)?$`)

// impure returns the packages that bring machine code, whatever their wheels
// say: some that say they are pure do, and uv takes those made for browsers.
func impure(packages fs.FS) []string {
	var native []string
	// What can't be read is not there, or is noticed when it is packed.
	_ = fs.WalkDir(packages, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && nativeFile.MatchString(path.Base(name)) {
			if top, _, _ := strings.Cut(name, "/"); !slices.Contains(native, top) {
				native = append(native, top)
			}
		}
		return nil
	})
	return native
}
