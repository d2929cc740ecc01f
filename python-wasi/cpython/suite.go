package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"vivarium/host/run"
	"vivarium/wasm/vfs"
)

//go:embed suite.py
var handlerSource []byte

// splitFolders are packages whose modules are run one by one, as in regrtest.
var splitFolders = []string{
	"test_asyncio", "test_concurrent_futures", "test_doctests", "test_future_stmt", "test_gdb", "test_inspect",
	"test_pydoc", "test_multiprocessing_fork", "test_multiprocessing_forkserver", "test_multiprocessing_spawn",
}

// suite is CPython's test suite.
type suite struct {
	code    *vfs.Tree // the function: the handler and Lib/test
	modules []string  // by name, below test
}

// openSuite reads the archive that the guest's recipe packs, the first time
// from the tarball that the guest was built from.
func openSuite(ctx context.Context) (*suite, error) {
	_, file, _, _ := runtime.Caller(0)
	recipe := filepath.Join(filepath.Dir(file), "..", "build.sh")
	cmd := exec.CommandContext(ctx, "bash", recipe, "--tests")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("bash %s --tests: %w", recipe, err)
	}
	archive, err := os.Open(strings.TrimSpace(string(out)))
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	return readSuite(archive)
}

// readSuite reads a suite from an archive: a compressed tar file with a folder
// test.
func readSuite(archive io.Reader) (*suite, error) {
	unpacked, err := gzip.NewReader(archive)
	if err != nil {
		return nil, fmt.Errorf("test suite: %w", err)
	}
	var code bytes.Buffer
	files := zip.NewWriter(&code)
	var names []string
	for r := tar.NewReader(unpacked); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("test suite: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		names = append(names, header.Name)
		w, err := files.CreateHeader(&zip.FileHeader{Name: header.Name, Modified: header.ModTime, Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(w, r); err != nil {
			return nil, fmt.Errorf("test suite: %w", err)
		}
	}
	w, err := files.Create("suite.py")
	if err != nil {
		return nil, err
	}
	_, err = w.Write(handlerSource)
	if err := errors.Join(err, files.Close()); err != nil {
		return nil, err
	}
	s := &suite{modules: modulesOf(names)}
	s.code, err = run.CodeFromZip(code.Bytes())
	return s, err
}

// modulesOf finds the suite's modules among file names, as regrtest does.
func modulesOf(files []string) []string {
	found := map[string]bool{}
	for _, name := range files {
		parts := strings.Split(strings.TrimPrefix(name, "test/"), "/")
		top := strings.TrimSuffix(parts[0], ".py")
		if !strings.HasPrefix(top, "test_") || len(parts) == 1 && top == parts[0] {
			continue
		}
		if !slices.Contains(splitFolders, top) {
			found[top] = true
			continue
		}
		if len(parts) < 2 {
			continue
		}
		if module := strings.TrimSuffix(parts[1], ".py"); strings.HasPrefix(module, "test_") && (module != parts[1] || len(parts) > 2) {
			found[top+"."+module] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// choose returns the modules that match one of the patterns, in which * stands
// for anything; all without patterns.
func (s *suite) choose(patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return slices.Clone(s.modules), nil
	}
	chosen := map[string]bool{}
	for _, text := range patterns {
		known := false
		p := pattern(text)
		for _, m := range s.modules {
			if p.MatchString(m) {
				chosen[m], known = true, true
			}
		}
		if !known {
			return nil, fmt.Errorf("no module of the test suite is called %q", text)
		}
	}
	return slices.Sorted(maps.Keys(chosen)), nil
}

// pattern compiles a text, in which * stands for anything, to match another one
// completely.
func pattern(text string) *regexp.Regexp {
	return regexp.MustCompile("^(?s:" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + ")$")
}
