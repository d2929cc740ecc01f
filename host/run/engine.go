package run

import (
	"context"
	"fmt"

	pythonwasi "vivarium/python-wasi"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// NewEngine compiles the Python guest that this program carries. Members of cfg
// that describe the guest are set here. The first time takes seconds; with
// cfg.CacheDir later times take a fraction of one.
//
// # Errors
//
// pythonwasi.ErrNotBuilt when the program was built before its guest.
func NewEngine(ctx context.Context, cfg wasm.Config) (*wasm.Engine, error) {
	module, err := pythonwasi.Module()
	if err != nil {
		return nil, err
	}
	info, err := pythonwasi.Versions()
	if err != nil {
		return nil, err
	}
	library, err := pythonwasi.Library()
	if err != nil {
		return nil, err
	}
	tree, err := vfs.NewTree(library, vfs.TreeConfig{})
	if err != nil {
		return nil, fmt.Errorf("host: Python's library: %w", err)
	}
	roots, err := rootCertificates()
	if err != nil {
		return nil, err
	}
	cfg.Guest, cfg.Library, cfg.Key = module, tree, info.Key+"/"+roots.key
	cfg.Mounts = []vfs.Mount{{Path: "etc/ssl", Tree: roots.tree}}
	if cfg.MaxResponse == 0 {
		cfg.MaxResponse = maxResult
	}
	return wasm.NewEngine(ctx, cfg)
}
