// Package transfer reads the bodies of requests within limits of size, of time
// and of patience.
package transfer

import (
	"bytes"
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
	ErrCut      = errors.New("transfer: the body is shorter than announced")
	ErrBroken   = errors.New("transfer: the body can't be read")
)

// A body must come at least at this pace, after a while to begin with: who sends
// a byte now and then holds memory or a place that others wait for.
const (
	patience = 10 * time.Second
	pace     = 32 << 10 // bytes a second
)

// Limits bound a body.
type Limits struct {
	Bytes int64         // largest size
	Time  time.Duration // from the first byte to the last
	// Hold, when set, is told of the bytes that have come, before they are kept.
	// Its error ends the reading.
	Hold func(n int) error
}

// Read reads a request's body to its end. It blocks as long as the limits allow.
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
	connection := http.NewResponseController(w) // of a recorder it knows no deadlines
	body := &reader{body: http.MaxBytesReader(w, r.Body, l.Bytes), connection: connection, limits: l, started: time.Now()}
	var b bytes.Buffer
	// An announced length is only believed up to a point: memory is for bytes
	// that came. MinRead lets ReadFrom see the end without growing once more.
	b.Grow(int(min(max(r.ContentLength, 0), 64<<10)) + bytes.MinRead)
	_, err := b.ReadFrom(body)
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
	// From here on the connection is read only to notice that the caller left.
	_ = connection.SetReadDeadline(time.Time{})
	w.Header().Del("Connection") // a server that closes those with a body that is not read had set it
	return b.Bytes(), nil
}

// reader reads a body at its pace.
type reader struct {
	body       io.Reader
	connection *http.ResponseController
	limits     Limits
	started    time.Time
	received   int64
	refused    error // by Hold
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	allowed := patience + time.Duration(r.received)*time.Second/pace
	_ = r.connection.SetReadDeadline(r.started.Add(min(allowed, r.limits.Time)))
	n, err := r.body.Read(p)
	r.received += int64(n)
	if r.limits.Hold != nil && n > 0 {
		if r.refused = r.limits.Hold(n); r.refused != nil {
			return 0, r.refused
		}
	}
	return n, err
}
