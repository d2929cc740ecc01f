package web

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

const (
	// streamPatience is how long a stream waits for its first output. Whatever
	// fails earlier gets a status of its own.
	streamPatience = 100 * time.Millisecond
	// streamBeat is the interval of keep-alives, so that no intermediary takes
	// the stream for dead.
	streamBeat = 5 * time.Second
)

// stream runs a snippet and responds with events: log entries as they are
// written, then the result or the platform's error. The snippet ends when the
// reader leaves.
func (p *Play) stream(w http.ResponseWriter, r *http.Request, t *playTry) error {
	ctx, cancel := context.WithCancel(r.Context())
	var answer *playAnswer
	var err error
	ended := make(chan struct{})
	// On a goroutine of its own, so that a slow reader does not hold up the
	// guest during its turn.
	go func() {
		defer close(ended)
		defer func() { // like the Server's guard on the request's own goroutine
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		answer, err = p.try(ctx, t)
	}()
	defer func() { cancel(); <-ended }()

	s := &eventStream{w: w, connection: http.NewResponseController(w), patience: p.patience}
	patience := time.NewTimer(streamPatience)
	defer patience.Stop()
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	dropped := false // entries, for lack of memory
	for done := false; !done; {
		ping := false
		select {
		case <-t.log.changed:
		case <-patience.C:
			ping = true
		case <-beat.C:
			ping = true
		case <-ended:
			done = true
		}
		if done && err != nil && !s.begun {
			return err
		}
		s.begin()
		if ping {
			s.comment("ping")
		}
		entries, truncated := t.log.drain()
		for _, e := range entries {
			dropped = !s.entry(ctx, t.held, e) || dropped
		}
		var text []byte
		if done && err == nil {
			answer.LogTruncated = truncated || dropped
			text, err = t.encode(ctx, answer)
		}
		if done && err == nil {
			s.event("result", text)
		} else if done {
			f := p.refusalOf(r, t.call, err)
			s.event("fault", f.body())
		}
		if s.flush() != nil {
			return nil // the reader has left
		}
	}
	return nil
}

// eventStream writes events in the text/event-stream format.
type eventStream struct {
	w          http.ResponseWriter
	connection *http.ResponseController
	patience   time.Duration // with a reader of what is written between begin and flush
	begun      bool
	err        error // of the first failed write
}

// begin sets the time in which what is written next has to be read. Each event could
// otherwise take as long as all of them.
func (s *eventStream) begin() {
	_ = s.connection.SetWriteDeadline(time.Now().Add(s.patience)) // recorders don't support it
}

// event writes an event. The data must be JSON text, which has no line breaks.
func (s *eventStream) event(name string, data []byte) {
	s.write([]byte("event: " + name + "\ndata: "))
	s.write(data)
	s.write([]byte("\n\n"))
}

// smallEntry is the size up to which nothing more is counted for an entry that is sent, in
// bytes.
const smallEntry = 16 << 10

// entry writes an entry of the log, if there is memory for it.
func (s *eventStream) entry(ctx context.Context, held *held, e playEntry) bool {
	if size := len(e.Message) + len(e.Payload); size > smallEntry {
		if held.reserve(ctx, maxEscaped*size) != nil {
			return false
		}
		defer held.give(maxEscaped * size)
	}
	s.event("log", encodeJSON(e))
	return true
}

// comment writes a comment, which readers ignore.
func (s *eventStream) comment(text string) { s.write([]byte(": " + text + "\n\n")) }

func (s *eventStream) write(text []byte) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.Header().Set("X-Accel-Buffering", "no") // keeps nginx from buffering events
		s.w.WriteHeader(http.StatusOK)
		s.begin() // the headers set another one
	}
	if s.err == nil {
		_, s.err = s.w.Write(text)
	}
}

// flush sends what was written, and returns the first error.
func (s *eventStream) flush() error {
	if s.err == nil && s.begun {
		s.err = s.connection.Flush()
	}
	return s.err
}
