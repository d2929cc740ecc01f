// Package strictjson decodes the JSON objects of requests and reports by field
// what is wrong. It refuses unknown fields, so that misspelt ones are noticed.
package strictjson

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error reports what is wrong with an object. It is the caller's fault.
type Error struct {
	Fields []FieldError // at least one
}

// FieldError reports which field breaks which rule.
type FieldError struct{ Field, Rule string }

func (e *Error) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = f.Field + ": " + f.Rule
	}
	return strings.Join(texts, "; ")
}

// Described is a type whose JSON form differs from what its Go type suggests.
type Described interface {
	// DescribeJSON returns the form, as in "a string".
	DescribeJSON() string
}

const (
	// maxFaults bounds how many faults an Error names: a caller who sends
	// thousands learns no more from all of them.
	maxFaults = 10
	// maxMembers bounds each list and each object. An element takes many times
	// as many bytes in memory as in the text.
	maxMembers = 10_000
)

// Decode decodes text, one JSON object and nothing else, into v, a pointer to a
// struct. It takes time in proportion to the text.
//
// A field must be spelled exactly, and occur only once. A null stands for an
// omitted field, as in the JSON of protocol buffers, and for nothing else: it
// is not valid as an object, an element of a list or a value of a map.
//
// # Errors
//
// *Error, which names at most ten fields.
func Decode(text []byte, v any) error {
	if !utf8.Valid(text) {
		return &Error{[]FieldError{{whole, "must be UTF-8"}}}
	}
	if !json.Valid(text) {
		return &Error{[]FieldError{{whole, "must be one JSON object: " + syntax(json.Unmarshal(text, v), text)}}}
	}
	// encoding/json accepts a field in any case, the last of several, null for
	// anything, and lists of any length.
	s := scanner{rest: text}
	s.value("", reflect.TypeOf(v).Elem())
	if len(s.faults) > 0 {
		slices.SortStableFunc(s.faults, func(a, b FieldError) int { return strings.Compare(a.Field, b.Field) })
		return &Error{s.faults}
	}
	if err := json.Unmarshal(text, v); err != nil {
		return &Error{[]FieldError{explain(err, v)}}
	}
	return nil
}

// whole is what an Error calls the object itself.
const whole = "the request's body"

// syntax returns why text is not JSON.
func syntax(err error, text []byte) string {
	switch message := err.Error(); {
	case len(bytes.TrimSpace(text)) == 0:
		return "it is empty"
	case strings.Contains(message, "after top-level value"):
		return "something follows the object"
	default:
		return message
	}
}

// explain returns why JSON does not fit the type.
func explain(err error, v any) FieldError {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return FieldError{shown(cmp.Or(e.Field, whole)), fmt.Sprintf("must be %s, which %.40s is not", typeName(e.Type), e.Value)}
	}
	if _, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return FieldError{bytesField(reflect.TypeOf(v).Elem(), whole), "must be base64"}
	}
	return FieldError{whole, "must be one JSON object: " + strings.TrimPrefix(err.Error(), "json: ")}
}

// bytesField returns the name of a struct's first field of bytes, or other if
// it has none.
func bytesField(t reflect.Type, other string) string {
	for f := range t.Fields() {
		if f.Type == reflect.TypeFor[[]byte]() {
			return FieldName(f)
		}
	}
	return other
}

// typeName describes the JSON values of a type.
func typeName(t reflect.Type) string {
	if d, ok := reflect.Zero(t).Interface().(Described); ok {
		return d.DescribeJSON()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "a number"
	}
}

// FieldName returns a field's JSON name.
func FieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
