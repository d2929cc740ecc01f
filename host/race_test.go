//go:build race

package host

// attackStride is how many attacks there are to each that the tests make.
const attackStride = 15
