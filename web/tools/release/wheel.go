package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// distribution is what the package is called on PyPI, where vivarium is another's.
const distribution = "vivarium-functions"

// platforms are what a wheel's name says of the systems that it is for. The program is
// linked with no C library.
var platforms = map[target]string{
	{"linux", "amd64"}:  "manylinux_2_17_x86_64.musllinux_1_1_x86_64",
	{"linux", "arm64"}:  "manylinux_2_17_aarch64.musllinux_1_1_aarch64",
	{"darwin", "amd64"}: "macosx_12_0_x86_64",
	{"darwin", "arm64"}: "macosx_12_0_arm64",
}

// wheels makes packages for pip, pipx and uv that carry the program.
func (r *release) wheels(context.Context) error {
	readme, err := os.ReadFile(filepath.Join(r.root, "web/tools/release/files/pypi.md"))
	if err != nil {
		return err
	}
	licence, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return err
	}
	stem := "vivarium_functions-" + r.version.python()
	for _, t := range r.targets {
		tag := "py3-none-" + platforms[t]
		inside := []entry{
			{name: stem + ".data/scripts/vivarium", mode: 0o755, file: r.files[t]},
			{name: stem + ".dist-info/licenses/LICENSE", mode: 0o644, data: licence},
			{name: stem + ".dist-info/METADATA", mode: 0o644, data: fmt.Appendf(nil, `Metadata-Version: 2.4
Name: %s
Version: %s
Summary: Serves Python functions, each in a WebAssembly sandbox
License-Expression: Apache-2.0
License-File: LICENSE
Project-URL: Homepage, %s
Requires-Python: >=3.7
Description-Content-Type: text/markdown

%s`, distribution, r.version.python(), r.url, readme)},
			{name: stem + ".dist-info/WHEEL", mode: 0o644, data: fmt.Appendf(nil,
				"Wheel-Version: 1.0\nGenerator: vivarium\nRoot-Is-Purelib: false\n%s", tagsOf(platforms[t]))},
		}
		if err := r.wheel(stem+"-"+tag+".whl", stem+".dist-info/RECORD", inside); err != nil {
			return err
		}
	}
	return nil
}

// tagsOf returns the lines for each of the platforms, which a wheel's name joins by dots.
func tagsOf(platforms string) (lines string) {
	for p := range strings.SplitSeq(platforms, ".") {
		lines += "Tag: py3-none-" + p + "\n"
	}
	return lines
}

// wheel writes a wheel, with the record of what is in it at the end.
func (r *release) wheel(name, record string, inside []entry) error {
	return create(filepath.Join(r.out, name), 0o644, func(w io.Writer) error { return r.writeWheel(w, record, inside) })
}

func (r *release) writeWheel(w io.Writer, record string, inside []entry) error {
	archive := zip.NewWriter(w)
	var recorded bytes.Buffer
	for _, e := range inside {
		sum := sha256.New()
		size, err := r.addToWheel(archive, e, sum)
		if err != nil {
			return err
		}
		fmt.Fprintf(&recorded, "%s,sha256=%s,%d\n", e.name, base64.RawURLEncoding.EncodeToString(sum.Sum(nil)), size)
	}
	fmt.Fprintf(&recorded, "%s,,\n", record)
	if _, err := r.addToWheel(archive, entry{name: record, mode: 0o644, data: recorded.Bytes()}, io.Discard); err != nil {
		return err
	}
	return archive.Close()
}

func (r *release) addToWheel(archive *zip.Writer, e entry, sum io.Writer) (size int64, err error) {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: r.time}
	h.SetMode(os.FileMode(e.mode))
	w, err := archive.CreateHeader(h)
	if err != nil {
		return 0, err
	}
	data, _, err := e.open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = data.Close() }()
	return io.Copy(io.MultiWriter(w, sum), data)
}
