package requirements

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"vivarium/web/folder"
)

// Installer installs packages with a program of this machine.
type Installer struct {
	Name string // "uv" or "pip"
	// BuiltIn are the packages of the guest, which are chosen if they fit.
	BuiltIn []BuiltIn

	python  string // version of the Python to install for, as in 3.13.5
	command []string
	env     []string
	notes   notes
	bound   bound
	stubs   map[string]stub // by normalized name, while Install runs
}

// notes recognize in a program's complaint why a package that was requested
// alone could not be had. The first match counts.
type notes struct{ noPackage, noVersion, noWheel *regexp.Regexp }

// withoutPrograms is a Python program that runs pip, but lets it start no other
// program.
//
//go:embed pip.py
var withoutPrograms string

// Find returns uv, or else the pip of a Python, from PATH, to install packages
// for the given version of Python. Programs in the function's own folder are
// ignored.
//
// # Errors
//
// If there is none, what to do.
func Find(ctx context.Context, python, folder string) (*Installer, error) {
	version := python
	if parts := strings.SplitN(python, ".", 3); len(parts) == 3 {
		version = parts[0] + "." + parts[1]
	}
	places := searchPath(folder)
	env := environment(places)
	pythons := append(lookUp(places, "python3"), lookUp(places, "python")...)
	if uvs := lookUp(places, "uv"); len(uvs) > 0 {
		i := &Installer{
			Name: "uv", python: python, env: env, bound: defaultBound,
			// This is the platform known to uv that is nearest to the guest.
			// Exceptions from --only-binary are revoked, whoever made them.
			command: append([]string{uvs[0], "pip", "install", "--quiet", "--only-binary", ":all:", "--no-binary", ":none:",
				"--python-version", version, "--python-platform", "wasm32-pyodide2024"}, uvConfig()...),
			notes: notes{
				noPackage: regexp.MustCompile(`was not found in`),
				noWheel:   regexp.MustCompile(`no usable wheels|no wheels with a matching|Wheels are required for`),
				noVersion: regexp.MustCompile(`no versions? of|only the following versions of|only .{1,80} is available`),
			},
		}
		// uv runs a Python, which must not be from a folder above.
		if len(pythons) > 0 {
			i.command = append(i.command, "--python", pythons[0])
		} else {
			i.command = append(i.command, "--system")
		}
		return i, nil
	}
	for _, program := range pythons {
		i := &Installer{
			Name: "pip", python: python, env: env, bound: defaultBound,
			// -E: ignore Python's own environment variables.
			command: []string{program, "-E", "-c", withoutPrograms, "install", "--disable-pip-version-check", "--no-input", "--no-compile",
				"--only-binary=:all:", "--platform", "any", "--implementation", "py", "--abi", "none", "--python-version", version},
			notes: notes{
				noVersion: regexp.MustCompile(`\(from versions: [^n]`),
				noWheel:   regexp.MustCompile(`\(from versions: none\)`),
			},
		}
		if _, err := i.run(ctx, string(filepath.Separator), nil, nil, append(i.command[:4:4], "--version")...); err == nil {
			return i, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("%s: there is neither uv nor a Python 3 with pip to install it, other than in the function's own "+
		"folder; install one of them, or put the packages next to the code and remove %s", File, File)
}

// Install installs what the list asks for below the folder dir, which must be
// empty and inside a folder of the user's own. It returns the folder with the
// packages, and what was chosen. It blocks until the program is done, or ctx ends.
//
// # Errors
//
// A *BlockedError if packages can't be had, a *LargeError if they are too large;
// ctx's.
func (i *Installer) Install(ctx context.Context, list *List, dir string) (packages string, chosen []Chosen, err error) {
	if i.stubs, err = writeStubs(filepath.Join(dir, stubFolder), i.BuiltIn); err != nil {
		return "", nil, err
	}
	packages, err = i.resolve(ctx, list, dir)
	if err != nil {
		return "", nil, err
	}
	if chosen, err = dropBuiltIn(packages, i.stubs); err != nil {
		return "", nil, fmt.Errorf("%s: %w", File, err)
	}
	if native := native(os.DirFS(packages)); len(native) > 0 {
		return "", nil, &BlockedError{Packages: native}
	}
	i.fallBacks(ctx, list, dir, chosen)
	return packages, chosen, nil
}

// backtracking is how long an installer may look for older versions that fit what is
// built in.
const backtracking = 20 * time.Second

// stubFolder is where the stubs are.
const stubFolder = "built-in"

// resolve installs the list, with preference for what is built in as long as that
// works out, and returns the folder with the packages.
func (i *Installer) resolve(ctx context.Context, list *List, dir string) (target string, err error) {
	impatient, stop := context.WithCancel(ctx)
	defer stop()
	complaint := ""
	attempts := []*List{list.preferring(i.stubs, false)}
	if len(i.stubs) > 0 && !list.Hashes {
		attempts = []*List{list.preferring(i.stubs, true), attempts[0]}
	}
	for n, attempt := range attempts {
		target = filepath.Join(dir, fmt.Sprint("packages-", n))
		// pip tries older versions one after the other, for minutes. The reason is
		// nearly always a package that can't be had, and explain finds that sooner.
		// Unless it is the version of one that is built in, which an older version
		// of another may fit.
		trying, stopTrying := context.WithCancel(impatient)
		seen := stop
		if n < len(attempts)-1 {
			seen = func() { time.AfterFunc(backtracking, stopTrying) }
		}
		complaint, err = i.install(trying, attempt, dir, target, &watch{text: []byte("looking at multiple versions"), seen: seen})
		stopTrying()
		if _, large := errors.AsType[*LargeError](err); err == nil || large || ctx.Err() != nil {
			return target, cmp.Or(ctx.Err(), err)
		}
		if unreachable.MatchString(complaint) {
			break
		}
	}
	var blocked []Blocked
	if !unreachable.MatchString(complaint) {
		blocked = i.explain(ctx, attempts[len(attempts)-1], dir)
	}
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case len(blocked) > 0:
		return "", &BlockedError{Packages: blocked}
	case impatient.Err() == nil:
		return "", fmt.Errorf("%s: %s failed: %w\n%s", File, i.Name, err, lastLines(complaint))
	}
	target = filepath.Join(dir, "packages-again")
	if complaint, err = i.install(ctx, attempts[len(attempts)-1], dir, target, io.Discard); err != nil {
		if _, large := errors.AsType[*LargeError](err); large {
			return "", err
		}
		return "", fmt.Errorf("%s: %s failed: %w\n%s", File, i.Name, err, lastLines(complaint))
	}
	return target, nil
}

// unreachable matches complaints about an index that does not respond: asking
// again would not help.
var unreachable = regexp.MustCompile(`Retrying \(|Failed to fetch|(?i:connection (?:refused|error|reset)|timed out)`)

// install runs the program on a list, and returns its complaints. A *LargeError
// ends it early.
func (i *Installer) install(
	ctx context.Context, list *List, dir, target string, out io.Writer, options ...string,
) (complaint string, err error) {
	work, err := os.MkdirTemp(dir, "work-") // contains nothing else
	if err != nil {
		return "", err
	}
	args := append(i.command[:len(i.command):len(i.command)], "--target", target)
	args = append(args, options...)
	// pip unpacks wheels in the folder for temporary files, uv in its cache. Both
	// are below dir, where they are counted and go away.
	env := []string{"UV_CACHE_DIR=" + filepath.Join(dir, "uv"), "TMPDIR=" + dir, "TEMP=" + dir, "TMP=" + dir}
	if len(i.stubs) > 0 {
		stubs := filepath.Join(dir, stubFolder)
		if i.Name == "pip" {
			args = append(args, "--find-links", stubs)
		} else { // whose option would replace the user's variable
			env = append(env, "UV_FIND_LINKS="+strings.Trim(os.Getenv("UV_FIND_LINKS")+","+stubs, ","))
		}
	}
	for _, file := range []struct {
		option, name string
		content      []Requirement
	}{{"-r", File, list.Packages}, {"-c", "constraints.txt", list.Constraints}} {
		if len(file.content) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(work, file.name), []byte(text(file.content)), 0o600); err != nil {
			return "", err
		}
		args = append(args, file.option, file.name)
	}
	if list.Hashes {
		args = append(args, "--require-hashes")
	}
	if list.Pre {
		args = append(args, map[string][]string{"uv": {"--prerelease", "allow"}, "pip": {"--pre"}}[i.Name]...)
	}
	err = i.bound.watch(ctx, dir, func(ctx context.Context) error {
		complaint, err = i.run(ctx, work, env, out, args...)
		return err
	})
	return complaint, err
}

// run runs a program in a folder and returns its complaints.
func (i *Installer) run(ctx context.Context, dir string, env []string, out io.Writer, args ...string) (complaint string, err error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Dir, command.Env = dir, append(append(i.env[:len(i.env):len(i.env)], env...), "PWD="+dir)
	command.Stdout, command.Stderr = out, &stderr
	err = command.Run()
	return stderr.String(), err
}

// watch calls seen once a text has been written to it.
type watch struct {
	text, before []byte
	seen         func()
}

// Write implements io.Writer.
func (w *watch) Write(p []byte) (int, error) {
	w.before = append(w.before, p...)
	if bytes.Contains(w.before, w.text) {
		w.seen()
	}
	w.before = w.before[max(len(w.before)-len(w.text), 0):]
	return len(p), nil
}

// lastLines returns the end of a complaint, which can be endless.
func lastLines(complaint string) string {
	lines := strings.Split(strings.TrimSpace(complaint), "\n")
	return strings.Join(lines[max(len(lines)-10, 0):], "\n")
}

// searchPath returns the entries of PATH in which to look for programs, except
// those relative to the working directory or in the function's folder.
func searchPath(folder string) []string {
	own := resolved(folder)
	var places []string
	for _, place := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(place) && !isBelow(resolved(place), own) {
			places = append(places, place)
		}
	}
	return places
}

// resolved returns a path with links resolved, as far as it exists.
func resolved(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path
}

func isBelow(path, folder string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(relative)
}

// lookUp returns the programs of a name in these places.
func lookUp(places []string, name string) []string {
	var found []string
	for _, place := range places {
		if path, err := exec.LookPath(filepath.Join(place, name)); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// passed are the variables that the program gets: what it needs to start, to
// find its configuration and to reach an index, but none of pip's and uv's
// variables that control what may be built.
var passed = regexp.MustCompile(`^(?i:HOME|USER|LOGNAME|USERPROFILE|APPDATA|LOCALAPPDATA|PROGRAMDATA|SYSTEMROOT|SYSTEMDRIVE|COMSPEC|PATHEXT|TMPDIR|TEMP|TMP|` +
	`LANG|LC_[A-Z]+|LD_LIBRARY_PATH|XDG_(?:CONFIG_HOME|CONFIG_DIRS|CACHE_HOME|DATA_HOME)|NETRC|` +
	`(?:HTTPS?|ALL|NO)_PROXY|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|` +
	`PYENV_ROOT|PYENV_VERSION|ASDF_DIR|ASDF_DATA_DIR|MISE_DATA_DIR|` +
	`PIP_(?:INDEX_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|(?:DEFAULT_)?TIMEOUT|RETRIES|CACHE_DIR|NO_CACHE_DIR|CONFIG_FILE)|` +
	`UV_(?:INDEX|DEFAULT_INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|INDEX_STRATEGY|INDEX_[A-Z0-9_]+_(?:USERNAME|PASSWORD)|INSECURE_HOST|` +
	`NATIVE_TLS|SYSTEM_CERTS|OFFLINE|HTTP_TIMEOUT|HTTP_RETRIES|PYTHON_DOWNLOADS|PYTHON_INSTALL_DIR|CONFIG_FILE))$`)

// environment returns the program's environment.
func environment(places []string) []string {
	env := []string{
		"PATH=" + strings.Join(places, string(filepath.ListSeparator)),
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1", "PIP_USER=0", "PIP_REQUIRE_VIRTUALENV=0", "PIP_ROOT_USER_ACTION=ignore", "NO_COLOR=1",
	}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); passed.MatchString(name) {
			env = append(env, v)
		}
	}
	return env
}

// uvConfig makes uv read the user's configuration, or else the system's. By
// default it would also look in the folders above.
func uvConfig() []string {
	if os.Getenv("UV_CONFIG_FILE") != "" {
		return nil
	}
	var dirs []string
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		dirs = append(dirs, dir)
	} else if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".config"))
	}
	dirs = append(dirs, os.Getenv("APPDATA"), "/etc")
	for _, dir := range dirs {
		file := filepath.Join(dir, "uv", "uv.toml")
		if _, err := os.Stat(file); err == nil && filepath.IsAbs(file) {
			return []string{"--config-file", file}
		}
	}
	return []string{"--no-config"}
}

// nativeFile matches the names of files that need a dynamic linker.
var nativeFile = regexp.MustCompile(`\.(so|pyd|dylib|dll)(\.[0-9.]+)?$`)

// native returns the packages that contain machine code, whatever their wheels
// claim: some that claim to be pure do, and uv accepts those made for browsers.
func native(packages fs.FS) []Blocked {
	var all []Blocked
	seen := map[string]bool{}
	// What can't be read is missing, or reported when it is packed.
	_ = fs.WalkDir(packages, ".", func(name string, d fs.DirEntry, err error) error {
		top, _, _ := strings.Cut(name, "/")
		if err == nil && d.Type().IsRegular() && nativeFile.MatchString(d.Name()) && !seen[top] {
			seen[top] = true
			all = append(all, Blocked{Name: top, Why: NoWheel})
		}
		return nil
	})
	return all
}

// Reason is why a package can't be had.
type Reason int

// Reasons.
const (
	NoWheel Reason = iota
	NoVersion
	NoPackage
	NoName // it is requested by something other than its name
)

var reasons = map[Reason]string{
	NoWheel:   "no pure Python wheel, which is all that functions can load",
	NoVersion: "no such version",
	NoPackage: "no such package in the index",
	NoName:    "given by something other than its name and version, such as a URL",
}

// Blocked is a package that can't be had.
type Blocked struct {
	Name   string   // with the requested versions
	Why    Reason   //
	Detail string   // more on the reason; may be empty
	By     []string // packages that need it; empty if the list itself names it

	perhaps bool // other versions of those may make do with the version that is built in
}

// BlockedError lists packages that can't be had.
type BlockedError struct{ Packages []Blocked }

// Error implements error.
func (e *BlockedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: these packages can't be had:\n", File)
	wheel := false
	for _, p := range e.Packages {
		wheel = wheel || p.Why == NoWheel
		fmt.Fprint(&b, folder.Shown(p.Name))
		if len(p.By) > 0 {
			fmt.Fprintf(&b, ", which %s needs", strings.Join(p.By, " and "))
		}
		fmt.Fprintf(&b, ": %s%s\n", reasons[p.Why], p.Detail)
	}
	if wheel {
		b.WriteString("use pure Python packages instead; one that is published only as sources can be put next to the code")
	} else {
		b.WriteString("correct the names and versions")
	}
	return b.String()
}
