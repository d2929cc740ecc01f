package vfs

import (
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// The bounds Linux has, so that no program meets one that it doesn't know.
const (
	// MaxName is the longest name of one directory entry, in bytes.
	MaxName = 255
	// MaxPath is the longest path, in bytes.
	MaxPath = 4096
)

// clean returns a path relative to the root, without ".", ".." and empty
// elements; the root itself is "". mustDir says that the path was spelled as
// that of a directory ("x/", "x/.").
//
// wazero cleans what the guest sends, but then joins it to the name of an open
// directory, so "tmp//x", "/x" and "tmp/." do arrive here.
//
// # Errors
//
// EINVAL for a NUL byte, ENAMETOOLONG, and EPERM for a path that leaves the root.
func clean(path string) (cleaned string, mustDir bool, errno sys.Errno) {
	if len(path) > MaxPath {
		return "", false, sys.ENAMETOOLONG
	}
	if path == "" || path == "." {
		return "", true, 0
	}
	if strings.IndexByte(path, 0) >= 0 {
		return "", false, sys.EINVAL
	}
	if path[len(path)-1] == '/' {
		path, mustDir = path[:len(path)-1], true
	}
	for rest := path; ; {
		name, tail, more := strings.Cut(rest, "/")
		if name == "" || name == "." || name == ".." {
			return cleanSlowly(path, mustDir)
		}
		if len(name) > MaxName {
			return "", false, sys.ENAMETOOLONG
		}
		if !more {
			return path, mustDir, 0
		}
		rest = tail
	}
}

// cleanSlowly is clean for the paths that have something to be taken out.
func cleanSlowly(path string, mustDir bool) (string, bool, sys.Errno) {
	var kept []string
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "", ".":
		case "..":
			if len(kept) == 0 {
				return "", false, sys.EPERM
			}
			kept = kept[:len(kept)-1]
		default:
			if len(name) > MaxName {
				return "", false, sys.ENAMETOOLONG
			}
			kept = append(kept, name)
		}
	}
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "", ".", "..":
		mustDir = true
	}
	return strings.Join(kept, "/"), mustDir || len(kept) == 0, 0
}

// split parts a cleaned path other than "" into its directory and last name.
func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// within returns what is left of path below dir; ok is false if path is
// neither dir nor below it.
func within(path, dir string) (rest string, ok bool) {
	if dir == "" {
		return path, true
	}
	if len(path) < len(dir) || path[:len(dir)] != dir {
		return "", false
	}
	if len(path) == len(dir) {
		return "", true
	}
	return path[len(dir)+1:], path[len(dir)] == '/'
}
