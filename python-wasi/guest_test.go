package pythonwasi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// built fails a test if there is no guest. It doesn't skip it: a suite that is
// green without a guest has tested nothing.
func built(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrNotBuilt) {
		t.Fatal("there is no guest in python-wasi/dist; build it: go tool task guest")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// each runs a test for each guest; the scientific one need not be built.
func each(t *testing.T, test func(t *testing.T, g Guest)) {
	guests := []Guest{Lean, Full}
	if Science.Built() == nil {
		guests = append(guests, Science)
	}
	for _, g := range guests {
		t.Run(g.Name(), func(t *testing.T) { test(t, g) })
	}
}

func versions(t *testing.T, g Guest) BuildInfo {
	t.Helper()
	info, err := g.Info()
	built(t, err)
	return info
}

func library(t *testing.T, g Guest) fs.FS {
	t.Helper()
	tree, err := g.Library()
	built(t, err)
	return tree
}

func TestModule_IsTheOneThatVersionsNames(t *testing.T) {
	each(t, func(t *testing.T, g Guest) {
		module, err := g.Module()
		built(t, err)
		if want := []byte("\x00asm\x01\x00\x00\x00"); !bytes.HasPrefix(module, want) {
			t.Errorf("the module starts with % x, want % x", module[:min(8, len(module))], want)
		}
		if got, want := checksum(module), versions(t, g).ModuleSHA256; got != want {
			t.Errorf("SHA-256 of the module: got %s, want %s; build it again: go tool task guest", got, want)
		}
	})
}

func TestLibrary_IsTheOneThatVersionsNames(t *testing.T) {
	each(t, func(t *testing.T, g Guest) {
		archive, err := g.read("library.zip")
		built(t, err)
		if got, want := checksum(archive), versions(t, g).LibrarySHA256; got != want {
			t.Errorf("SHA-256 of the library: got %s, want %s; build it again: go tool task guest", got, want)
		}
	})
}

func TestVersions_AreThoseThatTheRecipePins(t *testing.T) {
	info := versions(t, Lean)
	pinned := pins(t)
	for name, got := range map[string]string{
		"CPYTHON_VERSION":   info.CPython,
		"WASI_LIBC_VERSION": info.WASILibc,
		"MUSL_VERSION":      info.Musl,
		"ZLIB_VERSION":      info.Zlib,
		"BZIP2_VERSION":     info.Bzip2,
		"XZ_VERSION":        info.XZ,
		"SQLITE_VERSION":    info.SQLite,
	} {
		if want := pinned[name]; got != want || got == "" {
			t.Errorf("%s: the guest has %q, versions.env says %q; build it again: go tool task guest", name, got, want)
		}
	}
	if major, _, _ := strings.Cut(info.Clang, "."); major != pinned["LLVM_MAJOR"] {
		t.Errorf("clang: the guest was built by %q, versions.env says %q", info.Clang, pinned["LLVM_MAJOR"])
	}
}

func TestVersions_KeyIsThatOfThisCheckout(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the recipe runs on Linux only")
	}
	text, err := exec.Command("bash", "build.sh", "--key").Output()
	if err != nil {
		t.Fatalf("build.sh --key: %v", err)
	}
	got := []string{versions(t, Lean).Key, versions(t, Full).Key}
	if Science.Built() == nil {
		got = append(got, versions(t, Science).Key)
	}
	if want := strings.Fields(string(text))[:len(got)]; !slices.Equal(got, want) {
		t.Errorf("the guests have the keys %s, this checkout %s: they are out of date; build them again: go tool task guest", got, want)
	}
}

func TestABIVersion_IsTheSameInGoAndInC(t *testing.T) {
	header, err := os.ReadFile("embed/abi.h")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("#define VIVARIUM_ABI_VERSION %d\n", ABIVersion); !strings.Contains(string(header), want) {
		t.Errorf("embed/abi.h doesn't say %q", want)
	}
	if got := versions(t, Lean).ABI; got != ABIVersion {
		t.Errorf("the guest's ABI: got %d, want %d", got, ABIVersion)
	}
}

func TestLibrary_HasStandardLibraryAndRunner(t *testing.T) {
	tree := library(t, Lean)
	for _, path := range []string{
		"usr/lib/python3.13/json/__init__.py",
		"usr/lib/python3.13/json/__pycache__/__init__.cpython-313.pyc",
		"usr/lib/python3.13/asyncio/base_events.py",
		"usr/lib/python3.13/sqlite3/__init__.py",
		"usr/lib/python3.13/_sysconfigdata__wasi_wasm32-wasi.py",
		"usr/lib/python3.13/lib-dynload",
		"usr/lib/python3.13/pydoc_data/topics.py",
		"usr/share/zoneinfo/Europe/Moscow",
		"function/runtime/runtime.py",
		"function/runtime/__pycache__/runtime.cpython-313.pyc",
	} {
		if _, err := fs.Stat(tree, path); err != nil {
			t.Errorf("want %s in the library: %v", path, err)
		}
	}
	for _, path := range []string{
		"usr/lib/python3.13/test",
		"usr/lib/python3.13/tkinter",
		"usr/lib/python3.13/ensurepip",
		"function/runtime/tests",
	} {
		if _, err := fs.Stat(tree, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("want no %s in the library, got %v", path, err)
		}
	}
}

func TestLibrary_EachModuleHasBytecodeThatIsNeverChecked(t *testing.T) {
	tree := library(t, Full) // which has what the other one has
	count := 0
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".py") {
			return err
		}
		count++
		slash := strings.LastIndexByte(path, '/')
		name := path[:slash] + "/__pycache__/" + strings.TrimSuffix(path[slash+1:], ".py") + ".cpython-313.pyc"
		code, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		// Bytes 4–7 are the flags of PEP 552: 1 = by hash, not checked.
		if len(code) < 16 || !bytes.Equal(code[4:8], []byte{1, 0, 0, 0}) {
			t.Errorf("%s: bytecode of the wrong kind", name)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if count < 500 {
		t.Errorf("the library has %d modules, want 500 or more", count)
	}
}

// A path of the build machine would make builds differ, and leak to the world.
func TestLibrary_KnowsNoPathOfTheBuild(t *testing.T) {
	text, err := fs.ReadFile(library(t, Lean), "usr/lib/python3.13/_sysconfigdata__wasi_wasm32-wasi.py")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`/(root|home)/\S*|vivarium/guest\S*`).Find(text); found != nil {
		t.Errorf("the build's own path is in the library: %s", found)
	}
}

func TestMissing_MeansThatTheGuestIsNotBuilt(t *testing.T) {
	if _, err := Lean.read("nothing.wasm"); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("read of a file that isn't there: got %v, want ErrNotBuilt", err)
	}
	if !strings.Contains(ErrNotBuilt.Error(), "go tool task guest") {
		t.Errorf("ErrNotBuilt doesn't name the command: %v", ErrNotBuilt)
	}
	_, err := Science.read("nothing.wasm")
	if !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "go tool task guest:science") {
		t.Errorf("read of an optional guest's file that isn't there: got %v, want ErrNotBuilt and the command", err)
	}
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// pins reads the assignments of versions.env.
func pins(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("versions.env")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			found[name] = strings.Trim(value, `"`)
		}
	}
	return found
}
