package web

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"vivarium/host/paced"
)

// A function may return megabytes of JSON, and reading it is work for the
// function. encoding/json can't pause in the middle, so this file reimplements
// the part of it that reading a response needs.

// maxDepth is how deep JSON may be nested, as in encoding/json.
const maxDepth = 10_000

// textWork is how many bytes are read between two calls of a paced.Work.
const textWork = 16 << 10

// jsonScanner scans JSON text, which is UTF-8, without decoding it.
type jsonScanner struct {
	text []byte
	at   int
	told int // everything before it has been reported
	work paced.Work
}

// scanJSON returns a scanner of a text.
func scanJSON(text []byte, work paced.Work) *jsonScanner { return &jsonScanner{text: text, work: work} }

// report reports work now and then.
func (s *jsonScanner) report() {
	if n := s.at - s.told; n >= textWork {
		s.told = s.at
		s.work(4 * n) // scanning a byte takes as long as copying four
	}
}

// object scans an object, which must be the rest of the text, and calls each
// with the text of each name and value until it returns false. It reports
// whether there was an object and each never returned false.
func (s *jsonScanner) object(each func(name, value []byte) bool) bool {
	return s.inside('{', '}', func() bool {
		name, ok := s.name()
		if !ok {
			return false
		}
		value, ok := s.value()
		return ok && each(name, value)
	})
}

// array is like object, for an array.
func (s *jsonScanner) array(each func(value []byte) bool) bool {
	return s.inside('[', ']', func() bool {
		value, ok := s.value()
		return ok && each(value)
	})
}

func (s *jsonScanner) inside(open, end byte, each func() bool) bool {
	if s.space(); !s.accept(open) {
		return false
	}
	if s.space(); !s.accept(end) {
		for more := true; more; {
			if !each() {
				return false
			}
			if s.space(); !s.accept(',') {
				more = false
			}
		}
		if !s.accept(end) {
			return false
		}
	}
	s.space()
	return s.at == len(s.text)
}

// name scans a member's name and what precedes its value.
func (s *jsonScanner) name() (name []byte, ok bool) {
	s.space()
	start := s.at
	if !s.string() {
		return nil, false
	}
	name = s.text[start:s.at]
	s.space()
	return name, s.accept(':')
}

// value scans a value and returns its text.
func (s *jsonScanner) value() (value []byte, ok bool) {
	s.space()
	start := s.at
	var open []byte // expected ends of the open arrays and objects, outermost first
	for {
		s.report()
		if len(open) > maxDepth {
			return nil, false
		}
		s.space()
		switch {
		case s.accept('{'):
			open = append(open, '}')
			if s.space(); s.accept('}') {
				open = open[:len(open)-1]
			} else if _, ok := s.name(); !ok {
				return nil, false
			} else {
				continue
			}
		case s.accept('['):
			open = append(open, ']')
			if s.space(); !s.accept(']') {
				continue
			}
			open = open[:len(open)-1]
		case !s.scalar():
			return nil, false
		}
		// A value has ended, and with it those whose last part it was.
		for len(open) > 0 {
			s.report()
			if s.space(); s.accept(',') {
				break
			}
			if !s.accept(open[len(open)-1]) {
				return nil, false
			}
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return s.text[start:s.at], true
		}
		if open[len(open)-1] == '}' {
			if _, ok := s.name(); !ok {
				return nil, false
			}
		}
	}
}

// peek returns the next byte, or 0, which JSON text never contains.
func (s *jsonScanner) peek() byte {
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// accept skips a byte if it is the next one.
func (s *jsonScanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *jsonScanner) space() {
	for c := s.peek(); c == ' ' || c == '\n' || c == '\t' || c == '\r'; c = s.peek() {
		s.at++
		s.report()
	}
}

// scalar scans a string, a number, true, false or null.
func (s *jsonScanner) scalar() bool {
	switch c := s.peek(); c {
	case '"':
		return s.string()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *jsonScanner) word(w string) bool {
	if len(s.text)-s.at < len(w) || string(s.text[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *jsonScanner) number() bool {
	s.accept('-')
	if !s.accept('0') && !s.digits() {
		return false
	}
	if s.accept('.') && !s.digits() {
		return false
	}
	if s.accept('e') || s.accept('E') {
		if !s.accept('+') {
			s.accept('-')
		}
		return s.digits()
	}
	return true
}

// digits scans digits and reports whether there were any.
func (s *jsonScanner) digits() bool {
	start := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
		s.report()
	}
	return s.at > start
}

func (s *jsonScanner) string() bool {
	if !s.accept('"') {
		return false
	}
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			return true
		case c < ' ':
			return false
		case c == '\\':
			if !s.escape() {
				return false
			}
		}
		if s.at-s.told >= textWork {
			s.report()
		}
	}
	return false
}

// escape scans the rest of an escape, after the backslash.
func (s *jsonScanner) escape() bool {
	c := s.peek()
	s.at++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		if len(s.text)-s.at < 4 {
			return false
		}
		_, err := strconv.ParseUint(string(s.text[s.at:s.at+4]), 16, 16)
		s.at += 4
		return err == nil
	}
	return false
}

// unquote returns the value of a scanned string, and false if it has a lone
// surrogate. Python's str can have one, UTF-8 can't.
func unquote(text []byte, work paced.Work) (s []byte, ok bool) {
	text = text[1 : len(text)-1]
	s = make([]byte, 0, len(text))
	escaped := func() (rune, bool) { // \uXXXX
		if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
			return 0, false
		}
		unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
		text = text[6:]
		return rune(unit), err == nil
	}
	told := 0
	for len(text) > 0 {
		if len(s)-told >= textWork {
			told = len(s)
			work(4 * textWork)
		}
		switch {
		case text[0] != '\\':
			n := min(len(text), textWork)
			if i := bytes.IndexByte(text[:n], '\\'); i >= 0 {
				n = i
			}
			s, text = append(s, text[:n]...), text[n:]
		case text[1] == 'u':
			r, _ := escaped()
			if utf16.IsSurrogate(r) {
				low, ok := escaped()
				if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
					return nil, false
				}
			}
			s = utf8.AppendRune(s, r)
		default:
			c := text[1]
			switch c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
			s, text = append(s, c), text[2:]
		}
	}
	if cap(s) > 2*len(s) { // wasted by escapes, and not accounted for
		s = bytes.Clone(s)
	}
	return s, true
}

// decodeBase64 decodes a text like base64.StdEncoding.DecodeString, in place.
func decodeBase64(text []byte, work paced.Work) (b []byte, ok bool) {
	kept := text[:0]
	for piece := range paced.Pieces(text, work) {
		for _, c := range piece {
			if c != '\n' && c != '\r' {
				kept = append(kept, c)
			}
		}
	}
	b = make([]byte, 0, len(kept)/4*3)
	for len(kept) > 0 {
		piece := kept[:min(len(kept), textWork)]
		kept = kept[len(piece):]
		before := len(b)
		var err error
		b, err = base64.StdEncoding.AppendDecode(b, piece)
		if padded := len(b)-before < len(piece)/4*3; err != nil || padded && len(kept) > 0 {
			return nil, false
		}
		work(len(piece))
	}
	return b, true
}

// validUTF8 is a paced utf8.Valid.
func validUTF8(text []byte, work paced.Work) bool {
	for piece := range paced.Pieces(text, work) {
		if !utf8.Valid(piece) {
			return false
		}
	}
	return true
}
