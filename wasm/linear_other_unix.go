//go:build unix && !linux && !plaincopy

package wasm

const mapNoReserve = 0 // these systems reserve nothing before it is touched

func adviseSmallPages([]byte) {}

// span is a range of bytes of a linear memory.
type span struct{ offset, size int }

func (m *linearMemory) privatePages(_, _ int64) []span { return nil }

// Private pages can't be counted here: the whole image counts as private.
const pageBytes = 0

func countsPages() bool { return false }

func threadFaults() (thread int, faults int64) { return 0, 0 }

func (m *linearMemory) count(size int64) (own, shared int64, ok bool) { return size, 0, false }

func (m *linearMemory) populate([]span) {}
