package strictjson

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// scanner scans the text of valid JSON once and compares member names with a
// type's fields. It stops at maxFaults.
type scanner struct {
	rest   []byte
	faults []FieldError
	ended  bool // nothing more is inspected
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// value scans one value, which should be of type t. Values of another kind are
// left for the decoder to refuse.
func (s *scanner) value(path string, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	opaque := reflect.PointerTo(t).Implements(unmarshaler)
	s.space()
	switch c := s.rest[0]; {
	case c == 'n' && path == "":
		s.fault(whole, "must be "+typeName(t)+", which null is not")
	case c == '{' && t.Kind() == reflect.Struct && !opaque:
		fields := fieldsOf(t)
		s.object(path, func(name string) (reflect.Type, bool) { f, ok := fields[name]; return f, ok }, true)
	case c == '{' && t.Kind() == reflect.Map && !opaque:
		s.object(path, func(string) (reflect.Type, bool) { return t.Elem(), true }, false)
	case c == '[' && t.Kind() == reflect.Slice && !opaque:
		s.list(path, t.Elem())
	default:
		s.skip()
	}
}

// object scans an object. typeOf returns the type of a member; members may be
// null only if nullable is set.
func (s *scanner) object(path string, typeOf func(name string) (reflect.Type, bool), nullable bool) {
	seen := map[string]struct{}{}
	s.rest = s.rest[1:]
	for n := 0; s.more('}') && s.fits(path, n); n++ {
		name := s.name()
		at := strings.TrimPrefix(path+"."+shown(name), ".")
		t, known := typeOf(name)
		_, again := seen[name]
		switch {
		case !known:
			s.fault(at, "there is no such field")
			s.skip()
			continue
		case again:
			s.fault(at, "occurs twice")
		case !nullable:
			s.notNull(at, t)
		}
		seen[name] = struct{}{}
		s.value(at, t)
	}
}

// list scans a list.
func (s *scanner) list(path string, t reflect.Type) {
	s.rest = s.rest[1:]
	for i := 0; s.more(']') && s.fits(path, i); i++ {
		at := fmt.Sprintf("%s[%d]", path, i)
		s.notNull(at, t)
		s.value(at, t)
	}
}

// fits reports whether a list or an object may have more than n elements.
func (s *scanner) fits(path string, n int) bool {
	if n < maxMembers {
		return true
	}
	s.fault(cmp.Or(path, whole), fmt.Sprintf("has more than %d elements", maxMembers))
	s.ended = true
	return false
}

// notNull refuses null for the next value.
func (s *scanner) notNull(path string, t reflect.Type) {
	if s.space(); s.rest[0] == 'n' {
		s.fault(path, "must be "+typeName(t)+", which null is not")
	}
}

func (s *scanner) fault(field, rule string) {
	if s.ended {
		return
	}
	s.faults = append(s.faults, FieldError{field, rule})
	s.ended = len(s.faults) >= maxFaults
}

// more scans what precedes the next member or element, or the end, and reports
// whether there is another one to inspect.
func (s *scanner) more(end byte) bool {
	if s.ended {
		return false
	}
	s.space()
	if s.rest[0] == ',' {
		s.rest = s.rest[1:]
		s.space()
	}
	if s.rest[0] == end {
		s.rest = s.rest[1:]
		return false
	}
	return true
}

// name scans a member's name and the colon.
func (s *scanner) name() string {
	before := s.rest
	s.skip()
	var name string
	_ = json.Unmarshal(before[:len(before)-len(s.rest)], &name) // known to be a string
	s.space()
	s.rest = s.rest[1:]
	return name
}

func (s *scanner) space() { s.rest = bytes.TrimLeft(s.rest, " \t\r\n") }

// skip skips one value.
func (s *scanner) skip() {
	s.space()
	for depth := 0; ; {
		switch s.rest[0] {
		case '{', '[':
			depth++
			s.rest = s.rest[1:]
		case '}', ']':
			depth--
			s.rest = s.rest[1:]
		case '"':
			s.text()
		case ',', ':', ' ', '\t', '\r', '\n':
			s.rest = s.rest[1:]
			continue // inside a list or an object
		default: // a number, true, false or null
			if end := bytes.IndexAny(s.rest, ",:]} \t\r\n"); end >= 0 {
				s.rest = s.rest[end:]
			} else {
				s.rest = nil
			}
		}
		if depth == 0 {
			return
		}
	}
}

// text skips a string.
func (s *scanner) text() {
	for i := 1; ; i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			s.rest = s.rest[i+1:]
			return
		}
	}
}

// shown shortens a name for a message.
func shown(name string) string {
	const longest = 100 // bytes
	if len(name) <= longest {
		return name
	}
	return strings.ToValidUTF8(name[:longest], "") + "..."
}

// fields are the types of a struct's fields, by JSON name.
type fields = map[string]reflect.Type

var fieldsByType sync.Map // of fields, by reflect.Type

func fieldsOf(t reflect.Type) fields {
	if known, ok := fieldsByType.Load(t); ok {
		return known.(fields)
	}
	of := fields{}
	for f := range t.Fields() {
		if name := FieldName(f); name != "" {
			of[name] = f.Type
		}
	}
	fieldsByType.Store(t, of)
	return of
}
