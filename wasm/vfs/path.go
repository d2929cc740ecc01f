package vfs

import "strings"

// The bounds Linux has, so that no program meets one that it doesn't know.
const (
	// MaxName is the longest name of one directory entry, in bytes.
	MaxName = 255
	// MaxPath is the longest path, in bytes.
	MaxPath = 4095
	// MaxLinks is how many symbolic links one path may lead through.
	MaxLinks = 40
)

// isPlain says that a path is relative, names nothing twice and goes only down:
// no ".", no "..", no empty elements, no name that is too long.
func isPlain(path string) bool {
	for rest := path; ; {
		name, tail, more := strings.Cut(rest, "/")
		if name == "" || name == "." || name == ".." || len(name) > MaxName {
			return false
		}
		if !more {
			return true
		}
		rest = tail
	}
}

// split parts a plain path into its directory and last name.
func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// join is the path of a name in a directory; that of the root is "".
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
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
