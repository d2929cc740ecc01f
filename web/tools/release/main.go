// Command release builds what users install: `go tool task release -- 0.1.0 -url URL`.
// README.md describes what comes out.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what is made.
type release struct {
	version version
	url     string // where the files will be, without a slash at the end
	out     string // the folder that they are put into
	root    string // the module's folder
	commit  string
	time    time.Time // of the commit: what all files in archives are dated
	targets []target
	files   map[target]string // the programs
	sums    map[string]string // checksums of what was made, by name; see sum
}

// target is a system that there are programs for.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

// targets are all of them.
var targets = []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

// version is a version by Semantic Versioning, such as 1.2.3 or 1.2.3-rc.1.
type version struct {
	core string // 1.2.3
	rc   string // 1
}

func parseVersion(text string) (version, error) {
	m := regexp.MustCompile(`^((?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2})(?:-rc\.([1-9]\d*))?$`).FindStringSubmatch(text)
	if m == nil {
		return version{}, fmt.Errorf("%q is not a version, such as 1.2.3 or 1.2.3-rc.1", text)
	}
	return version{m[1], m[2]}, nil
}

// with returns the version as another scheme writes it.
func (v version) with(candidate string) string {
	if v.rc == "" {
		return v.core
	}
	return v.core + candidate + v.rc
}

func (v version) String() string { return v.with("-rc.") }
func (v version) debian() string { return v.with("~rc") }
func (v version) python() string { return v.with("rc") }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r := release{files: map[target]string{}, sums: map[string]string{}}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: release [flags] VERSION")
		flags.PrintDefaults()
	}
	flags.StringVar(&r.url, "url", "", "the `address` from which the files will be downloaded; required")
	flags.StringVar(&r.out, "out", "bin/release", "the `folder` for the files; emptied before")
	only := flags.String("targets", "", "for which `systems`, such as linux/amd64,darwin/arm64 (default all)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	switch {
	case flags.NArg() != 1:
		return errors.New("name a version, after the flags")
	case r.url == "":
		return errors.New("name with -url where the files will be downloaded from")
	}
	r.url = strings.TrimSuffix(r.url, "/")
	if r.version, err = parseVersion(flags.Arg(0)); err != nil {
		return err
	}
	if r.targets, err = chosen(*only); err != nil {
		return err
	}
	if err := r.make(ctx); err != nil {
		return err
	}
	made, err := os.ReadDir(r.out)
	for _, f := range made {
		fmt.Fprintln(stdout, filepath.Join(r.out, f.Name()))
	}
	return err
}

func chosen(list string) (some []target, err error) {
	if list == "" {
		return targets, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(targets, func(t target) bool { return t.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("there are no programs for %q; there are for %v", name, targets)
		}
		some = append(some, targets[i])
	}
	return some, nil
}

// make makes all files.
func (r *release) make(ctx context.Context) error {
	if err := r.identify(ctx); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	programs, err := os.MkdirTemp("", "vivarium-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(programs) }()
	for _, t := range r.targets {
		if err := r.build(ctx, t, programs); err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context) error{
		r.archives, r.debs, r.wheels, r.image, r.bills, r.scripts, r.provenance, r.checksums,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// identify finds out what it is that is released.
func (r *release) identify(ctx context.Context) (err error) {
	if r.root, err = output(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}"); err != nil {
		return err
	}
	told, err := output(ctx, r.root, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		return err
	}
	commit, seconds, _ := strings.Cut(told, " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	r.commit, r.time = commit, time.Unix(n, 0).UTC()
	return err
}

// build compiles the program. Whoever builds the same commit with the same Go gets the
// same bytes.
func (r *release) build(ctx context.Context, t target, folder string) error {
	r.files[t] = filepath.Join(folder, t.os+"-"+t.arch)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X vivarium/web/cli.release="+r.version.String(), "-o", r.files[t], ".")
	build.Dir = r.root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch)
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", t, err, text)
	}
	return nil
}

// checksums lists all files made so far, for sha256sum -c.
func (r *release) checksums(context.Context) error {
	made, err := r.made()
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, f := range made {
		fmt.Fprintf(&list, "%s  %s\n", f.sum, f.name)
	}
	return r.write("SHA256SUMS", []byte(list.String()))
}

// made are the files made so far, with their checksums, in order of name.
func (r *release) made() (files []struct{ name, sum string }, err error) {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		sum, err := r.sum(e.Name())
		if err != nil {
			return nil, err
		}
		files = append(files, struct{ name, sum string }{e.Name(), sum})
	}
	return files, nil
}

// sum returns the checksum of a file that was made; none changes after that.
func (r *release) sum(name string) (sum string, err error) {
	sum, known := r.sums[name]
	if !known {
		if sum, err = checksum(filepath.Join(r.out, name)); err == nil {
			r.sums[name] = sum
		}
	}
	return sum, err
}

// checksum returns the SHA-256 of a file in hexadecimal.
func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func (r *release) write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(r.out, name), data, 0o644)
}

// output runs a program in a folder and returns the line that it prints.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	text, err := command.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return strings.TrimSpace(string(text)), nil
}
