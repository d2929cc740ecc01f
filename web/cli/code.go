package cli

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vivarium/host"
	"vivarium/wasm/vfs"
)

// source is a function's code on this machine's disk: a folder, one .py file, or
// a .zip archive.
type source struct {
	path       string
	kind       sourceKind
	entrypoint string // as the user gave it; may be empty
}

type sourceKind int

const (
	folder sourceKind = iota
	singleFile
	archive
)

// bundle is a source as it was when it was read.
type bundle struct {
	code       *vfs.Tree
	archive    []byte // equal code has equal archives
	entrypoint string
}

// openSource looks what lies at path.
func openSource(path, entrypoint string) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("code: %w", err)
	}
	s := &source{path: path, entrypoint: entrypoint}
	switch {
	case info.IsDir():
		s.kind = folder
	case strings.HasSuffix(path, ".py") && info.Mode().IsRegular():
		s.kind = singleFile
	case strings.HasSuffix(path, ".zip") && info.Mode().IsRegular():
		s.kind = archive
	default:
		return nil, fmt.Errorf("code: %s: give a folder, a .py file or a .zip archive", path)
	}
	return s, nil
}

// read packs the code as it is now.
func (s *source) read() (*bundle, error) {
	b := &bundle{entrypoint: s.entrypoint}
	var err error
	if s.kind == archive {
		b.archive, err = os.ReadFile(s.path)
	} else {
		b.archive, err = pack(s.files())
	}
	if err != nil {
		return nil, fmt.Errorf("code: %s: %w", s.path, err)
	}
	if b.code, err = host.CodeFromZip(b.archive); err != nil {
		return nil, fmt.Errorf("code: %s: %w", s.path, err)
	}
	if b.entrypoint == "" {
		if b.entrypoint, err = s.defaultEntrypoint(b.archive); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// dir returns the folder that the code is in, which is where changes of it are
// seen.
func (s *source) dir() string {
	if s.kind == folder {
		return s.path
	}
	return filepath.Dir(s.path)
}

// files returns where the code lies, unless it is an archive.
func (s *source) files() (fsys fs.FS, root string) {
	if s.kind == folder {
		return os.DirFS(s.path), "."
	}
	return os.DirFS(s.dir()), filepath.Base(s.path)
}

// defaultEntrypoint returns what is called when the user names nothing.
func (s *source) defaultEntrypoint(packed []byte) (string, error) {
	if s.kind == singleFile {
		return strings.TrimSuffix(filepath.Base(s.path), ".py") + ".handler", nil
	}
	r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err == nil {
		_, err = fs.Stat(r, mainFile)
	}
	if err != nil {
		return "", fmt.Errorf("code: %s: has no %s; name the handler with --entrypoint FILE.FUNCTION", s.path, mainFile)
	}
	return "main.handler", nil
}

// mainFile holds the handler unless the user names another file.
const mainFile = "main.py"

// pack returns an archive of the files at and below root. Equal files give equal
// archives, so times are left out. What is no part of the code is left out as
// well, see ignoreRules.
func pack(fsys fs.FS, root string) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	err := walk(fsys, root, func(name string) error { return packFile(w, fsys, name, zip.Store) })
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// walk calls do for each file of the code at and below root.
func walk(fsys fs.FS, root string, do func(name string) error) error {
	var rules ignoreRules
	if root == "." {
		var err error
		if rules, err = readIgnore(fsys); err != nil {
			return err
		}
	}
	return fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != root && rules.ignored(fsys, name, d.IsDir()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a symbolic link, which functions can't have; put the file itself there, or name it in %s", name, ignoreFile)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", name)
		}
		return do(name)
	})
}

// packFile adds a file to an archive. What is unpacked right away is better
// stored, what has a way to go, compressed.
func packFile(w *zip.Writer, fsys fs.FS, name string, method uint16) error {
	from, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return err
}

// skipped says if a folder is none of the function's: hidden ones (.git, .venv),
// Python's caches, and virtual environments under any name.
func skipped(fsys fs.FS, name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	if strings.HasPrefix(base, ".") || base == "__pycache__" {
		return true
	}
	_, err := fs.Stat(fsys, name+"/pyvenv.cfg")
	return err == nil
}

// readData returns what -d means: the text itself, @FILE the file's content, @-
// what comes on stdin.
func readData(data string, stdin io.Reader) ([]byte, error) {
	name, ok := strings.CutPrefix(data, "@")
	switch {
	case !ok:
		return []byte(data), nil
	case name == "":
		return nil, errors.New("-d @: give a file's name after the @, or - for standard input")
	case name == "-":
		b, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("-d @-: %w", err)
		}
		return b, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("-d: %w", err)
	}
	return b, nil
}
