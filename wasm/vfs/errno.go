package vfs

import "strconv"

// Errno is an error of a file call, numbered as in wasi_snapshot_preview1; 0
// means success.
type Errno uint16

// Errors returned by this package.
const (
	EBADF        Errno = 8
	EBUSY        Errno = 10
	EEXIST       Errno = 20
	EFBIG        Errno = 22
	EINVAL       Errno = 28
	EIO          Errno = 29
	EISDIR       Errno = 31
	ELOOP        Errno = 32
	EMFILE       Errno = 33
	ENAMETOOLONG Errno = 37
	ENOENT       Errno = 44
	ENOSPC       Errno = 51
	ENOSYS       Errno = 52
	ENOTDIR      Errno = 54
	ENOTEMPTY    Errno = 55
	ENOTSUP      Errno = 58
	EPERM        Errno = 63
	EROFS        Errno = 69
	ESPIPE       Errno = 70
	EXDEV        Errno = 75
)

var errnoNames = map[Errno]string{
	0: "success", EBADF: "EBADF", EBUSY: "EBUSY", EEXIST: "EEXIST", EFBIG: "EFBIG", EINVAL: "EINVAL", EIO: "EIO",
	EISDIR: "EISDIR", ELOOP: "ELOOP", EMFILE: "EMFILE", ENAMETOOLONG: "ENAMETOOLONG", ENOENT: "ENOENT", ENOSPC: "ENOSPC",
	ENOSYS: "ENOSYS", ENOTDIR: "ENOTDIR", ENOTEMPTY: "ENOTEMPTY", ENOTSUP: "ENOTSUP", EPERM: "EPERM", EROFS: "EROFS",
	ESPIPE: "ESPIPE", EXDEV: "EXDEV",
}

// String returns the error's POSIX name.
func (e Errno) String() string {
	if name := errnoNames[e]; name != "" {
		return name
	}
	return "errno " + strconv.Itoa(int(e))
}
