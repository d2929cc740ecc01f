package web

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// statement is something that the suite must prove.
type statement struct{ id, text string }

// readStatements returns the statements of statements.txt, in order.
func readStatements(t *testing.T) []statement {
	t.Helper()
	text, err := os.ReadFile(caseRoot + "/statements.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []statement
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		id, says, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("statements.txt: %q has no tab", line)
		}
		all = append(all, statement{id, says})
	}
	return all
}

// The table is the end of README.md; everything above this line is written by
// hand.
const tableMark = "<!-- Below: written by go test ./web -run TestConformance_EveryStatementHasACase -update -->\n"

func TestConformance_EveryStatementHasACase(t *testing.T) {
	statements := readStatements(t)
	known := map[string]bool{}
	for _, s := range statements {
		if known[s.id] {
			t.Errorf("statements.txt has %s twice", s.id)
		}
		known[s.id] = true
	}
	cases, count := map[string][]string{}, 0
	areas := caseFiles(t)
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		for _, file := range areas[area] {
			c, err := readCase(file)
			if err != nil {
				t.Fatal(err)
			}
			count++
			for _, id := range c.proves {
				if !known[id] {
					t.Errorf("%s proves %q, which is not in statements.txt", file, id)
				}
				cases[id] = append(cases[id], area+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"))
			}
		}
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "%s\n%d statements, %d cases.\n\n| Statement | | Cases |\n|---|---|---|\n", tableMark, len(statements), count)
	for _, s := range statements {
		if len(cases[s.id]) == 0 {
			t.Errorf("no case proves %s: %s", s.id, s.text)
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", s.id, s.text, links(cases[s.id]))
	}
	checkTable(t, table.String())
}

// links returns links to cases.
func links(cases []string) string {
	var texts []string
	for _, name := range cases {
		texts = append(texts, fmt.Sprintf("[%s](%s.txtar)", strings.ReplaceAll(name, "-", " "), name))
	}
	return strings.Join(texts, ", ")
}

// checkTable compares the table in README.md with the expected one.
func checkTable(t *testing.T, want string) {
	t.Helper()
	const path = caseRoot + "/README.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(text), tableMark)
	if !ok {
		t.Fatalf("%s has no line %s", path, tableMark)
	}
	switch {
	case string(text) == head+want:
	case *update:
		if err := os.WriteFile(path, []byte(head+want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: its table is not the one that the cases give; run: go test ./web -run EveryStatement -update", path)
	}
}
