package cli

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
)

func TestPack_LeavesOutWhatTheIgnoreFileNames(t *testing.T) {
	files := []string{
		"main.py", "notes.md", "lib/a.py", "lib/notes.md", "lib/data/x.csv", "data/x.csv", "deep/er/data/y.csv",
		"build/out.py", "lib/build/out.py", "keep.log", "other.log", "lib/more.log", ".git/config", ".well-known/a",
		"tests/test_a.py", "a/tests/test_b.py", "данные/файл.txt", "t1.tmp", "ta.tmp", "__pycache__/x.pyc",
	}
	for _, c := range []struct{ rules, want string }{
		{"*.md\n", "-notes.md -lib/notes.md"},
		{"/*.md", "-notes.md"},
		{"data/", "-lib/data/x.csv -data/x.csv -deep/er/data/y.csv"},
		{"/data", "-data/x.csv"},
		{"lib/data", "-lib/data/x.csv"},
		{"**/data/y.csv", "-deep/er/data/y.csv"},
		{"deep/**", "-deep/er/data/y.csv"},
		{"# a comment\n\n*.log\n!keep.log", "-other.log -lib/more.log"},
		{"build/\n!build/out.py", "-build/out.py -lib/build/out.py"}, // nothing below is included again
		{"!.well-known/", "+.well-known/a"},
		{"tests/*.py", "-tests/test_a.py"},
		{"данные/", "-данные/файл.txt"},
		{"t[0-9].tmp", "-t1.tmp"},
		{"t[!0-9].tmp", "-ta.tmp"},
		{"t?.tmp  ", "-t1.tmp -ta.tmp"},
		{"main.py/", ""},
		{"mainXpy", ""},
		{"\ufeffnotes.md\r\n", "-notes.md -lib/notes.md"}, // as Windows editors write it
		{"lib/**/x.csv", "-lib/data/x.csv"},
		{"**/lib/**", "-lib/a.py -lib/notes.md -lib/data/x.csv -lib/build/out.py -lib/more.log"},
		{"**", "-main.py -notes.md -lib/a.py -lib/notes.md -lib/data/x.csv -data/x.csv -deep/er/data/y.csv -build/out.py " +
			"-lib/build/out.py -keep.log -other.log -lib/more.log -tests/test_a.py -a/tests/test_b.py -данные/файл.txt -t1.tmp -ta.tmp"},
		{"*o*e*.l*g\n*e*r*.log\n!k*p.log", "-other.log -lib/more.log"},
		{"t[]1].tmp", "-t1.tmp"},
		{`t\1.tmp`, "-t1.tmp"},
	} {
		fsys := fstest.MapFS{ignoreFile: {Data: []byte(c.rules)}}
		for _, name := range files {
			fsys[name] = &fstest.MapFile{}
		}
		want := map[string]bool{}
		for _, name := range files {
			want[name] = !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "__")
		}
		for change := range strings.FieldsSeq(c.want) {
			want[change[1:]] = change[0] == '+'
		}
		packed, _, err := pack(zip.Store, fsys)
		if err != nil {
			t.Errorf("%q: %v", c.rules, err)
			continue
		}
		r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, f := range r.File {
			got[f.Name] = true
		}
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%q: %s packed: %v, want %v", c.rules, name, got[name], want[name])
			}
		}
		if got[ignoreFile] {
			t.Errorf("%q: the file itself is packed", c.rules)
		}
	}
}

func TestPack_AWrongPatternIsNamed(t *testing.T) {
	_, _, err := pack(zip.Store, fstest.MapFS{ignoreFile: {Data: []byte("*.md\n[a\n")}})
	if err == nil || !strings.Contains(err.Error(), ignoreFile+": line 2") {
		t.Errorf("got %v", err)
	}
}
