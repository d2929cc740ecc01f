// Package pythonwasi provides the guests: CPython for WASI with Vivarium's
// runner in it, as the bytes of a WebAssembly module and a tree of files.
//
// They are built by the recipe next to this file (build.sh) into dist/ and
// embedded from there, so that a Vivarium binary needs nothing but itself. A
// checkout in which the recipe has not run yet compiles as well; a guest's
// methods then return [ErrNotBuilt].
//
// The vocabulary:
//
//   - The lean guest (dist/) is CPython with its standard library. The full guest (dist/full/) has packages
//     with compiled parts linked in besides, and the scientific one (dist/science/) numpy and what stands on it
//     as well. That one is optional: it is built, and then embedded, on request.
//   - The module (python.wasm) is a reactor: the host calls its exports one after the other, and between
//     two calls all its state is in its linear memory. README.md next to this file lists exports and imports.
//   - The library (library.zip) is the read-only tree that the guest sees: usr/lib/python3.13 is the
//     standard library, function/runtime the runner.
//   - The content key identifies everything that a guest was made from: recipe, versions, embedding and runner.
//     Equal keys mean equal guests.
package pythonwasi

import (
	"archive/zip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
)

// ABIVersion is the version of the ABI that this checkout's guest implements:
// what its export vivarium_abi_version returns.
const ABIVersion = 5

// ErrNotBuilt means that the binary was compiled before the guest was built. That an
// optional guest is not in the binary counts as such an error, and has a text of its
// own.
var ErrNotBuilt = errors.New("the Python guest is not built: run `go tool task guest`, then build again")

// optionalError says that an optional guest is not built. It is ErrNotBuilt.
type optionalError struct{ name string }

func (e optionalError) Error() string {
	return e.name + " is not part of this program: run `go tool task guest:science`, then build again"
}

func (e optionalError) Is(target error) bool { return target == ErrNotBuilt }

// The pattern also matches a folder without a guest: dist/.gitignore is always
// there.
//
//go:embed all:dist
var dist embed.FS

// Guest is one of the guests. Its methods are safe for concurrent use.
type Guest struct {
	name   string
	folder string // below dist/; the guest may not be built
}

// The guests.
var (
	Lean    = Guest{"python313", "dist"}
	Full    = Guest{"python313-full", "dist/full"}
	Science = Guest{"python313-science", "dist/science"}
)

// guests are the guests by the names that a version's runtime may have. Those of
// older Pythons are there so that what was written for them deploys as it is.
var guests = map[string]Guest{
	Lean.name: Lean, Full.name: Full, Science.name: Science,
	"python37": Lean, "python38": Lean, "python39": Lean, "python311": Lean, "python312": Lean,
}

// Runtimes returns the names that a version's runtime may have in this binary, in
// order.
func Runtimes() []string {
	names := slices.Sorted(maps.Keys(guests))
	return slices.DeleteFunc(names, func(name string) bool { return guests[name] == Science && Science.Built() != nil })
}

// ByRuntime returns the guest that the name of a runtime means. An optional guest may
// not be built.
func ByRuntime(name string) (g Guest, ok bool) {
	g, ok = guests[name]
	return g, ok
}

// BuildInfo describes what a guest was made from.
type BuildInfo struct {
	// Name is the guest's, "python313".
	Name string `json:"name"`
	// Packages are the packages from PyPI that are part of the guest, by their
	// normalized names.
	Packages map[string]Package `json:"packages"`
	// Key is the content key of the guest.
	Key string `json:"key"`
	// CPythonKey is the content key of the CPython build alone. Guests that
	// differ only in the runner share it.
	CPythonKey string `json:"cpython_key"`
	// ABI is the version of the ABI that the guest implements.
	ABI int `json:"abi"`
	// CPython is the interpreter's version, "3.13.5".
	CPython string `json:"cpython"`
	// WASILibc is the version of Debian's package of the C library.
	WASILibc string `json:"wasi_libc"`
	// Musl is the version of the C library that time zone code is taken from.
	Musl string `json:"musl"`
	// Zlib, Bzip2, XZ, SQLite and OpenSSL are the versions of the linked libraries.
	Zlib    string `json:"zlib"`
	Bzip2   string `json:"bzip2"`
	XZ      string `json:"xz"`
	SQLite  string `json:"sqlite"`
	OpenSSL string `json:"openssl"`
	// Clang is the version of the compiler.
	Clang string `json:"clang"`
	// ModuleSHA256 and LibrarySHA256 are the checksums of the two files, in
	// hexadecimal.
	ModuleSHA256  string `json:"module_sha256"`
	LibrarySHA256 string `json:"library_sha256"`
}

// Package is a package from PyPI that is part of a guest.
type Package struct {
	Version string `json:"version"`
	// Licence is an SPDX expression.
	Licence string `json:"licence"`
	// Modules are its compiled modules, by their full names.
	Modules []string `json:"modules"`
}

// Name returns the guest's name, which is also that of its runtime.
func (g Guest) Name() string { return g.name }

// Built returns nil if the guest is in this binary, otherwise an error that is
// [ErrNotBuilt].
func (g Guest) Built() error {
	file, err := dist.Open(g.folder + "/python.wasm")
	if err != nil {
		return g.missing(err)
	}
	return file.Close()
}

// Module returns the guest's WebAssembly module. The bytes are the caller's own
// copy, 11 MB or more: compile them once and drop them.
//
// # Errors
//
// [ErrNotBuilt] if the guest is not in this binary.
func (g Guest) Module() ([]byte, error) { return g.read("python.wasm") }

// Library returns the tree of files that the guest reads: usr/lib/python3.13
// and function/runtime. It is safe for concurrent use. Files are decompressed
// as they are read, each time they are opened, and can't be seeked.
//
// # Errors
//
// [ErrNotBuilt] if the guest is not in this binary.
func (g Guest) Library() (fs.FS, error) {
	file, err := dist.Open(g.folder + "/library.zip")
	if err != nil {
		return nil, g.missing(err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("library: %w", err)
	}
	// The archive is read in place, from the binary's own memory; there is
	// nothing to close.
	at, ok := file.(io.ReaderAt)
	if !ok {
		return nil, errors.New("library: embedded file can't be read at offsets")
	}
	archive, err := zip.NewReader(at, info.Size())
	if err != nil {
		return nil, fmt.Errorf("library: %w", err)
	}
	return archive, nil
}

// Site returns the folder of the packages from PyPI that are part of the guest, as
// installers leave them.
//
// # Errors
//
// [ErrNotBuilt] if the guest is not in this binary.
func (g Guest) Site() (fs.FS, error) {
	library, err := g.Library()
	if err != nil {
		return nil, err
	}
	return fs.Sub(library, "usr/lib/python3.13/site-packages")
}

// Info returns what the guest was made from.
//
// # Errors
//
// [ErrNotBuilt] if the guest is not in this binary.
func (g Guest) Info() (BuildInfo, error) {
	text, err := g.read("versions.json")
	if err != nil {
		return BuildInfo{}, err
	}
	var info BuildInfo
	if err := json.Unmarshal(text, &info); err != nil {
		return BuildInfo{}, fmt.Errorf("versions: %w", err)
	}
	return info, nil
}

func (g Guest) read(name string) ([]byte, error) {
	data, err := dist.ReadFile(g.folder + "/" + name)
	if err != nil {
		return nil, g.missing(err)
	}
	return data, nil
}

// missing maps the absence of an embedded file to ErrNotBuilt.
func (g Guest) missing(err error) error {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case g == Science:
		return optionalError{g.name}
	default:
		return ErrNotBuilt
	}
}
