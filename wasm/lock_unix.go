//go:build unix

package wasm

import (
	"os"
	"syscall"
)

// lockFile locks a file until it is closed, unless somebody else has, and says if
// it did.
func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
