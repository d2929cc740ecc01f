package cli

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who has installed packages beside the code, for this machine, is told why they can't be
// imported; who has not hears nothing.
func TestNative_IsNamed(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{"lib.py", "so.py", "data/read.so.txt", "soft"}, ""},
		{[]string{"ujson.cpython-313-x86_64-linux-gnu.so"},
			"sandbox: ujson.cpython-313-x86_64-linux-gnu.so; if an import fails, remove ujson here and name"},
		{[]string{"numpy/core/_m.abi3.so", "numpy.libs/libx.so.3.2", "b/c.PYD", "d.dylib"},
			"sandbox: b/c.PYD, d.dylib, numpy/core/_m.abi3.so, numpy.libs/libx.so.3.2; if an import fails, remove b, d, numpy here"},
		{[]string{"1.so", "2.so", "3.so", "4.so", "5.so", "6.so", "7.so"},
			"sandbox: 1.so, 2.so, 3.so, 4.so, 5.so and 2 more; if an import fails, remove 1, 2, 3, 4, 5 and 2 more here"},
	} {
		folder := t.TempDir()
		for _, name := range append(c.files, "main.py") {
			path := filepath.Join(folder, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("def handler(event, context): return {'body': 'ok'}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, stdout, stderr := execute("", "run", folder)
		if code != ExitOK || stdout != "ok" {
			t.Fatalf("%v: exit code %d: %s%s", c.files, code, stdout, stderr)
		}
		if _, note, _ := strings.Cut(stderr, "compiled for another platform, and of no use in the "); !strings.HasPrefix(note, c.want) || (c.want == "") != (note == "") {
			t.Errorf("%v: got %s, want %s", c.files, stderr, c.want)
		}
		source, err := openSource(folder, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, notes, err := source.pack(zip.Deflate); err != nil || (c.want == "") != (strings.Join(notes, "") == "") { // as deploy sends it
			t.Errorf("%v: %v, %v", c.files, notes, err)
		}
	}
}
