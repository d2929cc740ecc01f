package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// plain is where everything goes that the program prints: much of it others have
// written, in names of files, answers of servers, logs and errors. It lets none
// of it steer the user's terminal. Texts come in one piece each.
type plain struct{ w io.Writer }

// Write implements io.Writer.
func (p plain) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, harmless(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// exact returns what is behind a plain w, for who writes bytes that are nobody's
// to change, or signs of the program's own that steer the terminal.
func exact(w io.Writer) io.Writer {
	if p, ok := w.(plain); ok {
		return p.w
	}
	return w
}

// isTerminal says if w is one, or at least a device and no file or pipe.
func isTerminal(w io.Writer) bool {
	f, ok := exact(w).(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// steers says if a terminal takes r for an order: escape sequences can retitle
// it, hide lines, and in some make it type; others turn the direction of text
// around, so that it reads as what it is not.
func steers(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// harmless puts a replacement in the place of what steers a terminal, and of
// bytes that are no text.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// harmlessJSON escapes in a JSON document what steers a terminal, which leaves it
// the same document.
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

// indented shows of each line after the first that it goes on, so that a text of
// others does not pass for messages of the program's own.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// printAnswer prints what a function has answered: to the last byte, unless it is
// a terminal that reads it.
func (s *session) printAnswer(answer []byte) error {
	w := exact(s.stdout)
	if isTerminal(w) {
		w = s.stdout
		if !bytes.HasSuffix(answer, []byte("\n")) {
			answer = append(bytes.Clone(answer), '\n')
		}
	}
	if _, err := w.Write(answer); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}
