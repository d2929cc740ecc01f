package vfs

import (
	"fmt"
	"testing"
)

func benchRoot(b *testing.B) *Root {
	files := map[string]string{}
	for i := range 1500 {
		files[fmt.Sprintf("usr/lib/python3.13/pkg%d/module%d.py", i%30, i)] = string(make([]byte, 8000))
	}
	code := newTree(b, map[string]string{"main.py": "x = 1"})
	root, err := NewRoot(Config{Base: newTree(b, files), Mounts: []Mount{
		{Path: "function/code", Tree: code}, {Path: "tmp", Mem: NewMem(MemConfig{})},
	}})
	if err != nil {
		b.Fatal(err)
	}
	return root
}

func BenchmarkTree(b *testing.B) {
	root := benchRoot(b)
	const path = "usr/lib/python3.13/pkg7/module37.py"
	b.Run("stat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			root.Stat(path, true)
		}
	})
	b.Run("stat missing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			root.Stat("usr/lib/python3.13/pkg7/missing.cpython-313.so", true)
		}
	})
	b.Run("stat code", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			root.Stat("function/code/main.py", true)
		}
	})
	b.Run("open+fstat+read 8 KB+close", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 8001)
		for b.Loop() {
			f, _ := root.Open(path, ReadOnly, 0o600)
			f.Stat()
			f.Read(buf)
			f.Close()
		}
	})
	b.Run("list 50", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, _ := root.Open("usr/lib/python3.13/pkg7", ReadOnly|Directory, 0o600)
			f.List(0, func(Dirent) bool { return true })
			f.Close()
		}
	})
}

func BenchmarkMem(b *testing.B) {
	root := benchRoot(b)
	b.Run("create+close+unlink", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, _ := root.Open("tmp/file", ReadWrite|Create, 0o600)
			f.Close()
			root.Unlink("tmp/file")
		}
	})
	b.Run("write 8 MB in 8 KB", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(8 << 20)
		buf := make([]byte, 8<<10)
		for b.Loop() {
			f, _ := root.Open("tmp/file", ReadWrite|Create|Truncate, 0o600)
			for range 1024 {
				f.Write(buf)
			}
			f.Close()
		}
	})
	b.Run("write 8 MB with holes", func(b *testing.B) {
		b.ReportAllocs()
		f, _ := root.Open("tmp/file", ReadWrite|Create, 0o600)
		defer f.Close()
		for b.Loop() {
			for n := range int64(128) {
				f.Pwrite([]byte{'x'}, n<<16)
			}
			f.Truncate(0)
		}
	})
	b.Run("read 8 MB in 64 KB", func(b *testing.B) {
		b.SetBytes(8 << 20)
		buf := make([]byte, 64<<10)
		f, _ := root.Open("tmp/file", ReadOnly, 0o600)
		for b.Loop() {
			f.Seek(0, 0)
			for range 128 {
				f.Read(buf)
			}
		}
	})
}

func BenchmarkNewRoot(b *testing.B) {
	root := benchRoot(b)
	b.ReportAllocs()
	for b.Loop() {
		NewRoot(Config{Base: root.base, Mounts: []Mount{{Path: "function/code"}, {Path: "tmp", Mem: NewMem(MemConfig{})}}})
	}
}
