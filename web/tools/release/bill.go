package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"maps"
	"slices"

	"github.com/CycloneDX/cyclonedx-go"

	pythonwasi "vivarium/python-wasi"
)

// bills lists what each program is made of, in CycloneDX's format: the Go modules that the
// compiler says are in it, and what is linked into the guests.
func (r *release) bills(context.Context) error {
	guests, err := guestParts()
	if err != nil {
		return err
	}
	for _, t := range r.targets {
		info, err := buildinfo.ReadFile(r.files[t])
		if err != nil {
			return err
		}
		parts := []cyclonedx.Component{part("go", info.GoVersion[len("go"):], "pkg:generic/go@", "BSD-3-Clause")}
		for _, m := range info.Deps {
			parts = append(parts, part(m.Path, m.Version, "pkg:golang/"+m.Path+"@", ""))
		}
		program := part("vivarium", r.version.String(), "pkg:generic/vivarium@", "Apache-2.0")
		program.Type = cyclonedx.ComponentTypeApplication
		parts = append(parts, guests...)
		bill := cyclonedx.NewBOM()
		bill.Metadata = &cyclonedx.Metadata{Timestamp: r.time.Format("2006-01-02T15:04:05Z"), Component: &program}
		bill.Components = &parts
		var text bytes.Buffer
		if err := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bill); err != nil {
			return err
		}
		if err := r.write(fmt.Sprintf("vivarium_%s_%s_%s.cdx.json", r.version, t.os, t.arch), text.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func part(name, version, url, licence string) cyclonedx.Component {
	c := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: url + version, BOMRef: url + version,
	}
	if licence != "" {
		c.Licenses = &cyclonedx.Licenses{{Expression: licence}}
	}
	return c
}

// guestParts returns what is in the guests.
func guestParts() ([]cyclonedx.Component, error) {
	info, err := pythonwasi.Full.Info() // which has all that the lean one has
	if err != nil {
		return nil, err
	}
	parts := []cyclonedx.Component{
		part("cpython", info.CPython, "pkg:generic/cpython@", "PSF-2.0"),
		part("wasi-libc", info.WASILibc, "pkg:deb/debian/wasi-libc@", ""),
		part("musl", info.Musl, "pkg:generic/musl@", "MIT"),
		part("zlib", info.Zlib, "pkg:generic/zlib@", "Zlib"),
		part("bzip2", info.Bzip2, "pkg:generic/bzip2@", "bzip2-1.0.6"),
		part("xz", info.XZ, "pkg:generic/xz@", "0BSD"),
		part("sqlite", info.SQLite, "pkg:generic/sqlite@", "blessing"),
		part("openssl", info.OpenSSL, "pkg:generic/openssl@", "Apache-2.0"),
	}
	for _, name := range slices.Sorted(maps.Keys(info.Packages)) {
		p := info.Packages[name]
		parts = append(parts, part(name, p.Version, "pkg:pypi/"+name+"@", p.Licence))
	}
	return parts, nil
}
