package history

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
)

// shortestHidden is how many bytes a value must have to be looked for: shorter ones are
// found everywhere.
const shortestHidden = 4

// hidden is values that must be in no text, in the ways in which they are written.
type hidden [][]byte

// newHidden returns what values returns, which may be nil.
func newHidden(values func() []string) (all hidden) {
	if values == nil {
		return nil
	}
	for _, value := range values() {
		if len(value) < shortestHidden {
			continue
		}
		quoted := string(bytes.TrimSuffix(encode(value), []byte("\n")))
		ascii := strconv.QuoteToASCII(value) // nearly as Python's json has it
		ways := []string{value, quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1], base64.StdEncoding.EncodeToString([]byte(value))}
		for _, way := range ways {
			if !slices.ContainsFunc(all, func(other []byte) bool { return string(other) == way }) {
				all = append(all, []byte(way))
			}
		}
	}
	// The longest first: one may be a part of another.
	slices.SortStableFunc(all, func(a, b []byte) int { return len(b) - len(a) })
	return all
}

// hide returns a text without the values, and, if it is cut, without the beginning of one
// at its end.
func (h hidden) hide(text []byte, cut bool) []byte {
	for _, value := range h {
		text = bytes.ReplaceAll(text, value, []byte(Redacted))
	}
	for _, value := range h {
		for n := min(len(value), len(text)); cut && n >= shortestHidden; n-- {
			if bytes.HasSuffix(text, value[:n]) {
				text = text[:len(text)-n]
				break
			}
		}
	}
	return text
}
