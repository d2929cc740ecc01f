package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// plain filters everything that the program prints: much of it was written by
// others, in file names, responses, logs and errors. It keeps that from
// controlling the user's terminal. Each text must come in one Write.
type plain struct{ w io.Writer }

// Write implements io.Writer.
func (p plain) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, harmless(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// exact returns the writer behind a plain w, for bytes that must not be
// changed, or the program's own terminal control sequences.
func exact(w io.Writer) io.Writer {
	if p, ok := w.(plain); ok {
		return p.w
	}
	return w
}

// isTerminal reports whether w is a terminal, or at least a device rather than
// a file or pipe.
func isTerminal(w io.Writer) bool {
	f, ok := exact(w).(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// interactive reports whether somebody at a terminal can be asked.
func (s *session) interactive() bool {
	f, ok := s.stdin.(*os.File)
	return ok && isTerminal(f) && isTerminal(s.stderr)
}

// steers reports whether a terminal takes r for a command: escape sequences can
// retitle it, hide lines, and in some make it type; others change the direction
// of text, so that it reads as what it is not.
func steers(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// harmless replaces what steers a terminal, and invalid UTF-8.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// harmlessJSON escapes what steers a terminal in a JSON document, which keeps
// its meaning.
func harmlessJSON(document []byte) []byte {
	if bytes.IndexFunc(document, steers) < 0 {
		return document
	}
	var b bytes.Buffer
	for _, r := range string(document) {
		if steers(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}

// indented indents every line but the first, so that a text of others does not
// pass for messages of the program.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// printAnswer prints a function's response: unchanged, unless it goes to a
// terminal.
func (s *session) printAnswer(answer []byte) error {
	w := exact(s.stdout)
	if isTerminal(w) {
		w = s.stdout
		if !bytes.HasSuffix(answer, []byte("\n")) {
			answer = append(bytes.Clone(answer), '\n')
		}
	}
	if _, err := w.Write(answer); err != nil {
		return fmt.Errorf("print the response: %w", err)
	}
	return nil
}
