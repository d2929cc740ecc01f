package web

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"vivarium/host/fault"
	"vivarium/host/logs"
)

// playAnswer is the outcome of a snippet.
type playAnswer struct {
	RequestID    string      `json:"requestId"`
	Outcome      string      `json:"outcome"` // playOK, playError or playTimeout
	Status       int         `json:"status"`
	Headers      http.Header `json:"headers"`
	Body         string      `json:"body"`
	BodyEncoding string      `json:"bodyEncoding"` // utf8 or base64
	Truncated    bool        `json:"truncated"`    // the body or the headers are incomplete
	Error        *playFault  `json:"error,omitempty"`
	Log          []playEntry `json:"log"`
	LogTruncated bool        `json:"logTruncated,omitempty"`
	Figures      playFigures `json:"figures"`
	Profile      []playLine  `json:"profile,omitempty"`
}

// playLine is a line of Python that was executed, with the time of all that it called; it
// comes before that.
type playLine struct {
	Depth     int          `json:"depth"`
	Function  string       `json:"function"`
	File      string       `json:"file"`
	Line      int          `json:"line"`
	Computing milliseconds `json:"computingMS"`
	Waiting   milliseconds `json:"waitingMS"`
}

// Values of playAnswer.Outcome.
const (
	playOK      = "ok"
	playError   = "error"
	playTimeout = "timeout"
)

// playFault describes how a snippet failed.
type playFault struct {
	Type       string   `json:"errorType"`
	Message    string   `json:"errorMessage"`
	StackTrace []string `json:"stackTrace"`
	// File and Line are those of the innermost frame in the caller's own code;
	// omitted if there is none.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Hint is what can be done about it; omitted if that is not known.
	Hint string `json:"hint,omitempty"`
}

// noPackages is the hint for a snippet that lacks a module.
const noPackages = "The playground installs no packages: its Python has the standard library, and requests. " +
	"With the files in a folder, vivarium run FOLDER installs what its requirements.txt names."

// playFigures is what a snippet used.
type playFigures struct {
	Duration    milliseconds `json:"durationMS"`
	Queue       milliseconds `json:"queueMS"` // waiting for a place
	Start       milliseconds `json:"startMS"` // starting the instance
	Init        milliseconds `json:"initMS"`  // importing
	Handler     milliseconds `json:"handlerMS"`
	CPU         milliseconds `json:"cpuMS"`
	PeakMemory  int64        `json:"peakMemory"`  // bytes
	MemoryLimit int64        `json:"memoryLimit"` // bytes
	Cold        bool         `json:"cold"`
}

// milliseconds is a duration, as JSON a number with three decimals.
type milliseconds time.Duration

// MarshalJSON implements json.Marshaler.
func (m milliseconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/float64(time.Millisecond), 'f', 3, 64), nil
}

// try runs a snippet and returns its outcome, without the log.
//
// # Errors
//
// Those for which the platform or the caller is to blame; never the snippet.
func (p *Play) try(ctx context.Context, t *playTry) (*playAnswer, error) {
	t.inv.Received = time.Now()
	result, err := p.tries.Try(ctx, t.spec, t.code, t.inv, t.log.add)
	answer := &playAnswer{RequestID: t.call.requestID, Outcome: playOK, Headers: http.Header{}, Log: []playEntry{}}
	if err != nil {
		if e, ok := errors.AsType[*fault.FunctionError](err); ok {
			err = cmp.Or(checkSize(e.Body(), DefaultMaxBytes), err)
		}
		f := refusalOf(err, t.call.requestID)
		if f.function == nil {
			return nil, err
		}
		t.answer = f.response()
		answer.Outcome, answer.Error = playError, newPlayFault(err, t.files)
		if f.status == http.StatusGatewayTimeout {
			answer.Outcome = playTimeout
		}
	}
	answer.fill(t.answer, t.method)
	t.answer = nil // it may have much more than is sent
	g := result.Figures
	answer.Figures = playFigures{
		Duration: milliseconds(g.Duration), Queue: milliseconds(g.Queuing), Start: milliseconds(g.Making),
		Init: milliseconds(g.Init - g.Making), Handler: milliseconds(g.Handler), CPU: milliseconds(g.CPU),
		PeakMemory: g.PeakMemory, MemoryLimit: int64(result.Version.MemoryMB) << 20, Cold: g.Cold,
	}
	if t.profile != nil {
		for _, l := range t.profile.Tree() {
			answer.Profile = append(answer.Profile, playLine{
				l.Depth, l.Function, l.File, l.Line, milliseconds(l.Computing), milliseconds(l.Waiting),
			})
		}
	}
	return answer, nil
}

// maxEscaped is how many bytes one of a text can become in JSON.
const maxEscaped = 6

// encode returns an answer as JSON, for which there has to be memory until the call ends.
func (t *playTry) encode(ctx context.Context, answer *playAnswer) ([]byte, error) {
	most := answer.most() + len(answer.Body)
	if err := t.held.reserve(ctx, most); err != nil {
		return nil, playFull(err)
	}
	text := encodeJSON(answer)
	t.held.give(most - cap(text) - len(answer.Body))
	return text, nil
}

// most returns how many bytes an answer has at most as JSON.
func (a *playAnswer) most() int {
	const member = 256 // bytes of anything's names and numbers
	texts, members := len(a.Body)+maxPlayHeader, 8+len(a.Headers)
	if a.Error != nil {
		texts += maxPlayError
		members += len(a.Error.StackTrace)
	}
	for _, e := range a.Log {
		texts += len(e.Message) + len(e.Payload)
	}
	for _, l := range a.Profile {
		texts += len(l.Function) + len(l.File)
	}
	return maxEscaped*texts + member*(members+len(a.Log)+len(a.Profile))
}

// fill adopts the response that the server would send.
func (a *playAnswer) fill(r *response, method string) {
	a.Status = r.status
	header := http.Header{}
	r.addTo(header)
	size := 0
	for name, values := range header {
		for _, value := range values {
			size += len(name) + len(value)
		}
		if size > maxPlayHeader {
			a.Truncated = true
			break
		}
		a.Headers[name] = values
	}
	body := r.body
	if bodyless(r.status) || method == http.MethodHead {
		body = nil
	}
	text := utf8.Valid(body)
	if len(body) > maxPlayBody {
		a.Truncated = true
		body = body[:maxPlayBody]
		for text && !utf8.Valid(body) { // cut within a character
			body = body[:len(body)-1]
		}
	}
	if a.Body, a.BodyEncoding = string(body), "utf8"; !text {
		a.Body, a.BodyEncoding = base64.StdEncoding.EncodeToString(body), "base64"
	}
}

// newPlayFault describes a fault of the snippet.
func newPlayFault(err error, files map[string]string) *playFault {
	f := &playFault{StackTrace: []string{}}
	if e, ok := errors.AsType[*fault.FunctionError](err); ok {
		f.Type, f.Message = e.Type, e.Message
		f.File, f.Line = userFrame(e.StackTrace, files)
		f.StackTrace = append(f.StackTrace, e.StackTrace...)
		if e.Type == "ModuleNotFoundError" {
			f.Hint = noPackages
		}
	} else {
		f.Type, f.Message = proxyIntegrationError, err.Error()
	}
	left := maxPlayError // an error forged by the snippet can be megabytes
	f.Type, left = cut(f.Type, left)
	f.Message, left = cut(f.Message, left)
	for i := range f.StackTrace {
		if f.StackTrace[i], left = cut(f.StackTrace[i], left-16); left <= 0 {
			f.StackTrace = f.StackTrace[:i]
			break
		}
	}
	return f
}

// cut returns at most limit bytes of a text, and what remains of the limit.
func cut(text string, limit int) (string, int) {
	text = text[:min(len(text), max(limit, 0))]
	return strings.ToValidUTF8(text, ""), limit - len(text)
}

// codeFolder is where stack traces have a function's files.
const codeFolder = "/function/code/"

// userFrame returns the file and line of the innermost frame in one of the
// files, or nothing. The texts can't be trusted: the code that failed may have
// forged them.
func userFrame(stackTrace []string, files map[string]string) (file string, line int) {
	for i := len(stackTrace) - 1; i >= 0; i-- {
		rest, ok := strings.CutPrefix(strings.TrimLeft(stackTrace[i], " "), `File "`+codeFolder)
		if !ok {
			continue
		}
		for name, source := range files { // a name may contain a quote
			digits, ok := strings.CutPrefix(rest, name+`", line `)
			if !ok {
				continue
			}
			if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
				digits = digits[:end]
			}
			// Anything after the digits shows up in the next check.
			n, err := strconv.Atoi(digits)
			if err == nil && n >= 1 && n <= strings.Count(source, "\n")+2 {
				return name, n
			}
		}
	}
	return "", 0
}

// playEntry is an entry of a snippet's log.
type playEntry struct {
	Time    time.Time       `json:"time"`
	Level   string          `json:"level"`
	Message string          `json:"message"`
	System  bool            `json:"system"`            // written by the platform
	Payload json.RawMessage `json:"payload,omitempty"` // the other members of a structured entry
}

// playLog buffers the entries of a snippet's log, within a limit. Safe for
// concurrent use.
type playLog struct {
	changed chan struct{} // of capacity 1: there are entries

	mu        sync.Mutex // guards all below
	entries   []playEntry
	left      int // bytes left
	truncated bool
}

func newPlayLog() *playLog { return &playLog{changed: make(chan struct{}, 1), left: maxPlayLog} }

// add adds an entry. The platform's own entries are few and always fit.
func (l *playLog) add(e logs.Entry) {
	entry := playEntry{Time: e.Time.UTC(), Level: string(e.Level), Message: e.Message, System: e.System}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !e.System {
		entry.Payload = e.Payload
		const overhead = 128
		if l.left -= len(e.Message) + len(e.Payload) + overhead; l.left < 0 {
			l.left, l.truncated = 0, true
			return
		}
	}
	l.entries = append(l.entries, entry)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// drain returns the entries since the last call, and whether some did not fit.
func (l *playLog) drain() (entries []playEntry, truncated bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries, l.entries = l.entries, nil
	if entries == nil {
		entries = []playEntry{}
	}
	return entries, l.truncated
}
