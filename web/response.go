package web

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"vivarium/host/fault"
	"vivarium/host/paced"
	"vivarium/host/run"
)

// response is a response that is ready to be sent.
type response struct {
	status int
	header http.Header
	body   []byte
}

// send writes a response. The header must not have been written yet. If a write
// fails, the caller is gone, and there is no one to tell.
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

// addTo adds the response's headers to header, and makes them agree with its
// body.
func (a *response) addTo(header http.Header) {
	for name, values := range a.header {
		header[name] = values
	}
	if bodyless(a.status) {
		header.Del("Content-Length")
		header.Del("Content-Type")
		if a.status == http.StatusResetContent { // HTTP delimits it like an empty body
			header.Set("Content-Length", "0")
		}
	} else if header.Get("Content-Length") == "" {
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
}

// bodyless reports whether responses with a status have no body in HTTP.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusNotModified
}

// rawResponse returns the response in raw mode: the result as is.
func rawResponse(result *run.Result) *response {
	contentType := "application/json"
	if result.Kind == run.ResultBytes {
		contentType = "application/octet-stream"
	}
	return &response{
		status: http.StatusOK,
		header: http.Header{"Content-Type": {contentType}},
		body:   result.Body,
	}
}

// interpret returns the response that a result means in HTTP mode. The result
// is the function's and untrusted. head tells that the request's method is
// HEAD.
//
// # Errors
//
// Every error is the function's: a *malformedError if the result is not shaped
// like a response, a *fault.FunctionError if one of its headers can't be sent.
func interpret(result *run.Result, head bool, work paced.Work) (_ *response, err error) {
	malformed := func(fault string) error { return &malformedError{fault, result.Body} }

	members, ok := responseMembers(result.Body, work)
	if result.Kind != run.ResultJSON || !ok {
		return nil, malformed("the result is not a dict; return one, such as {'statusCode': 200, 'body': 'text'}")
	}
	answer := &response{status: http.StatusOK, header: http.Header{}, body: []byte{}}

	if raw, ok := members["statusCode"]; ok {
		if answer.status, err = strconv.Atoi(string(raw)); err != nil || answer.status < 100 || answer.status > 599 {
			return nil, malformed("statusCode is not an integer from 200 to 599; return one, or leave statusCode out, which means 200")
		}
		if answer.status < 200 { // HTTP sends these before a response, never as one
			return nil, malformed("statusCode is an interim one, which can't end a response; return one from 200 to 599")
		}
	}
	isBase64 := string(members["isBase64Encoded"]) == "true"
	if raw, ok := members["isBase64Encoded"]; ok && !isBase64 && string(raw) != "false" {
		return nil, malformed("isBase64Encoded is not a boolean; return True, False, or leave it out")
	}
	contentType := "text/plain; charset=utf-8"
	if raw, ok := members["body"]; ok {
		switch {
		case !isBase64 && (raw[0] == '{' || raw[0] == '['):
			// The cloud's own documentation returns a dict, and means the text
			// that json.dumps makes of it.
			answer.body, contentType = bytes.Clone(raw), "application/json"
		case raw[0] != '"':
			return nil, malformed("body is not a string; return a str, such as json.dumps(value), a dict or a list")
		default:
			if answer.body, ok = unquote(raw, work); !ok {
				return nil, malformed("body has a lone surrogate, which UTF-8 can't express; leave it out, or return base64")
			}
		}
		if isBase64 {
			if answer.body, ok = decodeBase64(answer.body, work); !ok {
				return nil, malformed("body is not valid base64; return base64.b64encode(data).decode(), or leave isBase64Encoded out")
			}
			contentType = "application/octet-stream"
		}
	}

	headers := headerReader{left: maxResponseHeaders, work: work}
	single, ok := headers.read(members["headers"], false)
	if !ok {
		return nil, headers.fault(malformed("headers is not a dict of strings; return str for each value, and lists in multiValueHeaders"))
	}
	multi, ok := headers.read(members["multiValueHeaders"], true)
	if !ok {
		return nil, headers.fault(malformed("multiValueHeaders is not a dict of lists of strings; return a list of str for each name"))
	}
	if err := answer.addHeaders(single, multi); err != nil {
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

// responseMembers returns the JSON texts of a response's members, and false if
// the text is not a JSON object.
func responseMembers(text []byte, work paced.Work) (members map[string][]byte, ok bool) {
	members = map[string][]byte{}
	return members, validUTF8(text, work) && scanJSON(text, work).object(func(name, value []byte) bool {
		if key, ok := unquote(name, work); ok {
			switch string(key) {
			case "statusCode", "isBase64Encoded", "body", "headers", "multiValueHeaders":
				members[string(key)] = value
			}
		}
		return true
	})
}

// maxResponseHeaders bounds a response's headers, in bytes as HTTP/2 counts
// them: names and values, plus fieldBytes for each value. Browsers accept no
// more.
const (
	maxResponseHeaders = 256 << 10
	fieldBytes         = 32
)

// headerReader reads a response's headers from JSON.
type headerReader struct {
	left int // bytes left for further headers
	work paced.Work
}

// read reads an object of strings, or, if multi is set, of lists of strings, in
// order. Empty text is an empty object.
func (r *headerReader) read(text []byte, multi bool) (headers ordered[[]string], ok bool) {
	if text == nil {
		return nil, true
	}
	ok = scanJSON(text, r.work).object(func(name, value []byte) bool {
		key, ok := unquote(name, r.work)
		m := member[[]string]{name: string(key)}
		add := func(text []byte) bool {
			if r.left < 0 || text[0] != '"' {
				return false
			}
			value, ok := unquote(text, r.work)
			m.value = append(m.value, string(value))
			r.left -= len(key) + len(value) + fieldBytes
			return ok
		}
		if multi {
			ok = ok && scanJSON(value, r.work).array(add)
		} else {
			ok = ok && add(value)
		}
		if len(m.value) == 0 {
			r.left -= fieldBytes
		}
		headers = append(headers, m)
		return ok && r.left >= 0
	})
	return headers, ok
}

// fault returns the error for headers that can't be read: there are too many,
// or else they are malformed.
func (r *headerReader) fault(malformed error) error {
	if r.left >= 0 {
		return malformed
	}
	return &fault.FunctionError{
		Type: "ResponseTooLarge",
		Message: fmt.Sprintf("the response's headers have more than %d bytes, each counted as %d more than its name and its value",
			maxResponseHeaders, fieldBytes),
	}
}

// addHeaders adds the headers of a result's two maps. For a name in both, in
// any spelling, only multiValueHeaders counts; of names that differ only in
// case, the last in the map.
func (a *response) addHeaders(single, multi ordered[[]string]) error {
	all := make(map[string][]string, len(single)+len(multi))
	names := make([]string, 0, len(single)+len(multi))
	for _, m := range slices.Concat(single, multi) {
		key := http.CanonicalHeaderKey(m.name)
		if _, ok := all[key]; !ok {
			names = append(names, key)
		}
		all[key] = m.value
	}
	for _, name := range names {
		for _, value := range all[name] {
			if err := addHeader(a.header, name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLength compares a Content-Length set by the handler with the body: a
// wrong one would make the caller wait, or take part of the body for another
// response. Only under HEAD does an empty body prove nothing: there, the length
// of a GET's response is allowed.
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
			return headerError(name, "does not match the length of the body, "+strconv.Itoa(len(a.body)))
		}
	}
	a.header[name] = lengths[:1]
	return nil
}
