//go:build linux || darwin

package cli

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskOf returns the size, in bytes, of the disk that has or will have a
// folder; 0 if the system does not tell.
func diskOf(dir string) int64 {
	var s unix.Statfs_t
	for unix.Statfs(dir, &s) != nil {
		parent := filepath.Dir(dir)
		if parent == dir {
			return 0
		}
		dir = parent
	}
	return int64(s.Blocks) * int64(s.Bsize)
}
