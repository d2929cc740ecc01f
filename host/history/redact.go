package history

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Redacted stands where a value was taken out.
const Redacted = "[redacted]"

// usualNames are the headers and fields whose values are never kept.
func usualNames() []string {
	return []string{
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token", "X-Csrf-Token", "X-Xsrf-Token",
		"X-Amz-Security-Token", "X-YaCloud-SubjectToken", "X-Forwarded-Authorization",
		"password", "passwd", "passphrase", "secret", "client_secret", "secret_key", "private_key", "api_key",
		"access_token", "refresh_token", "id_token",
	}
}

// names is a set of names of headers and fields, without regard to upper and lower case,
// hyphens and underscores.
type names map[string]bool

func newNames(of []string) names {
	n := names{}
	for _, name := range of {
		n[plainName(name)] = true
	}
	return n
}

// longestName is how long a name may be that is compared, in bytes.
const longestName = 256

// plainName returns what two names have in common that are the same.
func plainName(name string) string {
	b := make([]byte, 0, 64)
	for i := range min(len(name), longestName) {
		switch c := name[i]; {
		case c == '-' || c == '_':
		case c >= 'A' && c <= 'Z':
			b = append(b, c|0x20)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

const (
	maxNested = 4  // texts within texts that are looked into
	maxTold   = 32 // names that are told of a text
)

// redactor takes the values of some names out of texts.
type redactor struct {
	names, own names
	found      []string
}

// take returns the names that were found since the last take.
func (r *redactor) take() (found []string) {
	found, r.found = r.found, nil
	slices.Sort(found)
	return found
}

// wants reports whether a name's value is to be taken out.
func (r *redactor) wants(name string) bool {
	if len(name) > longestName {
		return false
	}
	plain := plainName(name)
	if !r.names[plain] && !r.own[plain] {
		return false
	}
	if len(r.found) < maxTold && !slices.Contains(r.found, name) {
		r.found = append(r.found, name)
	}
	return true
}

// redact returns a text without the values of the names: members of objects in JSON, at
// any depth and in strings that are JSON themselves, and fields of forms. It is the very
// text if there are none. A JSON text may be cut.
func (r *redactor) redact(text []byte) []byte { return r.text(text, 0) }

func (r *redactor) text(text []byte, depth int) []byte {
	switch {
	case depth > maxNested:
	case looksLikeJSON(text):
		s := scan{redactor: r, text: text, depth: depth}
		return s.run()
	case looksLikeForm(text):
		return r.form(text)
	}
	return text
}

// looksLikeJSON reports whether a text could be an object or an array, or a string that is
// one.
func looksLikeJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 1 && (text[0] == '{' || text[0] == '[' || text[0] == '"')
}

// looksLikeForm reports whether a text could be what browsers send of a form.
func looksLikeForm(text []byte) bool {
	return bytes.IndexByte(text, '=') > 0 && !bytes.ContainsAny(text, " \t\r\n<>{}\"")
}

// form redacts fields of a form.
func (r *redactor) form(text []byte) []byte {
	fields, changed := strings.Split(string(text), "&"), false
	for i, field := range fields {
		name, _, _ := strings.Cut(field, "=")
		if plain, err := url.QueryUnescape(name); err == nil && r.wants(plain) {
			fields[i], changed = name+"="+url.QueryEscape(Redacted), true
		}
	}
	if !changed {
		return text
	}
	return []byte(strings.Join(fields, "&"))
}

// scan goes through a JSON text. It knows no more of JSON than where strings and values
// end, so that a text which is not quite JSON, or cut, is redacted as far as it goes.
type scan struct {
	*redactor
	text  []byte
	depth int
	out   []byte // nil as long as nothing has changed
	done  int    // bytes of text that are in out, or left out
}

func (s *scan) run() []byte {
	for i := 0; i < len(s.text); {
		if s.text[i] != '"' {
			i++
			continue
		}
		end := stringEnd(s.text, i)
		value, isName := s.value(end)
		if !isName {
			s.inner(i, end, false)
			i = end
			continue
		}
		name := unquote(s.text[i:end])
		switch {
		case s.wants(name):
			i = valueEnd(s.text, value)
			s.replace(value, i, []byte(`"`+Redacted+`"`))
		case value < len(s.text) && s.text[value] == '"':
			i = stringEnd(s.text, value)
			s.inner(value, i, name == "body")
		default:
			i = value
		}
	}
	if s.out == nil {
		return s.text
	}
	return append(s.out, s.text[s.done:]...)
}

// replace puts something else in the place of a part of the text.
func (s *scan) replace(from, to int, by []byte) {
	s.out = append(append(s.out, s.text[s.done:from]...), by...)
	s.done = to
}

// value returns where the value begins of the name that ends there, if it is one: a colon
// follows.
func (s *scan) value(end int) (at int, isName bool) {
	at = skipSpace(s.text, end)
	if at == len(s.text) || s.text[at] != ':' {
		return end, false
	}
	return skipSpace(s.text, at+1), true
}

// inner redacts what a string has in it: JSON, or, in a body, a form, or either as base64.
func (s *scan) inner(from, to int, body bool) {
	quoted := s.text[from:to]
	if len(quoted) < 4 || !body && !mayHoldJSON(quoted) {
		return
	}
	value, cut, ok := stringValue(quoted, to == len(s.text))
	if !ok {
		return
	}
	write := func(b []byte) string { return string(b) }
	text := []byte(value)
	if body && !looksLikeJSON(text) {
		if cut {
			value = value[:len(value)/4*4]
		}
		if decoded, err := base64.StdEncoding.DecodeString(value); err == nil {
			text, write = decoded, base64.StdEncoding.EncodeToString
		}
	}
	if !body && !looksLikeJSON(text) {
		return
	}
	before := len(s.found)
	redacted := s.redactor.text(text, s.depth+1)
	if bytes.Equal(redacted, text) {
		s.found = s.found[:before]
		return
	}
	by := bytes.TrimSuffix(encode(write(redacted)), []byte("\n"))
	if cut {
		by = by[:len(by)-1]
	}
	s.replace(from, to, by)
}

// stringValue returns what a quoted string says. One at the end of the text may be cut.
func stringValue(quoted []byte, last bool) (value string, cut, ok bool) {
	if json.Unmarshal(quoted, &value) == nil {
		return value, false, true
	}
	const longestEscape = 12 // two of \uXXXX
	for n := 0; last && n < longestEscape && n < len(quoted)-1; n++ {
		if json.Unmarshal(append(bytes.Clone(quoted[:len(quoted)-n]), '"'), &value) == nil {
			return value, true, true
		}
	}
	return "", false, false
}

// mayHoldJSON reports whether a string, with its quotes, could be JSON text.
func mayHoldJSON(quoted []byte) bool {
	rest := bytes.TrimLeft(quoted[1:], " ")
	return len(rest) > 0 && (rest[0] == '{' || rest[0] == '[' || rest[0] == '\\')
}

// unquote returns a name as it is meant.
func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(bytes.Trim(quoted, `"`))
	}
	var name string
	if json.Unmarshal(quoted, &name) != nil {
		return string(quoted)
	}
	return name
}

// stringEnd returns where a string ends that begins at a quote: behind its other one, or
// with the text.
func stringEnd(text []byte, at int) int {
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// valueEnd returns where a value ends, whatever it is.
func valueEnd(text []byte, at int) int {
	depth := 0
	for i := at; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i = stringEnd(text, i) - 1; depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n') {
		at++
	}
	return at
}
