package requirements

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// metadata is a METADATA file.
func metadata(name, version string, requires ...string) string {
	text := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
	for _, r := range requires {
		text += "Requires-Dist: " + r + "\n"
	}
	return text + "\nIt does this.\n"
}

// offline lets installers find nothing but what is in a folder, which it returns.
func offline(t *testing.T) string {
	t.Helper()
	wheels := t.TempDir()
	for _, tool := range []string{"PIP", "UV"} {
		t.Setenv(tool+"_NO_INDEX", "1")
		t.Setenv(tool+"_FIND_LINKS", wheels)
	}
	return wheels
}

// TestInstall_ChoosesWhatIsBuiltIn asks for packages of which the guest has some.
func TestInstall_ChoosesWhatIsBuiltIn(t *testing.T) {
	wheels := offline(t)
	for _, w := range []struct {
		name, version string
		requires      []string
	}{
		{"app", "1.0", []string{"compiled-core==1.5"}},
		{"app", "2.0", []string{"compiled-core==2.0"}}, // newer than what is built in
		{"optional", "1.5", nil},                       // also there without its compiled part
		{"optional", "3.0", nil},
		{"plain", "1.0", nil},
	} {
		wheel(t, wheels, w.name, w.version, metadata(w.name, w.version, w.requires...), strings.NewReader("there = True\n"))
	}
	builtIn, err := BuiltIns(fstest.MapFS{
		// pip compares with the Python that it runs under itself, here an older one.
		"compiled_core-1.5.dist-info/METADATA": {Data: []byte("Requires-Python: >=3.13\n" + metadata("Compiled_Core", "1.5", "plain>=1"))},
		"optional-1.5.dist-info/METADATA":      {Data: []byte(metadata("optional", "1.5"))},
		"compiled_core/__init__.py":            {},
	})
	if err != nil || len(builtIn) != 2 || builtIn[0].Name != "compiled-core" {
		t.Fatalf("got %+v, %v", builtIn, err)
	}
	for _, test := range []struct {
		lines, chosen, files string
	}{
		{"app", "app==1.0 Compiled_Core==1.5* plain==1.0", "app.py plain.py"},
		{"optional", "optional==1.5*", ""},
		{"optional>=3", "optional==3.0", "optional.py"},
	} {
		i, err := Find(t.Context(), "3.13.5", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		i.BuiltIn = builtIn
		list, err := Read(fstest.MapFS{File: {Data: []byte(test.lines)}})
		if err != nil {
			t.Fatal(err)
		}
		dir, chosen, err := i.Install(t.Context(), list, t.TempDir())
		if err != nil {
			t.Errorf("%q: %v", test.lines, err)
			continue
		}
		var got []string
		for _, c := range chosen {
			got = append(got, c.String()+map[bool]string{true: "*"}[c.BuiltIn])
		}
		if got := strings.Join(got, " "); got != test.chosen {
			t.Errorf("%q: chose %s, want %s", test.lines, got, test.chosen)
		}
		names, err := filepath.Glob(filepath.Join(dir, "*.py"))
		if err != nil {
			t.Fatal(err)
		}
		for n := range names {
			names[n] = filepath.Base(names[n])
		}
		if got := strings.Join(names, " "); got != test.files {
			t.Errorf("%q: there are %s, want %s", test.lines, got, test.files)
		}
	}
}

// TestInstall_SaysThatWhatIsBuiltInDoesNotFit asks for another version of it.
func TestInstall_SaysThatWhatIsBuiltInDoesNotFit(t *testing.T) {
	wheels := offline(t)
	wheel(t, wheels, "app", "2.0", metadata("app", "2.0", "compiled==2.0"), strings.NewReader(""))
	i, err := Find(t.Context(), "3.13.5", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i.BuiltIn = []BuiltIn{{"compiled", "1.5", []byte(metadata("compiled", "1.5"))}}
	_, _, err = i.Install(t.Context(), &List{Packages: []Requirement{{Name: "app", Version: "==2.0"}}}, t.TempDir())
	blocked, ok := errors.AsType[*BlockedError](err)
	if !ok || len(blocked.Packages) != 1 || blocked.Packages[0].Name != "compiled==2.0" || !slices.Equal(blocked.Packages[0].By, []string{"app"}) ||
		!strings.Contains(err.Error(), "1.5") {
		t.Errorf("got %v", err)
	}
}

// TestInstall_BlamesWhatIsSure asks for a package that can't be had and for one whose older
// version makes do with what is built in.
func TestInstall_BlamesWhatIsSure(t *testing.T) {
	wheels := offline(t)
	wheel(t, wheels, "app", "1.0", metadata("app", "1.0", "compiled>=1"), strings.NewReader(""))
	wheel(t, wheels, "app", "2.0", metadata("app", "2.0", "compiled==2.0"), strings.NewReader(""))
	for lines, want := range map[string][]string{
		"app\nnowhere":      {"nowhere"},
		"app==2.0\nnowhere": {"nowhere", "compiled==2.0"},
	} {
		i, err := Find(t.Context(), "3.13.5", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		i.BuiltIn = []BuiltIn{{"compiled", "1.5", []byte(metadata("compiled", "1.5"))}}
		list, err := Read(fstest.MapFS{File: {Data: []byte(lines)}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = i.Install(t.Context(), list, t.TempDir())
		blocked, ok := errors.AsType[*BlockedError](err)
		if !ok {
			t.Errorf("%q: got %v", lines, err)
			continue
		}
		var got []string
		for _, b := range blocked.Packages {
			got = append(got, b.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: blames %q, want %q", lines, got, want)
		}
	}
}

// TestUninstall_StaysInItsFolder has the list of a distribution's files name others.
func TestUninstall_StaysInItsFolder(t *testing.T) {
	top := t.TempDir()
	target, other := filepath.Join(top, "packages"), filepath.Join(top, "other")
	for name, text := range map[string]string{
		other:                                     "",
		target + "/a/b/mine.py":                   "",
		target + "/yours.py":                      "",
		target + "/mine-1.0.dist-info/METADATA":   metadata("mine", "1.0"),
		target + "/mine-1.0.dist-info/RECORD":     "a/b/mine.py,,\n../other,,\n" + other + ",,\nmine-1.0.dist-info/RECORD,,\n",
		target + "/yours-1.0.dist-info/METADATA":  metadata("yours", "1.0"),
		target + "/yours-1.0.dist-info/RECORD":    "yours.py,,\n",
		target + "/yours-1.0.dist-info/top_level": "",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	chosen, err := dropBuiltIn(target, map[string]stub{"mine": {version: "1.0"}})
	if err != nil || len(chosen) != 2 {
		t.Fatalf("got %v, %v", chosen, err)
	}
	for name, want := range map[string]bool{other: true, target + "/yours.py": true, target + "/a": false, target + "/mine-1.0.dist-info": false} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: there is %v, want %v", name, err == nil, want)
		}
	}
}
