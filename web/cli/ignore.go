package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// ignoreFile lists what in a folder is no part of the function.
const ignoreFile = ".vivariumignore"

// ignoreRules say which files of a folder are left out: what skipped knows by
// itself, and the patterns of an ignoreFile in the form of a .gitignore. As
// there, the last pattern that matches decides; "!" brings something back; a
// slash at the end means folders only; a slash elsewhere ties the pattern to the
// folder with the file; *, ?, [a-z] stay within a name, ** crosses folders; and
// nothing below a folder that is left out can be brought back. Only the file at
// the top is read.
type ignoreRules []ignoreRule

type ignoreRule struct {
	pattern  *regexp.Regexp
	bringIn  bool
	dirsOnly bool
}

// readIgnore returns the rules of a folder.
func readIgnore(fsys fs.FS) (ignoreRules, error) {
	text, err := fs.ReadFile(fsys, ignoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseIgnore(string(text))
}

func parseIgnore(text string) (ignoreRules, error) {
	var rules ignoreRules
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimRight(line, " \t"); !strings.HasSuffix(trimmed, `\`) {
			line = trimmed
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var rule ignoreRule
		if line[0] == '!' {
			rule.bringIn, line = true, line[1:]
		}
		if rest, ok := strings.CutSuffix(line, "/"); ok {
			rule.dirsOnly, line = true, rest
		}
		if line == "" {
			continue
		}
		expression, err := ignoreExpression(line)
		if err == nil {
			rule.pattern, err = regexp.Compile(expression)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %q is no pattern: %w", ignoreFile, n, line, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// ignoreExpression translates a pattern.
func ignoreExpression(pattern string) (string, error) {
	var b strings.Builder
	b.WriteString("^")
	if rest, ok := strings.CutPrefix(pattern, "/"); ok {
		pattern = rest
	} else if !strings.Contains(pattern, "/") {
		b.WriteString("(?:.*/)?")
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			switch {
			case strings.HasPrefix(pattern[i:], "**/") && (i == 0 || pattern[i-1] == '/'):
				b.WriteString("(?:.*/)?")
				i += 2
			case pattern[i:] == "**" && i > 0 && pattern[i-1] == '/':
				b.WriteString(".+")
				i++
			default:
				b.WriteString("[^/]*")
			}
		case '?':
			b.WriteString("[^/]")
		case '[':
			end := strings.IndexByte(pattern[min(i+2, len(pattern)):], ']') // a ] that comes first is a member
			if end < 0 {
				return "", errors.New("a [ without its ]")
			}
			class := pattern[i+1 : i+2+end]
			if class[0] == '!' || class[0] == '^' {
				b.WriteString("[^/" + escapeClass(class[1:]) + "]")
			} else {
				b.WriteString("[" + escapeClass(class) + "]")
			}
			i += 2 + end
		case '\\':
			if i++; i == len(pattern) {
				return "", errors.New(`a \ at the end`)
			}
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1])) // leaves parts of a character alone
		}
	}
	return b.String() + "$", nil
}

// escapeClass leaves ranges what they are and takes from other signs the meaning
// that they have in regular expressions only.
func escapeClass(class string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, "^", `\^`, "&", `\&`).Replace(class)
}

// ignored says if a file or folder is left out; name is its path in the folder.
// Who walks the folder does not go into folders that are.
func (r ignoreRules) ignored(fsys fs.FS, name string, dir bool) bool {
	ignored := dir && skipped(fsys, name) || path.Clean(name) == ignoreFile
	for _, rule := range r {
		if (dir || !rule.dirsOnly) && rule.pattern.MatchString(name) {
			ignored = !rule.bringIn
		}
	}
	return ignored
}
