package wasip1

import (
	"encoding/binary"
	"io/fs"
	"unsafe"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/vfs"
)

var le = binary.LittleEndian

// Permissions of what WASI's own calls create, which pass none: those that a
// program with the usual umask requests.
const (
	newFile = 0o644
	newDir  = 0o755
)

// path reads a path and the directory it is relative to.
func (f *Files) path(m api.Memory, fd, ptr, size uint64) (vfs.Dir, string, vfs.Errno) {
	file, errno := f.get(fd)
	if errno != 0 {
		return vfs.Dir{}, "", errno
	}
	dir, errno := f.Root.DirOf(file)
	if errno != 0 {
		return vfs.Dir{}, "", errno
	}
	path, errno := readPath(m, ptr, size)
	return dir, path, errno
}

// readPath returns a path in the guest's memory, which is valid until the guest runs. It
// refuses overlong ones unread.
func readPath(m api.Memory, ptr, size uint64) (string, vfs.Errno) {
	if uint32(size) > vfs.MaxPath {
		return "", vfs.ENAMETOOLONG
	}
	b, ok := m.Read(uint32(ptr), uint32(size))
	if !ok {
		return "", efault
	}
	return unsafe.String(unsafe.SliceData(b), len(b)), 0
}

// follow decodes lookup flags.
func follow(flags uint64) bool { return flags&1 != 0 }

func (f *Files) pathOpen(m api.Memory, p []uint64) vfs.Errno {
	return f.pathOpenMode(m, append(p[:8:8], newFile, p[8]))
}

// pathOpenMode is path_open with permissions for a created file as its last
// argument but one.
func (f *Files) pathOpenMode(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[2], p[3])
	if errno != 0 {
		return errno
	}
	if _, ok := m.ReadUint32Le(uint32(p[9])); !ok {
		return efault
	}
	file, errno := dir.Open(path, openFlags(p[1], p[4], p[5], p[7]), fromUnix(p[8]))
	if errno != 0 {
		return errno
	}
	m.WriteUint32Le(uint32(p[9]), f.insert(file))
	return 0
}

func openFlags(lookup, how, rights, flags uint64) vfs.Flag {
	flag := descriptorFlags(flags)
	switch {
	case rights&(rightRead|rightWrite) == rightRead|rightWrite:
		flag |= vfs.ReadWrite
	case rights&rightWrite != 0:
		flag |= vfs.WriteOnly
	}
	for bit, is := range []vfs.Flag{vfs.Create, vfs.Directory, vfs.Exclusive, vfs.Truncate} {
		if how&(1<<bit) != 0 {
			flag |= is
		}
	}
	if !follow(lookup) {
		flag |= vfs.NoFollow
	}
	return flag
}

func (f *Files) pathMkdir(m api.Memory, p []uint64) vfs.Errno {
	return f.pathMkdirMode(m, append(p[:3:3], newDir))
}

// pathMkdirMode is path_create_directory with permissions as its last argument.
func (f *Files) pathMkdirMode(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[1], p[2])
	if errno != 0 {
		return errno
	}
	return dir.Mkdir(path, fromUnix(p[3]))
}

func (f *Files) pathFilestat(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[2], p[3])
	if errno != 0 {
		return errno
	}
	st, errno := dir.Stat(path, follow(p[1]))
	if errno != 0 {
		return errno
	}
	return writeFilestat(m, p[4], &st)
}

func (f *Files) pathSetTimes(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[2], p[3])
	if errno != 0 {
		return errno
	}
	atim, mtim, errno := f.times(p[4], p[5], p[6])
	if errno != 0 {
		return errno
	}
	return dir.Utimens(path, atim, mtim, follow(p[1]))
}

func (f *Files) pathChmod(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[2], p[3])
	if errno != 0 {
		return errno
	}
	return dir.Chmod(path, fromUnix(p[4]), follow(p[1]))
}

func (f *Files) pathSpace(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[1], p[2])
	if errno != 0 {
		return errno
	}
	space, errno := dir.Space(path)
	if errno != 0 {
		return errno
	}
	buf, ok := m.Read(uint32(p[3]), 32)
	if !ok {
		return efault
	}
	for i, n := range []int64{space.Bytes, space.FreeBytes, space.Names, space.FreeNames} {
		le.PutUint64(buf[8*i:], uint64(n))
	}
	return 0
}

func (f *Files) pathReadlink(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[1], p[2])
	if errno != 0 {
		return errno
	}
	target, errno := dir.Readlink(path)
	if errno != 0 {
		return errno
	}
	buf, ok := m.Read(uint32(p[3]), uint32(p[4]))
	switch {
	case !ok:
		return efault
	case len(buf) == 0:
		return vfs.EINVAL
	}
	if !m.WriteUint32Le(uint32(p[5]), uint32(copy(buf, target))) {
		return efault
	}
	return 0
}

func (f *Files) pathSymlink(m api.Memory, p []uint64) vfs.Errno {
	target, errno := readPath(m, p[0], p[1])
	if errno != 0 {
		return errno
	}
	dir, path, errno := f.path(m, p[2], p[3], p[4])
	if errno != 0 {
		return errno
	}
	return dir.Symlink(target, path)
}

func (f *Files) pathLink(m api.Memory, p []uint64) vfs.Errno {
	return f.two(m, p[0], p[2:], func(from vfs.Dir, path string, to vfs.Dir, newPath string) vfs.Errno {
		return from.Link(path, to, newPath, follow(p[1]))
	})
}

func (f *Files) pathRename(m api.Memory, p []uint64) vfs.Errno {
	return f.two(m, p[0], p[1:], func(from vfs.Dir, path string, to vfs.Dir, newPath string) vfs.Errno {
		return from.Rename(path, to, newPath)
	})
}

// two reads two paths; the first one's directory is passed in fd.
func (f *Files) two(m api.Memory, fd uint64, p []uint64, do func(vfs.Dir, string, vfs.Dir, string) vfs.Errno) vfs.Errno {
	from, path, errno := f.path(m, fd, p[0], p[1])
	if errno != 0 {
		return errno
	}
	to, newPath, errno := f.path(m, p[2], p[3], p[4])
	if errno != 0 {
		return errno
	}
	return do(from, path, to, newPath)
}

func (f *Files) pathRmdir(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[1], p[2])
	if errno != 0 {
		return errno
	}
	return dir.Rmdir(path)
}

func (f *Files) pathUnlink(m api.Memory, p []uint64) vfs.Errno {
	dir, path, errno := f.path(m, p[0], p[1], p[2])
	if errno != 0 {
		return errno
	}
	return dir.Unlink(path)
}

// fileTypeDatagram is WASI's file type for datagram sockets.
const fileTypeDatagram = 5

// fileType returns WASI's file type. WASI has none for pipes, which the
// standard streams are.
func fileType(mode fs.FileMode) byte {
	switch {
	case mode.IsRegular():
		return 4
	case mode.IsDir():
		return 3
	case mode&fs.ModeSymlink != 0:
		return 7
	case mode&fs.ModeCharDevice != 0:
		return 2
	case mode&fs.ModeSocket != 0:
		return 6
	}
	return 0
}

// unixKinds are the file type bits that the guest's C library uses in st_mode.
var unixKinds = map[fs.FileMode]uint16{
	0: 0x8000, fs.ModeDir: 0x4000, fs.ModeSymlink: 0xa000, fs.ModeDevice | fs.ModeCharDevice: 0x2000, fs.ModeNamedPipe: 0x1000,
	fs.ModeSocket: 0xc000,
}

// specialBits are permissions that package fs represents differently.
var specialBits = map[fs.FileMode]uint16{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000}

// toUnix converts a mode to st_mode.
func toUnix(mode fs.FileMode) uint16 {
	n := uint16(mode.Perm()) | unixKinds[mode.Type()]
	for is, bit := range specialBits {
		if mode&is != 0 {
			n |= bit
		}
	}
	return n
}

// fromUnix returns the permissions in a st_mode.
func fromUnix(n uint64) fs.FileMode {
	mode := fs.FileMode(n) & fs.ModePerm
	for is, bit := range specialBits {
		if n&uint64(bit) != 0 {
			mode |= is
		}
	}
	return mode
}

// writeFilestat writes WASI's filestat. The seven bytes of padding after the
// file type hold what else a C library needs: 1 if the file is on a read-only
// file system, the st_mode in 16 bits, and the number of allocated pages in 32.
func writeFilestat(m api.Memory, ptr uint64, st *vfs.Stat) vfs.Errno {
	buf, ok := m.Read(uint32(ptr), 64)
	if !ok {
		return efault
	}
	le.PutUint64(buf, st.Dev)
	le.PutUint64(buf[8:], st.Ino)
	buf[16], buf[17] = fileType(st.Mode), 0
	if st.ReadOnly {
		buf[17] = 1
	}
	le.PutUint16(buf[18:], toUnix(st.Mode))
	le.PutUint32(buf[20:], uint32(st.Blocks*512/vfs.PageSize))
	le.PutUint64(buf[24:], st.Nlink)
	le.PutUint64(buf[32:], uint64(st.Size))
	le.PutUint64(buf[40:], uint64(st.Atim))
	le.PutUint64(buf[48:], uint64(st.Mtim))
	le.PutUint64(buf[56:], uint64(st.Ctim))
	return 0
}
