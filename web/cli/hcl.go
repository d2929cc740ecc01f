package cli

import (
	"fmt"
	"strings"
	"unicode"
)

// hclWriter writes HCL, laid out as `terraform fmt` does it.
type hclWriter struct {
	text    strings.Builder
	depth   int
	pending [][2]string // arguments that are aligned with each other
}

// comment writes a text as comments.
func (w *hclWriter) comment(format string, args ...any) {
	w.flush()
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		w.line(strings.TrimRight("# "+harmless(line), " "))
	}
}

// block writes a block, of which inside writes the body.
func (w *hclWriter) block(head string, inside func()) {
	w.flush()
	if w.depth == 0 && w.text.Len() > 0 {
		w.text.WriteByte('\n')
	}
	w.line(head + " {")
	w.depth++
	inside()
	w.flush()
	w.depth--
	w.line("}")
}

// set writes an argument with an expression.
func (w *hclWriter) set(name, expression string) {
	w.pending = append(w.pending, [2]string{name, expression})
}

// setText writes an argument with a text, unless that is empty.
func (w *hclWriter) setText(name, text string) {
	if text != "" {
		w.set(name, hclQuote(text))
	}
}

// setMap writes an argument with pairs of names and expressions.
func (w *hclWriter) setMap(name string, pairs [][2]string) {
	if len(pairs) == 0 {
		return
	}
	w.flush()
	w.line(name + " = {")
	w.depth++
	w.pending = pairs
	w.flush()
	w.depth--
	w.line("}")
}

func (w *hclWriter) flush() {
	width := 0
	for _, p := range w.pending {
		width = max(width, len(p[0]))
	}
	for _, p := range w.pending {
		w.line(fmt.Sprintf("%-*s = %s", width, p[0], p[1]))
	}
	w.pending = nil
}

func (w *hclWriter) line(text string) {
	w.text.WriteString(strings.Repeat("  ", w.depth) + text + "\n")
}

// hclQuote returns a text as HCL has it between quotes, where ${ and %{ begin a
// template.
func hclQuote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	runes := []rune(text)
	for i, r := range runes {
		opens := i+1 < len(runes) && runes[i+1] == '{'
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case (r == '$' || r == '%') && opens:
			b.WriteRune(r)
			b.WriteRune(r)
		case steers(r) || !unicode.IsPrint(r) && r != ' ':
			if r > 0xffff {
				fmt.Fprintf(&b, `\U%08x`, r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// hclQuotes returns a list of texts.
func hclQuotes(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = hclQuote(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
