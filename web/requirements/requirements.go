// Package requirements installs the packages that a function's requirements.txt
// names, without running any of their code.
//
// The file is somebody else's, and so are the packages. The tools that install
// them, pip and uv, run code of both where they can: to build a package from
// its sources, a folder, or a repository. Options restrict that, but the tools'
// input can lift options. So their input is not that file:
//
//   - Read takes from it, and from the files that it includes, what fits a
//     grammar of its own (see List): packages by name, with versions, markers and
//     hashes. Anything else is refused by file and line.
//   - An Installer passes these lines, rewritten, to the tool, in an empty folder,
//     in an environment without secrets and with no options except those that tell
//     where packages come from. These and the tool's own configuration are the
//     user's. The tool itself is never taken from the function's folder.
//   - It requests only wheels, for dependencies as well. A wheel is unpacked;
//     nothing of it runs. pip, which would build what a package names by URL, can't
//     start any program meanwhile; uv builds nothing.
//   - Downloads and unpacked files are in one folder, and the tool is ended once
//     that exceeds what any function's code can be, see LargeError. So uv has a new
//     cache each time; packages that were installed once are kept by the caller.
//
// If packages can't be had, a BlockedError reports which, why, and who needs
// them.
package requirements

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"vivarium/web/folder"
)

// File is the name of the file that lists the packages.
const File = "requirements.txt"

// Limits of the files.
const (
	maxFile  = 1 << 20 // bytes
	maxFiles = 32
)

// List is what a folder's files ask for. Its lines have a canonical form, and
// contain only what pip and uv interpret alike.
type List struct {
	Packages    []Requirement
	Constraints []Requirement // on the versions of what is installed anyway
	Pre         bool          // pre-releases count, too
	Hashes      bool          // each package must have one
}

// Empty reports whether no package is requested.
func (l *List) Empty() bool { return len(l.Packages) == 0 }

// Remove takes packages from the list, whatever their versions.
//
// # Errors
//
// If one is not in the list.
func (l *List) Remove(names []string) error {
	for _, name := range names {
		n := len(l.Packages)
		l.Packages = slices.DeleteFunc(l.Packages, func(r Requirement) bool { return r.key() == normal(name) })
		if len(l.Packages) == n {
			return fmt.Errorf("%s does not name %s", File, folder.Shown(name))
		}
	}
	return nil
}

// String returns the list as text; equal texts ask for the same.
func (l *List) String() string {
	return fmt.Sprintf("pre: %t\nhashes: %t\n%sconstraints:\n%s", l.Pre, l.Hashes, text(l.Packages), text(l.Constraints))
}

func text(all []Requirement) string {
	var b strings.Builder
	for _, r := range all {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// Read returns what the File of a folder asks for; an empty list if there is
// none.
//
// # Errors
//
// Those of reading, and a *LineError for what does not fit the grammar.
func Read(fsys fs.FS) (*List, error) {
	r := reader{fsys: fsys, list: &List{}, seen: map[string]bool{}}
	if err := r.read(File, false); err != nil && !(errors.Is(err, fs.ErrNotExist) && len(r.seen) == 1) {
		return nil, err
	}
	return r.list, nil
}

// LineError reports which line is refused, and why.
type LineError struct {
	File string
	Line int
	Text string
	Why  string // including what to do
}

// Error implements error.
func (e *LineError) Error() string {
	return fmt.Sprintf("%s: line %d: %.80q: %s", folder.Shown(e.File), e.Line, e.Text, e.Why)
}

// reader reads a file and those that it includes.
type reader struct {
	fsys fs.FS
	list *List
	seen map[string]bool // files
}

func (r *reader) read(name string, constraints bool) error {
	key := fmt.Sprint(constraints, name)
	if r.seen[key] {
		return nil
	}
	r.seen[key] = true
	if len(r.seen) > maxFiles {
		return fmt.Errorf("%s includes more than %d files", File, maxFiles)
	}
	content, err := folder.ReadFile(r.fsys, name, maxFile)
	if err != nil {
		return err
	}
	rest := strings.TrimPrefix(string(content), "\ufeff") // a byte order mark, as Windows editors write it
	for number := 1; rest != ""; {
		line, lines := "", 0
		if line, rest, lines, err = logicalLine(rest); err == nil {
			err = r.line(name, line, constraints)
		}
		if why, ok := errors.AsType[refusal](err); ok {
			return &LineError{name, number, line, string(why)}
		}
		if err != nil {
			return err
		}
		number += lines
	}
	return nil
}

// refusal is why a line is refused, and what to do.
type refusal string

func (r refusal) Error() string { return string(r) }

// logicalLine returns the first line of text, joined with its continuation
// lines, without comments; the rest; and how many lines that were.
func logicalLine(text string) (line, rest string, lines int, err error) {
	for goesOn := true; goesOn && text != ""; lines++ {
		var part string
		part, text, _ = strings.Cut(text, "\n")
		part = strings.TrimSuffix(part, "\r")
		if !utf8.ValidString(part) || strings.ContainsFunc(part, endsLines) {
			return part, "", 0, refusal("is not plain text in UTF-8 with a line feed after each line; rewrite it")
		}
		comment := strings.HasPrefix(strings.TrimSpace(part), "#")
		if goesOn = strings.HasSuffix(part, `\`) && !comment; goesOn {
			part = strings.TrimSuffix(part, `\`)
		}
		if !comment {
			line += part
		}
	}
	if i := beginOfComment.FindStringIndex(line); i != nil {
		line = line[:i[0]]
	}
	return strings.TrimSpace(line), text, lines, nil
}

var beginOfComment = regexp.MustCompile(`(?:^|[ \t])#`)

// endsLines reports whether some tools take r for the end of a line, so that
// only they would read what follows.
func endsLines(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029'
}

// line handles one line.
func (r *reader) line(file, text string, constraint bool) error {
	switch {
	case text == "":
		return nil
	case strings.Contains(text, "${"):
		return refusal("takes something from the environment, which belongs to this machine; write it out")
	case text[0] == '-':
		return r.option(file, text)
	}
	requirement, err := parse(text)
	if err != nil {
		return err
	}
	if constraint {
		if len(requirement.Extras) > 0 {
			return refusal("a constraint can't have extras")
		}
		r.list.Constraints = append(r.list.Constraints, *requirement)
		return nil
	}
	r.list.Packages = append(r.list.Packages, *requirement)
	return nil
}

// option handles a line that is an option.
func (r *reader) option(file, text string) error {
	name, value := splitOption(text)
	switch name {
	case "-r", "--requirement", "-c", "--constraint":
		nested, err := within(file, value)
		if err != nil {
			return err
		}
		return r.read(nested, name == "-c" || name == "--constraint")
	case "--pre", "--require-hashes", "--prefer-binary":
		if value != "" {
			return refusal("this option has no value")
		}
		r.list.Pre = r.list.Pre || name == "--pre"
		r.list.Hashes = r.list.Hashes || name == "--require-hashes"
		return nil // only wheels are accepted anyway
	case "--only-binary":
		if value == ":all:" || onlyNames.MatchString(value) {
			return nil // as for all
		}
		return refusal("packages are accepted as wheels only")
	case "-e", "--editable":
		return refusal("would be built, which runs its code on this machine; put its files next to the function's code, and remove the line")
	case "-i", "--index-url", "--pypi-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--trusted-host":
		return refusal("where packages come from is configured on this machine, not in the folder: set PIP_INDEX_URL and UV_DEFAULT_INDEX, or the " +
			"configuration of pip or uv, and remove the line")
	case "--no-binary":
		return refusal("would build packages, which runs their code on this machine; remove the line")
	}
	return refusal("is an option that a folder can't set; remove the line")
}

// splitOption splits an option from its value.
func splitOption(text string) (name, value string) {
	end := strings.IndexAny(text, " \t=")
	if !strings.HasPrefix(text, "--") && len(text) > 2 && end != 2 {
		return text[:2], strings.TrimSpace(text[2:]) // -rmore.txt
	}
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimSpace(text[end+1:])
}

// within returns the path, inside the folder, of a file that another one
// includes.
func within(file, name string) (string, error) {
	joined := path.Join(path.Dir(file), name)
	switch {
	case strings.Contains(name, "://"):
		return "", refusal("files from elsewhere can't be included; put it into the folder")
	case name == "" || strings.ContainsAny(name, "\"'\\ \t"):
		return "", refusal("name a file in the folder, without spaces, quotes and backslashes")
	case path.IsAbs(name) || !fs.ValidPath(joined) || joined == ".":
		return "", refusal("files outside of the folder can't be included; put it into the folder")
	}
	return joined, nil
}
