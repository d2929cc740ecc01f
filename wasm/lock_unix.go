//go:build unix

package wasm

import (
	"os"
	"syscall"
)

// lockFile locks a file until it is closed, and reports whether it could:
// someone else may hold the lock.
func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
