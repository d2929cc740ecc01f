package vfs

import (
	"io"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// direntSize is what a listed name takes in wazero's cache, without the name.
const direntSize = 48

// position is an offset in a file. It has a name of its own because vet takes a
// Seek of an int64 for a misspelt io.Seeker, and what wazero wants isn't one.
type position = int64

// handle is what all open files share: their place among the limits of a Root.
type handle struct {
	root   *Root
	listed int64 // bytes of names given out since the last rewind
	// free says that the file doesn't count: wazero's own handle of "/".
	free   bool
	closed bool
}

// Close implements the same method as documented on sys.File. A second Close
// is no error: wazero keeps a descriptor forever whose Close returned one.
func (h *handle) Close() sys.Errno {
	h.release()
	return 0
}

// release gives back what the handle holds, and is false if that was done before.
func (h *handle) release() bool {
	if h.closed {
		return false
	}
	h.closed = true
	if !h.free {
		h.root.open--
	}
	h.root.listed -= h.listed
	h.listed = 0
	return true
}

// Sync implements the same method as documented on sys.File.
func (h *handle) Sync() sys.Errno {
	if h.closed {
		return sys.EBADF
	}
	return 0
}

// Datasync implements the same method as documented on sys.File.
func (h *handle) Datasync() sys.Errno { return h.Sync() }

// rewind is Seek of a directory, which can only go back to its start.
func (h *handle) rewind(offset int64, whence int) sys.Errno {
	if h.closed {
		return sys.EBADF
	}
	if offset != 0 || whence != io.SeekStart {
		return sys.EINVAL
	}
	h.root.listed -= h.listed
	h.listed = 0
	return 0
}

// list accounts for names that are about to be handed out: wazero keeps them
// until the directory is rewound or closed, and as many as the guest asks for.
func (h *handle) list(dirents []sys.Dirent) sys.Errno {
	size := int64(0)
	for i := range dirents {
		size += direntSize + int64(len(dirents[i].Name))
	}
	if size > h.root.maxListed-h.root.listed {
		return h.root.fail(ENOMEM)
	}
	h.root.listed += size
	h.listed += size
	return 0
}
