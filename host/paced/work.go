// Package paced does the host's work in pieces and reports each, so that the
// function in whose turn it happens yields in time and pays for it.
package paced

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"unicode/utf8"

	"vivarium/wasm"
)

// Work is called as work proceeds that the host does for a function in the
// function's turn.
type Work = wasm.Work

// Piece is how many bytes are processed between two calls of a Work.
const Piece = 32 << 10

// Costs of a byte relative to copying it.
const (
	PerJSONByte = 8
	PerEntry    = 1 << 10 // per log entry, whatever its contents
)

// DecodeJSON returns a decoder of JSON text that reports its work.
func DecodeJSON(text []byte, work Work) *json.Decoder {
	return json.NewDecoder(&workingReader{text, work})
}

// workingReader reads a text piece by piece.
type workingReader struct {
	rest []byte
	work Work
}

// Read implements io.Reader.
func (r *workingReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), Piece)], r.rest)
	r.rest = r.rest[n:]
	r.work(n * PerJSONByte)
	return n, nil
}

// errShape means that JSON text is valid but not of the expected form.
var errShape = errors.New("JSON text of another shape")

// Members reads an object from d. For each member it calls each with the name;
// each decodes the value.
func Members(d *json.Decoder, each func(name string) error) error {
	return inside(d, '{', func() error {
		name, err := d.Token()
		if err != nil {
			return err
		}
		return each(name.(string)) // guaranteed by the decoder
	})
}

// Elements reads an array from d. Each decodes one element.
func Elements(d *json.Decoder, each func() error) error { return inside(d, '[', each) }

func inside(d *json.Decoder, open json.Delim, each func() error) error {
	if start, err := d.Token(); err != nil || start != open {
		return cmp.Or(err, errShape)
	}
	for d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// Skip skips a value.
func Skip(d *json.Decoder) error {
	var value json.RawMessage
	return d.Decode(&value)
}

// Pieces iterates over a text in pieces, none of which ends within a character,
// and reports the work on each.
func Pieces[Text string | []byte](text Text, work Work) iter.Seq[Text] {
	return func(yield func(Text) bool) {
		for len(text) > 0 {
			end := min(len(text), Piece)
			for whole := end; end < len(text) && whole > end-utf8.UTFMax; whole-- {
				if utf8.RuneStart(text[whole]) {
					end = whole
					break
				}
			}
			if !yield(text[:end]) {
				return
			}
			work(end * PerJSONByte)
			text = text[end:]
		}
	}
}
