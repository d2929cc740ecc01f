package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"vivarium/host/fault"
	"vivarium/host/logs"
	"vivarium/host/throttle"
)

// terminal prints functions' logs and failures. Safe for concurrent use.
type terminal struct {
	mu     sync.Mutex // guards w, held while a message is written
	w      io.Writer  // exact
	colour bool
	// debugging means that functions have a debugger. It is set before the first call.
	debugging bool
	// prefix returns what to print before each line of an entry; nil means
	// nothing.
	prefix func(functionID string) string
	// limit bounds the bytes that each function prints; nil means no bound.
	limit *throttle.Throttle
}

func newTerminal(w io.Writer) *terminal {
	return &terminal{w: exact(w), colour: isTerminal(w) && os.Getenv("NO_COLOR") == ""}
}

// ANSI escape sequences.
const (
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// styles are those of the levels; the others have none.
var styles = map[logs.Level]string{
	logs.LevelTrace: dim, logs.LevelDebug: dim, logs.LevelWarn: yellow, logs.LevelError: red, logs.LevelFatal: red,
}

// entry prints a log entry. It is a host.Config.Logs.
func (t *terminal) entry(e logs.Entry) {
	text, style := e.Message, ""
	switch {
	case e.System && e.Level == logs.LevelInfo:
		style = dim
	case e.System:
		style = red
	default:
		style = styles[e.Level]
		if e.Level != logs.LevelUnspecified && logs.LevelOf(e.Message) == "" {
			text = string(e.Level) + " " + text
		}
		if len(e.Payload) > 0 {
			text += " " + string(e.Payload)
		}
	}
	t.print(e.FunctionID, text, style)
}

// failure prints an error of a function that only the platform has noticed,
// such as a timeout. Errors with a traceback are already in the function's log.
func (t *terminal) failure(functionID string, e *fault.FunctionError) {
	if len(e.StackTrace) == 0 {
		t.print(functionID, e.Error(), red)
	}
	t.note(t.hint(e))
}

// Write implements io.Writer: it prints text as it is, but for what steers a terminal.
func (t *terminal) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return plain{t.w}.Write(text)
}

// say prints a message of the program.
func (t *terminal) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(plain{t.w}, "vivarium:", indented(fmt.Sprintf(format, args...)))
}

// note is say for messages, of which empty ones are omitted.
func (t *terminal) note(texts ...string) {
	for _, text := range texts {
		if text != "" {
			t.say("%s", text)
		}
	}
}

func (t *terminal) print(functionID, text, style string) {
	dropped := 0
	if t.limit != nil {
		var ok bool
		if ok, dropped = t.limit.Allow(functionID, len(text)+1); !ok {
			return
		}
	}
	prefix := ""
	if t.prefix != nil {
		prefix = t.prefix(functionID)
	}
	if !t.colour {
		style = ""
	}
	var b strings.Builder
	if dropped > 0 {
		fmt.Fprintf(&b, "%s%d log entries not shown here: there were too many\n", prefix, dropped)
	}
	for line := range strings.Lines(harmless(text)) {
		b.WriteString(prefix + style + strings.TrimSuffix(line, "\n"))
		if style != "" {
			b.WriteString(reset)
		}
		b.WriteByte('\n')
	}
	if text == "" {
		b.WriteString(prefix + "\n")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.w, b.String()) // whoever closes stderr wants no logs
}
