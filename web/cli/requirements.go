package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	pythonwasi "vivarium/python-wasi"
	"vivarium/web/requirements"
)

// packagesOf returns the installed packages that a folder's requirements.txt
// asks for, or nil if it asks for none. Only pure Python wheels are accepted:
// the guest has no dynamic linker.
//
// They are cached below cacheDir, by requirements and the guest's Python. So a
// file without pinned versions keeps those of its first installation until
// refresh asks for new ones.
func packagesOf(ctx context.Context, s *session, source *source, cacheDir string, refresh bool) (fs.FS, error) {
	list, err := source.requirements()
	if err != nil || list.Empty() {
		return nil, err
	}
	guest, err := pythonwasi.Lean.Info()
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "2 %s\n%s", guest.CPython, list))
	dir := filepath.Join(cacheDir, "packages", hex.EncodeToString(key[:])[:32])
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
	// Installed next to its place and then renamed, so that it is never seen
	// incomplete.
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-")
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	defer os.RemoveAll(unfinished)
	install, err := requirements.Find(ctx, guest.CPython, source.path)
	var installed string
	if err == nil {
		done := announce(s.stderr, "installing "+requirements.File+" with "+install.Name+" ...")
		installed, err = install.Install(ctx, list, unfinished)
		done(err)
	}
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, err
	}
	if err := os.Rename(installed, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, exists := os.Stat(dir); exists != nil { // otherwise somebody else was faster
			return nil, fmt.Errorf("packages: %w", err)
		}
	}
	return os.DirFS(dir), nil
}

// requirements returns what the folder's requirements.txt asks for.
func (s *source) requirements() (*requirements.List, error) {
	if s.kind != wholeFolder {
		return &requirements.List{}, nil
	}
	root, err := s.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return requirements.Read(root)
}
