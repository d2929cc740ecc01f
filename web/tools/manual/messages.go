package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// areas are the folders whose messages users may read, by what these are about. What is
// not here talks to developers, or repeats what others say.
var areas = []struct {
	title   string
	folders []string
}{
	{"The command line", []string{"web/cli", "web/strictyaml", "web/manual"}},
	{"Code and packages", []string{"web/folder", "web/requirements"}},
	{"Calls", []string{"web", "host", "host/run", "host/fault", "wasm"}},
	{"The management API", []string{"web/api", "web/grpcapi", "web/manage", "web/strictjson"}},
	{"Functions, versions and their settings", []string{"host/catalog", "host/events", "host/secrets", "host/keys", "host/access", "host/quota"}},
	{"The network", []string{"host/egress", "wasm/sockets"}},
	{"The store and logs", []string{"host/store", "host/logs"}},
	{"The guests", []string{"python-wasi"}},
	{"What functions get raised", []string{"python-wasi/runtime/vivarium"}},
}

// messagesPage returns the index of messages: the constant texts of what the sources
// return as errors, say on the terminal or raise in functions.
func messagesPage(root string) (string, error) {
	var b strings.Builder
	b.WriteString(`# Messages

What the program says when something is wrong, as far as it stands in its sources, in order of the alphabet; search the
manual for a few words of a message. An ellipsis (…) stands for what varies, such as a name, or for the message of what went
wrong underneath. What Python itself and the packages of functions raise is not here, nor what the operating system says.
[The contract](contract.md) tells the status of each kind of failure, and [the how-tos](howto.md#when-something-goes-wrong) what
to do about the most frequent.
`)
	for _, area := range areas {
		found := map[string]bool{}
		for _, folder := range area.folders {
			if err := collect(filepath.Join(root, folder), found); err != nil {
				return "", err
			}
		}
		if len(found) == 0 {
			return "", fmt.Errorf("no messages in %v", area.folders)
		}
		fmt.Fprintf(&b, "\n## %s\n\n", area.title)
		byWord := func(a, b string) int { return strings.Compare(sortKey(a), sortKey(b)) }
		for _, message := range slices.SortedFunc(maps.Keys(found), byWord) {
			fmt.Fprintf(&b, "- %s\n", plain(message))
		}
	}
	return b.String(), nil
}

var leading = regexp.MustCompile(`^[^\p{L}]+`)

func sortKey(message string) string {
	return strings.ToLower(leading.ReplaceAllString(message, "")) + message
}

// collect adds the messages of a folder's sources.
func collect(folder string, found map[string]bool) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		switch {
		case strings.HasSuffix(path, "_test.go"):
		case strings.HasSuffix(path, ".go"):
			err = collectGo(path, found)
		case strings.HasSuffix(path, ".py"):
			err = collectPython(path, found)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// says are the functions whose format or text is a message.
var says = map[string]bool{"New": true, "Errorf": true, "Invalidf": true, "badRequest": true, "say": true}

// fields are those of errors that hold a message; see fault and web.
var fields = map[string]bool{"Rule": true, "Message": true, "message": true, "text": true}

func collectGo(path string, found map[string]bool) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return err
	}
	add := func(e ast.Expr) {
		if text, ok := constant(e); ok {
			if message := formatted(text); telling(message) {
				found[message] = true
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if says[calledName(n.Fun)] {
				for _, argument := range n.Args {
					add(argument)
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && fields[key.Name] {
				add(n.Value)
			}
		case *ast.CompositeLit:
			if name, ok := n.Type.(*ast.Ident); ok && strings.HasSuffix(name.Name, "rror") || ok && name.Name == "sentinel" {
				for _, element := range n.Elts {
					add(element)
				}
			}
		}
		return true
	})
	return nil
}

func calledName(function ast.Expr) string {
	switch f := function.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// constant returns the text of a literal, or of several that are added.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.BinaryExpr:
		left, ok := constant(e.X)
		right, also := constant(e.Y)
		if e.Op == token.ADD && (ok || also) {
			return orVaries(left, ok) + orVaries(right, also), true
		}
	}
	return "", false
}

func orVaries(text string, ok bool) string {
	if !ok {
		return "%s"
	}
	return text
}

var (
	verb  = regexp.MustCompile(`%[-+# 0]*(\[\d\])?\d*(\.\d+)?[a-zA-Z]`)
	words = regexp.MustCompile(`\p{L}{2,}[^\s\p{L}]*(\s|$)`)
)

// formatted returns a format with ellipses for what varies.
func formatted(format string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(verb.ReplaceAllString(format, "…"), "%%", "%")), " ")
}

// telling reports whether a message says anything to a reader.
func telling(message string) bool { return len(words.FindAllString(message, 3)) == 3 }

var (
	raised = regexp.MustCompile(`raise (\w+)\(((?:\s*f?"(?:[^"\\]|\\.)*")+)`)
	quoted = regexp.MustCompile(`(f?)"((?:[^"\\]|\\.)*)"`)
	braces = regexp.MustCompile(`\{[^{}]*\}`)
)

// collectPython reads what is raised with a literal text.
func collectPython(path string, found map[string]bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, m := range raised.FindAllStringSubmatch(string(text), -1) {
		message := ""
		for _, piece := range quoted.FindAllStringSubmatch(m[2], -1) {
			if piece[1] != "" {
				piece[2] = braces.ReplaceAllString(piece[2], "…")
			}
			message += piece[2]
		}
		if telling(message) {
			found[m[1]+": "+message] = true
		}
	}
	return nil
}
