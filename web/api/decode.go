package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"vivarium/web/transfer"
)

const (
	// maxBody bounds the body of a request that carries no code.
	maxBody = 1 << 20
	// MaxContent bounds the archive in a request (contract §6.2).
	MaxContent = 52_428_800
	// transferTimeout is how long the body of a request may be on its way.
	transferTimeout = 5 * time.Minute
)

// decode reads a request's body, one JSON object, into v, a pointer to a struct.
// A field that v does not have is refused, so that a misspelt one is noticed.
func decode(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &statusError{http: http.StatusUnsupportedMediaType, code: CodeInvalidArgument,
			message: "the request's Content-Type must be application/json"}
	}
	body, err := readAll(w, r, limit)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(v)
	if err == nil && decoder.InputOffset() < int64(len(body)) && len(bytes.TrimSpace(body[decoder.InputOffset():])) > 0 {
		err = errors.New("something follows the object")
	}
	if err != nil {
		return decodeError(err, body, v)
	}
	return nil
}

// readAll reads the body within the limits of size and time.
func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := transfer.Read(w, r, transfer.Limits{Bytes: limit, Time: transferTimeout})
	switch {
	case errors.Is(err, transfer.ErrTooLarge):
		return nil, &statusError{http: http.StatusRequestEntityTooLarge, code: CodeInvalidArgument,
			message: fmt.Sprintf("the request is larger than %d bytes", limit)}
	case errors.Is(err, transfer.ErrSlow):
		return nil, &statusError{http: http.StatusRequestTimeout, code: CodeInvalidArgument, message: "the request's body took too long"}
	case err != nil:
		return nil, &statusError{http: http.StatusBadRequest, code: CodeInvalidArgument, message: "the request's body ended early"}
	}
	return body, nil
}

// decodeError says what is wrong with a body, by field.
func decodeError(err error, body []byte, v any) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field
		if field == "" {
			field = "the request's body"
		}
		return invalid(field, fmt.Sprintf("must be %s, which %.40s is not", typeName(e.Type), e.Value))
	}
	if _, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return invalid("content", "must be base64")
	}
	if strings.Contains(err.Error(), "unknown field") {
		var document any
		if json.Unmarshal(body, &document) == nil {
			var violations []FieldViolation
			for _, name := range unknownFields("", document, reflect.TypeOf(v)) {
				violations = append(violations, FieldViolation{name, "there is no such field"})
			}
			if len(violations) > 0 {
				return invalidFields(violations)
			}
		}
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	if errors.Is(err, io.EOF) {
		message = "it is empty"
	}
	return invalid("the request's body", "must be one JSON object: "+message)
}

// typeName says what JSON values a type has.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Int64]():
		return `a 64-bit number as a string, such as "134217728"`
	case reflect.TypeFor[Duration]():
		return `a duration in seconds, such as "5s"`
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
		if jsonName(f) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// jsonName returns the name that a field has in JSON.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
