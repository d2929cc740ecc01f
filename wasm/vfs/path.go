package vfs

import "strings"

// Linux's limits, so that no program meets one it doesn't know.
const (
	// MaxName is the longest name of one directory entry, in bytes.
	MaxName = 255
	// MaxPath is the longest path, in bytes.
	MaxPath = 4095
	// MaxLinks is how many symbolic links resolving one path may follow.
	MaxLinks = 40
)

// isPlain reports whether a path is relative and only descends: no ".", no
// "..", no empty elements, no name that is too long.
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

// split splits a plain path into its directory and last name.
func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// join returns the path of a name in a directory; the root's path is "".
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// within returns the rest of path below dir; ok is false if path is neither dir
// nor below it.
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
