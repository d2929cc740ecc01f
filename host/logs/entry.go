package logs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"vivarium/host/paced"
)

// Level is the level of a log entry (contract §8).
type Level string

// Levels of entries. Lines that a function merely prints have LevelUnspecified; what
// its logging writes has the record's.
const (
	LevelUnspecified Level = "UNSPECIFIED"
	LevelTrace       Level = "TRACE"
	LevelDebug       Level = "DEBUG"
	LevelInfo        Level = "INFO"
	LevelWarn        Level = "WARN"
	LevelError       Level = "ERROR"
	LevelFatal       Level = "FATAL"
)

// Levels are the levels with an order, lowest first.
var Levels = []Level{LevelTrace, LevelDebug, LevelInfo, LevelWarn, LevelError, LevelFatal}

// Entry is one entry of a function's execution log.
type Entry struct {
	Time       time.Time       `json:"timestamp"`
	RequestID  string          `json:"request_id,omitempty"`
	FunctionID string          `json:"function_id"`
	VersionID  string          `json:"version_id"`
	Level      Level           `json:"level"`
	System     bool            `json:"system,omitempty"` // the platform's own; functions can't write these
	StreamName string          `json:"stream_name,omitempty"`
	Message    string          `json:"message"`
	Payload    json.RawMessage `json:"json_payload,omitempty"`
}

const (
	maxLine    = 64 << 10 // bytes; longer lines are split into several entries
	maxCall    = 16 << 20 // bytes that one call may log
	entryBytes = 128      // counted per entry besides its text: empty ones are not free
)

// Source is what a call's entries have in common.
type Source struct {
	FunctionID string
	VersionID  string
	RequestID  string
	Plain      bool  // lines that are JSON objects are not treated as structured entries
	MinLevel   Level // lower levels are dropped; empty keeps all
}

// Call turns the output of one call into entries. It is used by one goroutine
// at a time.
type Call struct {
	emit    func(Entry) // called by put
	base    Entry
	plain   bool // JSON objects are not structured entries
	least   int  // index in levels of the lowest kept; -1 keeps all
	stdout  lineWriter
	stderr  lineWriter
	written int
	cut     bool
}

// NewCall returns the log of a call. It passes entries to emit.
func NewCall(s Source, emit func(Entry)) *Call {
	l := &Call{
		emit:  emit,
		base:  Entry{RequestID: s.RequestID, FunctionID: s.FunctionID, VersionID: s.VersionID, Level: LevelUnspecified},
		plain: s.Plain,
		least: slices.Index(Levels, s.MinLevel),
	}
	l.stdout.log, l.stderr.log = l, l
	return l
}

// Stdout returns the writer that turns written lines into entries; stderr has
// its own. A Write accepts a few lines and returns io.ErrShortWrite if there
// are more: the guest yields in between. Both are wasm.WorkingWriters, since a
// single line can take long.
func (l *Call) Stdout() io.Writer { return &l.stdout }

// Stderr is like Stdout, for the other stream.
func (l *Call) Stderr() io.Writer { return &l.stderr }

// WriteAll writes output of any size.
func (l *Call) WriteAll(stdout, stderr []byte, work paced.Work) {
	l.stdout.writeAll(stdout, work)
	l.stderr.writeAll(stderr, work)
	l.flush(work)
}

// System adds one of the platform's own entries.
func (l *Call) System(level Level, message string) {
	e := l.base
	e.Time, e.Level, e.Message, e.System = time.Now(), level, message, true
	e.Payload, _ = json.Marshal(struct {
		RequestID string `json:"request_id"`
		VersionID string `json:"version_id"`
	}{e.RequestID, e.VersionID}) // two strings always marshal
	l.put(e)
}

// put emits an entry unless its level is too low. Entries without a level are
// always emitted.
func (l *Call) put(e Entry) {
	if level := slices.Index(Levels, e.Level); level < 0 || level >= l.least {
		l.emit(e)
	}
}

// Flush turns lines without a newline into entries.
func (l *Call) Flush() { l.flush(atOnce) }

func (l *Call) flush(work paced.Work) {
	l.stdout.flush(work)
	l.stderr.flush(work)
}

// atOnce is the Work of what nobody waits for.
func atOnce(int) {}

// line emits an entry for a line, given without its newline.
func (l *Call) line(b []byte, work paced.Work) {
	if l.written += len(b) + entryBytes; l.written > maxCall {
		if !l.cut {
			l.cut = true
			l.System(LevelWarn, "The log of this call is cut off here: it exceeds 16 MiB")
		}
		return
	}
	e := l.base
	e.Time = time.Now()
	if l.plain || !e.structured(b, work) {
		e.Message = text(b)
		if level := LevelOf(e.Message); level != "" {
			e.Level = level
		}
	}
	work(len(b) * paced.PerJSONByte)
	l.put(e)
}

// logged matches what the runtime's handler of Python's root logger puts before a
// message (contract §8).
var logged = regexp.MustCompile(`^\[([A-Z]+)\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t`)

// pythonLevels are the levels that Python's logging calls otherwise.
var pythonLevels = map[string]Level{"WARNING": LevelWarn, "CRITICAL": LevelFatal}

// LevelOf returns the level that a message begins with, if Python's logging wrote
// it; empty otherwise.
func LevelOf(message string) Level {
	if len(message) == 0 || message[0] != '[' { // nearly all others
		return ""
	}
	m := logged.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	level := cmp.Or(pythonLevels[m[1]], Level(m[1]))
	if !slices.Contains(Levels, level) {
		return "" // of the function's own
	}
	return level
}

// text returns a line as valid UTF-8. A carriage return is a line break within
// the entry.
func text(b []byte) string {
	return breakLines(strings.TrimSuffix(strings.ToValidUTF8(string(b), string(utf8.RuneError)), "\r"))
}

// breakLines turns carriage returns into line breaks (contract §8).
func breakLines(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// lineWriter splits one stream into lines.
type lineWriter struct {
	log     *Call
	partial []byte
	cut     bool // the last entry ended at maxLine, not at a newline
}

// Write implements io.Writer. It accepts a few lines and returns
// io.ErrShortWrite if there are more: the guest yields in between.
func (w *lineWriter) Write(p []byte) (int, error) { return w.WriteWork(p, atOnce) }

// WriteWork implements wasm.WorkingWriter.
func (w *lineWriter) WriteWork(p []byte, work paced.Work) (int, error) {
	rest := p
	for done := 0; len(rest) > 0 && !w.log.cut; { // skip gigabytes that would be dropped
		if done >= paced.Piece {
			return len(p) - len(rest), io.ErrShortWrite
		}
		n := w.consume(rest, work)
		rest = rest[n:]
		done += n*paced.PerJSONByte + paced.PerEntry
	}
	return len(p), nil
}

// writeAll writes output of any size.
func (w *lineWriter) writeAll(p []byte, work paced.Work) {
	for len(p) > 0 {
		n, _ := w.WriteWork(p, work) // its only error means that there is more
		p = p[n:]
		work(paced.Piece)
	}
}

// consume uses the bytes up to the end of a line, or of an entry if that comes
// first, and returns how many.
func (w *lineWriter) consume(p []byte, work paced.Work) (n int) {
	i := bytes.IndexByte(p[:min(len(p), maxLine+1)], '\n')
	if w.cut && i == 0 && len(w.partial) == 0 { // ends the line that was split
		w.cut = false
		return 1
	}
	w.cut = false
	if i >= 0 && len(w.partial) == 0 {
		w.log.line(p[:i], work)
		return i + 1
	}
	end := i
	if i < 0 {
		end = len(p)
	}
	n = min(end, maxLine-len(w.partial))
	w.partial = append(w.partial, p[:n]...)
	if n == i {
		w.flushLine(work)
		return n + 1
	}
	if len(w.partial) == maxLine {
		w.cutLine(work)
	}
	return n
}

// cutLine emits the beginning of a line, and leaves an incomplete character to
// the next entry.
func (w *lineWriter) cutLine(work paced.Work) {
	end := len(w.partial)
	for n := 1; n < utf8.UTFMax; n++ {
		if last := w.partial[end-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				end -= n
			}
			break
		}
	}
	w.log.line(w.partial[:end], work)
	w.partial = append(w.partial[:0], w.partial[end:]...)
	w.cut = true
}

func (w *lineWriter) flush(work paced.Work) {
	w.cut = false
	if len(w.partial) > 0 {
		w.flushLine(work)
	}
}

func (w *lineWriter) flushLine(work paced.Work) {
	w.log.line(w.partial, work)
	w.partial = w.partial[:0]
	// Most lines are short; a long one must not cost its size until the call ends.
	if cap(w.partial) > 4<<10 {
		w.partial = nil
	}
}
