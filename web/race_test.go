//go:build race

package web

// raced says if the race detector is on, which needs memory of its own.
const raced = true
