// Package native makes environments of a Python without Vivarium, beside which the tools
// measure and compare what the guest does.
package native

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Environment makes a virtual environment in dir, installs packages with pip, each written
// as in requirements.txt, and returns its Python. It blocks until they are installed.
//
// # Errors
//
// Those of venv and of pip, with what they say.
func Environment(ctx context.Context, python, dir string, packages ...string) (string, error) {
	if out, err := exec.CommandContext(ctx, python, "-m", "venv", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("native Python: %w\n%s", err, out)
	}
	python = filepath.Join(dir, "bin", "python")
	pip := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, packages...)
	if out, err := exec.CommandContext(ctx, python, pip...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("native Python: %w\n%s", err, out)
	}
	return python, nil
}
