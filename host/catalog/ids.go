package catalog

import (
	"crypto/rand"
	"strings"
)

// Identifiers look as the cloud's do: a prefix for the kind, then lower-case
// letters and digits, twenty characters in all.
const (
	FunctionPrefix = "d4e"
	VersionPrefix  = "d4v"
	LogGroupPrefix = "ckg"

	IDLength = 20
)

// NewID returns a fresh identifier. It carries 85 random bits.
func NewID(prefix string) string {
	// rand.Text is RFC 4648 base32, which lower-cased is letters and digits.
	return prefix + strings.ToLower(rand.Text())[:IDLength-len(prefix)]
}
