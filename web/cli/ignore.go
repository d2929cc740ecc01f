package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"vivarium/web/folder"
)

// ignoreFile lists what in a folder is not part of the function.
const ignoreFile = ".vivariumignore"

// Limits of an ignoreFile. Its patterns are matched against each file.
const (
	maxIgnoreFile  = 64 << 10    // bytes
	maxIgnoreSteps = 300_000_000 // characters that are compared, a second or so
)

// ignoreRules are the rules for which files of a folder are left out: those
// built in, see skipped and isSecret, and the patterns of an ignoreFile in .gitignore format.
// As there, the last matching pattern decides; "!" includes something again; a
// trailing slash restricts a pattern to folders; a slash elsewhere anchors it
// to the folder of the file; *, ?, [a-z] match within a name, ** across
// folders; and nothing below an excluded folder can be included again. Only the
// file at the top is read.
type ignoreRules struct {
	rules []ignoreRule
	steps int // done so far
}

type ignoreRule struct {
	// parts match a name and the folders above it; a nil part matches any
	// number of them. A rule that is not anchored to the top matches only the
	// name.
	parts    []glob
	tied     bool
	bringIn  bool
	dirsOnly bool
}

// readIgnore returns the rules of a folder.
func readIgnore(fsys fs.FS) (*ignoreRules, error) {
	text, err := folder.ReadFile(fsys, ignoreFile, maxIgnoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &ignoreRules{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseIgnore(string(text))
}

func parseIgnore(text string) (*ignoreRules, error) {
	rules := &ignoreRules{}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) { // Windows editors write a byte order mark
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
		rule.tied = strings.Contains(line, "/")
		parts := strings.Split(strings.TrimPrefix(line, "/"), "/")
		for i, part := range parts {
			if part == "**" && len(parts) > 1 {
				if i == len(parts)-1 {
					rule.parts = append(rule.parts, anyName) // not the folder itself
				}
				rule.parts = append(rule.parts, nil)
				continue
			}
			g, err := newGlob(part)
			if err != nil {
				return nil, fmt.Errorf("%s: line %d: %.80q is not a pattern: %w", ignoreFile, n, line, err)
			}
			rule.parts = append(rule.parts, g)
		}
		rules.rules = append(rules.rules, rule)
	}
	return rules, nil
}

// judge reports whether a file or folder is left out, and if that is because it may
// hold secrets; name is its path in the folder. Callers do not descend into folders
// that are left out.
func (r *ignoreRules) judge(fsys fs.FS, name string, dir bool) (ignored, secret bool, err error) {
	ruled := false
	names := strings.Split(name, "/")
	runes := make([][]rune, len(names))
	for i, n := range names {
		runes[i] = []rune(n)
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.dirsOnly && !dir {
			continue
		}
		tried := runes
		if !rule.tied {
			tried = runes[len(runes)-1:]
		}
		if r.match(rule.parts, tried) {
			ruled, ignored = true, !rule.bringIn
		}
		if r.steps > maxIgnoreSteps {
			return false, false, fmt.Errorf("%s: its patterns, on so many files, take too long; use fewer and simpler ones, or leave out whole folders", ignoreFile)
		}
	}
	if !ruled {
		secret = !dir && isSecret(fsys, name)
		ignored = secret || name == projectFile || strings.HasPrefix(path.Base(name), ".") || dir && skipped(fsys, name)
	}
	return ignored, secret, nil
}

// match reports whether parts match names. Of the parts that match any number,
// only the last is retried, which is enough: earlier ones can stay as short as
// they are.
func (r *ignoreRules) match(parts []glob, names [][]rune) bool {
	p, n, back, from := 0, 0, -1, 0
	for n < len(names) {
		switch {
		case p < len(parts) && parts[p] == nil:
			back, from = p, n
			p++
		case p < len(parts) && parts[p].match(names[n], &r.steps):
			p++
			n++
		case back >= 0:
			from++
			p, n = back+1, from
		default:
			return false
		}
	}
	for p < len(parts) && parts[p] == nil {
		p++
	}
	return p == len(parts)
}

// glob is a pattern for one name.
type glob []globPart

type globPart struct {
	kind   byte // '*', '?', '[' or, for a literal character, 0
	sign   rune
	ranges [][2]rune // for '['
	not    bool      // for '[': none of these
}

var anyName = glob{{kind: '*'}}

func newGlob(pattern string) (glob, error) {
	signs := []rune(pattern)
	g := glob{}
	for i := 0; i < len(signs); i++ {
		switch c := signs[i]; c {
		case '*':
			if len(g) == 0 || g[len(g)-1].kind != '*' {
				g = append(g, globPart{kind: '*'})
			}
		case '?':
			g = append(g, globPart{kind: '?'})
		case '[':
			part := globPart{kind: '['}
			if i++; i < len(signs) && (signs[i] == '!' || signs[i] == '^') {
				part.not = true
				i++
			}
			for first := i; ; i++ {
				if i >= len(signs) {
					return nil, errors.New("a [ without its ]")
				}
				if signs[i] == ']' && i > first { // a ] that comes first is a member
					break
				}
				if signs[i] == '\\' && i+1 < len(signs) {
					i++
				}
				low, high := signs[i], signs[i]
				if i+2 < len(signs) && signs[i+1] == '-' && signs[i+2] != ']' {
					i += 2
					if signs[i] == '\\' && i+1 < len(signs) {
						i++
					}
					high = signs[i]
				}
				if high < low {
					return nil, fmt.Errorf("%c-%c is not a range", low, high)
				}
				part.ranges = append(part.ranges, [2]rune{low, high})
			}
			g = append(g, part)
		case '\\':
			if i++; i == len(signs) {
				return nil, errors.New(`a \ at the end`)
			}
			g = append(g, globPart{sign: signs[i]})
		default:
			g = append(g, globPart{sign: c})
		}
	}
	return g, nil
}

// match reports whether the pattern matches the whole name, and adds to steps
// how many characters it has compared. As in ignoreRules.match, only the last
// star is retried.
func (g glob) match(name []rune, steps *int) bool {
	p, n, back, from := 0, 0, -1, 0
	for n < len(name) {
		*steps++
		switch {
		case p < len(g) && g[p].kind == '*':
			back, from = p, n
			p++
		case p < len(g) && g[p].matches(name[n], steps):
			p++
			n++
		case back >= 0:
			from++
			p, n = back+1, from
		default:
			return false
		}
	}
	for p < len(g) && g[p].kind == '*' {
		p++
	}
	return p == len(g)
}

func (p *globPart) matches(sign rune, steps *int) bool {
	switch p.kind {
	case '?':
		return true
	case '[':
		*steps += len(p.ranges)
		for _, r := range p.ranges {
			if r[0] <= sign && sign <= r[1] {
				return !p.not
			}
		}
		return p.not
	}
	return p.sign == sign
}

// skipped reports whether a folder is never part of a function: hidden ones
// (.git, .venv), Python's caches, JavaScript's packages, and virtual environments
// under any name.
func skipped(fsys fs.FS, name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || base == "__pycache__" || base == "node_modules" {
		return true
	}
	_, err := fs.Stat(fsys, name+"/pyvenv.cfg")
	return err == nil
}
