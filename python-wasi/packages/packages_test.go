// Package packages tests what the guest with packages has: NAME_test.py is a
// function that uses the package of packages/NAME.sh.
package packages

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"vivarium/host"
	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/run"
	pythonwasi "vivarium/python-wasi"
	"vivarium/wasm"
	"vivarium/wasm/vfs"
)

// guestHost is a host that runs functions in one of the guests with packages.
type guestHost struct {
	*host.Host
	guest pythonwasi.Guest
}

func newHost(t testing.TB, guest pythonwasi.Guest, config host.Config) guestHost {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	engines, err := run.NewEngines(t.Context(), guest.Name(), wasm.Config{CacheDir: filepath.Join(cache, "vivarium", "wasm")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engines.Close(context.Background()) })
	config.Engines = engines
	if config.Logs == nil {
		config.Logs = func(e logs.Entry) { t.Log(e.Message) }
	}
	h, err := host.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return guestHost{h, guest}
}

// call deploys the files of a function and calls it once; it must not fail.
func call(t testing.TB, h guestHost, name string, files fstest.MapFS) {
	t.Helper()
	deploy(t, h, name, files)
	invoke(t, h, name)
}

func deploy(t testing.TB, h guestHost, name string, files fstest.MapFS) {
	t.Helper()
	code, err := vfs.NewTree(files, vfs.TreeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	spec := catalog.VersionSpec{
		Runtime: h.guest.Name(), Entrypoint: "main.handler", MemoryMB: 256, Timeout: 5 * time.Minute,
	}
	if _, err := h.Catalog().DeployTransient(access.Operator, name, spec, code); err != nil {
		t.Fatal(err)
	}
}

// invoke returns what a function answers.
func invoke(t testing.TB, h guestHost, name string) string {
	t.Helper()
	result, err := h.Invoke(t.Context(), access.Operator, run.Invocation{
		Function: name, RequestID: uuid.NewString(), Received: time.Now(), Raw: true, Body: []byte("{}"),
	})
	if err != nil {
		t.Error(err)
		return ""
	}
	return string(result.Body)
}

func TestPackages_WorkInTheSandbox(t *testing.T) {
	info, err := pythonwasi.Full.Info()
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, pythonwasi.Full, host.Config{})
	for name := range info.Packages {
		testPackage(t, h, name)
	}
	testMetadata(t, h, info)
	t.Run("modules in C stay away from a function's own version of a package", func(t *testing.T) {
		call(t, h, "own-version", fstest.MapFS{
			"main.py":                {Data: []byte(ownVersion)},
			"markupsafe/__init__.py": {Data: []byte("__version__ = '0.1'")},
		})
	})
}

// testPackage calls the function that uses a package.
func testPackage(t *testing.T, h guestHost, name string) {
	t.Run(name, func(t *testing.T) {
		text, err := os.ReadFile(name + "_test.py")
		if err != nil {
			t.Fatal(err)
		}
		call(t, h, "use-"+strings.ReplaceAll(name, ".", "-"), fstest.MapFS{"main.py": {Data: text}})
	})
}

func testMetadata(t *testing.T, h guestHost, info pythonwasi.BuildInfo) {
	t.Run("metadata tells their versions", func(t *testing.T) {
		versions := map[string]string{}
		for name, p := range info.Packages {
			versions[name] = p.Version
		}
		want, err := json.Marshal(versions)
		if err != nil {
			t.Fatal(err)
		}
		call(t, h, "metadata", fstest.MapFS{"main.py": {Data: []byte(metadata)}, "want.json": {Data: want}})
	})
}

const metadata = `
import json
from importlib.metadata import version

def handler(event, context):
    with open("want.json") as file:
        want = json.load(file)
    assert {name: version(name) for name in want} == want
`

const ownVersion = `
import importlib

import markupsafe

def handler(event, context):
    assert markupsafe.__version__ == "0.1"
    try:
        importlib.import_module("markupsafe._speedups")
    except ModuleNotFoundError as error:
        assert error.name == "markupsafe._speedups"
    else:
        raise AssertionError("found the module in C of another version")
`
