// Package wasip1 implements the file calls of WASI preview 1 on a vfs.Root, one
// Files for each instance, and what programs on Linux have that WASI lacks:
// permissions and sockets.
//
// wazero has these calls as well. But they clean paths before the file system
// sees them, which gives "link/.." another meaning; they remember directories
// by name, so that a renamed one loses its contents; they distinguish fewer
// errors than WASI itself; and each can work without bound before the guest's
// deadline is checked.
//
// A call gets the guest's memory and arguments, and trusts neither: memory is
// accessed through the bounds checks of api.Memory, and no number decides how
// much the host allocates.
package wasip1

import (
	"context"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"

	"vivarium/wasm/sockets"
	"vivarium/wasm/vfs"
)

// Config configures Files. Root must be set.
type Config struct {
	Root *vfs.Root
	// Stdio is descriptors 0 to 2; see Input and Output.
	Stdio [3]vfs.File
	// Work is told of work done, in bytes or what takes as long, and of portion
	// at the start of each call. It may block, and end the call by a panic.
	// Sleep returns after ns nanoseconds or panics; Now is the wall clock in
	// nanoseconds since 1970.
	Work  func(n int)
	Sleep func(ns int64)
	// Settle, if set, is called at the end of each call, whose Root may have reported
	// work. It may do what Work may.
	Settle func()
	// Wait calls do while the guest computes nothing, and may end the call by a
	// panic once do has returned; see sockets.Env.
	Wait func(do func(ctx context.Context, deadline time.Time))
	// Hold makes time stand still for the call; see sockets.Env.
	Hold func(ctx context.Context) (release func())
	Now  func() int64
	// Reserve, when set, accounts for buffers of sockets; see sockets.Env.
	Reserve func(delta int64) bool
}

// Files is an instance's table of open files and serves its calls. It is used
// by one goroutine at a time.
type Files struct {
	Config
	open    []vfs.File // by descriptor; nil is free
	preopen vfs.File
	network network
	scratch [direntSize + vfs.MaxName]byte
}

// preopenFD is the descriptor of "/", where the C library starts.
const preopenFD = 3

// New returns a table with the standard streams and "/" open.
func New(config Config) *Files {
	f := &Files{Config: config, preopen: config.Root.Top()}
	if f.Settle == nil {
		f.Settle = func() {}
	}
	f.open = append(f.open, config.Stdio[:]...)
	f.open = append(f.open, f.preopen)
	f.SetNet(nil)
	return f
}

// Close closes all files.
func (f *Files) Close() {
	for _, file := range f.open {
		if file != nil {
			file.Close()
		}
	}
	f.open = nil
	f.network.waiter.Close()
}

// Errnos that only this package uses.
const (
	efault vfs.Errno = 21
)

// get returns the file of a descriptor.
func (f *Files) get(fd uint64) (vfs.File, vfs.Errno) {
	if n := uint64(uint32(fd)); n < uint64(len(f.open)) && f.open[n] != nil {
		return f.open[n], 0
	}
	return nil, vfs.EBADF
}

// insert gives a file the lowest free descriptor. The Root's limit of open
// files bounds the table.
func (f *Files) insert(file vfs.File) uint32 {
	for fd, there := range f.open {
		if there == nil {
			f.open[fd] = file
			return uint32(fd)
		}
	}
	f.open = append(f.open, file)
	return uint32(len(f.open) - 1)
}

// portion is how many bytes are processed between two calls of Work.
const portion = 16 << 10

// Limits of one read or write, as on Linux.
const (
	maxVectors  = 1024
	maxTransfer = math.MaxInt32 &^ 4095
)

// transfer passes the buffers of a guest's vectors to do, in pieces, and tells
// the guest how many bytes were transferred.
func (f *Files) transfer(m api.Memory, vectors, count, result uint64, do func(buf []byte, done int64) (int, vfs.Errno)) vfs.Errno {
	if uint32(count) > maxVectors {
		return vfs.EINVAL
	}
	if _, ok := m.ReadUint32Le(uint32(result)); !ok {
		return efault
	}
	done, errno := f.vectors(m, uint32(vectors), uint32(count), do)
	if errno != 0 && done == 0 {
		return errno
	}
	m.WriteUint32Le(uint32(result), uint32(done))
	return 0
}

func (f *Files) vectors(m api.Memory, at, count uint32, do func(buf []byte, done int64) (int, vfs.Errno)) (done int64, errno vfs.Errno) {
	table, ok := m.Read(at, 8*count)
	if !ok {
		return 0, efault
	}
	for ; len(table) > 0; table = table[8:] {
		buf, ok := m.Read(le.Uint32(table), le.Uint32(table[4:]))
		if !ok {
			return done, efault
		}
		buf = buf[:min(int64(len(buf)), maxTransfer-done)]
		for first := true; first || len(buf) > 0; first = false {
			part := buf[:min(len(buf), portion)]
			n, errno := do(part, done)
			done += int64(n)
			f.Work(n + 1) // all of a thousand buffers may be empty
			if errno != 0 || n < len(part) {
				return done, errno
			}
			buf = buf[n:]
		}
	}
	return done, 0
}

func (f *Files) fdRead(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return f.transfer(m, p[1], p[2], p[3], func(buf []byte, _ int64) (int, vfs.Errno) { return file.Read(buf) })
}

func (f *Files) fdWrite(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return f.transfer(m, p[1], p[2], p[3], func(buf []byte, _ int64) (int, vfs.Errno) { return file.Write(buf) })
}

func (f *Files) fdPread(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return f.transfer(m, p[1], p[2], p[4], func(buf []byte, done int64) (int, vfs.Errno) { return file.Pread(buf, int64(p[3])+done) })
}

func (f *Files) fdPwrite(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return f.transfer(m, p[1], p[2], p[4], func(buf []byte, done int64) (int, vfs.Errno) { return file.Pwrite(buf, int64(p[3])+done) })
}

func (f *Files) fdClose(_ api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	f.open[uint32(p[0])] = nil
	file.Close()
	return 0
}

func (f *Files) fdSeek(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	if _, ok := m.ReadUint64Le(uint32(p[3])); !ok {
		return efault
	}
	pos, errno := file.Seek(int64(p[1]), int(uint32(p[2])))
	if errno == 0 {
		m.WriteUint64Le(uint32(p[3]), uint64(pos))
	}
	return errno
}

func (f *Files) fdTell(m api.Memory, p []uint64) vfs.Errno {
	return f.fdSeek(m, []uint64{p[0], 0, io.SeekCurrent, p[1]})
}

func (f *Files) fdAllocate(_ api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return file.Allocate(int64(p[1]), int64(p[2]))
}

func (f *Files) fdSetSize(_ api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return file.Truncate(int64(p[1]))
}

// fdNothing implements calls that mean nothing for files in memory: advice, and
// flushing to disk.
func (f *Files) fdNothing(_ api.Memory, p []uint64) vfs.Errno {
	_, errno := f.get(p[0])
	return errno
}

// fdRenumber is refused: the table would grow to whatever number a guest
// passes.
func (f *Files) fdRenumber(api.Memory, []uint64) vfs.Errno { return vfs.ENOTSUP }

func (f *Files) fdSetRights(api.Memory, []uint64) vfs.Errno { return vfs.ENOSYS }

// Flags of descriptors, and rights: those that tell whether a file can be read,
// written and seeked. All other rights are granted and never checked.
const (
	flagAppend   = 1 << 0
	flagNonBlock = 1 << 2

	rightRead  = 1 << 1
	rightSeek  = 1 << 2
	rightTell  = 1 << 5
	rightWrite = 1 << 6
	allRights  = 1<<30 - 1
)

func (f *Files) fdStat(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	st, errno := file.Stat()
	if errno != 0 {
		return errno
	}
	buf, ok := m.Read(uint32(p[1]), 24)
	if !ok {
		return efault
	}
	flag, status, rights := file.Flags(), uint16(0), uint64(allRights)
	if flag&vfs.Append != 0 {
		status |= flagAppend
	}
	if flag&vfs.NonBlock != 0 {
		status |= flagNonBlock
	}
	switch {
	case flag&vfs.WriteOnly != 0:
		rights &^= rightRead
	case flag&vfs.ReadWrite == 0:
		rights &^= rightWrite
	}
	if st.Mode&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		rights &^= rightSeek | rightTell
	}
	clear(buf)
	buf[0] = fileType(st.Mode)
	if s, ok := file.(*socketFile); ok && s.Kind() == sockets.Datagram {
		buf[0] = fileTypeDatagram
	}
	le.PutUint16(buf[2:], status)
	le.PutUint64(buf[8:], rights)
	le.PutUint64(buf[16:], allRights) // of files opened in it
	return 0
}

func (f *Files) fdSetFlags(_ api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return file.SetFlags(descriptorFlags(p[1]))
}

func descriptorFlags(flags uint64) (flag vfs.Flag) {
	if flags&flagAppend != 0 {
		flag |= vfs.Append
	}
	if flags&flagNonBlock != 0 {
		flag |= vfs.NonBlock
	}
	return flag
}

func (f *Files) fdFilestat(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	st, errno := file.Stat()
	if errno != 0 {
		return errno
	}
	return writeFilestat(m, p[1], &st)
}

func (f *Files) fdSetTimes(_ api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	atim, mtim, errno := f.times(p[1], p[2], p[3])
	if errno != 0 {
		return errno
	}
	return file.Utimens(atim, mtim)
}

// times returns the times to set.
func (f *Files) times(atim, mtim, flags uint64) (int64, int64, vfs.Errno) {
	now := int64(vfs.OmitTime)
	one := func(value, set, toNow uint64) int64 {
		switch {
		case flags&set != 0:
			return int64(value)
		case flags&toNow == 0:
			return vfs.OmitTime
		case now == vfs.OmitTime:
			now = f.Now()
		}
		return now
	}
	if flags&3 == 3 || flags&12 == 12 {
		return 0, 0, vfs.EINVAL
	}
	return one(atim, 1, 2), one(mtim, 4, 8), 0
}

func (f *Files) fdChmod(_ api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	return file.Chmod(fromUnix(p[1]))
}

func (f *Files) fdPrestat(m api.Memory, p []uint64) vfs.Errno {
	if file, errno := f.get(p[0]); errno != 0 || file != f.preopen {
		return vfs.EBADF
	}
	if !m.WriteUint64Le(uint32(p[1]), 1<<32) { // a directory, with a one-byte name
		return efault
	}
	return 0
}

func (f *Files) fdPrestatName(m api.Memory, p []uint64) vfs.Errno {
	if file, errno := f.get(p[0]); errno != 0 || file != f.preopen {
		return vfs.EBADF
	}
	if uint32(p[2]) < 1 {
		return vfs.ENAMETOOLONG
	}
	if !m.WriteByte(uint32(p[1]), '/') {
		return efault
	}
	return 0
}

// direntSize is the size of a directory entry without its name.
const direntSize = 24

func (f *Files) fdReaddir(m api.Memory, p []uint64) vfs.Errno {
	file, errno := f.get(p[0])
	if errno != 0 {
		return errno
	}
	buf, ok := m.Read(uint32(p[1]), uint32(p[2]))
	if _, ok2 := m.ReadUint32Le(uint32(p[4])); !ok || !ok2 {
		return efault
	}
	used := 0
	errno = file.List(p[3], func(d vfs.Dirent) bool {
		entry := f.scratch[:direntSize+len(d.Name)]
		le.PutUint64(entry, d.Next)
		le.PutUint64(entry[8:], d.Ino)
		le.PutUint32(entry[16:], uint32(len(d.Name)))
		le.PutUint32(entry[20:], uint32(fileType(d.Type)))
		copy(entry[direntSize:], d.Name)
		// A truncated entry tells the guest that there are more.
		used += copy(buf[used:], entry)
		return used < len(buf)
	})
	f.Work(used)
	if errno == 0 {
		m.WriteUint32Le(uint32(p[4]), uint32(used))
	}
	return errno
}
