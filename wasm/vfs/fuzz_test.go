package vfs

import (
	"testing"
)

// FuzzMem runs operations on a Mem with tight quotas and checks that they hold
// at each step, and that everything is returned in the end.
func FuzzMem(f *testing.F) {
	f.Add([]byte{0, 1, 200, 3, 4, 250, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
	f.Add([]byte("open, write, rename, link, unlink, truncate, close: in any order"))
	paths := []string{"tmp/a", "tmp/b", "tmp/d", "tmp/d/a", "tmp/d/e", "tmp/d/e/b"}
	f.Fuzz(func(t *testing.T, ops []byte) {
		const maxBytes, maxEntries = 6 * PageSize, 4
		reserved := int64(0)
		reserve := func(delta int64) bool {
			if delta > 0 && reserved+delta > 5*PageSize+3*EntrySize {
				return false
			}
			reserved += delta
			return true
		}
		root, mem := newRoot(t, Config{MaxOpenFiles: 4}, MemConfig{MaxBytes: maxBytes, MaxEntries: maxEntries, Reserve: reserve})
		var files []File
		buf := make([]byte, 3*PageSize)
		for len(ops) >= 3 {
			op, x, y := ops[0], ops[1], ops[2]
			ops = ops[3:]
			path, other := paths[int(x)%len(paths)], paths[int(y)%len(paths)]
			size := int64(x)*int64(y) + int64(x)
			switch op % 12 {
			case 0, 1:
				if file, errno := root.Open(path, ReadWrite|Create|Flag(y)&Truncate, 0o600); errno == 0 {
					files = append(files, file)
				}
			case 2:
				if len(files) > 0 {
					files[0].Close()
					files = files[1:]
				}
			case 3:
				root.Mkdir(path, 0o755)
			case 4:
				root.Unlink(path)
			case 5:
				root.Rmdir(path)
			case 6:
				root.Rename(path, root.Dir, other)
			case 7:
				root.Link(path, root.Dir, other, false)
			default:
				if len(files) == 0 {
					continue
				}
				file := files[int(op)%len(files)]
				switch op % 12 {
				case 8:
					file.Truncate(size)
				case 9, 10:
					file.Pwrite(buf[:size%int64(len(buf))], int64(y)*200)
				case 11:
					file.Pread(buf, size)
				}
			}
			if mem.Used() != reserved || mem.pages > maxBytes/PageSize || mem.entries > maxEntries || mem.pages < 0 {
				t.Fatalf("%d bytes used, %d reserved, %d pages, %d entries", mem.Used(), reserved, mem.pages, mem.entries)
			}
		}
		for _, file := range files {
			file.Close()
		}
		checkMem(t, mem)
		removeAll(t, root, "tmp")
		if reserved != 0 || root.OpenFiles() != 0 {
			t.Errorf("%d bytes, %d open files are left", reserved, root.OpenFiles())
		}
	})
}
