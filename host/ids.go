package host

import (
	"crypto/rand"
	"strings"
)

// Identifiers look as the cloud's do: a prefix for the kind, then lower-case
// letters and digits, twenty characters in all.
const (
	functionPrefix = "d4e"
	versionPrefix  = "d4v"
	logGroupPrefix = "ckg"

	idLength = 20
)

// newID returns a fresh identifier. It carries 85 random bits.
func newID(prefix string) string {
	// rand.Text is RFC 4648 base32, which lower-cased is letters and digits.
	return prefix + strings.ToLower(rand.Text())[:idLength-len(prefix)]
}
