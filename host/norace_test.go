//go:build !race

package host

// attackStride and archiveStride are how many attacks there are to each that
// the tests make.
const (
	attackStride  = 5
	archiveStride = 1
)
