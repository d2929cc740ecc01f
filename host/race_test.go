//go:build race

package host

// attackStride and archiveStride are how many attacks there are to each that
// the tests make. Making archives of gigabytes takes minutes here.
const (
	attackStride  = 15
	archiveStride = 4
)
