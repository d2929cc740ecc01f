package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// pyperformance are the programs in suite.py.
var pyperformance = []string{
	"richards", "deltablue", "raytrace", "pidigits", "regex_effbot", "json_dumps", "json_loads", "pickle", "pickle_pure_python",
	"logging_format", "deepcopy", "comprehensions",
}

const (
	pyperformanceVersion = "1.14.0"
	pyperformanceSHA256  = "91f74393997b604375ad5b79bf569a24076d70181c076a53abad5383a238a8aa"
)

// getPyperformance gets the sources of pyperformance from where a Python's pip gets packages
// and leaves its programs in the folder, each in a folder of its own. It blocks on the network.
func getPyperformance(ctx context.Context, python, folder string) error {
	dir, err := os.MkdirTemp("", "pyperformance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	wanted := filepath.Join(dir, "requirements.txt")
	line := fmt.Sprintf("pyperformance==%s --hash=sha256:%s\n", pyperformanceVersion, pyperformanceSHA256)
	if err := os.WriteFile(wanted, []byte(line), 0o600); err != nil {
		return err
	}
	pip := exec.CommandContext(ctx, python, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", dir, "--requirement", wanted)
	if output, err := pip.CombinedOutput(); err != nil {
		return fmt.Errorf("pyperformance: pip download: %w\n%s", err, output)
	}
	f, err := os.Open(filepath.Join(dir, "pyperformance-"+pyperformanceVersion+".tar.gz"))
	if err != nil {
		return err
	}
	defer f.Close()
	return unpackPrograms(f, folder)
}

// unpackPrograms copies .../bm_NAME/run_benchmark.py of an archive.
func unpackPrograms(archive io.Reader, folder string) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		file, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		name := path.Base(path.Dir(file.Name))
		if path.Base(file.Name) != "run_benchmark.py" || !strings.HasPrefix(name, "bm_") {
			continue
		}
		source, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name, "run_benchmark.py"), source, 0o644); err != nil {
			return err
		}
	}
}
