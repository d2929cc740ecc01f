package packages

import (
	"flag"
	"fmt"
	"maps"
	"os"
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
