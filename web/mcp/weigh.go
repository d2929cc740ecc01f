package mcp

import "fmt"

// Limits of what is decoded, which takes many times as much memory as its text: [] is two
// bytes of a request and hundreds in memory.
const (
	maxValues    = 100_000
	maxMessages  = 32 // sent as one list, each of which is worked on at once
	valueBytes   = 256
	messageBytes = 16 << 10
	copies       = 3 // of the text: parameters, arguments, the request that a tool makes of them
)

// tooMany is the error of a request that can't be decoded within the limits.
type tooMany string

func (e tooMany) Error() string { return string(e) }

// weigh returns how many bytes it takes to decode a request, unless it has too many values
// or messages for that.
//
// # Errors
//
// tooMany.
func weigh(text []byte) (bytes int, err error) {
	values, messages, depth, list := 1, 1, 0, false
	quoted, escaped := false, false
	for _, c := range text {
		switch {
		case escaped:
			escaped = false
		case quoted:
			quoted, escaped = c != '"', c == '\\'
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			list = list || depth == 0 && c == '['
			depth++
			values++ // its first
		case c == ']' || c == '}':
			depth--
		case c == ',':
			values++
			if list && depth == 1 {
				messages++
			}
		}
	}
	switch {
	case messages > maxMessages:
		return 0, tooMany(fmt.Sprintf("the request has more than %d messages", maxMessages))
	case values > maxValues:
		return 0, tooMany(fmt.Sprintf("the request has more than %d values", maxValues))
	}
	return values*valueBytes + messages*messageBytes + copies*len(text), nil
}
