package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// part is a part of the manual.
type part struct {
	title string
	pages []page
}

// page is a page of the manual. What has no source is made from the program.
type page struct {
	name   string // in the site, without its ending
	source string // in the repository
	title  string // in the list of contents; empty for the page's own
}

// contents is the order of the manual. All Markdown of the repository is in it or in
// leftOut.
var contents = []part{
	{"Begin", []page{
		{"tutorial", "web/manual/tutorial.md", ""},
		{"howto", "web/manual/howto.md", ""},
		{"overview", "README.md", "What Vivarium is"},
	}},
	{"Guides", []page{
		{"command-line", "web/cli/README.md", ""},
		{"testing", "python-wasi/testing/README.md", ""},
		{"server", "web/README.md", ""},
		{"operating", "web/OPERATING.md", ""},
		{"console", "web/console/README.md", ""},
		{"cloud-tools", "web/grpcapi/README.md", ""},
		{"install", "web/tools/release/README.md", "Installing and releases"},
	}},
	{"Reference", []page{
		{"vivarium", "", "Commands"},
		{"contract", "web/CONTRACT.md", ""},
		{"cases", "web/testdata/conformance/README.md", "The contract, case by case"},
		{"api", "", ""},
		{"messages", "", ""},
		{"packages", "python-wasi/PACKAGES.md", ""},
		{"figures", "web/tools/benchtable/README.md", ""},
	}},
	{"Inside", []page{
		{"security", "SECURITY.md", ""},
		{"attacks", "host/testdata/attacks/README.md", ""},
		{"attacks-keys", "web/testdata/attacks/auth/README.md", ""},
		{"attacks-streams", "web/testdata/attacks/streams/README.md", ""},
		{"rationale", "wasm/RATIONALE.md", ""},
		{"python", "python-wasi/README.md", ""},
		{"python-speed", "python-wasi/SPEED.md", ""},
		{"python-everyday", "python-wasi/EVERYDAY.md", ""},
		{"python-imports", "python-wasi/IMPORTS.md", ""},
		{"python-tests", "python-wasi/cpython/results.md", ""},
		{"python-tests-numpy", "python-wasi/suites/numpy/results.md", ""},
		{"python-tests-pydantic-core", "python-wasi/suites/pydantic-core/results.md", ""},
		{"python-greenlet", "python-wasi/packages/greenlet/README.md", ""},
		{"python-grpcio", "python-wasi/packages/grpcio/README.md", ""},
	}},
	{"Project", []page{
		{"changelog", "CHANGELOG.md", ""},
		{"contributing", "CONTRIBUTING.md", ""},
		{"manual", "web/manual/README.md", ""},
		{"licences", "python-wasi/LICENSES.md", ""},
	}},
}

// leftOut is the Markdown that is no page of the manual.
var leftOut = map[string]bool{
	"web/manual/index.md":             true, // its front, see gather
	"web/tools/release/files/pypi.md": true, // of the package index
}

// trees returns the list of contents, as the generator wants it.
func trees() string {
	var b strings.Builder
	for _, part := range contents {
		fmt.Fprintf(&b, "\n```{toctree}\n:caption: %s\n:maxdepth: 1\n\n", part.title)
		for _, p := range part.pages {
			if p.title == "" {
				b.WriteString(p.name + "\n")
			} else {
				fmt.Fprintf(&b, "%s <%s>\n", p.title, p.name)
			}
		}
		b.WriteString("```\n")
	}
	return b.String()
}

// links makes links between files of the repository those between pages of the site.
type links struct {
	root  string
	pages map[string]string // names by sources
}

// link matches a link or a picture on one line or two; its text may have brackets in it.
var link = regexp.MustCompile(`(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)`)

// rewrite returns a file's text with links that lead to pages of the site. Those to
// other files of the repository, which is not part of the site, become plain text.
func (l links) rewrite(source, text string) string {
	var b strings.Builder
	for i, piece := range outsideCode(text) {
		if i%2 == 1 { // code
			b.WriteString(piece)
			continue
		}
		b.WriteString(link.ReplaceAllStringFunc(piece, func(found string) string {
			m := link.FindStringSubmatch(found)
			target, ok := l.target(source, m[3])
			switch {
			case m[1] == "!":
				return "" // pictures are not part of it either
			case !ok:
				return m[2]
			}
			return "[" + m[2] + "](" + target + ")"
		}))
	}
	return b.String()
}

// target returns where a link leads on the site; not ok if to nothing there.
func (l links) target(source, to string) (target string, ok bool) {
	file, fragment, _ := strings.Cut(to, "#")
	if file == "" || strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return to, true
	}
	file = path.Join(path.Dir(source), file)
	if below, ok := strings.CutPrefix(file, caseRoot+"/"); ok && strings.HasSuffix(below, ".txtar") {
		area, name, _ := strings.Cut(below, "/")
		return "#" + caseTarget(area, name), true
	}
	if info, err := os.Stat(filepath.Join(l.root, file)); err == nil && info.IsDir() {
		file = path.Join(file, "README.md")
	}
	name, ok := l.pages[file]
	if fragment != "" {
		fragment = "#" + fragment
	}
	return name + ".md" + fragment, ok
}

// fence matches blocks of code between fences.
var fence = regexp.MustCompile("(?ms)^```.*?^```[^\n]*$")

// outsideCode splits a text so that pieces of text and blocks of code follow each other.
func outsideCode(text string) []string {
	var pieces []string
	at := 0
	for _, block := range fence.FindAllStringIndex(text, -1) {
		pieces = append(pieces, text[at:block[0]], text[block[0]:block[1]])
		at = block[1]
	}
	return append(pieces, text[at:])
}
