// Package folder reads folders that somebody else filled. Whoever runs a
// stranger's function does not want it to read this machine's other files, wait
// for ever, or take all memory before the function has even begun.
//
// So what is opened is a regular file or a folder, found without a symbolic link
// at its end and without leaving the folder; opening never waits for somebody to
// write, as with a pipe; and who reads a file says how much of it at most.
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

// Folder is a folder that is open. It is an fs.FS. Safe for concurrent use.
type Folder struct{ root *os.Root }

// Open opens the folder at path, which may lead through links. Close it.
func Open(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Folder{root}, nil
}

// Close frees the folder; files of it that are open stay so.
func (f *Folder) Close() error { return f.root.Close() }

// Open opens a file or folder. It does not block.
//
// # Errors
//
// Those of the system, and a *KindError for what is neither.
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
	// It may have been replaced since it was looked at.
	now, err := file.Stat()
	if err == nil && !os.SameFile(info, now) {
		err = errors.New("was replaced while it was opened")
	}
	if err != nil {
		_ = file.Close()
		return nil, shown(name, err)
	}
	return file, nil
}

// Lstat describes what has the name, a link itself and not what it leads to.
func (f *Folder) Lstat(name string) (fs.FileInfo, error) {
	info, err := f.root.Lstat(name)
	return info, shown(name, err)
}

// KindError says that something is neither a file nor a folder.
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
// Those of Open, and one that names both sizes.
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
	// What a file says of its size need not be so, as in /proc.
	if info.Size() <= limit {
		text, err := io.ReadAll(io.LimitReader(file, limit+1))
		if err != nil || int64(len(text)) <= limit {
			return text, shown(name, err)
		}
	}
	return nil, fmt.Errorf("%s has more than %d bytes, which is what it may have", Shown(name), limit)
}

// shown is err with the name as Shown has it.
func shown(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "open", Path: Shown(name), Err: err}
}

// longestShown is how many bytes of a name are shown.
const longestShown = 255

// Shown returns a name as it can be printed: quoted if it has signs that steer a
// terminal or would be taken for the end of a message, and cut if it is long.
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
