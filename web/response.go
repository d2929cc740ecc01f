package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"vivarium/host"
)

// response is an answer, ready to be sent.
type response struct {
	status int
	header http.Header
	body   []byte
}

// send writes the answer. The header must not have been written yet. A write
// that fails means that the caller is gone, and there is nobody to tell.
func send(c echo.Context, answer *response) {
	header := c.Response().Header()
	if version := callOf(c).version; version != nil {
		header.Set(headerFunctionID, version.FunctionID)
		header.Set(headerVersionID, version.ID)
	}
	answer.addTo(header)
	c.Response().WriteHeader(answer.status)
	if !bodyless(answer.status) && c.Request().Method != http.MethodHead {
		_, _ = c.Response().Write(answer.body)
	}
}

// addTo adds the answer's headers to those that are there, and makes them agree
// with its body.
func (a *response) addTo(header http.Header) {
	for name, values := range a.header {
		header[name] = values
	}
	if bodyless(a.status) {
		header.Del("Content-Length")
		header.Del("Content-Type")
		if a.status == http.StatusResetContent { // which HTTP delimits as it does an empty body
			header.Set("Content-Length", "0")
		}
	} else if header.Get("Content-Length") == "" {
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
}

// bodyless reports whether HTTP has no body under a status.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusNotModified
}

// rawResponse returns the answer in raw mode: the result as it is.
func rawResponse(result *host.Result) *response {
	contentType := "application/json"
	if result.Kind == host.ResultBytes {
		contentType = "application/octet-stream"
	}
	return &response{
		status: http.StatusOK,
		header: http.Header{"Content-Type": {contentType}},
		body:   result.Body,
	}
}

// interpret returns the answer that a result means in HTTP mode. The result is
// the function's and nothing of it is trusted. head tells that the request's
// method is HEAD.
//
// # Errors
//
// Every error is the function's: a *malformedError when the result has not the
// shape of a response, a *host.FunctionError when a header of it can't be sent.
func interpret(result *host.Result, head bool) (*response, error) {
	malformed := func(fault string) error { return &malformedError{fault, result.Body} }

	var members map[string]json.RawMessage
	if result.Kind != host.ResultJSON || !utf8.Valid(result.Body) || !decode(result.Body, &members) {
		return nil, malformed("the result is not a dict; return one, such as {'statusCode': 200, 'body': 'text'}")
	}
	answer := &response{status: http.StatusOK, header: http.Header{}, body: []byte{}}

	if raw, ok := members["statusCode"]; ok {
		if !decode(raw, &answer.status) || answer.status < 100 || answer.status > 599 {
			return nil, malformed("statusCode is not an integer from 200 to 599; return one, or leave statusCode out, which means 200")
		}
		if answer.status < 200 { // HTTP sends these before an answer, never as one
			return nil, malformed("statusCode is an interim one, which can't end a response; return one from 200 to 599")
		}
	}
	isBase64 := false
	if raw, ok := members["isBase64Encoded"]; ok && !decode(raw, &isBase64) {
		return nil, malformed("isBase64Encoded is not a boolean; return True, False, or leave it out")
	}
	contentType := "text/plain; charset=utf-8"
	if raw, ok := members["body"]; ok {
		var text string
		switch {
		case !isBase64 && (raw[0] == '{' || raw[0] == '['):
			// The cloud's own documentation returns a dict. What json.dumps has
			// made of it is the text that its author meant.
			answer.body, contentType = bytes.Clone(raw), "application/json"
		case !decode(raw, &text):
			return nil, malformed("body is not a string; return a str, such as json.dumps(value), a dict or a list")
		case loneSurrogate(raw):
			return nil, malformed("body has a lone surrogate, which UTF-8 can't express; leave it out, or return base64")
		case isBase64:
			var err error
			if answer.body, err = base64.StdEncoding.DecodeString(text); err != nil {
				return nil, malformed("body is not valid base64; return base64.b64encode(data).decode(), or leave isBase64Encoded out")
			}
			contentType = "application/octet-stream"
		default:
			answer.body = []byte(text)
		}
	}

	single, ok := decodeObject[string](members["headers"])
	if !ok {
		return nil, malformed("headers is not a dict of strings; return str for each value, and lists in multiValueHeaders")
	}
	multi, ok := decodeObject[[]*string](members["multiValueHeaders"])
	if !ok {
		return nil, malformed(badMultiValueHeaders)
	}
	if err := answer.addHeaders(single, multi, malformed); err != nil {
		return nil, err
	}
	if err := answer.checkLength(head); err != nil {
		return nil, err
	}

	if _, ok := answer.header["Content-Type"]; !ok {
		answer.header.Set("Content-Type", contentType)
	}
	return answer, nil
}

const badMultiValueHeaders = "multiValueHeaders is not a dict of lists of strings; return a list of str for each name"

// addHeaders adds the headers of both of a result's maps. Under a name that is
// in both, whatever its case, only multiValueHeaders counts; of several that
// differ in case alone, the last of the map.
func (a *response) addHeaders(single ordered[string], multi ordered[[]*string], malformed func(string) error) error {
	all := make(map[string][]*string, len(single)+len(multi))
	names := make([]string, 0, len(single)+len(multi))
	put := func(name string, list []*string) {
		key := http.CanonicalHeaderKey(name)
		if _, ok := all[key]; !ok {
			names = append(names, key)
		}
		all[key] = list
	}
	for _, m := range single {
		put(m.name, []*string{&m.value})
	}
	for _, m := range multi {
		put(m.name, m.value)
	}
	for _, name := range names {
		for _, value := range all[name] {
			if value == nil {
				return malformed(badMultiValueHeaders)
			}
			if err := addHeader(a.header, name, *value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLength compares a Content-Length that the handler set with the truth: a
// wrong one would make the caller wait, or read a second answer out of the
// first. An empty body under HEAD proves nothing: there, and only there, the
// length of what a GET would bring may stand.
func (a *response) checkLength(head bool) error {
	const name = "Content-Length"
	lengths, ok := a.header[name]
	if !ok {
		return nil
	}
	told := strconv.Itoa(len(a.body))
	if first, err := strconv.ParseUint(lengths[0], 10, 63); err == nil && head && len(a.body) == 0 {
		told = strconv.FormatUint(first, 10)
	}
	for _, length := range lengths {
		if length != told {
			return headerError(name, "does not tell the length of the body, "+strconv.Itoa(len(a.body)))
		}
	}
	a.header[name] = lengths[:1]
	return nil
}

// decode decodes JSON text into v, strictly: null is no value of any type.
func decode(text []byte, v any) bool {
	return !bytes.Equal(bytes.TrimSpace(text), []byte("null")) && json.Unmarshal(text, v) == nil
}

// decodeObject decodes a JSON object and keeps the order of its members. No
// text at all is an empty object.
func decodeObject[V any](text json.RawMessage) (ordered[V], bool) {
	if text == nil {
		return nil, true
	}
	if loneSurrogate(text) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	var object ordered[V]
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		var raw json.RawMessage
		var value V
		if decoder.Decode(&raw) != nil || !decode(raw, &value) {
			return nil, false
		}
		object = append(object, member[V]{name.(string), value})
	}
	return object, true
}

// loneSurrogate reports whether JSON text escapes half of a surrogate pair
// without the other half. Python's str can hold one, UTF-8 can't, and Go's
// decoder would quietly put U+FFFD in its place.
func loneSurrogate(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 || i+1 >= len(text) {
			return false
		}
		text = text[i:]
		unit, ok := escapedUnit(text)
		switch {
		case !ok:
			text = text[2:]
			continue
		case unit < 0xD800 || unit > 0xDFFF:
			text = text[6:]
			continue
		}
		low, ok := escapedUnit(text[6:])
		if unit > 0xDBFF || !ok || low < 0xDC00 || low > 0xDFFF {
			return true
		}
		text = text[12:]
	}
}

// escapedUnit returns the UTF-16 unit that text begins with, as \uXXXX.
func escapedUnit(text []byte) (uint64, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return unit, err == nil
}
