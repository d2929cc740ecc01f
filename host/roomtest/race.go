//go:build race

package roomtest

// Raced reports whether the race detector is on, which needs memory of its own.
const Raced = true
