package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
)

// caseRoot is the folder of the conformance suite.
const caseRoot = "web/testdata/conformance"

// caseTarget is what links to a case lead to.
func caseTarget(area, file string) string {
	return "case-" + area + "-" + strings.TrimSuffix(file, ".txtar")
}

// casePages returns a page for each area of the conformance suite, and adds them to no
// list of contents: the table of the suite leads to each case.
func casePages(root string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(root, caseRoot, "*", "*.txtar"))
	if err != nil {
		return nil, err
	}
	pages := map[string]*strings.Builder{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		area := filepath.Base(filepath.Dir(file))
		name := "cases-" + area
		if pages[name] == nil {
			pages[name] = &strings.Builder{}
			fmt.Fprintf(pages[name], "---\norphan: true\n---\n# The contract: %s\n\nThe [overview](cases.md) explains the form.\n", area)
		}
		describeCase(pages[name], area, filepath.Base(file), txtar.Parse(text))
	}
	made := map[string]string{}
	for name, b := range pages {
		made[name] = b.String()
	}
	return made, nil
}

func describeCase(b *strings.Builder, area, file string, c *txtar.Archive) {
	sentence, rest, _ := strings.Cut(strings.TrimSpace(string(c.Comment)), "\n")
	title := strings.ReplaceAll(strings.TrimSuffix(file, ".txtar"), "-", " ")
	fmt.Fprintf(b, "\n(%s)=\n## %s\n\n%s\n\n%s\n", caseTarget(area, file), title, plain(sentence), plain(rest))
	for _, f := range c.Files {
		language := "text"
		if strings.HasSuffix(f.Name, ".py") {
			language = "python"
		}
		fmt.Fprintf(b, "\n%s\n\n%s\n", plain(f.Name), block(language, string(f.Data)))
	}
}

// block returns code between fences that are longer than any in it.
func block(language, code string) string {
	marks := "```"
	for strings.Contains(code, marks) {
		marks += "`"
	}
	return marks + language + "\n" + strings.TrimRight(code, "\n") + "\n" + marks + "\n"
}
