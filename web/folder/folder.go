// Package folder reads folders that somebody else filled. Running a stranger's
// function must not make this program read other files of the machine, wait
// forever, or use up all memory before the function has even begun.
//
// So only regular files and folders are opened, found without a symbolic link
// at the end and without leaving the folder; opening never waits for a writer,
// as it would for a pipe; and readers state how much they read at most.
package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Folder is an open folder. It is an fs.FS. Safe for concurrent use.
type Folder struct{ root *os.Root }

// Open opens the folder at path, which may lead through links. Close it.
func Open(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Close frees the folder. Open files stay open.
func (f *Folder) Close() error { return f.root.Close() }

// Open opens a file or folder. It does not block.
//
// # Errors
//
// Those of the system, and a *KindError for anything else.
func (f *Folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: Shown(name), Err: errors.New("not a name that functions can have")}
	}
	info, err := f.root.Lstat(name)
	if err != nil {
		return nil, shown(name, err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, &KindError{name, info.Mode()}
	}
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, shown(name, err)
	}
	// It may have been replaced since it was checked.
	now, err := file.Stat()
	if err == nil && !os.SameFile(info, now) {
		err = errors.New("was replaced while it was being opened")
	}
	if err != nil {
		_ = file.Close()
		return nil, shown(name, err)
	}
	return file, nil
}

// Lstat describes what has a name, without following a link.
func (f *Folder) Lstat(name string) (fs.FileInfo, error) {
	info, err := f.root.Lstat(name)
	return info, shown(name, err)
}

// KindError means that something is neither a file nor a folder.
type KindError struct {
	Name string
	Mode fs.FileMode
}

// Error implements error.
func (e *KindError) Error() string {
	if e.Mode&fs.ModeSymlink != 0 {
		return Shown(e.Name) + " is a symbolic link, which functions can't have; put the file itself there"
	}
	return Shown(e.Name) + " is neither a file nor a folder"
}

// ReadFile returns the content of a file of at most limit bytes.
//
// # Errors
//
// Those of Open, and one that names the limit.
func ReadFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, shown(name, err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder", Shown(name))
	}
	// A file's size may be wrong, as in /proc.
	if info.Size() <= limit {
		text, err := io.ReadAll(io.LimitReader(file, limit+1))
		if err != nil || int64(len(text)) <= limit {
			return text, shown(name, err)
		}
	}
	return nil, fmt.Errorf("%s has more than %d bytes", Shown(name), limit)
}

// shown returns err with the name as Shown prints it.
func shown(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "open", Path: Shown(name), Err: err}
}

// longestShown bounds the bytes of a name that are shown.
const longestShown = 255

// Shown returns a name for printing: quoted if it contains characters that
// control a terminal or could be taken for the end of a message, and cut if it
// is long.
func Shown(name string) string {
	if len(name) > longestShown {
		name = strings.ToValidUTF8(name[:longestShown], "") + "…"
	}
	for _, r := range name {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	return name
}
