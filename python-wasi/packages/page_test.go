package packages

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pythonwasi "vivarium/python-wasi"
)

var update = flag.Bool("update", false, "rewrite PACKAGES.md as it should be")

// TestPage_IsThatOfTheGuest renders PACKAGES.md from the packages that the guest has,
// and what their files say of them.
func TestPage_IsThatOfTheGuest(t *testing.T) {
	info, err := pythonwasi.Full.Info()
	if err != nil {
		t.Fatal(err)
	}
	lean, err := pythonwasi.Lean.Info()
	if err != nil {
		t.Fatal(err)
	}
	page := fmt.Sprintf(`# Packages of %s

`+"`%s`"+` is CPython %s with these packages built in; `+"`requirements.txt`"+` may name them like any others. Each is used by a
function in the tests, `+"`packages/NAME_test.py`"+`. `+"`%s`"+` has %s, as the cloud's runtimes do. Made by:
`+"`go test ./python-wasi/packages -run TestPage -args -update`"+`.

| package | version | what it is | compiled modules | licence |
|---|---|---|---|---|
`, info.Name, info.Name, info.CPython, lean.Name, strings.Join(slices.Sorted(maps.Keys(lean.Packages)), ", "))
	for _, name := range slices.Sorted(maps.Keys(info.Packages)) {
		p := info.Packages[name]
		modules := ""
		if len(p.Modules) > 0 {
			modules = "`" + strings.Join(p.Modules, "` `") + "`"
		}
		page += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", name, p.Version, about(t, name), modules, p.Licence)
	}
	page += fmt.Sprintf(`
## Packages of %s

`+"`%s`"+` has all of these, and in addition:

| package | version | what it is | licence |
|---|---|---|---|
`, pythonwasi.Science.Name(), pythonwasi.Science.Name())
	for _, name := range sciencePackages(t) {
		page += fmt.Sprintf("| %s | %s | %s | %s |\n", name, said(t, name, "version"), about(t, name), said(t, name, "licence"))
	}
	const file = "../PACKAGES.md"
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(is) != page {
		t.Errorf("PACKAGES.md is not that of this guest; run this test with -args -update")
	}
}

// sciencePackages returns the names of the packages that only that guest has, in order.
// It need not be built.
func sciencePackages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.sh")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(file, ".sh"); said(t, name, "science") == "yes" {
			names = append(names, name)
		}
	}
	return names
}

// said returns what a package's file says under a name, "" if it says nothing.
func said(t *testing.T, name, what string) string {
	t.Helper()
	text, err := os.ReadFile(name + ".sh")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut("\n"+string(text), "\n"+what+"=")
	value, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(value, `"`)
}

// about returns what the first lines of a package's file say, without its name.
func about(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name + ".sh")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		words = append(words, strings.TrimSpace(strings.TrimPrefix(line, "#")))
	}
	all := strings.Join(words, " ")
	if _, rest, ok := strings.Cut(all, ": "); ok {
		all = rest
	}
	return strings.ReplaceAll(all, "|", `\|`)
}
