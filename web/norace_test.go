//go:build !race

package web

// raced reports whether the race detector is on, which needs memory of its own.
const raced = false
