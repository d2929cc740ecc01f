// Package pythonwasi provides the guest: CPython for WASI with Vivarium's
// runner in it, as the bytes of a WebAssembly module and a tree of files.
//
// Both are built by the recipe next to this file (build.sh) into dist/ and
// embedded from there, so that a Vivarium binary needs nothing but itself. A
// checkout in which the recipe has not run yet compiles as well; each function
// here then returns [ErrNotBuilt].
//
// The vocabulary:
//
//   - The module (dist/python.wasm) is a reactor: the host calls its exports one after the other, and between
//     two calls all its state is in its linear memory. README.md next to this file lists exports and imports.
//   - The library (dist/library.zip) is the read-only tree that the guest sees: usr/lib/python3.13 is the
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
)

// ABIVersion is the version of the ABI that this checkout's guest implements:
// what its export vivarium_abi_version returns.
const ABIVersion = 4

// ErrNotBuilt means that the binary was compiled before the guest was built.
var ErrNotBuilt = errors.New("the Python guest is not built: run `go tool task guest`, then build again")

// The pattern also matches a folder without a guest: dist/.gitignore is always
// there.
//
//go:embed all:dist
var dist embed.FS

// Names below dist/.
const (
	modulePath   = "dist/python.wasm"
	libraryPath  = "dist/library.zip"
	versionsPath = "dist/versions.json"
)

// BuildInfo describes what the guest was made from.
type BuildInfo struct {
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
	// Zlib, Bzip2, XZ and SQLite are the versions of the linked libraries.
	Zlib   string `json:"zlib"`
	Bzip2  string `json:"bzip2"`
	XZ     string `json:"xz"`
	SQLite string `json:"sqlite"`
	// Clang is the version of the compiler.
	Clang string `json:"clang"`
	// ModuleSHA256 and LibrarySHA256 are the checksums of the two files, in
	// hexadecimal.
	ModuleSHA256  string `json:"module_sha256"`
	LibrarySHA256 string `json:"library_sha256"`
}

// Module returns the guest's WebAssembly module. The bytes are the caller's own
// copy, some 9 MB: compile them once and drop them.
//
// # Errors
//
// [ErrNotBuilt] if there is no guest in this binary.
func Module() ([]byte, error) {
	return read(modulePath)
}

// Library returns the tree of files that the guest reads: usr/lib/python3.13
// and function/runtime. It is safe for concurrent use. Files are decompressed
// as they are read, each time they are opened, and can't be seeked.
//
// # Errors
//
// [ErrNotBuilt] if there is no guest in this binary.
func Library() (fs.FS, error) {
	file, err := dist.Open(libraryPath)
	if err != nil {
		return nil, missing(err)
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

// Versions returns what the guest was made from.
//
// # Errors
//
// [ErrNotBuilt] if there is no guest in this binary.
func Versions() (BuildInfo, error) {
	text, err := read(versionsPath)
	if err != nil {
		return BuildInfo{}, err
	}
	var info BuildInfo
	if err := json.Unmarshal(text, &info); err != nil {
		return BuildInfo{}, fmt.Errorf("versions: %w", err)
	}
	return info, nil
}

func read(path string) ([]byte, error) {
	data, err := dist.ReadFile(path)
	if err != nil {
		return nil, missing(err)
	}
	return data, nil
}

// missing maps the absence of an embedded file to ErrNotBuilt.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotBuilt
	}
	return err
}
