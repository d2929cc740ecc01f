// Package manual has what users read: the pages of the manual that describe no single
// package, and the whole of it as a site, built from all Markdown of the repository.
//
// The site is made by `go tool task docs` into dist and embedded from there, so that the
// program shows it without a network. A checkout in which it was not made compiles as
// well; there is no manual in the program then. README.md explains how it is made.
package manual

import (
	"archive/zip"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// ErrNotBuilt means that the program was compiled before the manual was made.
var ErrNotBuilt = errors.New("the manual is not part of this program: run `go tool task docs`, then build again")

// The pattern also matches a folder without a manual: dist/.gitignore is always there.
//
//go:embed all:dist
var dist embed.FS

// Site returns the files of the site.
//
// # Errors
//
// ErrNotBuilt.
func Site() (fs.FS, error) {
	packed, err := dist.ReadFile("dist/site.zip")
	if err != nil {
		return nil, notBuilt(err)
	}
	site, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, fmt.Errorf("the manual: %w", err)
	}
	return site, nil
}

// Man returns the manual pages for man(1), by names such as vivarium.1.
//
// # Errors
//
// ErrNotBuilt.
func Man() (map[string][]byte, error) {
	files, err := dist.ReadDir("dist/man")
	if err != nil {
		return nil, notBuilt(err)
	}
	pages := map[string][]byte{}
	for _, f := range files {
		if pages[f.Name()], err = dist.ReadFile("dist/man/" + f.Name()); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

func notBuilt(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotBuilt
	}
	return err
}

// Handler returns a handler that serves the site. It is safe for concurrent use.
//
// # Errors
//
// ErrNotBuilt.
func Handler() (http.Handler, error) {
	site, err := Site()
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		if name == "" {
			name = "index.html"
		}
		text, err := fs.ReadFile(site, name) // files in archives can't seek, as http.FileServerFS wants
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	}), nil
}
