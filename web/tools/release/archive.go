package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vivarium/web/manual"
)

// entry is a file or, with a slash at the end of its name, a folder in an archive.
type entry struct {
	name string
	mode int64
	data []byte
	file string // where the data is, if it is not here
	uid  int
}

// documents are what comes with each program.
func (r *release) documents() ([]entry, error) {
	var all []entry
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "python-wasi/LICENSES.md"} {
		text, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return nil, err
		}
		all = append(all, entry{name: path.Base(name), mode: 0o644, data: text})
	}
	return all, nil
}

// manPages are what man(1) shows of the program and its commands, below a folder.
func manPages(folder string) ([]entry, error) {
	pages, err := manual.Man()
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		all = append(all, entry{name: folder + name, mode: 0o644, data: pages[name]})
	}
	return all, nil
}

// archives makes an archive of each program.
func (r *release) archives(context.Context) error {
	documents, err := r.documents()
	if err != nil {
		return err
	}
	pages, err := manPages("man/man1/")
	if err != nil {
		return err
	}
	for _, t := range r.targets {
		inside := slices.Concat([]entry{{name: "vivarium", mode: 0o755, file: r.files[t]}}, documents, pages)
		err := create(filepath.Join(r.out, r.archiveName(t)), 0o644, func(w io.Writer) error {
			zipped := gzip.NewWriter(w)
			return errors.Join(writeTar(zipped, inside, r.time), zipped.Close())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// create makes a file, and closes it when write has written it.
func create(path string, mode os.FileMode, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func (r *release) archiveName(t target) string {
	return "vivarium_" + r.version.String() + "_" + t.os + "_" + t.arch + ".tar.gz"
}

// writeTar writes entries, all of them dated at.
func writeTar(w io.Writer, entries []entry, at time.Time) error {
	archive := tar.NewWriter(w)
	for _, e := range entries {
		if err := e.writeTar(archive, at); err != nil {
			return err
		}
	}
	return archive.Close()
}

func (e *entry) writeTar(archive *tar.Writer, at time.Time) error {
	data, size, err := e.open()
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: size, Uid: e.uid, Gid: e.uid, ModTime: at}
	if strings.HasSuffix(e.name, "/") {
		h.Typeflag = tar.TypeDir
	}
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(archive, data)
	return err
}

// open returns what the entry holds, and of how many bytes.
func (e *entry) open() (io.ReadCloser, int64, error) {
	if e.file == "" {
		return io.NopCloser(bytes.NewReader(e.data)), int64(len(e.data)), nil
	}
	f, err := os.Open(e.file)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
