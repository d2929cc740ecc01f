package cli

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// Page is what the reference says about the program or one of its commands.
type Page struct {
	Name    string // vivarium, vivarium-run
	Summary string // one line of text
	Text    string // Markdown with definition lists, below a heading with the name
}

// Reference returns the pages about the program and its commands, made from the grammar
// that reads command lines: what --help shows.
func Reference() []Page {
	var g grammar
	model := newParser(context.Background(), &session{stdout: io.Discard, stderr: io.Discard}, &g).Model
	var commands strings.Builder
	var pages []Page
	for _, command := range model.Children {
		if command.Hidden {
			continue
		}
		page := Page{Name: "vivarium-" + command.Name, Summary: command.Help}
		page.Text = "# " + page.Name + "\n\n" + describe(command, "##")
		pages = append(pages, page)
		define(&commands, fmt.Sprintf("[vivarium %s](%s.md)", command.Name, page.Name), command.Help)
	}
	program := Page{Name: model.Name, Summary: strings.TrimSuffix(model.Help, "."), Text: "# vivarium\n\n" + marked(model.Help) +
		"\n\n## Commands\n\n" + commands.String() + "## Flags of all commands\n\n" + flags(model.Flags) + exitCodes}
	return append([]Page{program}, pages...)
}

const exitCodes = `## Exit codes

0
: Done; of ` + "`vivarium run`" + `, the function has responded.

1
: Of ` + "`vivarium run` and `vivarium invoke`" + `: the function has failed.

2
: Anything else; a message is on standard error.
`

// describe describes a command and those below it.
func describe(n *kong.Node, heading string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", marked(n.Help))
	if n.Leaf() {
		fmt.Fprintf(&b, "```text\nvivarium %s\n```\n\n", n.Summary())
	}
	b.WriteString(detail(n.Detail))
	for _, child := range n.Children {
		if child.Hidden {
			continue
		}
		fmt.Fprintf(&b, "%s %s\n\n", heading, strings.TrimPrefix(child.Path(), "vivarium "))
		b.WriteString(describe(child, heading+"#"))
	}
	if len(n.Positional) > 0 {
		fmt.Fprintf(&b, "%s Arguments\n\n", heading)
		for _, p := range n.Positional {
			define(&b, "`"+p.Summary()+"`", p.Help)
		}
	}
	if text := flags(n.Flags); text != "" {
		fmt.Fprintf(&b, "%s Flags\n\n%s", heading, text)
	}
	return b.String()
}

func flags(all []*kong.Flag) string {
	var b strings.Builder
	for _, f := range all {
		if f.Hidden || f.Name == "help" {
			continue
		}
		names := "`" + f.String() + "`"
		if f.Short != 0 {
			names = "`-" + string(f.Short) + "`, `" + strings.TrimPrefix(f.String(), fmt.Sprintf("-%c, ", f.Short)) + "`"
		}
		help := f.Help
		for _, variable := range f.Envs {
			help += " ($" + variable + ")"
		}
		define(&b, names, help)
	}
	return b.String()
}

func define(b *strings.Builder, term, text string) {
	fmt.Fprintf(b, "%s\n: %s\n\n", term, marked(text))
}

// detail returns the long help text: paragraphs, and examples, whose lines are indented.
func detail(text string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	code := false
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, "\n")
		indented := strings.HasPrefix(line, "  ")
		switch {
		case indented && !code:
			b.WriteString("\n```sh\n")
		case !indented && code:
			b.WriteString("```\n\n")
		}
		code = indented
		if code {
			b.WriteString(strings.TrimPrefix(line, "  ") + "\n")
		} else {
			b.WriteString(marked(line) + "\n")
		}
	}
	return b.String()
}

var special = regexp.MustCompile("[\\\\`*_\\[\\]<>#|~${}]")

// marked returns text as Markdown.
func marked(text string) string { return special.ReplaceAllString(text, `\$0`) }
