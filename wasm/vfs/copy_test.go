package vfs

import (
	"strings"
	"testing"
)

func TestMem_CopyIsChargedAndItsOwn(t *testing.T) {
	m := NewMem(MemConfig{})
	root, err := NewRoot(Config{Mounts: []Mount{{Path: "tmp", Mem: m}}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(r *Root, path, text string) {
		t.Helper()
		f, errno := r.Open(path, ReadWrite|Create, 0o600)
		if errno != 0 {
			t.Fatal(path, errno)
		}
		defer f.Close()
		if _, errno := f.Write([]byte(text)); errno != 0 {
			t.Fatal(path, errno)
		}
	}
	read := func(r *Root, path string) string {
		t.Helper()
		f, errno := r.Open(path, ReadOnly, 0)
		if errno != 0 {
			t.Fatal(path, errno)
		}
		defer f.Close()
		var buf [100]byte
		n, _ := f.Read(buf[:])
		return string(buf[:n])
	}
	if errno := root.Mkdir("/tmp/d", 0o700); errno != 0 {
		t.Fatal(errno)
	}
	write(root, "/tmp/d/a", "one")
	if errno := root.Link("/tmp/d/a", root.Dir, "/tmp/b", false); errno != 0 {
		t.Fatal(errno)
	}
	if errno := root.Symlink("d/a", "/tmp/l"); errno != 0 {
		t.Fatal(errno)
	}
	write(root, "/tmp/gone", "x")
	if errno := root.Unlink("/tmp/gone"); errno != 0 {
		t.Fatal(errno)
	}
	if m.Copy(MemConfig{Reserve: func(int64) bool { return false }}) != nil {
		t.Error("there is a copy though its memory was refused")
	}
	var charged int64
	c := m.Copy(MemConfig{Reserve: func(delta int64) bool { charged += delta; return true }})
	if c == nil || charged != m.Used() || c.Used() != m.Used() {
		t.Fatalf("charged %d, want %d", charged, m.Used())
	}
	other, err := NewRoot(Config{Mounts: []Mount{{Path: "tmp", Mem: c}}})
	if err != nil {
		t.Fatal(err)
	}
	write(other, "/tmp/b", "two")
	if a, l, was := read(other, "/tmp/d/a"), read(other, "/tmp/l"), read(root, "/tmp/b"); a != "two" || l != "two" || was != "one" {
		t.Errorf("got %s and %s in the copy, %s in what it was made of", a, l, was)
	}
	if st, errno := other.Stat("/tmp/b", false); errno != 0 || st.Nlink != 2 {
		t.Errorf("got %+v, %v", st, errno)
	}
	if errno := other.Unlink("/tmp/d/a"); errno != 0 {
		t.Error(errno)
	}
	if errno := other.Rmdir("/tmp/d"); errno != 0 {
		t.Errorf("the copied folder can't be removed: %v", errno)
	}
	if c.Close(); charged != 0 {
		t.Errorf("%d bytes are left", charged)
	}
}

// A copy keeps the targets of its links when what it was made of gives up their memory.
func TestMem_CopyHasLinksOfItsOwn(t *testing.T) {
	root, m := newRoot(t, Config{}, MemConfig{})
	for name, letter := range map[string]string{"short": "a", "long": strings.Repeat("a", longTarget)} {
		if errno := root.Symlink(letter, "/tmp/"+name); errno != 0 {
			t.Fatal(name, errno)
		}
	}
	other, err := NewRoot(Config{Mounts: []Mount{{Path: "tmp", Mem: m.Copy(MemConfig{})}}})
	if err != nil {
		t.Fatal(err)
	}
	removeAll(t, root, "tmp")
	for n := range 20 { // which would take over the memory
		if errno := root.Symlink(strings.Repeat("b", longTarget), "/tmp/"+strings.Repeat("l", n+1)); errno != 0 {
			t.Fatal(errno)
		}
	}
	for name, want := range map[string]string{"short": "a", "long": strings.Repeat("a", longTarget)} {
		if got, errno := other.Readlink("/tmp/" + name); errno != 0 || got != want {
			t.Errorf("%s: %q, %v", name, got, errno)
		}
	}
}
