package requirements

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// sources writes an archive of a package's sources.
func sources(t *testing.T, dir, name, version string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name+"-"+version+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(f)
	archive := tar.NewWriter(packed)
	text := metadata(name, version)
	err = archive.WriteHeader(&tar.Header{Name: name + "-" + version + "/PKG-INFO", Mode: 0o644, Size: int64(len(text))})
	if err == nil {
		_, err = archive.Write([]byte(text))
	}
	if err := errors.Join(err, archive.Close(), packed.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestInstall_SaysWhatIsOldForWantOfAWheel asks for packages whose newest versions are
// there as sources, or not wanted, or wanted by nobody.
func TestInstall_SaysWhatIsOldForWantOfAWheel(t *testing.T) {
	wheels := offline(t)
	for _, w := range []struct {
		name, version string
		requires      []string
	}{
		{"fell", "1.0", nil}, {"fell", "1.5", nil},
		{"plain", "1.0", nil}, {"plain", "2.0", nil},
		{"needs-it", "1.0", []string{"fell"}}, {"needs-old", "1.0", []string{"plain<2"}},
		{"early", "1.0", nil},
	} {
		wheel(t, wheels, strings.ReplaceAll(w.name, "-", "_"), w.version, metadata(w.name, w.version, w.requires...), strings.NewReader(""))
	}
	for _, version := range []string{"2.0", "2.10", "2.9"} {
		sources(t, wheels, "fell", version)
	}
	sources(t, wheels, "early", "2.0rc1")
	for lines, want := range map[string]string{
		"fell":             "fell==1.5 missed 2.10",
		"needs-it\nplain":  "fell==1.5 missed 2.10 needs-it==1.0 plain==2.0",
		"fell<2.10":        "fell==1.5 missed 2.9",
		"fell~=1.0":        "fell==1.5",
		"fell>=1,!=2.*":    "fell==1.5",
		"fell==1.0":        "fell==1.0",
		"needs-old\nearly": "early==1.0 needs-old==1.0 plain==1.0",
	} {
		i, err := Find(t.Context(), "3.13.5", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		list, err := Read(fstest.MapFS{File: {Data: []byte(lines)}})
		if err != nil {
			t.Fatal(err)
		}
		_, chosen, err := i.Install(t.Context(), list, t.TempDir())
		if err != nil {
			t.Errorf("%q: %v", lines, err)
			continue
		}
		var got []string
		for _, c := range chosen {
			got = append(got, normal(c.Name)+"=="+c.Version)
			switch {
			case c.Missed == Newer && i.Name == "uv": // which does not tell
				got = append(got, "missed", regexp.MustCompile(`missed (\S+)`).FindStringSubmatch(want + " missed ?")[1])
			case c.Missed != "":
				got = append(got, "missed", c.Missed)
			}
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%q: chose %s, want %s", lines, got, want)
		}
	}
}

func TestSatisfies(t *testing.T) {
	for _, test := range []struct {
		specifiers string
		fits, not  string
	}{
		{">1.5", "1.5.1 1.10 2", "1.5 1.5.0 1.4 1.6rc1"},
		{">=1.5,<2", "1.5 1.10", "2.0 1.4 2"},
		{"~=1.4.2", "1.4.2 1.4.10", "1.5 1.4.1 2 1.40"},
		{"~=1.4", "1.4 1.9", "2.0 1.3 10.5"},
		{"!=1.5.*", "1.6 1.50", "1.5.2"},
		{"!=1.5,<=2.0", "1.6 1.5.1 2", "1.5 2.0.1"},
		{">2004d", "", "2005.1"},
	} {
		for _, v := range strings.Fields(test.fits) {
			if !satisfies(v, test.specifiers) {
				t.Errorf("%s does not fit %s", v, test.specifiers)
			}
		}
		for _, v := range strings.Fields(test.not) {
			if satisfies(v, test.specifiers) {
				t.Errorf("%s fits %s", v, test.specifiers)
			}
		}
	}
}
