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
	linger  Work // the instance's, made once
}

func (w *switchWriter) set(to io.Writer) { w.w, w.midline = to, false }

// WorkingWriter is a Writer that takes long over a little: it reports that to work.
type WorkingWriter interface {
	WriteWork(p []byte, work Work) (int, error)
}

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
		n, err := w.write(rest)
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

// write writes once. While a writer works the guest's other threads stand still, since
// they might write to it, too.
func (w *switchWriter) write(p []byte) (n int, err error) {
	to, ok := w.w.(WorkingWriter)
	if !ok {
		return w.w.Write(p)
	}
	if w.linger == nil {
		w.linger = w.i.linger
	}
	n, err = to.WriteWork(p, w.linger)
	w.i.settle()
	return n, err
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
