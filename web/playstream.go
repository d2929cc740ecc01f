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

	s := &eventStream{w: w, connection: http.NewResponseController(w)}
	patience := time.NewTimer(streamPatience)
	defer patience.Stop()
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for done := false; !done; {
		select {
		case <-t.log.changed:
		case <-patience.C:
			s.comment("ping")
		case <-beat.C:
			s.comment("ping")
		case <-ended:
			done = true
		}
		if done && err != nil && !s.begun {
			return err
		}
		entries, truncated := t.log.drain()
		for _, e := range entries {
			s.event("log", encodeJSON(e))
		}
		if done && err == nil {
			answer.LogTruncated = truncated
			s.event("result", encodeJSON(answer))
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
	begun      bool
	err        error // of the first failed write
}

// event writes an event. The data must be JSON text, which has no line breaks.
func (s *eventStream) event(name string, data []byte) {
	s.write("event: " + name + "\ndata: " + string(data) + "\n\n")
}

// comment writes a comment, which readers ignore.
func (s *eventStream) comment(text string) { s.write(": " + text + "\n\n") }

func (s *eventStream) write(text string) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.Header().Set("X-Accel-Buffering", "no") // keeps nginx from buffering events
		s.w.WriteHeader(http.StatusOK)
	}
	if s.err == nil {
		_ = s.connection.SetWriteDeadline(time.Now().Add(playTransferTimeout)) // recorders don't support it
		_, s.err = s.w.Write([]byte(text))
	}
}

// flush sends what was written, and returns the first error.
func (s *eventStream) flush() error {
	if s.err == nil && s.begun {
		_ = s.connection.SetWriteDeadline(time.Now().Add(playTransferTimeout))
		s.err = s.connection.Flush()
	}
	return s.err
}
