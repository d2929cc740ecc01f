package history

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind says what made a call.
type Kind string

// The kinds of calls.
const (
	HTTP  Kind = "HTTP"
	Raw   Kind = "RAW"   // over HTTP, with integration=raw
	Async Kind = "ASYNC" // queued, each attempt a call
	Timer Kind = "TIMER"
)

// Call is what is kept of one call.
type Call struct {
	ID        string    `json:"id"`
	VersionID string    `json:"version"`
	RequestID string    `json:"request"`
	Kind      Kind      `json:"kind"`
	ReplayOf  string    `json:"replay_of,omitempty"` // the id of the call whose event this one had
	Received  time.Time `json:"received"`
	Status    int       `json:"status"`          // that of the HTTP response, or what it would have been
	Error     string    `json:"error,omitempty"` // its type; empty when the call went well
	Figures   Figures   `json:"figures"`

	Connections []Connection `json:"connections,omitempty"` // that were used, each target once
	Refused     []string     `json:"refused,omitempty"`     // why others were not made

	Event  Text `json:"event"`
	Answer Text `json:"answer"`
}

// Figures are what a call took.
type Figures struct {
	Duration   time.Duration `json:"duration"` // all of it
	Queuing    time.Duration `json:"queuing"`  // waiting for an instance
	Making     time.Duration `json:"making"`   // making an instance
	Loading    time.Duration `json:"loading"`  // importing the module
	Handler    time.Duration `json:"handler"`
	CPU        time.Duration `json:"cpu"`    // computing
	PeakMemory int64         `json:"memory"` // bytes
	Cold       bool          `json:"cold,omitempty"`
}

// Connection is what a call had to do with a target.
type Connection struct {
	Target string `json:"target"`         // as in "tcp 192.0.2.1:443"
	Name   string `json:"name,omitempty"` // under which the function found it
	Bytes  int64  `json:"bytes"`          // sent and received
}

// Text is an event or an answer.
type Text struct {
	Text     string   `json:"text"`
	Base64   bool     `json:"base64,omitempty"`   // the text is base64: what was there is no text
	Bytes    int      `json:"bytes"`              // as many as there were
	Cut      bool     `json:"cut,omitempty"`      // it is not the whole
	Redacted []string `json:"redacted,omitempty"` // names of headers and fields whose values were taken out
}

// fill sets the text from what is kept.
func (t *Text) fill(b []byte) {
	if t.Cut { // perhaps within a character
		for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
			if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
				if !utf8.FullRune(last) {
					b = b[:len(b)-n]
				}
				break
			}
		}
	}
	if t.Base64 = !isText(b); t.Base64 {
		t.Text = base64.StdEncoding.EncodeToString(b)
		return
	}
	t.Text = string(b)
}

// Content returns the bytes that the text stands for.
func (t *Text) Content() []byte {
	if t.Base64 {
		b, _ := base64.StdEncoding.DecodeString(t.Text) // fill has encoded it
		return b
	}
	return []byte(t.Text)
}

// isText reports whether bytes are text. Most control characters are six bytes in JSON,
// and nobody can read them.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

// An id is that of the function, the time at which the call ended, in microseconds and
// hexadecimal, and something random. So it tells where the call is, and ids of one function
// are in the order of its calls.
const (
	idTime   = 13
	idRandom = 6
)

func newID(functionID string, ended time.Time) string {
	random := make([]byte, idRandom/2)
	_, _ = rand.Read(random) // it never fails
	return fmt.Sprintf("%s.%0*x%s", functionID, idTime, max(ended.UnixMicro(), 0), hex.EncodeToString(random))
}

// ParseID returns the function of a call's id, and when the call ended.
func ParseID(id string) (functionID string, ended time.Time, ok bool) {
	functionID, rest, found := strings.Cut(id, ".")
	if !found || len(rest) != idTime+idRandom || functionID == "" {
		return "", time.Time{}, false
	}
	us, err := strconv.ParseInt(rest[:idTime], 16, 64)
	return functionID, time.UnixMicro(us), err == nil
}
