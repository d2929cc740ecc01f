package web

import (
	"net/url"
	"strings"
)

// values are names with all their values, ordered by the first occurrence of
// each name.
type values ordered[[]string]

// last returns the last value of name, or the empty string.
func (v values) last(name string) string {
	for _, m := range v {
		if m.name == name {
			return m.value[len(m.value)-1]
		}
	}
	return ""
}

// lasts returns each name with its last value.
func (v values) lasts() ordered[string] {
	lasts := make(ordered[string], len(v))
	for i, m := range v {
		lasts[i] = member[string]{m.name, m.value[len(m.value)-1]}
	}
	return lasts
}

// maxParameters bounds the cost of a query: each parameter appears twice in an
// event.
const maxParameters = 1000

// parseQuery splits a query at ampersands. A semicolon is an ordinary
// character. Invalid UTF-8 becomes U+FFFD, since JSON can't express bytes; an
// invalid escape is the caller's error, rather than a parameter silently lost
// or changed.
func parseQuery(raw string) (values, error) {
	var parsed values
	places := map[string]int{} // index in parsed, by name
	count := 0
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if count++; count > maxParameters {
			return nil, badRequest("the query string has more than %d parameters", maxParameters)
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, badRequest("malformed query string: %v", err)
		}
		name = strings.ToValidUTF8(name, "\ufffd")
		i, known := places[name]
		if !known {
			i = len(parsed)
			places[name] = i
			parsed = append(parsed, member[[]string]{name: name})
		}
		parsed[i].value = append(parsed[i].value, strings.ToValidUTF8(value, "\ufffd"))
	}
	return parsed, nil
}
