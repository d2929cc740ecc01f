package wasm

import (
	"crypto/rand"
	"errors"
	"io"
)

// switchReader is a guest's standard input, switched for each call.
type switchReader struct{ rest []byte }

func (r *switchReader) set(b []byte) { r.rest = b }

// Read implements io.Reader.
func (r *switchReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// switchWriter is one of a guest's output streams.
type switchWriter struct {
	i       *Instance
	w       io.Writer
	midline bool // the last write did not end its line
}

func (w *switchWriter) set(to io.Writer) { w.w, w.midline = to, false }

// endLine ends an unfinished line.
func (w *switchWriter) endLine() {
	if w.midline {
		_, _ = w.Write([]byte{'\n'})
	}
}

// Write implements io.Writer. A guest never fails because its log can't be
// written.
func (w *switchWriter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		w.midline = p[len(p)-1] != '\n'
	}
	for rest := p; w.w != nil && len(rest) > 0; {
		n, err := w.w.Write(rest)
		rest = rest[n:]
		switch {
		case err == nil:
		case errors.Is(err, io.ErrShortWrite): // the writer takes the rest once the guest has yielded
			w.i.lookUp()
		default:
			return len(p), nil
		}
	}
	return len(p), nil
}

// boundedBuffer keeps the beginning of what is written to it.
type boundedBuffer struct{ b []byte }

// Write implements io.Writer.
func (b *boundedBuffer) Write(p []byte) (int, error) {
	const limit = 16 << 10
	b.b = append(b.b, p[:min(len(p), limit-len(b.b))]...)
	return len(p), nil
}

func (b *boundedBuffer) String() string { return string(b.b) }

// randomSource is a guest's randomness.
type randomSource struct{ i *Instance }

// Read implements io.Reader. It returns little at a time, so that a guest
// asking for gigabytes in one call yields in between.
func (s randomSource) Read(p []byte) (int, error) {
	p = p[:min(len(p), portion)]
	s.i.seen.Random += int64(len(p))
	n, err := rand.Read(p)
	s.i.did(8 * n) // generating a byte takes as long as copying eight
	return n, err
}
