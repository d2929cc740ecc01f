package main

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

var (
	//go:embed files/vivarium.service
	unit []byte
	//go:embed files/default
	defaults []byte
)

// debs makes Debian's packages: the program, and a service that is there but does not
// start by itself. dpkg-deb makes them, which is on each system that builds the guest.
func (r *release) debs(ctx context.Context) error {
	documents, err := r.documents()
	if err != nil {
		return err
	}
	pages, err := manPages("usr/share/man/man1/")
	if err != nil {
		return err
	}
	for i := range pages { // as Debian has them
		if err := pages[i].zip(); err != nil {
			return err
		}
	}
	for _, t := range r.targets {
		if t.os != "linux" {
			continue
		}
		inside := []entry{
			{name: "usr/bin/vivarium", mode: 0o755, file: r.files[t]},
			{name: "usr/lib/systemd/system/vivarium.service", mode: 0o644, data: unit},
			{name: "etc/default/vivarium", mode: 0o644, data: defaults},
			{name: "DEBIAN/conffiles", mode: 0o644, data: []byte("/etc/default/vivarium\n")},
			{name: "DEBIAN/control", mode: 0o644, data: r.control(t)},
		}
		for _, d := range documents {
			d.name = "usr/share/doc/vivarium/" + d.name
			inside = append(inside, d)
		}
		inside = append(inside, pages...)
		if err := r.deb(ctx, fmt.Sprintf("vivarium_%s_%s.deb", r.version.debian(), t.arch), inside); err != nil {
			return err
		}
	}
	return nil
}

// zip compresses the entry.
func (e *entry) zip() error {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = w.Write(e.data)
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	e.name, e.data = e.name+".gz", packed.Bytes()
	return nil
}

func (r *release) control(t target) []byte {
	return fmt.Appendf(nil, `Package: vivarium
Version: %s
Architecture: %s
Maintainer: Vivarium <%s>
Section: web
Priority: optional
Recommends: ca-certificates
Homepage: %s
Description: serves Python functions, each in a WebAssembly sandbox
 Runs functions written for Yandex Cloud Functions on this machine. The interpreter
 is part of the program, which depends on nothing else.
`, r.version.debian(), t.arch, r.url, r.url)
}

// deb makes one package.
func (r *release) deb(ctx context.Context, name string, inside []entry) error {
	tree, err := os.MkdirTemp("", "vivarium-deb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tree) }()
	if err := os.Chmod(tree, 0o755); err != nil {
		return err
	}
	for _, e := range inside {
		if err := e.place(tree); err != nil {
			return err
		}
	}
	pack := exec.CommandContext(ctx, "dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", tree, filepath.Join(r.out, name))
	pack.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.time.Unix()))
	if text, err := pack.CombinedOutput(); err != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", err, text)
	}
	return nil
}

// place writes the entry below a folder.
func (e *entry) place(folder string) error {
	path := filepath.Join(folder, e.name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, _, err := e.open()
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	return create(path, os.FileMode(e.mode), func(w io.Writer) error {
		_, err := io.Copy(w, data)
		return err
	})
}
