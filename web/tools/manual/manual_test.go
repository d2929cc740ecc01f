package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// All Markdown of the repository is a page of the manual, or left out on purpose.
func TestContents_HaveAllPages(t *testing.T) {
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md")
	list.Dir = "../../.."
	text, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, part := range contents {
		for _, p := range part.pages {
			if named[p.source] && p.source != "" {
				t.Errorf("%s is there twice", p.source)
			}
			named[p.source] = true
		}
	}
	files := strings.Fields(string(text))
	for _, file := range files {
		if named[file] == leftOut[file] {
			t.Errorf("%s: write it into contents, or into leftOut", file)
		}
	}
	for file := range named {
		if file != "" && !slices.Contains(files, file) {
			t.Errorf("%s is not in the repository", file)
		}
	}
}

func TestRewrite(t *testing.T) {
	l := links{root: "../../..", pages: map[string]string{"web/README.md": "server", "README.md": "overview", "host/testdata/attacks/README.md": "attacks"}}
	for text, want := range map[string]string{
		"[a](README.md)":                            "[a](server.md)",
		"[a](../README.md#how-it-works)":            "[a](overview.md#how-it-works)",
		"[a [b]](../host/testdata/attacks)":         "[a [b]](attacks.md)",
		"[a](#here), [b](https://example.org)":      "[a](#here), [b](https://example.org)",
		"[the code](web.go)":                        "the code",
		"![a picture](console/screenshots/a.png) b": " b",
		"[a](testdata/conformance/raw/x-y.txtar)":   "[a](#case-raw-x-y)",
		"```\n[a](README.md)\n```\n[a](README.md)":  "```\n[a](README.md)\n```\n[a](server.md)",
		"[two\nlines](README.md)":                   "[two\nlines](server.md)",
	} {
		if got := l.rewrite("web/CONTRACT.md", text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestFormatted(t *testing.T) {
	for format, want := range map[string]string{
		"%s: has %d bytes, %q at %.1f %%": "…: has … bytes, … at … %",
		"%[1]s and %[2]v":                 "… and …",
		"two\nlines":                      "two lines",
	} {
		if got := formatted(format); got != want {
			t.Errorf("%q became %q, want %q", format, got, want)
		}
	}
	for message, want := range map[string]bool{"criteria.log_group_id": false, "…: …": false, "store: not found": true, "a b c": false, "is out of range": true} {
		if got := telling(message); got != want {
			t.Errorf("%q: %v", message, got)
		}
	}
}
