package vfs

import "github.com/tetratelabs/wazero/experimental/sys"

// Errors that WASI knows and wazero's sys.Errno has no name for. wazero
// presents each of them to the guest as "input/output error"; Root keeps the
// true number for whoever wants to correct that, see Root.TakeErrno.
const (
	// EBUSY: the root of a mount can be neither removed nor renamed.
	EBUSY = unnamed | sys.Errno(10)
	// EFBIG: the size or the offset is one that no file can have.
	EFBIG = unnamed | sys.Errno(22)
	// EMFILE: the instance has as many open files as it may have.
	EMFILE = unnamed | sys.Errno(33)
	// ENOMEM: directories that are being listed hold too many names at once.
	ENOMEM = unnamed | sys.Errno(48)
	// ENOSPC: a quota of the writable directory is used up.
	ENOSPC = unnamed | sys.Errno(51)
	// EXDEV: the two names are in different mounts.
	EXDEV = unnamed | sys.Errno(75)
)

// unnamed marks an Errno whose low byte is a number of wasi_snapshot_preview1.
const unnamed sys.Errno = 0x100

// WASIErrno returns the wasi_snapshot_preview1 number of an error that wazero
// has no name for, and false for all others.
func WASIErrno(errno sys.Errno) (uint32, bool) {
	if errno&^0xff != unnamed {
		return 0, false
	}
	return uint32(errno & 0xff), true
}
