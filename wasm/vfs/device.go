package vfs

import "io/fs"

// device is the kind of device that a node of a Tree is, if it isn't a file.
type device uint8

const (
	noDevice device = iota
	devNull
	devZero
	devRandom
	devStdin // followed by the other streams, in order
	devStdout
	devStderr
)

// Devices returns a Tree of the devices that programs rely on, to be mounted at
// /dev. Their Root supplies what is behind them.
func Devices() *Tree {
	t := emptyTree()
	root := t.nodes[""]
	root.setTime(epoch)
	for _, d := range []struct {
		name string
		device
	}{
		{"null", devNull}, {"random", devRandom}, {"stderr", devStderr}, {"stdin", devStdin}, {"stdout", devStdout},
		{"urandom", devRandom}, {"zero", devZero},
	} {
		n := &node{path: d.name, device: d.device}
		n.stat = Stat{Ino: uint64(len(t.nodes) + 1), Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666, Nlink: 1}
		n.setTime(epoch)
		t.nodes[d.name] = n
		t.byIno = append(t.byIno, n)
		root.dirents = append(root.dirents, Dirent{Name: d.name, Ino: n.stat.Ino, Type: n.stat.Mode.Type()})
	}
	return t
}

// deviceFile is an open device. It has neither size nor end; offsets are
// ignored.
type deviceFile struct {
	handle
	at spot
}

func (r *Root) openDevice(at spot, h handle) (File, Errno) {
	r.open++
	file := &deviceFile{handle: h, at: at}
	if d := at.node.device; d >= devStdin && r.stdio[d-devStdin] != nil {
		return &streamFile{deviceFile: file, stream: r.stdio[d-devStdin]}, 0
	}
	return file, 0
}

// Stat implements File.
func (f *deviceFile) Stat() (Stat, Errno) { return f.at.stat(), 0 }

// Read implements File.
func (f *deviceFile) Read(buf []byte) (int, Errno) {
	if !f.flag.reads() {
		return 0, EBADF
	}
	switch f.at.node.device {
	case devZero:
		clear(buf)
		return len(buf), 0
	case devRandom:
		if f.root.random == nil {
			return 0, EIO
		}
		n, err := f.root.random.Read(buf)
		if err != nil {
			return 0, EIO
		}
		return n, 0
	}
	return 0, 0
}

// Pread implements File.
func (f *deviceFile) Pread(buf []byte, _ int64) (int, Errno) { return f.Read(buf) }

// Write implements File.
func (f *deviceFile) Write(buf []byte) (int, Errno) {
	if !f.flag.writes() {
		return 0, EBADF
	}
	return len(buf), 0
}

// Pwrite implements File.
func (f *deviceFile) Pwrite(buf []byte, _ int64) (int, Errno) { return f.Write(buf) }

// Seek implements File.
func (f *deviceFile) Seek(Position, int) (int64, Errno) { return 0, 0 }

// Utimens implements File.
func (f *deviceFile) Utimens(int64, int64) Errno { return EROFS }

// Chmod implements File.
func (f *deviceFile) Chmod(fs.FileMode) Errno { return EROFS }

// streamFile is a standard stream opened by name.
type streamFile struct {
	*deviceFile
	stream File
}

// Read implements File.
func (f *streamFile) Read(buf []byte) (int, Errno) {
	if !f.flag.reads() {
		return 0, EBADF
	}
	return f.stream.Read(buf)
}

// Write implements File.
func (f *streamFile) Write(buf []byte) (int, Errno) {
	if !f.flag.writes() {
		return 0, EBADF
	}
	return f.stream.Write(buf)
}

// Pread implements File.
func (f *streamFile) Pread([]byte, int64) (int, Errno) { return 0, ESPIPE }

// Pwrite implements File.
func (f *streamFile) Pwrite([]byte, int64) (int, Errno) { return 0, ESPIPE }

// Seek implements File.
func (f *streamFile) Seek(Position, int) (int64, Errno) { return 0, ESPIPE }
