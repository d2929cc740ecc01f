package run

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"hash/crc32"
	"io/fs"
	"strings"
	"testing"

	"vivarium/host/fault"
)

// zipOf makes an archive of names, whose entries are all files with content x.
func zipOf(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range names {
		f, err := w.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(n, "/") {
			continue
		}
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zipRaw makes an archive of one entry, whose header may tell another size than it has.
func zipRaw(t *testing.T, header *zip.FileHeader, content string) []byte {
	t.Helper()
	header.CRC32, header.CompressedSize64 = crc32.ChecksumIEEE([]byte(content)), uint64(len(content))
	header.UncompressedSize64 = cmp.Or(header.UncompressedSize64, uint64(len(content)))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(header)
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err := cmp.Or(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCodeFromZip_AcceptsOnlyPlainArchives(t *testing.T) {
	if _, err := CodeFromZip(zipOf(t, "main.py", "pkg/", "pkg/mod.py", "a/b/c.txt")); err != nil {
		t.Errorf("a plain archive: %v", err)
	}
	link := &zip.FileHeader{Name: "passwd"}
	link.SetMode(fs.ModeSymlink | 0o777)
	bomb := &zip.FileHeader{Name: "zeros", UncompressedSize64: MaxCodeBytes + 1}
	for name, archive := range map[string][]byte{
		"not a zip":        []byte("hello"),
		"empty":            nil,
		"parent":           zipOf(t, "../main.py"),
		"parent inside":    zipOf(t, "a/../../main.py"),
		"absolute":         zipOf(t, "/etc/passwd"),
		"backslash":        zipOf(t, `..\main.py`),
		"twice":            zipOf(t, "main.py", "main.py"),
		"file and folder":  zipOf(t, "main", "main/x.py"),
		"link":             zipRaw(t, link, "/etc/passwd"),
		"a bomb":           zipRaw(t, bomb, "x"),
		"cut off":          zipOf(t, "main.py")[:40],
		"not UTF-8":        zipOf(t, "m\xff.py"),
		"NUL in the name":  zipOf(t, "m\x00.py"),
		"a very long name": zipOf(t, strings.Repeat("x", 5000)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := CodeFromZip(archive)
			if _, ok := errors.AsType[*fault.InvalidError](err); !ok {
				t.Errorf("got %v, want an InvalidError", err)
			}
		})
	}
}

// Some programs begin each name with the folder that was packed.
func TestCodeFromZip_DropsADotBeforeNames(t *testing.T) {
	code, err := CodeFromZip(zipOf(t, "./", "./main.py", "./pkg/", "./pkg/mod.py"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := code.Entries(), 4; got != want { // the root, main.py, pkg, pkg/mod.py
		t.Errorf("got %d entries, want %d", got, want)
	}
}
