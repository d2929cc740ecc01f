// Package strictjson decodes the JSON objects of requests and says by field what
// is wrong with one. A field that is unknown is refused, so that a misspelt one is
// noticed.
package strictjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Error says what is wrong with an object. It is the caller's fault.
type Error struct {
	Fields []FieldError // at least one
}

// FieldError says which field breaks which rule.
type FieldError struct{ Field, Rule string }

func (e *Error) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = f.Field + ": " + f.Rule
	}
	return strings.Join(texts, "; ")
}

// Described is a type whose JSON is not what its Go type suggests.
type Described interface {
	// DescribeJSON says what it is, as in "a string".
	DescribeJSON() string
}

// Decode reads text, one JSON object and nothing else, into v, a pointer to a
// struct.
//
// # Errors
//
// *Error.
func Decode(text []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if err == nil && decoder.InputOffset() < int64(len(text)) && len(bytes.TrimSpace(text[decoder.InputOffset():])) > 0 {
		err = errors.New("something follows the object")
	}
	if err != nil {
		return &Error{explain(err, text, v)}
	}
	return nil
}

// explain says what is wrong, by field.
func explain(err error, text []byte, v any) []FieldError {
	const whole = "the request's body"
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field
		if field == "" {
			field = whole
		}
		return []FieldError{{field, fmt.Sprintf("must be %s, which %.40s is not", typeName(e.Type), e.Value)}}
	}
	if _, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return []FieldError{{bytesField(reflect.TypeOf(v).Elem(), whole), "must be base64"}}
	}
	if strings.Contains(err.Error(), "unknown field") {
		var document any
		if json.Unmarshal(text, &document) == nil {
			var fields []FieldError
			for _, name := range unknownFields("", document, reflect.TypeOf(v)) {
				fields = append(fields, FieldError{name, "there is no such field"})
			}
			if len(fields) > 0 {
				return fields
			}
		}
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	if errors.Is(err, io.EOF) {
		message = "it is empty"
	}
	return []FieldError{{whole, "must be one JSON object: " + message}}
}

// bytesField returns the name of a struct's first field of bytes, or another name
// when it has none itself.
func bytesField(t reflect.Type, other string) string {
	for f := range t.Fields() {
		if f.Type == reflect.TypeFor[[]byte]() {
			return FieldName(f)
		}
	}
	return other
}

// typeName says what JSON values a type has.
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

// unknownFields returns the paths of members that the type does not have.
func unknownFields(path string, value any, t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var unknown []string
	switch value := value.(type) {
	case []any:
		for i, v := range value {
			if t.Kind() == reflect.Slice {
				unknown = append(unknown, unknownFields(fmt.Sprintf("%s[%d]", path, i), v, t.Elem())...)
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return nil
		}
		for name, v := range value {
			at := strings.TrimPrefix(path+"."+name, ".")
			if f, ok := fieldOf(t, name); ok {
				unknown = append(unknown, unknownFields(at, v, f.Type)...)
			} else {
				unknown = append(unknown, at)
			}
		}
	}
	slices.Sort(unknown)
	return unknown
}

// fieldOf returns the field of a struct that has this name in JSON.
func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if FieldName(f) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// FieldName returns the name that a field has in JSON.
func FieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
