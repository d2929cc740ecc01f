package web

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/run"
	pythonwasi "vivarium/python-wasi"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// realEngines returns the engines that all tests of this package share. It lives
// as long as the test binary.
var realEngines = sync.OnceValues(func() (*run.Engines, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	return run.NewEngines(context.Background(), "", wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "test")})
})

// realHost returns the host that most tests of this package share: real Python
// in the real sandbox. It lives as long as the test binary.
var realHost = sync.OnceValues(func() (*host.Host, error) {
	engines, err := realEngines()
	if err != nil {
		return nil, err
	}
	return host.New(host.Config{Engines: engines, Logs: caseLogs.add})
})

// mustRealHost is realHost for tests that can't do without.
func mustRealHost(t testing.TB) *host.Host {
	t.Helper()
	h, err := realHost()
	if errors.Is(err, pythonwasi.ErrNotBuilt) {
		t.Fatal("these tests need the Python guest; build it: go tool task guest")
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// deploy deploys files as a function and returns the host that has it.
func deploy(t testing.TB, name string, spec catalog.VersionSpec, files []txtar.File) *host.Host {
	t.Helper()
	return deployFor(t, access.Operator, name, spec, files)
}

// deployFor is deploy in the name of somebody.
func deployFor(t testing.TB, p access.Principal, name string, spec catalog.VersionSpec, files []txtar.File) *host.Host {
	t.Helper()
	h := mustRealHost(t)
	tree, err := txtar.FS(&txtar.Archive{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	code, err := vfs.NewTree(tree, vfs.TreeConfig{Eager: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Catalog().DeployTransient(p, name, spec, code); err != nil {
		t.Fatal(err)
	}
	return h
}
