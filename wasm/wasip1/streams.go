package wasip1

import (
	"io"
	"io/fs"

	"vivarium/wasm/vfs"
)

// Input returns a file that reads from r, like the end of a pipe.
func Input(r io.Reader) vfs.File { return &stream{r: r} }

// Output returns a file that writes to w, which must never fail and must not
// retain what it is given.
func Output(w io.Writer) vfs.File { return &stream{w: w, flag: vfs.WriteOnly} }

// stream is a standard stream.
type stream struct {
	r    io.Reader
	w    io.Writer
	flag vfs.Flag
}

// Stat implements vfs.File.
func (s *stream) Stat() (vfs.Stat, vfs.Errno) {
	return vfs.Stat{Mode: fs.ModeNamedPipe | 0o600, Nlink: 1}, 0
}

// Flags implements vfs.File.
func (s *stream) Flags() vfs.Flag { return s.flag }

// SetFlags implements vfs.File.
func (s *stream) SetFlags(flag vfs.Flag) vfs.Errno {
	s.flag = s.flag&vfs.WriteOnly | flag&(vfs.Append|vfs.NonBlock)
	return 0
}

// Read implements vfs.File.
func (s *stream) Read(buf []byte) (int, vfs.Errno) {
	if s.r == nil {
		return 0, vfs.EBADF
	}
	n, err := s.r.Read(buf)
	if err != nil && err != io.EOF {
		return n, vfs.EIO
	}
	return n, 0
}

// Write implements vfs.File.
func (s *stream) Write(buf []byte) (int, vfs.Errno) {
	if s.w == nil {
		return 0, vfs.EBADF
	}
	n, err := s.w.Write(buf)
	if err != nil {
		return n, vfs.EIO
	}
	return n, 0
}

// Pread implements vfs.File.
func (s *stream) Pread([]byte, int64) (int, vfs.Errno) { return 0, vfs.ESPIPE }

// Pwrite implements vfs.File.
func (s *stream) Pwrite([]byte, int64) (int, vfs.Errno) { return 0, vfs.ESPIPE }

// Seek implements vfs.File.
func (s *stream) Seek(vfs.Position, int) (int64, vfs.Errno) { return 0, vfs.ESPIPE }

// Truncate implements vfs.File.
func (s *stream) Truncate(int64) vfs.Errno { return vfs.EINVAL }

// Allocate implements vfs.File.
func (s *stream) Allocate(int64, int64) vfs.Errno { return vfs.ESPIPE }

// Utimens implements vfs.File.
func (s *stream) Utimens(int64, int64) vfs.Errno { return 0 }

// Chmod implements vfs.File.
func (s *stream) Chmod(fs.FileMode) vfs.Errno { return 0 }

// List implements vfs.File.
func (s *stream) List(uint64, func(vfs.Dirent) bool) vfs.Errno { return vfs.ENOTDIR }

// Close implements vfs.File. The stream stays open for those who opened it by
// name.
func (s *stream) Close() {}
