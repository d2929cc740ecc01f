package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"vivarium/host/run"
	"vivarium/wasm/vfs"
	"vivarium/web/folder"
)

// source is a function's code on this machine's disk: a folder, one .py file,
// or a .zip archive. Somebody else may have written it, see package folder.
type source struct {
	path       string
	kind       sourceKind
	entrypoint string // as the user gave it; may be empty
	packages   string // folder of the packages that come with the code; may be empty
}

// codePath has the flags that name a source.
type codePath struct {
	Path       string `arg:"" optional:"" default:"." help:"Folder, .py file or .zip archive with the code."`
	Entrypoint string `short:"e" placeholder:"FILE.FUNCTION" help:"The handler. Default: main.handler, else index.handler, or the handler in the .py file."`
}

// source opens the source that the flags name and installs what its requirements.txt
// asks for, which may choose the runtime.
func (c codePath) source(ctx context.Context, s *session, i installing, l *limits) (*source, error) {
	source, err := openSource(c.Path, c.Entrypoint)
	if err != nil {
		return nil, err
	}
	return source, i.install(ctx, s, source, l)
}

type sourceKind int

const (
	wholeFolder sourceKind = iota
	singleFile
	archive
)

// bundle is a snapshot of a source.
type bundle struct {
	code       *vfs.Tree
	archive    []byte // equal code yields equal archives
	entrypoint string
	notes      []string // on how the entry point was found, and on what was left out or is of no use
}

// Limits on what is read. The platform would refuse anything larger.
const (
	maxCode    = 680 << 20 // bytes of all files
	maxArchive = 128 << 20 // bytes of a .zip archive
	maxLooked  = 200_000   // files and folders that are inspected, including those left out
	maxPath    = 1024      // bytes of a name with its folders
)

// openSource inspects what is at path.
func openSource(path, entrypoint string) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("code: %w", err)
	}
	s := &source{path: path, entrypoint: entrypoint}
	switch {
	case info.IsDir():
		s.kind = wholeFolder
	case strings.HasSuffix(path, ".py") && info.Mode().IsRegular():
		s.kind = singleFile
	case strings.HasSuffix(path, ".zip") && info.Mode().IsRegular():
		s.kind = archive
	default:
		return nil, fmt.Errorf("code: %s: give a folder, a .py file or a .zip archive", path)
	}
	return s, s.checkEntrypoint()
}

// read packs the code as it is now.
func (s *source) read() (*bundle, error) {
	b := &bundle{entrypoint: s.entrypoint}
	var err error
	if b.archive, b.notes, err = s.pack(zip.Store); err != nil {
		return nil, err
	}
	if b.code, err = run.CodeFromZip(b.archive); err != nil {
		return nil, fmt.Errorf("code: %s: %w", s.path, err)
	}
	if b.entrypoint == "" {
		var note string
		if b.entrypoint, note, err = s.defaultEntrypoint(b.archive); err != nil {
			return nil, err
		}
		b.notes = append(b.notes, note)
	}
	return b, nil
}

// dir returns the folder of the code, in which to watch for changes.
func (s *source) dir() string {
	if s.kind == wholeFolder {
		return s.path
	}
	return filepath.Dir(s.path)
}

// open opens the folder of the code. The caller closes it.
func (s *source) open() (*folder.Folder, error) { return folder.Open(s.path) }

// pack returns an archive of the code, together with its packages. A file of the
// code hides one of a package. Use storing as the method for
// what is unpacked right away, compression for what is sent. An archive stays
// as it is, but for secrets. The notes are for the user.
func (s *source) pack(method uint16) (packed []byte, notes []string, err error) {
	packed, secrets, err := s.packed(method)
	if err != nil {
		return nil, nil, fmt.Errorf("code: %s: %w", s.path, err)
	}
	return packed, []string{secretsNote(secrets), nativeNote(packed)}, nil
}

func (s *source) packed(method uint16) (packed []byte, secrets []string, err error) {
	switch s.kind {
	case archive:
		text, err := folder.ReadFile(named(s.path), filepath.Base(s.path), maxArchive)
		if err != nil {
			return nil, nil, err
		}
		return withoutSecrets(text)
	case singleFile:
		p := newPacker(method)
		if err := p.add(named(s.path), filepath.Base(s.path)); err != nil {
			return nil, nil, err
		}
		packed, err = p.finish()
		return packed, nil, err
	}
	root, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	if s.packages == "" {
		return pack(method, root)
	}
	return pack(method, root, os.DirFS(s.packages))
}

// named is an fs.FS of a single file at a path given by the user, which may
// lead through links.
type named string

// Open implements fs.FS.
func (n named) Open(string) (fs.File, error) {
	file, err := os.OpenFile(string(n), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return file, nil
}

// pack returns an archive of the files in folders, of which earlier ones hide
// later ones. Equal files yield equal archives, so times are left out. What is
// not part of the code is left out as well, see ignoreRules. Of what is left out of
// the first folder because it may hold secrets, the names are returned.
func pack(method uint16, folders ...fs.FS) (packed []byte, secrets []string, err error) {
	p := newPacker(method)
	for n, fsys := range folders {
		left, err := walk(fsys, func(name string) error { return p.add(fsys, name) })
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			secrets = left
		}
	}
	packed, err = p.finish()
	return packed, secrets, err
}

// packer builds an archive.
type packer struct {
	archive bytes.Buffer
	zip     *zip.Writer
	method  uint16
	taken   map[string]bool
	room    int64 // bytes left
}

func newPacker(method uint16) *packer {
	p := &packer{method: method, taken: map[string]bool{}, room: maxCode}
	p.zip = zip.NewWriter(&p.archive)
	return p
}

// add adds a file unless there is one with that name.
func (p *packer) add(fsys fs.FS, name string) error {
	if p.taken[name] {
		return nil
	}
	p.taken[name] = true
	from, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := p.zip.CreateHeader(&zip.FileHeader{Name: name, Method: p.method})
	if err != nil {
		return err
	}
	// Check the size before allocating: a sparse file can have any.
	info, err := from.Stat()
	if err != nil {
		return err
	}
	n := info.Size()
	if n <= p.room {
		n, err = io.Copy(to, io.LimitReader(from, p.room+1))
	}
	if p.room -= n; p.room < 0 {
		return fmt.Errorf("with %s the code has more than %s; name in %s what the function does not need", folder.Shown(name), bytesText(maxCode), ignoreFile)
	}
	return err
}

func (p *packer) finish() ([]byte, error) {
	if err := p.zip.Close(); err != nil {
		return nil, err
	}
	return p.archive.Bytes(), nil
}

// walk calls do for each file of the code in a folder, in order of name, and returns
// those that are left out because they may hold secrets.
func walk(fsys fs.FS, do func(name string) error) (secrets []string, err error) {
	rules, err := readIgnore(fsys)
	if err != nil {
		return nil, err
	}
	w := walker{fsys: fsys, rules: rules, do: do, left: maxLooked}
	err = w.walk(".")
	return w.secrets, err
}

// walker walks a folder.
type walker struct {
	fsys  fs.FS
	rules *ignoreRules
	do    func(name string) error
	left  int // files and folders left to inspect

	secrets []string // files that were left out as such, by Shown name
}

func (w *walker) walk(dir string) error {
	entries, err := w.list(dir)
	if err != nil {
		return err
	}
	for _, d := range entries {
		name := path.Join(dir, d.Name())
		ignored, secret, err := w.rules.judge(w.fsys, name, d.IsDir())
		switch {
		case err != nil:
		case secret:
			w.secrets = append(w.secrets, folder.Shown(name))
		case ignored:
		case len(name) > maxPath:
			err = fmt.Errorf("%s: its name with its folders has more than %d bytes", folder.Shown(name), maxPath)
		case d.IsDir():
			err = w.walk(name)
		case d.Type().IsRegular():
			err = w.do(name)
		default:
			err = fmt.Errorf("%w, or name it in %s", &folder.KindError{Name: name, Mode: d.Type()}, ignoreFile)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list lists a folder in steps, so that an endless one is noticed.
func (w *walker) list(dir string) ([]fs.DirEntry, error) {
	file, err := w.fsys.Open(dir)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lister, ok := file.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("%s is no longer a folder", folder.Shown(dir))
	}
	var all []fs.DirEntry
	for err == nil {
		var some []fs.DirEntry
		some, err = lister.ReadDir(1024)
		all = append(all, some...)
		if w.left -= len(some); w.left < 0 {
			return nil, fmt.Errorf("has more than %d files; name in %s folders that the function does not need", maxLooked, ignoreFile)
		}
	}
	if err != io.EOF {
		return nil, err
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

// maxData bounds what is read for -d: less may be sent.
const maxData = 64 << 20

// readData returns what -d denotes: the text itself, the content of @FILE, or
// for @- standard input.
func readData(data string, stdin io.Reader) ([]byte, error) {
	name, ok := strings.CutPrefix(data, "@")
	switch {
	case !ok:
		return []byte(data), nil
	case name == "":
		return nil, errors.New("-d @: give a file name after the @, or - for standard input")
	case name != "-":
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("-d: %w", err)
		}
		defer file.Close()
		stdin = file
	}
	b, err := io.ReadAll(io.LimitReader(stdin, maxData+1))
	if err == nil && len(b) > maxData {
		err = fmt.Errorf("has more than %s", bytesText(maxData))
	}
	if err != nil {
		return nil, fmt.Errorf("-d @%s: %w", name, err)
	}
	return b, nil
}
