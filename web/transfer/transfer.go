// Package transfer reads request bodies within limits of size, time and pace.
package transfer

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Why a body could not be read. Each is the caller's fault.
var (
	ErrTooLarge = errors.New("transfer: the body is too large")
	ErrSlow     = errors.New("transfer: the body took too long")
	ErrCut      = errors.New("transfer: the body is shorter than declared")
	ErrBroken   = errors.New("transfer: the body can't be read")
)

// A body must arrive at this pace, after some initial patience: a caller who
// sends a byte now and then occupies memory, or a place that others wait for.
const (
	patience = 10 * time.Second
	pace     = 32 << 10 // bytes per second
)

// Limits bound a body.
type Limits struct {
	Bytes int64         // largest size
	Time  time.Duration // from the first byte to the last
	// Hold, if set, is told of memory for the body, in bytes, before it is
	// allocated. Its error ends the reading.
	Hold func(n int) error
}

// Read reads a request's body to its end. It blocks as long as the limits
// allow.
//
// # Errors
//
// ErrTooLarge, ErrSlow, ErrCut, ErrBroken, or what Hold returns.
func Read(w http.ResponseWriter, r *http.Request, l Limits) ([]byte, error) {
	if r.ContentLength > l.Bytes {
		return nil, ErrTooLarge
	}
	if r.ContentLength == 0 {
		return nil, nil
	}
	connection := http.NewResponseController(w) // recorders support no deadlines
	body := &reader{body: http.MaxBytesReader(w, r.Body, l.Bytes), connection: connection, limits: l, started: time.Now()}
	b, err := body.all(r.ContentLength)
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case body.refused != nil:
		return nil, body.refused
	case large:
		return nil, ErrTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrSlow // the deadline stays, so that the server does not wait for the rest
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, ErrCut
	case err != nil:
		return nil, ErrBroken
	}
	// From here on, reading only serves to notice that the caller has left.
	_ = connection.SetReadDeadline(time.Time{})
	w.Header().Del("Connection") // set by servers that close connections with unread bodies
	return b, nil
}

// maxDrained is how much of an unwanted body is read.
const maxDrained = 64 << 20

// Drain sends the response to an HTTP/1 request and then reads the rest of the
// body, for at most patience. Many clients look for a response only after
// sending everything; if the connection were closed before, they would find it
// broken and never learn why.
func Drain(w http.ResponseWriter, r *http.Request, patience time.Duration) {
	connection := http.NewResponseController(w)
	if r.Header.Get("Expect") != "" || connection.SetReadDeadline(time.Now().Add(patience)) != nil {
		return // whoever asks before sending knows by now
	}
	_ = connection.Flush()
	_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
}

// reader reads a body, enforcing its pace.
type reader struct {
	body       io.Reader
	connection *http.ResponseController
	limits     Limits
	started    time.Time
	received   int64
	refused    error // by Hold
}

// firstBytes is how much memory a body takes before any of it has arrived: who
// declares megabytes need not send them.
const firstBytes = 4 << 10

// all reads the whole body. length is -1 if it was not declared. Memory at most
// doubles at a time, and never exceeds the declared length.
func (r *reader) all(length int64) ([]byte, error) {
	var b []byte
	for {
		free := b[len(b):cap(b)]
		var end [1]byte
		if len(free) == 0 && int64(len(b)) == length {
			free = end[:]
		} else if len(free) == 0 {
			size := int64(max(firstBytes, 2*cap(b)))
			if length >= 0 {
				size = min(size, length)
			}
			if r.limits.Hold != nil {
				if r.refused = r.limits.Hold(int(size) - cap(b)); r.refused != nil {
					return nil, r.refused
				}
			}
			b = append(make([]byte, 0, size), b...)
			free = b[len(b):]
			free = free[:cap(free)]
		}
		n, err := r.Read(free)
		if n > 0 && int64(len(b)) == length {
			return nil, ErrBroken
		}
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	allowed := patience + time.Duration(r.received)*time.Second/pace
	_ = r.connection.SetReadDeadline(r.started.Add(min(allowed, r.limits.Time)))
	n, err := r.body.Read(p)
	r.received += int64(n)
	return n, err
}
